//! What may and what may not be done while no webhook answers: attempts that are not stored.
//!
//! A dry run passes admission like the real thing and leaves nothing behind, so the same questions are put to a cluster
//! with the product and to a kube-apiserver alone.

use std::fmt::Debug;

use anyhow::{Context, Result, bail, ensure};
use api::cloneset::v1beta1::CloneSet;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod};
use kube::api::{DeleteParams, EvictParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::install::NAMESPACE;
use crate::scenario::bare_cloneset;

/// Somebody who tries, in a namespace that holds a Pod and a CloneSet from before.
#[derive(Clone)]
pub struct Attempts {
    client: Client,
    namespace: String,
    pod: String,
    cloneset: String,
}

impl Attempts {
    /// In `namespace`, on the Pod and the CloneSet of these names.
    #[must_use]
    pub fn new(client: Client, namespace: &str, pod: &str, cloneset: &str) -> Self {
        Self { client, namespace: namespace.to_owned(), pod: pod.to_owned(), cloneset: cloneset.to_owned() }
    }

    /// Creates a Pod with these labels.
    ///
    /// # Errors
    /// It is refused.
    pub async fn pod(&self, namespace: &str, labels: Value) -> Result<Pod> {
        let pod = json!({
            "metadata": {"generateName": "attempt-", "labels": labels},
            "spec": {"containers": [{"name": "c", "image": "nginx:1.25"}]},
        });
        self.create(namespace, pod).await
    }

    /// Creates a CloneSet.
    ///
    /// # Errors
    /// It is refused.
    pub async fn cloneset(&self, namespace: &str) -> Result<CloneSet> {
        let set = bare_cloneset(&json!({"name": "attempt"}));
        self.create(namespace, set).await
    }

    /// Creates, changes, deletes and evicts Pods of the namespace.
    ///
    /// # Errors
    /// One of it is refused.
    pub async fn pods_are_free(&self) -> Result<()> {
        self.pod(&self.namespace, json!({})).await.context("a Pod")?;
        self.change_pod().await.context("a change of a Pod")?;
        self.pods().delete(&self.pod, &DeleteParams::default().dry_run()).await.context("a deletion of a Pod")?;
        self.evict().await.context("an eviction")
    }

    /// The same, all of it refused because nobody answered.
    ///
    /// # Errors
    /// One of it passes, or is refused for another reason.
    pub async fn pods_are_held(&self) -> Result<()> {
        unanswered("a Pod", "mpod.kb.io", self.pod(&self.namespace, json!({})).await)?;
        unanswered("a change of a Pod", "vpod.kb.io", self.change_pod().await)?;
        let deleted = self.pods().delete(&self.pod, &DeleteParams::default().dry_run()).await;
        unanswered("a deletion of a Pod", "vpod.kb.io", deleted)?;
        unanswered("an eviction", "vpodeviction.kb.io", self.evict().await)
    }

    /// Evicts the Pod from before.
    ///
    /// # Errors
    /// It is refused.
    pub async fn evict(&self) -> Result<()> {
        let post_options = PostParams { dry_run: true, ..PostParams::default() };
        let dry = EvictParams { delete_options: Some(DeleteParams::default().dry_run()), post_options };
        self.pods().evict(&self.pod, &dry).await?;
        Ok(())
    }

    /// CloneSets can be neither created nor deleted because nobody answers.
    ///
    /// # Errors
    /// One of it passes, or is refused for another reason.
    pub async fn clonesets_are_held(&self) -> Result<()> {
        unanswered("a CloneSet", "mcloneset.kb.io", self.cloneset(&self.namespace).await)?;
        let deleted = self.clonesets().delete(&self.cloneset, &DeleteParams::default().dry_run()).await;
        unanswered("a deletion of a CloneSet", "vcloneset.kb.io", deleted)
    }

    /// What no webhook of ours may ever stand in the way of: Pods of `kube-system` and of the installation, Leases,
    /// other kinds, Nodes, reads, and every status.
    ///
    /// # Errors
    /// One of it is refused.
    pub async fn everything_else_works(&self) -> Result<()> {
        for space in ["kube-system", NAMESPACE] {
            self.pod(space, json!({})).await.with_context(|| format!("a Pod in {space}"))?;
        }
        for space in [&self.namespace, "kube-system", NAMESPACE] {
            let lease = json!({"metadata": {"generateName": "attempt-"}, "spec": {"holderIdentity": "nobody"}});
            self.create::<Lease>(space, lease).await.with_context(|| format!("a Lease in {space}"))?;
        }
        let data = json!({"metadata": {"generateName": "attempt-"}, "data": {"a": "b"}});
        self.create::<ConfigMap>(&self.namespace, data).await.context("a ConfigMap")?;
        let deployment = json!({"metadata": {"generateName": "attempt-"}, "spec": {
            "selector": {"matchLabels": {"app": "attempt"}},
            "template": {
                "metadata": {"labels": {"app": "attempt"}},
                "spec": {"containers": [{"name": "c", "image": "nginx:1.25"}]},
            },
        }});
        self.create::<Deployment>(&self.namespace, deployment).await.context("a Deployment")?;
        let nodes: Api<Node> = Api::all(self.client.clone());
        let some = nodes.list(&ListParams::default().limit(1)).await.context("a list of Nodes")?;
        let node = some.items.into_iter().find_map(|node| node.metadata.name).context("there is no Node")?;
        nodes.patch(&node, &dry_patch(), &Patch::Merge(annotation())).await.context("a change of a Node")?;

        self.clonesets().get(&self.cloneset).await.context("a read of a CloneSet")?;
        self.clonesets().get_status(&self.cloneset).await.context("a read of a CloneSet's status")?;
        let zero = ["replicas", "readyReplicas", "availableReplicas", "updatedReplicas", "updatedReadyReplicas"];
        let status: Value = zero.iter().map(|name| ((*name).to_owned(), json!(0))).collect();
        let status = Patch::Merge(json!({"status": status}));
        let written = self.clonesets().patch_status(&self.cloneset, &dry_patch(), &status).await;
        written.context("a write of a CloneSet's status")?;
        let status = Patch::Merge(json!({"status": {"message": "as a kubelet writes it"}}));
        self.pods().patch_status(&self.pod, &dry_patch(), &status).await.context("a write of a Pod's status")?;
        Ok(())
    }

    async fn change_pod(&self) -> kube::Result<Pod> {
        self.pods().patch(&self.pod, &dry_patch(), &Patch::Merge(annotation())).await
    }

    async fn create<K>(&self, namespace: &str, object: Value) -> Result<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned + Serialize,
    {
        let dry = PostParams { dry_run: true, ..PostParams::default() };
        let api: Api<K> = Api::namespaced(self.client.clone(), namespace);
        Ok(api.create(&dry, &serde_json::from_value(object)?).await?)
    }

    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    fn clonesets(&self) -> Api<CloneSet> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }
}

/// Holds when something was refused because the webhook of this entry did not answer, and for no other reason.
///
/// # Errors
/// It passed, or was refused for another reason.
pub fn unanswered<T, E: Into<anyhow::Error>>(what: &str, entry: &str, tried: Result<T, E>) -> Result<()> {
    let Err(error) = tried else { bail!("{what} passed without {entry}") };
    let text = format!("{:#}", error.into());
    ensure!(text.contains(&format!("failed calling webhook \"{entry}\"")), "{what}: {text}");
    Ok(())
}

fn annotation() -> Value {
    json!({"metadata": {"annotations": {"attempt": "yes"}}})
}

fn dry_patch() -> PatchParams {
    PatchParams { dry_run: true, ..PatchParams::default() }
}
