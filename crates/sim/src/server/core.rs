//! The server without HTTP: what it holds, and how an object is read in one of its versions.
//!
//! A write goes `begin` (what is asked becomes an object), hooks, `settle` (the server's own part and its rules),
//! hooks, `commit`. Nothing is held between these steps, so hooks may ask the server themselves; `commit` notices when
//! the object changed meanwhile, and the caller begins again.

use std::sync::Arc;

use fastrand::Rng;
use jiff::Timestamp;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use runtime::clock::Clock;
use serde_json::{Value, json};

use super::admission::Admission;
use super::call::{Call, Verb, Written};
use super::failure::{Failure, Result};
use super::kind::{Kind, Kinds, Resource};
use super::metadata;
use super::store::{Key, Store};

/// What the server holds.
pub(super) struct Core {
    pub(super) clock: Clock,
    pub(super) rng: Rng,
    pub(super) kinds: Kinds,
    pub(super) store: Store,
    /// Converts between versions.
    pub(super) hook: Option<Arc<dyn Admission>>,
    /// Writes that the observers have not been told of.
    pub(super) untold: Vec<Written>,
}

/// What a request is answered with.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) code: u16,
    pub(super) body: Arc<Value>,
}

/// What is being written, by whom and how.
#[derive(Clone, Copy)]
pub(super) struct By<'a> {
    pub(super) caller: &'a str,
    pub(super) verb: Verb,
    pub(super) subresource: &'a str,
}

impl Core {
    pub(super) fn new(clock: Clock, seed: u64) -> Self {
        let mut core = Self {
            clock,
            rng: Rng::with_seed(seed),
            kinds: Kinds::native(),
            store: Store::default(),
            hook: None,
            untold: Vec::new(),
        };
        for name in ["default", "kube-node-lease", "kube-public", "kube-system"] {
            core.put_namespace(name);
        }
        // Nobody wrote these.
        core.untold.clear();
        core
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn resource(&self, id: &str) -> Result<Arc<Resource>> {
        self.kinds.get(id).cloned().ok_or_else(Failure::no_such_resource)
    }

    /// A stored object in one of its versions.
    pub(super) fn read(&self, resource: &Resource, object: &Arc<Value>, kind: &Kind) -> Result<Arc<Value>> {
        if resource.stored().is_some_and(|stored| stored.version == kind.version) {
            return Ok(Arc::clone(object));
        }
        self.convert(resource, (**object).clone(), kind).map(Arc::new)
    }

    /// An object in another version.
    pub(super) fn convert(&self, resource: &Resource, mut object: Value, kind: &Kind) -> Result<Value> {
        let wanted = kind.api_version();
        if object.get("apiVersion").and_then(Value::as_str) == Some(wanted.as_str()) {
            return Ok(object);
        }
        if resource.custom.as_ref().is_none_or(|custom| custom.converts_by_name) {
            metadata::put_at(&mut object, &["apiVersion"], json!(wanted));
            return Ok(object);
        }
        match &self.hook {
            Some(hook) => hook.convert(object, &wanted),
            None => Err(Failure::new(
                500,
                "InternalError",
                format!(
                    "conversion webhook for {}, Kind={} failed: no webhook is set",
                    resource.group(),
                    resource.name()
                ),
            )),
        }
    }

    /// An answer with a stored object in the version that was asked for.
    pub(super) fn show(&self, resource: &Resource, object: &Arc<Value>, kind: &Kind, code: u16) -> Result<Answer> {
        Ok(Answer { code, body: self.read(resource, object, kind)? })
    }

    /// One object, as it is read.
    pub(super) fn get(&self, call: &Call) -> Result<Answer> {
        let resource = self.resource(&call.resource)?;
        let kind = resource.kind(&call.version).ok_or_else(Failure::no_such_resource)?;
        let not_found = || Failure::not_found(&resource, &call.name);
        let found = self.store.get(&resource.id, &call.namespace, &call.name);
        if resource.custom.is_none() {
            let known = match call.subresource.as_str() {
                "" => true,
                "status" => resource.traits.status,
                "scale" => resource.traits.scale,
                "binding" | "eviction" | "finalize" => return Err(Failure::method_not_allowed()),
                "ephemeralcontainers" if resource.id == "pods" => {
                    return Err(Failure::not_simulated("ephemeral containers"));
                }
                _ => resource.id == "pods" && call.subresource == "resize",
            };
            if !known {
                return Err(Failure::no_such_resource());
            }
        }
        let object = found.ok_or_else(not_found)?;
        match call.subresource.as_str() {
            "" => self.show(&resource, object, kind, 200),
            "status" if resource.traits.status => self.show(&resource, object, kind, 200),
            "resize" if resource.id == "pods" => self.show(&resource, object, kind, 200),
            "scale" if resource.traits.scale => {
                let object = self.read(&resource, object, kind)?;
                Ok(Answer { code: 200, body: Arc::new(super::subresource::scale_of(&resource, kind, &object)?) })
            }
            _ => Err(not_found()),
        }
    }

    /// Stores an object and notes the write.
    pub(super) fn put(&mut self, by: By<'_>, key: &Key, mut object: Value) -> Arc<Value> {
        metadata::set_version(&mut object, self.store.next_version());
        let object = Arc::new(object);
        let before = self.store.get(&key.resource, &key.namespace, &key.name).cloned();
        self.store.put(key, Arc::clone(&object));
        self.note(by, key, before, Some(Arc::clone(&object)));
        object
    }

    /// Takes an object away and notes the write; gives it as it was, with the version of its end.
    pub(super) fn erase(&mut self, by: By<'_>, key: &Key, before: &Arc<Value>) -> Arc<Value> {
        let mut last = (**before).clone();
        metadata::set_version(&mut last, self.store.next_version());
        let last = Arc::new(last);
        self.store.remove(key, Arc::clone(&last));
        self.note(by, key, Some(Arc::clone(before)), None);
        last
    }

    /// Notes a write for the observers.
    pub(super) fn note(&mut self, by: By<'_>, key: &Key, before: Option<Arc<Value>>, after: Option<Arc<Value>>) {
        self.untold.push(Written {
            at: self.clock.now(),
            caller: by.caller.to_owned(),
            verb: by.verb,
            resource: key.resource.clone(),
            subresource: by.subresource.to_owned(),
            namespace: key.namespace.clone(),
            name: key.name.clone(),
            version: self.store.version(),
            before,
            after,
        });
    }

    /// Serves the kind of a CRD; the CRD itself can be read.
    pub(super) fn install(&mut self, crd: &CustomResourceDefinition, resource: Resource) -> Result<()> {
        let mut object = serde_json::to_value(crd).map_err(|err| Failure::bad_request(err.to_string()))?;
        let now = self.now();
        let condition = |name: &str| json!({"type": name, "status": "True", "reason": name, "message": "", "lastTransitionTime": metadata::seconds(now)});
        let stored = resource.stored().map(|kind| kind.version.clone());
        let status = json!({"acceptedNames": metadata::at(&object, &["spec", "names"]), "storedVersions": [stored],
            "conditions": [condition("NamesAccepted"), condition("Established")]});
        metadata::put_at(&mut object, &["status"], status);
        let crds = self.resource("customresourcedefinitions.apiextensions.k8s.io")?;
        metadata::stamp_new(&mut object, now, &mut self.rng)?;
        metadata::metadata(&mut object)?.insert("generation".to_owned(), json!(1));
        let key = Key { resource: crds.id.clone(), namespace: String::new(), name: resource.id.clone() };
        self.kinds.add(resource);
        self.put(By { caller: "kube-apiserver", verb: Verb::Create, subresource: "" }, &key, object);
        Ok(())
    }

    /// The namespaces that every cluster has.
    fn put_namespace(&mut self, name: &str) {
        let Ok(resource) = self.resource("namespaces") else { return };
        let mut object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name},
            "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}});
        metadata::put_at(&mut object, &["metadata", "labels"], json!({"kubernetes.io/metadata.name": name}));
        let now = self.now();
        if metadata::stamp_new(&mut object, now, &mut self.rng).is_ok() {
            let key = Key { resource: resource.id.clone(), namespace: String::new(), name: name.to_owned() };
            self.put(By { caller: "kube-apiserver", verb: Verb::Create, subresource: "" }, &key, object);
        }
    }
}
