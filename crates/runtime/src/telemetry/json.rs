//! One JSON object a line: `ts` in milliseconds, `caller`, `msg`, `v`, then the fields of the spans and of the event
//! (IN-88). Errors have no `v`, as klog's have none.

use std::fmt::{self, Debug};

use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use crate::clock::Clock;

/// Formats events as lines of JSON.
pub(super) struct Lines;

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let meta = event.metadata();
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut line = Map::new();
        line.insert("ts".to_owned(), json!(Clock::system().now().as_microsecond() as f64 / 1_000.0));
        line.insert("caller".to_owned(), json!(caller(meta.file(), meta.line())));
        line.insert("level".to_owned(), json!(meta.level().as_str().to_ascii_lowercase()));
        line.insert("msg".to_owned(), fields.0.remove("message").unwrap_or_default());
        if let Some(verbosity) = verbosity(*meta.level()) {
            line.insert("v".to_owned(), json!(verbosity));
        }
        for span in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            let extensions = span.extensions();
            let Some(formatted) = extensions.get::<FormattedFields<N>>() else { continue };
            if let Ok(Value::Object(of_span)) = serde_json::from_str(&formatted.fields) {
                line.extend(of_span);
            }
        }
        line.extend(fields.0);
        writeln!(writer, "{}", Value::Object(line))
    }
}

fn verbosity(level: Level) -> Option<u8> {
    match level {
        Level::ERROR => None,
        Level::WARN | Level::INFO => Some(0),
        Level::DEBUG => Some(5),
        Level::TRACE => Some(7),
    }
}

/// File and line, the file with its folder only.
fn caller(file: Option<&str>, line: Option<u32>) -> String {
    let file = file.unwrap_or("unknown");
    let start = file.rmatch_indices('/').nth(1).map_or(0, |(at, _)| at + 1);
    format!("{}:{}", file.get(start..).unwrap_or(file), line.unwrap_or_default())
}

#[derive(Default)]
struct Fields(Map<String, Value>);

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name().to_owned(), json!(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), json!(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), json!(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), json!(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), json!(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), json!(format!("{value:?}")));
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use parking_lot::Mutex;
    use tracing::{info, info_span};
    use tracing_subscriber::fmt::format::JsonFields;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    // IN-88
    #[test]
    fn a_line_holds_the_message_and_the_fields_of_its_spans() {
        let memory = Memory::default();
        let writer = memory.clone();
        let layer = tracing_subscriber::fmt::layer()
            .fmt_fields(JsonFields::new())
            .event_format(Lines)
            .with_writer(move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            info_span!("reconcile", kind = "CloneSet", object = %"shop/web")
                .in_scope(|| info!(pods = 3, by = "maxUnavailable", "hold update"));
        });
        let mut line: Value = serde_json::from_slice(&memory.0.lock()).unwrap();
        let ts = line.as_object_mut().unwrap().remove("ts").unwrap();
        assert!(ts.as_f64().unwrap() > 1.6e12, "milliseconds");
        let caller = line.as_object_mut().unwrap().remove("caller").unwrap();
        assert!(caller.as_str().unwrap().starts_with("telemetry/json.rs:"), "{caller}");
        assert_eq!(
            line,
            json!({"level": "info", "msg": "hold update", "v": 0, "kind": "CloneSet", "object": "shop/web", "pods": 3,
                   "by": "maxUnavailable"})
        );
    }
}
