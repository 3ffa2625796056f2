//! Least rights: what each ServiceAccount may do, held against what is committed.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use e2e::install::NAMESPACE;

use crate::kit;

/// Everybody who is authenticated may do these; they are not ours to give.
fn is_everybodys(line: &str) -> bool {
    ["selfsubject", "/api", "/healthz", "/livez", "/openapi", "/readyz", "/version", "/.well-known", "/openid"]
        .iter()
        .any(|word| line.contains(word))
}

/// A row with single spaces and its verbs in order: the API server lists them in the order in which it found the roles.
fn row(line: &str) -> String {
    let words = line.split_whitespace().collect::<Vec<_>>().join(" ");
    let Some((before, verbs)) = words.rsplit_once('[') else { return words };
    let mut verbs: Vec<&str> = verbs.trim_end_matches(']').split(' ').collect();
    verbs.sort_unstable();
    format!("{before}[{}]", verbs.join(" "))
}

/// The rows of a table, without the heading of `kubectl auth can-i --list` and without what is everybody's.
fn rows(table: &str) -> BTreeSet<String> {
    let lines = table.lines().filter(|line| !line.trim().is_empty() && !line.starts_with(['#', 'R']));
    lines.filter(|line| !is_everybodys(line)).map(row).collect()
}

#[tokio::test] // issue: can-i --list against a committed expectation; rule 7 of the design
async fn each_service_account_may_do_what_is_committed_and_no_more() -> Result<()> {
    kit::installed().await?;
    let kubectl = kit::cluster()?.kubectl();
    let mut wrong = String::new();
    for account in ["kruise-manager", "kruise-webhook", "kruise-daemon"] {
        for (place, namespace) in [("own", NAMESPACE), ("other", "default")] {
            let line = format!("auth can-i --list -n {namespace} --as=system:serviceaccount:{NAMESPACE}:{account}");
            let is = rows(&kubectl.run(&line).await?);
            let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
                .join(format!("tests/cluster/rights/{account}.{place}.txt"));
            let text = std::fs::read_to_string(&file).with_context(|| {
                format!(
                    "{} is missing; it would be:\n{}",
                    file.display(),
                    is.iter().cloned().collect::<Vec<_>>().join("\n")
                )
            })?;
            let want = rows(&text);
            for line in is.difference(&want) {
                wrong += &format!("{account} in {place} namespaces may, beyond what is committed: {line}\n");
            }
            for line in want.difference(&is) {
                wrong += &format!("{account} in {place} namespaces may not, though it is committed: {line}\n");
            }
        }
    }
    ensure!(wrong.is_empty(), "{wrong}");
    Ok(())
}
