//! What the process is told by its environment (platform page, section 4).
//!
//! Flags are `args.rs`. Reading is a function of a look-up, so that tests pass a table instead of the process's own
//! environment.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use jiff::SignedDuration;

use crate::certs::generate::LIFE_DAYS;

/// Days before the end of a certificate at which it is replaced, unless `CERTS_RENEW_BEFORE` says otherwise (PL-43).
const RENEW_BEFORE_DAYS: i64 = 180;
const HOURS_A_DAY: i64 = 24;

/// The environment of the webhook, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Namespace of the Secret and of the Service (`POD_NAMESPACE`).
    pub namespace: String,
    /// Name of the Pod that this process runs in (`POD_NAME`).
    pub pod: Option<String>,
    /// Name of the Secret with the certificates (`SECRET_NAME`).
    pub secret: String,
    /// Name of the Service through which the API server calls (`SERVICE_NAME`).
    pub service: String,
    /// TLS port (`WEBHOOK_PORT`).
    pub port: u16,
    /// Host name or address at which the API server reaches a webhook outside the cluster (`WEBHOOK_HOST`).
    pub host: Option<String>,
    /// Where self-managed certificates are kept (`WEBHOOK_CERT_WRITER`, `WEBHOOK_CERT_DIR`).
    pub keeping: Keeping,
    /// How long before its end a certificate is replaced (`CERTS_RENEW_BEFORE`).
    pub renew_before: SignedDuration,
    /// Takes the place of what the template says for `mpod.kb.io` (`WEBHOOK_CONFIGURATION_FAILURE_POLICY_PODS`, IN-15).
    /// Without effect where somebody else keeps the configurations.
    pub pod_failure_policy: Option<FailurePolicy>,
}

/// What becomes of a request while the webhook does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailurePolicy {
    /// It goes on without admission.
    Ignore,
    /// It is refused.
    Fail,
}

impl FailurePolicy {
    /// As the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ignore => "Ignore",
            Self::Fail => "Fail",
        }
    }
}

/// Where self-managed certificates are kept (IN-39).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keeping {
    /// In the Secret of the own namespace; keys reach no disk (ruling 15).
    Secret,
    /// As files in this folder.
    Files(PathBuf),
}

/// An environment with which the process can't start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// `WEBHOOK_PORT` is not a port number (IN-59 and section 11 of the installation page).
    #[error("WEBHOOK_PORT is not a port number: {0:?}")]
    Port(String),
    /// `WEBHOOK_CERT_WRITER` is neither `fs` nor `secret`.
    #[error("WEBHOOK_CERT_WRITER must be fs or secret: {0:?}")]
    Writer(String),
    /// `WEBHOOK_CONFIGURATION_FAILURE_POLICY_PODS` is no failure policy (IN-15).
    #[error("WEBHOOK_CONFIGURATION_FAILURE_POLICY_PODS must be Ignore or Fail: {0:?}")]
    FailurePolicy(String),
}

impl Settings {
    /// Reads the settings; an empty variable counts as absent.
    ///
    /// # Errors
    /// Fails where a value leaves no safe reading: the process must not start then.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let get = |name: &str| variable(name).filter(|value| !value.is_empty());
        let or = |name: &str, default: &str| get(name).unwrap_or_else(|| default.to_owned());
        let port = or("WEBHOOK_PORT", "9876");
        let host = get("WEBHOOK_HOST");
        let files = || Keeping::Files(PathBuf::from(or("WEBHOOK_CERT_DIR", "/tmp/kruise-webhook-certs")));
        let keeping = match (get("WEBHOOK_CERT_WRITER").as_deref(), &host) {
            (Some("fs"), _) | (None, Some(_)) => files(),
            (Some("secret"), _) | (None, None) => Keeping::Secret,
            (Some(other), _) => return Err(SettingsError::Writer(other.to_owned())),
        };
        let pod_failure_policy = match get("WEBHOOK_CONFIGURATION_FAILURE_POLICY_PODS").as_deref() {
            None => None,
            Some("Ignore") => Some(FailurePolicy::Ignore),
            Some("Fail") => Some(FailurePolicy::Fail),
            Some(other) => return Err(SettingsError::FailurePolicy(other.to_owned())),
        };
        Ok(Self {
            namespace: or("POD_NAMESPACE", "kruise-system"),
            pod: get("POD_NAME"),
            secret: or("SECRET_NAME", "kruise-webhook-certs"),
            service: or("SERVICE_NAME", "kruise-webhook-service"),
            port: port.parse().map_err(|_| SettingsError::Port(port.clone()))?,
            host,
            keeping,
            renew_before: get("CERTS_RENEW_BEFORE")
                .as_deref()
                .and_then(span)
                .unwrap_or_else(|| days(RENEW_BEFORE_DAYS)),
            pod_failure_policy,
        })
    }

    /// The name that the serving certificate must carry: `WEBHOOK_HOST`, else `<service>.<namespace>.svc` (PL-41).
    pub fn server_name(&self) -> String {
        self.host.clone().unwrap_or_else(|| format!("{}.{}.svc", self.service, self.namespace))
    }

    /// The server name as an IPv4 address, which goes into the certificate as an address instead of a DNS name (PL-44).
    pub fn server_address(&self) -> Option<Ipv4Addr> {
        self.host.as_deref().and_then(|host| host.parse().ok())
    }
}

/// Reads `<n>d`, `<n>m` (30 days) or `<n>y` (365 days); `None` for anything else, for zero and less, and for the whole life
/// of a certificate and more, with which each would have to be replaced as soon as it is made.
fn span(text: &str) -> Option<SignedDuration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit {
        "d" => 1,
        "m" => 30,
        "y" => 365,
        _ => return None,
    };
    let number = number.parse::<i64>().ok()?.checked_mul(unit)?;
    (1..LIFE_DAYS).contains(&number).then(|| days(number))
}

fn days(number: i64) -> SignedDuration {
    SignedDuration::from_hours(number * HOURS_A_DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        Settings::read(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test] // platform page, section 4
    fn an_empty_environment_gives_the_documented_defaults() {
        let settings = read(&[("WEBHOOK_HOST", "")]).unwrap();
        assert_eq!(settings.namespace, "kruise-system");
        assert_eq!(settings.secret, "kruise-webhook-certs");
        assert_eq!(settings.port, 9876);
        assert_eq!(settings.keeping, Keeping::Secret);
        assert_eq!(settings.renew_before, days(180));
        assert_eq!(settings.server_name(), "kruise-webhook-service.kruise-system.svc");
    }

    #[test] // IN-59
    fn a_port_that_is_no_number_stops_the_process() {
        for port in ["https", "-1", "70000", "98 76"] {
            assert_eq!(read(&[("WEBHOOK_PORT", port)]), Err(SettingsError::Port(port.to_owned())));
        }
    }

    #[test] // IN-39
    fn a_host_moves_certificates_to_files_unless_the_writer_says_secret() {
        let files = Keeping::Files("/certs".into());
        let dir = ("WEBHOOK_CERT_DIR", "/certs");
        assert_eq!(read(&[("WEBHOOK_HOST", "10.0.0.1"), dir]).unwrap().keeping, files);
        assert_eq!(read(&[("WEBHOOK_CERT_WRITER", "fs"), dir]).unwrap().keeping, files);
        assert_eq!(read(&[("WEBHOOK_HOST", "h"), ("WEBHOOK_CERT_WRITER", "secret")]).unwrap().keeping, Keeping::Secret);
        assert_eq!(read(&[("WEBHOOK_CERT_WRITER", "disk")]), Err(SettingsError::Writer("disk".into())));
    }

    #[test] // IN-15
    fn the_failure_policy_of_pods_is_ignore_or_fail_or_unset() {
        let policy = |value: &str| {
            read(&[("WEBHOOK_CONFIGURATION_FAILURE_POLICY_PODS", value)]).map(|settings| settings.pod_failure_policy)
        };
        assert_eq!(policy(""), Ok(None));
        assert_eq!(policy("Ignore"), Ok(Some(FailurePolicy::Ignore)));
        assert_eq!(policy("Fail"), Ok(Some(FailurePolicy::Fail)));
        assert_eq!(
            policy("ignore").unwrap_err().to_string(),
            "WEBHOOK_CONFIGURATION_FAILURE_POLICY_PODS must be Ignore or Fail: \"ignore\""
        );
    }

    #[test] // PL-44
    fn only_an_ipv4_host_is_an_address() {
        assert_eq!(read(&[("WEBHOOK_HOST", "10.0.0.1")]).unwrap().server_address(), Some(Ipv4Addr::new(10, 0, 0, 1)));
        assert_eq!(read(&[("WEBHOOK_HOST", "hooks.example")]).unwrap().server_address(), None);
    }

    #[test] // platform page, section 4
    fn renew_before_falls_back_to_180_days() {
        for (text, want) in
            [("30d", 30), ("2m", 60), ("1y", 365), ("0d", 180), ("-3d", 180), ("5w", 180), ("d", 180), ("é", 180)]
                .into_iter()
                .chain([("3649d", 3649), ("3650d", 180), ("10y", 180), ("9223372036854775807y", 180)])
        {
            assert_eq!(read(&[("CERTS_RENEW_BEFORE", text)]).unwrap().renew_before, days(want), "{text}");
        }
    }
}
