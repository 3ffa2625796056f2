//! The simulated API server against a real kube-apiserver: the same scripts of requests go to both, and every answer
//! must be the same but for what differs from run to run (uids, times, resourceVersions, generated names).
//!
//! A script is a text file of this folder; `script` describes its form. With `CONFORMANCE_ANSWERS=folder` the real
//! server alone is asked, and its answers are written there, one file a script.

#![allow(clippy::indexing_slicing, reason = "an answer of another form is a failure of the test")]

mod compare;
mod normal;
mod script;
mod servers;

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::normal::Normaliser;
use crate::script::{Captured, Script};
use crate::servers::Server;

/// One test a script, named after its file.
macro_rules! scripts {
    ($($name:ident)*) => {
        /// The names of all tests.
        const SCRIPTS: &[&str] = &[$(stringify!($name)),*];
        $(#[tokio::test]
        async fn $name() -> Result<()> {
            conform(stringify!($name)).await
        })*
    };
}

scripts! {
    apply_conflicts apply_ownership crd_fields crd_schema deletion dry_run errors finalizers generation leases_and_events
    list_merging lists metadata patches pod_immutability preconditions subresources watches
}

#[test]
fn every_script_has_a_test() -> Result<()> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder()?)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "txt") {
            files.extend(path.file_stem().and_then(|stem| Some(stem.to_str()?.replace('-', "_"))));
        }
    }
    files.sort();
    ensure!(files == SCRIPTS, "files {files:?}, tests {SCRIPTS:?}");
    Ok(())
}

fn folder() -> Result<PathBuf> {
    Ok(e2e::paths::workspace()?.join("e2e/tests/conformance"))
}

/// Plays a script on both servers and fails with all that differs.
async fn conform(test: &str) -> Result<()> {
    let name = test.replace('_', "-");
    let file = folder()?.join(format!("{name}.txt"));
    let text = std::fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
    let script = Script::parse(&name, &text)?;
    let real = play(&script, &Server::real().await?).await?;
    let mut differences = Vec::new();
    for (block, real) in script.blocks.iter().zip(&real) {
        if block.expected.is_some_and(|code| real["status"] != code) {
            differences.push(format!("{name}.txt:{} {}\n  the real server answers {real}", block.line, block.title));
        }
    }
    if let Some(folder) = std::env::var_os("CONFORMANCE_ANSWERS") {
        let folder = PathBuf::from(folder);
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(format!("{name}.txt")), written(&script, &real)?)?;
        return Ok(());
    }
    let simulated = play(&script, &Server::simulated()?).await?;
    for ((block, real), simulated) in script.blocks.iter().zip(&real).zip(&simulated) {
        let found = compare::answers(block, real, simulated);
        if !found.is_empty() {
            differences.push(format!("{name}.txt:{} {}\n{}", block.line, block.title, found.join("\n")));
        }
    }
    if differences.is_empty() {
        return Ok(());
    }
    bail!("{} of {} answers differ\n{}", differences.len(), script.blocks.len(), differences.join("\n"))
}

/// The normalised answers of one server. The namespace and the script's own objects are new on it.
async fn play(script: &Script, server: &Server) -> Result<Vec<Value>> {
    let mut captured = Captured::new(&script.name);
    let mut normaliser = Normaliser::new(script.managed_fields);
    server.prepare(&script.name).await?;
    let mut answers = Vec::new();
    for block in &script.blocks {
        let place = || format!("{}.txt:{} {}", script.name, block.line, block.title);
        let request = block.request(&captured).with_context(place)?;
        let answer = server.ask(&request).await.with_context(place)?;
        if let Some(alias) = &block.alias {
            captured.keep(alias, &answer);
        }
        answers.push(normaliser.normal(answer));
    }
    Ok(answers)
}

/// Questions and answers, to be read.
fn written(script: &Script, answers: &[Value]) -> Result<String> {
    let captured = Captured::new(&script.name);
    let mut text = String::new();
    for (block, answer) in script.blocks.iter().zip(answers) {
        writeln!(text, "### line {}: {}", block.line, block.title)?;
        if let Ok(request) = block.request(&captured) {
            writeln!(text, "{} {}", request.method, request.path)?;
            if !request.body.is_empty() {
                writeln!(text, "{}", request.body)?;
            }
        }
        writeln!(text, "--> {}\n", serde_json::to_string_pretty(answer)?)?;
    }
    Ok(text)
}
