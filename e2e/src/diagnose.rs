//! What to print when a scenario fails: the objects, the events, the ends of the logs that explain it.
//!
//! Nothing here fails: what cannot be had is said in its place.

use crate::cluster::Cluster;
use crate::install::NAMESPACE;
use crate::kubectl::Kubectl;
use crate::progress::tail;

/// What a report shows.
#[derive(Debug)]
pub struct Report<'a> {
    /// The namespace of the scenario.
    pub namespace: &'a str,
    /// Kinds whose objects are printed whole: `clonesets`, `pods` ...
    pub kinds: &'a [&'a str],
}

impl Report<'_> {
    /// Objects and events of the scenario's namespace and the product's own logs, through the API.
    pub async fn objects(&self, kubectl: &Kubectl) -> String {
        let mut text = String::new();
        let space = self.namespace;
        for (title, line) in [
            ("overview".to_owned(), format!("-n {space} get {} -o wide", self.kinds.join(","))),
            ("events, oldest first".to_owned(), format!("-n {space} get events --sort-by=.lastTimestamp")),
            ("the product's Pods".to_owned(), format!("-n {NAMESPACE} get pods -o wide")),
            ("the product's events".to_owned(), format!("-n {NAMESPACE} get events --sort-by=.lastTimestamp")),
        ] {
            section(&mut text, &title, &said(kubectl, &line).await, 60);
        }
        for kind in self.kinds {
            let objects = said(kubectl, &format!("-n {space} get {kind} -o yaml --show-managed-fields=false")).await;
            section(&mut text, kind, &objects, 400);
        }
        for workload in ["deploy/kruise-controller-manager", "deploy/kruise-webhook", "ds/kruise-daemon"] {
            let line = format!("-n {NAMESPACE} logs {workload} --all-pods --prefix --tail=60");
            section(&mut text, &format!("log of {workload}"), &said(kubectl, &line).await, 120);
        }
        text
    }

    /// The same, and the ends of the cluster's own logs.
    pub async fn of(&self, cluster: &Cluster) -> String {
        let mut text = self.objects(&cluster.kubectl()).await;
        let mut logs: Vec<_> = std::fs::read_dir(cluster.logs())
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .filter(|log| log.metadata().is_ok_and(|meta| meta.len() > 0))
            .collect();
        logs.sort();
        for log in logs {
            section(&mut text, &log.display().to_string(), &tail(&log, 15).join("\n"), 15);
        }
        text
    }
}

async fn said(kubectl: &Kubectl, line: &str) -> String {
    kubectl.run(line).await.unwrap_or_else(|error| format!("({error:#})"))
}

/// The last `lines` of a text under a title; earlier ones are counted, not dropped in silence.
fn section(text: &mut String, title: &str, content: &str, lines: usize) {
    let all: Vec<&str> = content.lines().collect();
    let hidden = all.len().saturating_sub(lines);
    text.push_str(&format!("\n--- {title}\n"));
    if hidden > 0 {
        text.push_str(&format!("  ({hidden} lines before)\n"));
    }
    for line in all.iter().skip(hidden) {
        text.push_str(&format!("  {line}\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_section_shows_its_end_and_says_how_much_is_hidden() {
        let mut text = String::new();
        section(&mut text, "log", "a\nb\nc", 2);
        assert_eq!(text, "\n--- log\n  (1 lines before)\n  b\n  c\n");
    }
}
