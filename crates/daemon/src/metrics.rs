//! What the node's runtimes are, as a metric: `kruise_daemon_runtime_info{runtime,version} 1`.
//!
//! Read from the board on each scrape, so a runtime that is gone is gone here too.

use std::collections::BTreeSet;
use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use tokio::sync::watch;

use crate::runtimes::Board;

/// One series for each name and version of a working runtime.
#[derive(Debug)]
pub(crate) struct RuntimeInfo {
    board: watch::Receiver<Board>,
}

impl RuntimeInfo {
    pub(crate) fn of(board: watch::Receiver<Board>) -> Self {
        Self { board }
    }
}

impl Collector for RuntimeInfo {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut family = encoder.encode_descriptor(
            "kruise_daemon_runtime_info",
            "Container runtimes that answer on this node",
            None,
            MetricType::Gauge,
        )?;
        let board = self.board.borrow();
        // One containerd that is reached by two sockets is one runtime; a series may appear only once.
        let runtimes: BTreeSet<_> = board.working().map(|it| (it.name.as_str(), it.version.as_str())).collect();
        for (name, version) in runtimes {
            ConstGauge::new(1_i64).encode(family.encode_family(&[("runtime", name), ("version", version)])?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::*;

    fn series(runtimes: &[(&str, &str)]) -> Vec<String> {
        let (_writer, board) = watch::channel(Board::of_working(runtimes));
        let mut registry = Registry::default();
        registry.register_collector(Box::new(RuntimeInfo::of(board)));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    }

    #[test]
    fn each_working_runtime_is_one_series() {
        assert_eq!(
            series(&[("containerd", "1.6.20"), ("docker", "27.0")]),
            [
                r#"kruise_daemon_runtime_info{runtime="containerd",version="1.6.20"} 1"#,
                r#"kruise_daemon_runtime_info{runtime="docker",version="27.0"} 1"#,
            ]
        );
    }

    #[test]
    fn a_runtime_that_is_reached_by_two_sockets_is_one_series() {
        assert_eq!(series(&[("containerd", "1.6.20"), ("containerd", "1.6.20")]).len(), 1);
    }

    #[test]
    fn a_node_without_a_runtime_has_no_series() {
        assert_eq!(series(&[]), Vec::<String>::new());
    }
}
