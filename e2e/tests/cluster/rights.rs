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

/// The table of `kubectl auth can-i --list` with single spaces, sorted.
fn normal(table: &str) -> BTreeSet<String> {
    let lines = table.lines().skip(1).filter(|line| !is_everybodys(line));
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).filter(|line| !line.is_empty()).collect()
}

#[tokio::test] // issue: can-i --list against a committed expectation; rule 7 of the design
async fn each_service_account_may_do_what_is_committed_and_no_more() -> Result<()> {
    kit::installed().await?;
    let kubectl = kit::cluster()?.kubectl();
    let mut wrong = String::new();
    for account in ["kruise-manager", "kruise-webhook", "kruise-daemon"] {
        for (place, namespace) in [("own", NAMESPACE), ("other", "default")] {
            let line = format!("auth can-i --list -n {namespace} --as=system:serviceaccount:{NAMESPACE}:{account}");
            let is = normal(&kubectl.run(&line).await?);
            let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
                .join(format!("tests/cluster/rights/{account}.{place}.txt"));
            let text = std::fs::read_to_string(&file).with_context(|| {
                format!(
                    "{} is missing; it would be:\n{}",
                    file.display(),
                    is.iter().cloned().collect::<Vec<_>>().join("\n")
                )
            })?;
            let want: BTreeSet<String> =
                text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
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
