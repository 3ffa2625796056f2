//! How fields look to people: `pod=web-x4kq2`, quoted only where the value has spaces.
//!
//! No value ends a line or steers a terminal: what has control characters is shown with escapes.

use std::fmt::{self, Debug};

use tracing::field::Field;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{Writer, debug_fn};

/// Formats fields, those of spans and those of events.
pub(super) fn fields() -> impl for<'w> FormatFields<'w> + 'static {
    debug_fn(one).delimited(" ")
}

fn one(writer: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> fmt::Result {
    let text = format!("{value:?}");
    match field.name() {
        "message" if text.contains(char::is_control) => writer.write_str(&escaped(&text)),
        "message" => writer.write_str(&text),
        name => write!(writer, "{name}={}", plain(&text)),
    }
}

/// Strings come quoted, displayed values do not: both are quoted if they must be, and only then.
fn plain(text: &str) -> String {
    let inner = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    match inner {
        Some(inner) if inner.is_empty() || inner.contains([' ', '\\', '=']) => text.to_owned(),
        Some(inner) => inner.to_owned(),
        None if text.contains(char::is_control) => format!("\"{}\"", escaped(text)),
        None if text.contains(' ') && !text.starts_with(['[', '{', '(']) => format!("{text:?}"),
        None => text.to_owned(),
    }
}

fn escaped(text: &str) -> String {
    text.escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use tracing::{info, info_span};

    use super::*;
    use crate::telemetry::captured::Captured;

    #[test]
    fn a_line_reads_as_a_sentence_with_plain_values() {
        let log = Captured::start();
        let span = info_span!("reconcile", kind = "CloneSet", object = %"shop/web", reconcile_id = "7f3a");
        span.in_scope(|| info!(pod = "web-x4kq2", from = "web-6d9c", err = %"no room", "update in place"));
        span.in_scope(|| info!(pods = 3, by = "maxUnavailable", none = None::<&str>, "hold update"));
        let span = "INFO reconcile{kind=CloneSet object=shop/web reconcile_id=7f3a}:";
        assert_eq!(
            log.lines(),
            [
                format!("{span} update in place pod=web-x4kq2 from=web-6d9c err=\"no room\""),
                format!("{span} hold update pods=3 by=maxUnavailable"),
            ]
        );
    }

    #[test]
    fn nothing_ends_a_line_but_its_end() {
        let log = Captured::start();
        let evil = "[x\nINFO all is well";
        info!(shown = %evil, quoted = evil, listed = ?[evil], "a {evil}");
        assert_eq!(log.lines().len(), 1, "{:#?}", log.lines());
    }

    #[test]
    fn only_what_would_be_misread_is_quoted() {
        for (value, want) in [
            ("\"web\"", "web"),
            ("\"a b\"", "\"a b\""),
            ("\"\"", "\"\""),
            ("3", "3"),
            ("a b", "\"a b\""),
            ("[1, 2]", "[1, 2]"),
            ("[1,\n2]", r#""[1,\n2]""#),
            ("a\u{1b}[2J", r#""a\u{1b}[2J""#),
        ] {
            assert_eq!(plain(value), want);
        }
    }
}
