//! What is generated for the chart and from it: the definitions that it carries, the README's table of values, the
//! plain manifests (IN-82).
//!
//! The texts are computed here; the caller writes them or compares them with what is committed. What the templates
//! render is tested where a cluster is.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail, ensure};

/// The chart, from the root of the repository.
pub(crate) const CHART: &str = "charts/kruise";
/// The plain manifests, from the root of the repository.
pub(crate) const PLAIN: &str = "deploy/kruise.yaml";
/// The Kubernetes version that the plain manifests are rendered for: without it, Helm assumes the one that it was
/// built with, and the same chart would render differently under another Helm.
pub(crate) const PLAIN_KUBE_VERSION: &str = "1.34.0";

/// Lines of the README between which the table stands.
const BEGIN: &str = "<!-- values: begin (cargo xtask crds) -->";
const END: &str = "<!-- values: end -->";

/// The definitions as the chart carries them: path from the root of the repository, and content.
pub(crate) fn crds() -> anyhow::Result<Vec<(String, String)>> {
    let file = |crd: k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition| {
        let path = format!("{CHART}/crds-src/{}_{}.yaml", crd.spec.group, crd.spec.names.plural);
        let yaml = serde_saphyr::to_string(&serde_json::to_value(&crd)?).with_context(|| format!("write {path}"))?;
        Ok((path, format!("# Generated from crates/api by `cargo xtask crds`.\n{yaml}")))
    };
    api::crds().into_iter().map(file).collect()
}

/// The plain manifests: what the chart renders without a cluster and without its hooks.
pub(crate) fn plain(helm: &Path, root: &Path) -> anyhow::Result<String> {
    let mut command = Command::new(helm);
    command.args(["template", "kruise", CHART, "--namespace", "kruise-system", "--no-hooks"]);
    command.args(["--kube-version", PLAIN_KUBE_VERSION]).current_dir(root);
    let output = command.output().with_context(|| format!("run {}", helm.display()))?;
    ensure!(output.status.success(), "helm template: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8(output.stdout)?)
}

/// The README with the table of values brought up to date.
pub(crate) fn readme(readme: &str, values: &str) -> anyhow::Result<String> {
    let (before, rest) = readme.split_once(BEGIN).with_context(|| format!("the README has no line {BEGIN}"))?;
    let (_, after) = rest.split_once(END).with_context(|| format!("the README has no line {END}"))?;
    let mut table = String::from("| Key | Default | Effect |\n| --- | --- | --- |\n");
    for Row { key, default, effect } in rows(values)? {
        table.push_str(&format!("| `{key}` | {default} | {effect} |\n"));
    }
    Ok(format!("{before}{BEGIN}\n{table}{END}{after}"))
}

#[derive(Debug, PartialEq, Eq)]
struct Row {
    key: String,
    default: String,
    effect: String,
}

/// Reads `values.yaml` as text, for its comments: a value stands on one line, below its `# --` line.
fn rows(values: &str) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mut above: Vec<(usize, &str)> = Vec::new();
    let mut effect: Option<&str> = None;
    for line in values.lines() {
        let text = line.trim_start();
        if let Some(comment) = text.strip_prefix("# -- ") {
            effect = Some(comment);
            continue;
        }
        let Some((name, value)) = text.split_once(':').filter(|_| !text.starts_with('#')) else { continue };
        let indent = line.len() - text.len();
        above.retain(|(outer, _)| *outer < indent);
        let key = above.iter().map(|(_, name)| *name).chain([name]).collect::<Vec<_>>().join(".");
        match (effect.take(), value.trim()) {
            (Some(effect), value) => {
                let default = if value.is_empty() { "unset".to_owned() } else { format!("`{value}`") };
                rows.push(Row { key, default, effect: effect.to_owned() });
            }
            (None, "") => above.push((indent, name)),
            (None, _) => bail!("value {key} has no \"# --\" line"),
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;

    use super::*;

    fn read(path: &str) -> String {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        std::fs::read_to_string(root.join(path)).unwrap_or_else(|err| panic!("{path}: {err}"))
    }

    fn yaml(text: &str) -> Value {
        serde_saphyr::from_str(text).unwrap()
    }

    /// Each scalar, list and empty map of a tree, by its path.
    fn leaves(path: &str, value: &Value, into: &mut BTreeMap<String, Value>) {
        match value {
            Value::Object(members) if !members.is_empty() => {
                for (name, member) in members {
                    leaves(&format!("{path}.{name}"), member, into);
                }
            }
            _ => drop(into.insert(path.to_owned(), value.clone())),
        }
    }

    #[test]
    fn a_row_has_the_whole_key_the_default_and_the_comment() {
        let values = "# about\na:\n  b:\n    # -- How many.\n    c: 2\n  # -- Which.\n  d:\n# -- All.\ne: [\"*\"]\n";
        let row = |key: &str, default: &str, effect: &str| Row {
            key: key.to_owned(),
            default: default.to_owned(),
            effect: effect.to_owned(),
        };
        let want = [row("a.b.c", "`2`", "How many."), row("a.d", "unset", "Which."), row("e", "`[\"*\"]`", "All.")];
        assert_eq!(rows(values).unwrap(), want);
    }

    #[test]
    fn a_value_without_a_comment_is_refused() {
        assert_eq!(rows("a:\n  b: 1\n").unwrap_err().to_string(), "value a.b has no \"# --\" line");
    }

    #[test]
    fn the_readme_of_the_chart_shows_the_values_of_the_chart() {
        let committed = read("charts/kruise/README.md");
        let generated = readme(&committed, &read("charts/kruise/values.yaml")).unwrap();
        assert!(generated == committed, "run `cargo xtask crds`");
    }

    #[test] // IN-16: what "--reuse-values" leaves out falls back to the defaults of values.yaml
    fn fallbacks_of_the_templates_equal_the_documented_defaults() {
        let template = read("charts/kruise/templates/_values.tpl");
        let (_, rest) = template.split_once("{{- define \"kruise.defaults\" -}}").unwrap();
        let (fallbacks, _) = rest.split_once("{{- end }}").unwrap();
        let (mut want, mut have) = (BTreeMap::new(), BTreeMap::new());
        leaves("", &yaml(&read("charts/kruise/values.yaml")), &mut want);
        leaves("", &yaml(fallbacks), &mut have);
        for (path, fallback) in &have {
            // An empty map stands for no fallback at all: its members may be removed by the user.
            if fallback.as_object().is_none_or(|members| !members.is_empty()) {
                assert_eq!(Some(fallback), want.get(path), "{path}");
            }
        }
        let is_covered = |path: &str| {
            have.iter().any(|(fallback, value)| {
                path == fallback || value.is_object() && path.starts_with(&format!("{fallback}."))
            })
        };
        for (path, default) in &want {
            // What is unset is as for the manager, or means nothing.
            assert!(default.is_null() || is_covered(path), "{path} has no fallback");
        }
    }

    #[test]
    fn the_chart_has_the_version_of_the_workspace() {
        let chart = yaml(&read("charts/kruise/Chart.yaml"));
        assert_eq!(chart["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
    }
}
