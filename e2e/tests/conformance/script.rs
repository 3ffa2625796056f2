//! The form of a script: blocks of one request each, separated by `---`.
//!
//! ```text
//! # What the block is about.
//! let pod = {apiVersion: v1, kind: Pod, spec: {containers: [{name: c, image: i}]}}
//! POST pods as first -> 201
//! pod {metadata: {name: a}}
//! ---
//! MERGE pods/a?fieldManager=x
//! {metadata: {resourceVersion: "{rv:first}"}}
//! ---
//! WATCH pods?resourceVersion={rv:first} events 2 -> 200
//! ```
//!
//! `MERGE`, `JSON`, `STRATEGIC` and `APPLY` are PATCH with that content type. A path without a leading slash is one of the
//! script's namespace. The arrow tells the code of the real server, for the reader. After the request come headers; `simulator: refuses` instead says that the simulator answers 501,
//! `until: text` that messages are compared up to this text only, and `compare: code`
//! that only code and reason are: the words are those of Go's decoder. A body is JSON or YAML; a word before it names the
//! `let` that it is merged into; after `!` it is sent as it stands. `COMPACT` makes older versions expire.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// A file of requests.
pub(crate) struct Script {
    pub(crate) name: String,
    pub(crate) blocks: Vec<Block>,
    /// Whether managedFields are compared: the line `compare managedFields`.
    pub(crate) managed_fields: bool,
}

/// One request, with its variables.
#[derive(Debug, Default)]
pub(crate) struct Block {
    pub(crate) line: usize,
    /// The request line.
    pub(crate) title: String,
    pub(crate) alias: Option<String>,
    /// The code that the real server answers.
    pub(crate) expected: Option<u16>,
    pub(crate) refused: bool,
    pub(crate) until: Option<String>,
    /// Whether the words of the answer are each server's own.
    pub(crate) code_only: bool,
    method: String,
    path: String,
    events: usize,
    headers: Vec<(String, String)>,
    body: String,
    template: Option<Value>,
}

/// What is sent.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    /// How many events of the watch are read.
    pub(crate) events: usize,
}

/// Earlier answers by the names of their blocks.
pub(crate) struct Captured {
    namespace: String,
    answers: BTreeMap<String, Value>,
}

impl Script {
    pub(crate) fn parse(name: &str, text: &str) -> Result<Self> {
        let mut script = Self { name: name.to_owned(), blocks: Vec::new(), managed_fields: false };
        let mut templates = BTreeMap::new();
        let mut lines = Vec::new();
        for (index, line) in text.lines().chain(["---"]).enumerate() {
            if line == "---" {
                script.blocks.extend(Block::parse(&lines, &templates).with_context(|| format!("{name}.txt:{index}"))?);
                lines.clear();
            } else if let Some(rest) = line.strip_prefix("let ") {
                let (word, value) = rest.split_once(" = ").with_context(|| format!("{name}.txt: {line}"))?;
                templates.insert(word.to_owned(), value.to_owned());
            } else if line == "compare managedFields" {
                script.managed_fields = true;
            } else if !line.starts_with('#') && !line.trim().is_empty() {
                lines.push((index + 1, line));
            }
        }
        Ok(script)
    }
}

impl Block {
    fn parse(lines: &[(usize, &str)], templates: &BTreeMap<String, String>) -> Result<Option<Self>> {
        let Some(((line, title), rest)) = lines.split_first() else { return Ok(None) };
        let mut words = title.split_whitespace();
        let mut word = || words.next().unwrap_or_default().to_owned();
        let mut block =
            Self { line: *line, title: (*title).to_owned(), method: word(), path: word(), ..Self::default() };
        loop {
            match word().as_str() {
                "" => break,
                "as" => block.alias = Some(word()),
                "->" => block.expected = Some(word().parse().context("which code")?),
                "events" => block.events = word().parse().context("how many events")?,
                other => bail!("unknown word {other}"),
            }
        }
        let mut rest = rest.iter().map(|(_, line)| *line).peekable();
        while let Some((name, value)) = rest.peek().and_then(|line| header(line)) {
            match name {
                "simulator" => block.refused = true,
                "compare" => block.code_only = value == "code",
                "until" => block.until = Some(value.to_owned()),
                _ => block.headers.push((name.to_owned(), value.to_owned())),
            }
            rest.next();
        }
        block.body = rest.collect::<Vec<_>>().join("\n");
        if let Some((word, _)) = block.body.split_once(" {").filter(|(word, _)| word.chars().all(char::is_alphanumeric))
        {
            let template = templates.get(word).with_context(|| format!("no `let {word}`"))?;
            block.template = Some(yaml(template)?);
            block.body.drain(..=word.len());
        }
        Ok(Some(block))
    }

    /// With earlier answers filled in.
    pub(crate) fn request(&self, captured: &Captured) -> Result<Request> {
        let patch = match self.method.as_str() {
            "MERGE" => "application/merge-patch+json",
            "JSON" => "application/json-patch+json",
            "STRATEGIC" => "application/strategic-merge-patch+json",
            "APPLY" => "application/apply-patch+yaml",
            _ => "",
        };
        let method = match self.method.as_str() {
            "WATCH" => "GET",
            _ if !patch.is_empty() => "PATCH",
            other => other,
        };
        let mut path = captured.fill(&in_namespace(&self.path))?;
        if self.method == "WATCH" {
            path.push_str(if path.contains('?') { "&watch=true" } else { "?watch=true" });
        }
        let mut headers = self.headers.clone();
        if !self.body.is_empty() && !headers.iter().any(|(name, _)| name == "content-type") {
            let json = if patch.is_empty() { "application/json" } else { patch };
            headers.push(("content-type".to_owned(), json.to_owned()));
        }
        let filled = captured.fill(&self.body)?;
        let body = match (filled.strip_prefix('!'), &self.template) {
            (Some(text), _) => text.to_owned(),
            _ if filled.is_empty() => filled,
            (None, None) => yaml(&filled)?.to_string(),
            (None, Some(template)) => {
                let mut object = template.clone();
                merge(&mut object, yaml(&filled)?);
                object.to_string()
            }
        };
        Ok(Request { method: method.to_owned(), path, headers, body, events: self.events })
    }
}

impl Captured {
    pub(crate) fn new(namespace: &str) -> Self {
        Self { namespace: namespace.to_owned(), answers: BTreeMap::new() }
    }

    pub(crate) fn keep(&mut self, alias: &str, answer: &Value) {
        self.answers.insert(alias.to_owned(), answer.clone());
    }

    /// Fills in `{ns}`, `{rv:name}`, `{uid:name}`, `{name:name}` and `{continue:name}`.
    fn fill(&self, text: &str) -> Result<String> {
        let (mut filled, mut rest) = (String::new(), text);
        while let Some((before, after)) = rest.split_once('{') {
            filled.push_str(before);
            // YAML has a space after its colons.
            let variable = after.split_once('}').filter(|(inner, _)| {
                *inner == "ns"
                    || inner.split_once(':').is_some_and(|(_, alias)| alias.starts_with(char::is_alphanumeric))
            });
            rest = if let Some((inner, after)) = variable {
                filled.push_str(self.value(inner)?);
                after
            } else {
                filled.push('{');
                after
            };
        }
        Ok(filled + rest)
    }

    fn value(&self, variable: &str) -> Result<&str> {
        let Some((word, alias)) = variable.split_once(':') else { return Ok(&self.namespace) };
        let field = if word == "rv" { "resourceVersion" } else { word };
        let answer = self.answers.get(alias).with_context(|| format!("no answer {alias}"))?;
        let value = answer.pointer(&format!("/body/metadata/{field}")).and_then(Value::as_str);
        value.with_context(|| format!("no {field} in {alias}: {answer}"))
    }
}

/// `name: value`, where the name is a lower-case word.
fn header(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once(": ")?;
    name.chars().all(|c| c.is_ascii_lowercase() || c == '-').then_some((name, value))
}

/// The path of a resource of the script's namespace, by its plural.
fn in_namespace(path: &str) -> String {
    if path.starts_with('/') {
        return path.to_owned();
    }
    let plural = path.split(['/', '?']).next().unwrap_or_default();
    let group = match plural {
        "deployments" | "replicasets" | "controllerrevisions" | "statefulsets" => "apis/apps/v1",
        "leases" => "apis/coordination.k8s.io/v1",
        "poddisruptionbudgets" => "apis/policy/v1",
        "things" | "plains" => "apis/conformance.example.com/v1",
        "clonesets" => "apis/apps.kruise.io/v1beta1",
        _ => "api/v1",
    };
    format!("/{group}/namespaces/{{ns}}/{path}")
}

fn yaml(text: &str) -> Result<Value> {
    // `y` and `n` are letters.
    let options = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_str_with_options(text, options).with_context(|| format!("not YAML: {text}"))
}

/// RFC 7386, but null stays, so that a script can send it.
fn merge(object: &mut Value, patch: Value) {
    match (object, patch) {
        (Value::Object(object), Value::Object(patch)) => {
            for (key, value) in patch {
                merge(object.entry(key).or_insert(Value::Null), value);
            }
        }
        (object, patch) => *object = patch,
    }
}
