//! Query parameters of a request.

use super::call::Options;
use super::failure::{Cause, Failure, Result};

/// What the query says, and the form that the client accepts.
#[derive(Clone, Debug, Default)]
pub(super) struct Query {
    pub(super) watch: bool,
    pub(super) labels: String,
    pub(super) fields: String,
    pub(super) limit: usize,
    /// `continue`.
    pub(super) after: String,
    /// `resourceVersion`.
    pub(super) version: String,
    /// `resourceVersionMatch`.
    pub(super) version_match: String,
    pub(super) bookmarks: bool,
    /// `sendInitialEvents`.
    pub(super) initial: Option<bool>,
    /// `timeoutSeconds`.
    pub(super) timeout: Option<u64>,
    /// `gracePeriodSeconds`.
    pub(super) grace: Option<i64>,
    /// `propagationPolicy`.
    pub(super) policy: String,
    pub(super) options: Options,
    /// Only metadata is wanted.
    pub(super) partial: bool,
}

impl Query {
    /// Reads a query.
    ///
    /// # Errors
    /// Fails where a value can't be read.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut query = Self::default();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            let value = value.as_ref();
            match name.as_ref() {
                "watch" => query.watch = flag(value)?,
                "labelSelector" => value.clone_into(&mut query.labels),
                "fieldSelector" => value.clone_into(&mut query.fields),
                "limit" => query.limit = number(value)?,
                "continue" => value.clone_into(&mut query.after),
                "resourceVersion" => value.clone_into(&mut query.version),
                "resourceVersionMatch" => value.clone_into(&mut query.version_match),
                "allowWatchBookmarks" => query.bookmarks = flag(value)?,
                "sendInitialEvents" => query.initial = Some(flag(value)?),
                "timeoutSeconds" => query.timeout = Some(number(value)?),
                "gracePeriodSeconds" => query.grace = Some(number(value)?),
                "propagationPolicy" => value.clone_into(&mut query.policy),
                "fieldManager" => value.clone_into(&mut query.options.field_manager),
                "force" => query.options.force = flag(value)?,
                "dryRun" if value == "All" => query.options.dry_run = true,
                "dryRun" => {
                    let message = format!("Unsupported value: [{value:?}]: supported values: \"All\"");
                    let cause = Cause { reason: "FieldValueNotSupported", message, field: "dryRun".to_owned() };
                    return Err(Failure::options("CreateOptions", &[cause]));
                }
                "fieldValidation" if value == "Strict" => {
                    return Err(Failure::not_simulated("strict validation of fields"));
                }
                // What is unknown is taken, as by the server; how fields are judged and how the body is laid out is not
                // a matter of content.
                "fieldValidation" | "pretty" | "timeout" => {}
                _ => {}
            }
        }
        Ok(query)
    }

    /// `resourceVersion` as a number; 0 for none.
    pub(super) fn version(&self) -> Result<u64> {
        if self.version.is_empty() {
            return Ok(0);
        }
        let unreadable = |_| {
            let version = &self.version;
            let why = format!(
                "resourceVersion: Invalid value: {version:?}: strconv.ParseUint: parsing {version:?}: invalid syntax"
            );
            // A list says that the client is wrong, a watch that the server is.
            if self.watch {
                Failure::new(500, "", why)
            } else {
                Failure::bad_request(format!("invalid resource version: {why}"))
            }
        };
        self.version.parse().map_err(unreadable)
    }
}

fn flag(value: &str) -> Result<bool> {
    match value {
        "true" | "1" | "" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(Failure::bad_request(format!("strconv.ParseBool: parsing {value:?}: invalid syntax"))),
    }
}

fn number<T: std::str::FromStr>(value: &str) -> Result<T> {
    value.parse().map_err(|_| Failure::bad_request(format!("strconv.ParseInt: parsing {value:?}: invalid syntax")))
}
