//! The server as a process of its own, and what the harness can tell it: one command a line on stdin, one report a line
//! on stdout. It ends when stdin does, so that it cannot outlive the harness.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::kinds::Kind;
use super::pace::Pace;
use super::store::Content;
use super::{Shared, Streaming, fill, write};
use crate::objects::{clonesets, nodes, pods::Layout};

/// A step between Pods that are re-sent one after the other, so that neighbours are not of one CloneSet.
const STRIDE: u64 = 7_919;

/// How to start it.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Refuse lists by watch, so that clients fall back to pages.
    #[arg(long)]
    no_streaming: bool,
}

/// What is printed first.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ready {
    /// Where the API is.
    pub(crate) url: String,
    /// The certificate to trust, in PEM.
    pub(crate) certificate: String,
}

/// What the harness can tell the server. The answer to each is a [`Report`], or why it cannot be done.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Command {
    /// Nothing but the report.
    Report,
    /// Put in so many CloneSets that want no Pods.
    CloneSets(u32),
    /// Put in Pods and Nodes; CloneSets that are there get theirs.
    Fill { pods: u32, per_owner: u32, nodes: u32 },
    /// End all watches and forget all changes, so that everybody has to list again.
    Expire,
    /// Send each Node again in this many seconds, and so many Pods a second, with nothing changed but heartbeats.
    Heartbeats { node_seconds: f64, pods_per_second: f64 },
    /// Change an annotation of a CloneSet so many times a second; with a count only so often, with 0 a second no more.
    Touch { owner: u32, per_second: f64, count: Option<u64> },
}

/// What the server has done so far.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Bytes of bodies sent.
    pub(crate) bytes: u64,
    /// Requests, as in `list pods`.
    pub(crate) requests: BTreeMap<String, u64>,
    /// Watches that came to follow changes, by plural.
    pub(crate) follows: BTreeMap<String, u64>,
    /// Objects held, by plural.
    pub(crate) objects: BTreeMap<String, usize>,
    /// Heartbeats of Nodes made up.
    pub(crate) node_beats: u64,
    /// Pods re-sent.
    pub(crate) pod_beats: u64,
    /// Touches made up.
    pub(crate) touches: u64,
}

/// Serves until stdin ends.
pub(crate) async fn run(options: &Options) -> Result<()> {
    let streaming = if options.no_streaming { Streaming::Refused } else { Streaming::Offered };
    let shared = Shared::new(streaming);
    let bound = super::bind().await?;
    let ready = Ready { url: format!("https://{}", bound.address), certificate: bound.certificate.clone() };
    say(&ready)?;
    tokio::spawn(super::serve(bound, Arc::clone(&shared)));
    let control = Control { shared, paces: Vec::new(), touch: None };
    tokio::task::spawn_blocking(|| listen(control)).await?
}

fn listen(mut control: Control) -> Result<()> {
    for line in std::io::stdin().lines() {
        let line = line?;
        let command = serde_json::from_str(&line).with_context(|| format!("not a command: {line}"))?;
        say(&control.obey(command).map_err(|err| format!("{err:#}")))?;
    }
    Ok(())
}

fn say(what: &impl Serialize) -> Result<()> {
    let mut line = serde_json::to_vec(what)?;
    line.push(b'\n');
    let mut out = std::io::stdout().lock();
    out.write_all(&line)?;
    Ok(out.flush()?)
}

/// What goes on because it was asked for.
pub(super) struct Control {
    shared: Arc<Shared>,
    paces: Vec<Pace>,
    touch: Option<Pace>,
}

impl Control {
    #[cfg(test)]
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::clone(shared), paces: Vec::new(), touch: None }
    }

    /// Does what is asked for and reports.
    pub(super) fn obey(&mut self, command: Command) -> Result<Report> {
        match command {
            Command::Report => {}
            Command::CloneSets(count) => fill::clonesets(&mut self.shared.store.lock(), count),
            Command::Fill { pods, per_owner, nodes } => {
                fill::pods(&mut self.shared.store.lock(), Layout { pods, per_owner, nodes, revisions: Vec::new() })?;
            }
            Command::Expire => self.shared.store.lock().forget(),
            Command::Heartbeats { node_seconds, pods_per_second } => self.beat(node_seconds, pods_per_second)?,
            Command::Touch { owner, per_second, count } => self.touch(owner, per_second, count)?,
        }
        self.shared.tell();
        Ok(self.report())
    }

    fn report(&self) -> Report {
        let (store, meter) = (self.shared.store.lock(), &self.shared.meter);
        Report {
            bytes: meter.bytes(),
            requests: meter.requests(),
            follows: meter.follows(),
            objects: Kind::ALL.into_iter().map(|kind| (kind.names().plural.to_owned(), store.count(kind))).collect(),
            node_beats: meter.node_beats.load(Ordering::Relaxed),
            pod_beats: meter.pod_beats.load(Ordering::Relaxed),
            touches: meter.touches.load(Ordering::Relaxed),
        }
    }

    fn beat(&mut self, node_seconds: f64, pods_per_second: f64) -> Result<()> {
        let generated = self.shared.store.lock().generated();
        let layout = generated.pods.layout();
        let (pods, nodes) = (u64::from(layout.pods), u64::from(layout.nodes));
        ensure!(node_seconds > 0.0 && pods_per_second > 0.0 && pods > 0 && nodes > 0, "nothing to send again");
        let shared = Arc::clone(&self.shared);
        let of_nodes = Pace::start(nodes as f64 / node_seconds, None, move |nth| {
            let (Ok(index), Ok(beat)) = (u32::try_from(nth % nodes), u32::try_from(nth / nodes + 1)) else { return };
            shared.store.lock().put(Kind::Node, nodes::key(index), |_| Content::Node { index, beat });
            shared.meter.node_beats.fetch_add(1, Ordering::Relaxed);
            shared.tell();
        });
        let (shared, of_layout) = (Arc::clone(&self.shared), Arc::clone(&generated));
        let of_pods = Pace::start(pods_per_second, None, move |nth| {
            let (Ok(index), Ok(beat)) = (u32::try_from(nth * STRIDE % pods), u32::try_from(nth + 1)) else { return };
            shared.store.lock().put(Kind::Pod, of_layout.pods.key(index), |_| Content::Pod { index, beat });
            shared.meter.pod_beats.fetch_add(1, Ordering::Relaxed);
            shared.tell();
        });
        self.paces = vec![of_nodes, of_pods];
        Ok(())
    }

    fn touch(&mut self, owner: u32, per_second: f64, count: Option<u64>) -> Result<()> {
        self.touch = None;
        if per_second <= 0.0 {
            return Ok(());
        }
        let key = clonesets::key(owner);
        write::stored(&self.shared.store.lock(), Kind::CloneSet, &key)
            .with_context(|| format!("no CloneSet {owner}"))?;
        let shared = Arc::clone(&self.shared);
        self.touch = Some(Pace::start(per_second, count, move |_| {
            let nth = shared.meter.touches.fetch_add(1, Ordering::Relaxed);
            let mut store = shared.store.lock();
            let Some(mut cloneset) = write::stored(&store, Kind::CloneSet, &key) else { return };
            if let Some(annotations) = cloneset.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
                annotations.insert(clonesets::TOUCH_ANNOTATION.to_owned(), json!(nth.to_string()));
            }
            write::put(&mut store, Kind::CloneSet, key.clone(), cloneset);
            drop(store);
            shared.tell();
        }));
        Ok(())
    }
}
