//! `process_*` metrics, read from `/proc/self` on each scrape. What cannot be read is left out.

use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// Ticks per second in `/proc/<pid>/stat`: Linux promises 100 to user space on every architecture that we build for.
const TICKS_PER_SECOND: f64 = 100.0;

/// Reads `/proc/self` when scraped.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let reading = Reading::take();
        let mut gauge = |name: &str, help: &str, value: Option<f64>| -> Result<(), std::fmt::Error> {
            let Some(value) = value else { return Ok(()) };
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
        };
        gauge("process_resident_memory_bytes", "Resident memory size in bytes", reading.resident)?;
        gauge("process_virtual_memory_bytes", "Virtual memory size in bytes", reading.virtual_size)?;
        gauge(
            "process_start_time_seconds",
            "Start time of the process since the Unix epoch in seconds",
            reading.start,
        )?;
        gauge("process_open_fds", "Number of open file descriptors", reading.open_files)?;
        gauge("process_max_fds", "Maximum number of open file descriptors", reading.max_files)?;
        if let Some(cpu) = reading.cpu {
            let counter = ConstCounter::new(cpu);
            counter.encode(encoder.encode_descriptor(
                "process_cpu_seconds",
                "Total user and system CPU time spent in seconds",
                None,
                counter.metric_type(),
            )?)?;
        }
        Ok(())
    }
}

#[derive(Default)]
struct Reading {
    resident: Option<f64>,
    virtual_size: Option<f64>,
    start: Option<f64>,
    open_files: Option<f64>,
    max_files: Option<f64>,
    cpu: Option<f64>,
}

impl Reading {
    fn take() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        let system = fs::read_to_string("/proc/stat").unwrap_or_default();
        let booted = number_after(&system, "btime");
        // The command, in parentheses, may hold spaces: fields are counted after it. State is the first, user and
        // system time the 12th and 13th, start the 20th.
        let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
        let ticks =
            |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).map(|t| t / TICKS_PER_SECOND);
        Self {
            resident: number_after(&status, "VmRSS:").map(|kib| kib * 1024.0),
            virtual_size: number_after(&status, "VmSize:").map(|kib| kib * 1024.0),
            start: booted.zip(ticks(19)).map(|(booted, since)| booted + since),
            open_files: fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count() as f64),
            max_files: number_after(&limits, "Max open files"),
            cpu: ticks(11).zip(ticks(12)).map(|(user, system)| user + system),
        }
    }
}

/// The first number of the line that starts with `label`.
fn number_after(text: &str, label: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(label))?;
    line.split_whitespace().next()?.parse().ok()
}
