//! A server just large enough for the actors, and a world in which time passes.

mod cluster;
mod kubelet;
mod nodes;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::fields::{list, text};
use super::scene::plus;
use super::{Actors, Cluster};
use crate::server::call::{Call, Verb, Written};
use crate::server::failure::{Failure, Result};

type Key = (String, String, String);

/// Merge patches, bindings, graceful deletion, finalizers.
#[derive(Default)]
struct Fake {
    now: Cell<Timestamp>,
    objects: RefCell<BTreeMap<Key, Arc<Value>>>,
    writes: RefCell<Vec<Written>>,
    version: Cell<u64>,
}

impl Fake {
    fn store(&self, caller: &str, call: &Call, mut after: Option<Value>) -> Arc<Value> {
        let key = (call.resource.clone(), call.namespace.clone(), call.name.clone());
        let mut objects = self.objects.borrow_mut();
        let before = objects.get(&key).cloned();
        self.version.set(self.version.get() + 1);
        if let Some(after) = &mut after {
            let metadata = &mut after["metadata"];
            if metadata["uid"].is_null() {
                metadata["uid"] = format!("uid-{}", self.version.get()).into();
                metadata["generation"] = 1.into();
            }
            let spec = |object: &Value| object["spec"].clone();
            if before.as_ref().is_some_and(|before| spec(before) != spec(after)) && call.subresource.is_empty() {
                let generation = after["metadata"]["generation"].as_i64().unwrap_or_default();
                after["metadata"]["generation"] = (generation + 1).into();
            }
        }
        let goes = |object: &Value| {
            object["metadata"]["deletionGracePeriodSeconds"] == 0 && list(&object["metadata"]["finalizers"]).is_empty()
        };
        let after = after.filter(|after| !goes(after)).map(Arc::new);
        match &after {
            Some(after) => objects.insert(key, after.clone()),
            None => objects.remove(&key),
        };
        let answer = after.clone().or_else(|| before.clone()).unwrap();
        let (namespace, name) = (call.namespace.clone(), call.name.clone());
        let (resource, subresource) = (call.resource.clone(), call.subresource.clone());
        let (at, caller, verb, version) = (self.now.get(), caller.to_owned(), call.verb, self.version.get());
        self.writes.borrow_mut().push(Written {
            at,
            caller,
            verb,
            resource,
            subresource,
            namespace,
            name,
            version,
            before,
            after,
        });
        answer
    }
}

impl Cluster for Fake {
    fn ask(&self, caller: &str, call: Call) -> Result<Arc<Value>> {
        let live = self.get(&call.resource, &call.namespace, &call.name);
        let uid = [&call.body["metadata"]["uid"], &call.body["preconditions"]["uid"]];
        let mut after = match (&live, call.verb) {
            (None, Verb::Create) => return Ok(self.store(caller, &call, Some(call.body.clone()))),
            (None, _) => return Err(Failure::new(404, "NotFound", "not found")),
            (Some(live), _) => (**live).clone(),
        };
        if uid.iter().any(|uid| !uid.is_null() && **uid != after["metadata"]["uid"]) {
            return Err(Failure::new(409, "Conflict", "uid"));
        }
        match call.verb {
            Verb::Patch(_) => json_patch::merge(&mut after, &call.body),
            Verb::Create if call.subresource == "binding" => {
                after["spec"]["nodeName"] = call.body["target"]["name"].clone();
            }
            Verb::Delete => {
                let grace = call.body["gracePeriodSeconds"].as_u64().unwrap_or(30);
                let grace = if text(&after["spec"]["nodeName"]).is_empty() { 0 } else { grace };
                after["metadata"]["deletionTimestamp"] = self.now.get().to_string().into();
                after["metadata"]["deletionGracePeriodSeconds"] = grace.into();
            }
            Verb::Create | Verb::Update | Verb::Get => return Err(Failure::new(409, "AlreadyExists", "exists")),
        }
        Ok(self.store(caller, &call, Some(after)))
    }

    fn objects(&self, resource: &str) -> Vec<Arc<Value>> {
        self.objects.borrow().iter().filter(|(key, _)| key.0 == resource).map(|(_, object)| object.clone()).collect()
    }

    fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<Arc<Value>> {
        self.objects.borrow().get(&(resource.to_owned(), namespace.to_owned(), name.to_owned())).cloned()
    }

    fn garbage(&self) -> Vec<Call> {
        let alive = |uid: &Value| self.objects.borrow().values().any(|object| object["metadata"]["uid"] == *uid);
        let orphaned = |pod: &&Arc<Value>| {
            let owner = &pod["metadata"]["ownerReferences"][0]["uid"];
            pod["metadata"]["deletionTimestamp"].is_null() && !owner.is_null() && !alive(owner)
        };
        let delete = |pod: &Arc<Value>| Call::new(Verb::Delete, "pods").at("sim", text(&pod["metadata"]["name"]));
        self.objects("pods").iter().filter(orphaned).map(delete).collect()
    }
}

struct World {
    actors: Actors,
    fake: Fake,
    told: usize,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut world = Self { actors: Actors::new(seed, 3), fake: Fake::default(), told: 0 };
        world.actors.setup(world.fake.now.get(), &world.fake);
        world.tell();
        world
    }

    /// With a Pod `web` that is ready.
    fn with_ready_pod(seed: u64) -> Self {
        let mut world = Self::new(seed);
        world.create("pods", "web", pod());
        world.pass(10);
        assert!(world.is_ready("web"));
        world
    }

    fn now(&self) -> Timestamp {
        self.fake.now.get()
    }

    fn user(&mut self, call: Call) {
        self.fake.ask("user", call).unwrap();
        self.tell();
    }

    fn create(&mut self, resource: &str, name: &str, mut body: Value) {
        body["metadata"]["name"] = name.into();
        body["metadata"]["namespace"] = "sim".into();
        self.user(Call::new(Verb::Create, resource).at("sim", name).with(body));
    }

    fn patch(&mut self, name: &str, subresource: &str, body: Value) {
        let verb = Verb::Patch(crate::server::call::PatchFormat::Merge);
        self.user(Call::new(verb, "pods").at("sim", name).sub(subresource).with(body));
    }

    fn delete(&mut self, resource: &str, name: &str) {
        self.user(Call::new(Verb::Delete, resource).at("sim", name));
    }

    fn tell(&mut self) {
        loop {
            let Some(written) = self.fake.writes.borrow().get(self.told).cloned() else { return };
            self.told += 1;
            self.actors.saw(&written);
        }
    }

    fn pass(&mut self, seconds: u64) {
        let end = plus(self.now(), Duration::from_secs(seconds));
        while let Some(due) = self.actors.next_due().filter(|due| *due <= end) {
            self.fake.now.set(due.max(self.now()));
            self.actors.run_due(self.now(), &self.fake);
            self.tell();
        }
        self.fake.now.set(end);
        assert!(self.actors.refusals().is_empty());
    }

    fn pod(&self, name: &str) -> Arc<Value> {
        self.fake.get("pods", "sim", name).unwrap()
    }

    fn is_gone(&self, resource: &str, name: &str) -> bool {
        self.fake.get(resource, "sim", name).is_none()
    }

    fn condition(&self, name: &str, kind: &str) -> Value {
        let pod = self.pod(name);
        let conditions = list(&pod["status"]["conditions"]);
        conditions.iter().find(|condition| condition["type"] == kind).cloned().unwrap_or_default()
    }

    fn is_ready(&self, name: &str) -> bool {
        self.condition(name, "Ready")["status"] == "True"
    }

    fn restarts(&self, name: &str) -> Vec<u64> {
        let pod = self.pod(name);
        let statuses = list(&pod["status"]["containerStatuses"]);
        statuses.iter().map(|status| status["restartCount"].as_u64().unwrap()).collect()
    }

    /// What was written to Pods, a line each: time, caller, verb, phase, readiness.
    fn story(&self) -> Vec<String> {
        let writes = self.fake.writes.borrow();
        let of_pods = writes.iter().filter(|written| written.resource == "pods");
        of_pods.map(|w| format!("{} {} {:?} {} {:?}", w.at, w.caller, w.verb, w.name, w.after)).collect()
    }
}

fn pod() -> Value {
    json!({"spec": {"containers": [{"name": "app", "image": "app:1"}, {"name": "log", "image": "log:1"}]}})
}
