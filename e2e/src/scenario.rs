//! What a scenario needs to read as sentences: a namespace of its own, CloneSets, Pods as facts, and an eye on
//! availability. The demo tells its story with the same words.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use api::cloneset::v1beta1::CloneSet;
use api::keys;
use futures::TryStreamExt;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::runtime::watcher;
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::diagnose::Report;
use crate::kubectl::Kubectl;
use crate::wait::{self, Seen};

mod visitors;

pub use self::visitors::{Tally, Visitors};

/// How long a rollout of a handful of Pods may take on a machine that is busy.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// A namespace that one scenario has to itself.
#[derive(Clone)]
pub struct Stage {
    client: Client,
    kubectl: Kubectl,
    namespace: String,
}

/// What a scenario says about one Pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodFacts {
    /// Name.
    pub name: String,
    /// UID.
    pub uid: String,
    /// Address.
    pub ip: String,
    /// Image of the first container, as the kubelet runs it.
    pub image: String,
    /// Restarts of the first container.
    pub restarts: i32,
    /// Label `controller-revision-hash`.
    pub revision: String,
    /// Condition `InPlaceUpdateReady`.
    pub in_place_ready: String,
    /// Condition `Ready`.
    pub ready: bool,
    /// On its way out.
    pub terminating: bool,
}

impl PodFacts {
    /// The facts of a Pod.
    #[must_use]
    pub fn of(pod: &Pod) -> Self {
        let status = pod.status.clone().unwrap_or_default();
        let condition = |type_: &str| {
            let found = status.conditions.iter().flatten().find(|condition| condition.type_ == type_);
            found.map(|condition| condition.status.clone()).unwrap_or_default()
        };
        let first = status.container_statuses.iter().flatten().next();
        Self {
            name: pod.name_any(),
            uid: pod.uid().unwrap_or_default(),
            ip: status.pod_ip.clone().unwrap_or_default(),
            image: first.map(|first| first.image.clone()).unwrap_or_default(),
            restarts: first.map_or(0, |first| first.restart_count),
            revision: pod.labels().get(keys::REVISION_LABEL).cloned().unwrap_or_default(),
            in_place_ready: condition(keys::INPLACE_READY_CONDITION),
            ready: condition(keys::READY_CONDITION) == "True",
            terminating: pod.metadata.deletion_timestamp.is_some(),
        }
    }
}

impl Stage {
    /// Makes a namespace whose name begins with `name`.
    ///
    /// # Errors
    /// The API server refuses.
    pub async fn open(client: Client, kubectl: Kubectl, name: &str) -> Result<Self> {
        let new = Namespace {
            metadata: ObjectMeta { generate_name: Some(format!("{name}-")), ..ObjectMeta::default() },
            ..Namespace::default()
        };
        let made = Api::all(client.clone()).create(&PostParams::default(), &new).await.context("make a namespace")?;
        Ok(Self { client, kubectl, namespace: made.name_any() })
    }

    /// The same on a namespace of this very name, made if it is missing.
    ///
    /// # Errors
    /// The API server refuses.
    pub async fn named(client: Client, kubectl: Kubectl, name: &str) -> Result<Self> {
        let all: Api<Namespace> = Api::all(client.clone());
        let manifest = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        all.patch(name, &PatchParams::apply("kruise-e2e"), &Patch::Apply(manifest))
            .await
            .context("make a namespace")?;
        Ok(Self { client, kubectl, namespace: name.to_owned() })
    }

    /// Plays a scenario; its error comes with the objects, events and logs that explain it. The namespace goes in the end.
    ///
    /// # Errors
    /// Those of the scenario.
    pub async fn play<F: Future<Output = Result<()>>>(self, scenario: impl FnOnce(Self) -> F) -> Result<()> {
        let outcome = scenario(self.clone()).await;
        if let Err(error) = outcome {
            let report = Report { namespace: &self.namespace, kinds: &["clonesets", "pods", "controllerrevisions"] };
            bail!("{error:#}\n{}", report.objects(&self.kubectl).await);
        }
        self.close().await
    }

    /// Deletes the namespace without waiting for it.
    ///
    /// # Errors
    /// The API server refuses.
    pub async fn close(&self) -> Result<()> {
        let clonesets = self.clonesets();
        clonesets.delete_collection(&DeleteParams::default(), &ListParams::default()).await?;
        Api::<Namespace>::all(self.client.clone()).delete(&self.namespace, &DeleteParams::default()).await?;
        Ok(())
    }

    /// Name of the namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Kubectl on the cluster.
    #[must_use]
    pub fn kubectl(&self) -> &Kubectl {
        &self.kubectl
    }

    /// A client on the cluster.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The CloneSets of the namespace.
    #[must_use]
    pub fn clonesets(&self) -> Api<CloneSet> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The Pods of the namespace.
    #[must_use]
    pub fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Applies a CloneSet with the selector `app=<name>`, one container `main` and these members of `spec`.
    ///
    /// # Errors
    /// Admission or the API server refuses.
    pub async fn cloneset(&self, name: &str, image: &str, spec: Value) -> Result<CloneSet> {
        let mut manifest = json!({
            "apiVersion": "apps.kruise.io/v1beta1",
            "kind": "CloneSet",
            "metadata": {"name": name},
            "spec": {
                "selector": {"matchLabels": {"app": name}},
                "template": {
                    "metadata": {"labels": {"app": name}},
                    "spec": {
                        "terminationGracePeriodSeconds": 1,
                        "containers": [{
                            "name": "main",
                            "image": image,
                            "imagePullPolicy": "IfNotPresent",
                            "readinessProbe": {"httpGet": {"port": 80}, "periodSeconds": 1},
                        }],
                    },
                },
            },
        });
        json_merge(&mut manifest, json!({"spec": spec}));
        let typed = self.clonesets();
        let manifest: CloneSet = serde_json::from_value(manifest)?;
        Ok(typed.create(&PostParams::default(), &manifest).await?)
    }

    /// Merges a patch into a CloneSet.
    ///
    /// # Errors
    /// Admission or the API server refuses.
    pub async fn patch(&self, name: &str, patch: Value) -> Result<CloneSet> {
        Ok(self.clonesets().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?)
    }

    /// Sets the image of the first container.
    ///
    /// # Errors
    /// Admission or the API server refuses.
    pub async fn set_image(&self, name: &str, image: &str) -> Result<CloneSet> {
        let patch = json!([{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": image}]);
        let patch: Patch<CloneSet> = Patch::Json(serde_json::from_value(patch)?);
        Ok(self.clonesets().patch(name, &PatchParams::default(), &patch).await?)
    }

    /// The facts of a CloneSet's living Pods, by name.
    ///
    /// # Errors
    /// The API server does not answer.
    pub async fn facts(&self, name: &str) -> Result<BTreeMap<String, PodFacts>> {
        let list = self.pods().list(&ListParams::default().labels(&format!("app={name}"))).await?;
        let facts = list.items.iter().map(PodFacts::of).filter(|facts| !facts.terminating);
        Ok(facts.map(|facts| (facts.name.clone(), facts)).collect())
    }

    /// Waits until the status says that all `replicas` Pods are available, `updated` of them at the newest revision, and
    /// nothing is left to do for this generation.
    ///
    /// # Errors
    /// Not within [`PATIENCE`].
    pub async fn settled(&self, name: &str, replicas: i32, updated: i32) -> Result<CloneSet> {
        let what = format!("CloneSet {name} has {replicas} available Pods, {updated} of them updated");
        wait::object(&what, &self.clonesets(), name, PATIENCE, |found: Option<&CloneSet>| {
            let Some(cloneset) = found else { return Seen::NotYet("no such CloneSet".to_owned()) };
            let Some(status) = &cloneset.status else { return Seen::NotYet("no status".to_owned()) };
            let is = (
                status.replicas,
                status.available_replicas,
                status.updated_replicas,
                status.updated_available_replicas,
            );
            let current = Some(status.observed_generation) == cloneset.metadata.generation;
            if current && is == (replicas, replicas, updated, updated) {
                Seen::Done(cloneset.clone())
            } else {
                Seen::NotYet(format!(
                    "replicas, available, updated, updated and available: {is:?}; observed: {current}"
                ))
            }
        })
        .await
    }

    /// Watches how many of a CloneSet's Pods are Ready, from now until it is asked.
    ///
    /// # Errors
    /// The first list fails.
    pub async fn watch_availability(&self, name: &str) -> Result<Availability> {
        let pods = self.pods();
        let labels = format!("app={name}");
        let ready = |pods: &BTreeMap<String, PodFacts>| {
            i64::try_from(pods.values().filter(|pod| pod.ready && !pod.terminating).count()).unwrap_or(i64::MAX)
        };
        let listed = pods.list(&ListParams::default().labels(&labels)).await?;
        let mut known: BTreeMap<String, PodFacts> =
            listed.items.iter().map(PodFacts::of).map(|pod| (pod.uid.clone(), pod)).collect();
        let least = Arc::new(AtomicI64::new(ready(&known)));
        let unready_in_place = Arc::new(AtomicU64::new(0));
        let (seen, held_back) = (Arc::clone(&least), Arc::clone(&unready_in_place));
        let task = tokio::spawn(async move {
            let events = watcher::watcher(pods, watcher::Config::default().labels(&labels));
            let mut events = std::pin::pin!(events);
            while let Ok(Some(event)) = events.try_next().await {
                match event {
                    watcher::Event::Apply(pod) | watcher::Event::InitApply(pod) => {
                        let facts = PodFacts::of(&pod);
                        let was = known.get(&facts.uid).map(|was| was.in_place_ready.clone());
                        if facts.in_place_ready == "False" && was.as_deref() != Some("False") {
                            held_back.fetch_add(1, Ordering::SeqCst);
                        }
                        known.insert(facts.uid.clone(), facts);
                    }
                    watcher::Event::Delete(pod) => {
                        known.remove(&pod.uid().unwrap_or_default());
                    }
                    watcher::Event::Init | watcher::Event::InitDone => {}
                }
                seen.fetch_min(ready(&known), Ordering::SeqCst);
            }
        });
        Ok(Availability { least, unready_in_place, task })
    }
}

/// A running count of Ready Pods.
#[derive(Debug)]
pub struct Availability {
    least: Arc<AtomicI64>,
    unready_in_place: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Availability {
    /// The fewest Ready Pods at any moment so far.
    #[must_use]
    pub fn least(&self) -> i64 {
        self.least.load(Ordering::SeqCst)
    }

    /// How often `InPlaceUpdateReady` was seen to become False.
    #[must_use]
    pub fn times_unready_in_place(&self) -> u64 {
        self.unready_in_place.load(Ordering::SeqCst)
    }
}

impl Drop for Availability {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A CloneSet of which only that it is accepted matters.
#[must_use]
pub fn bare_cloneset(metadata: &Value) -> Value {
    let labels = json!({"app": "bare"});
    json!({
        "apiVersion": "apps.kruise.io/v1beta1",
        "kind": "CloneSet",
        "metadata": metadata,
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main", "image": "nginx:1.25"}]},
            },
        },
    })
}

/// RFC 7386.
fn json_merge(into: &mut Value, patch: Value) {
    match (into, patch) {
        (Value::Object(into), Value::Object(patch)) => {
            for (key, value) in patch {
                if value.is_null() {
                    into.remove(&key);
                } else {
                    json_merge(into.entry(key).or_insert(Value::Null), value);
                }
            }
        }
        (into, patch) => *into = patch,
    }
}
