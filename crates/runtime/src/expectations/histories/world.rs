//! An API server with a few Pods, the events of its watch, and a cache that has seen some of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use api::k8s::Pod;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::super::{Expectations, Freed, ObjectId, Sight, State};
use crate::informer::{Change, ObjectKey};
use crate::leader::LONGEST_WRITE;
use crate::mock::{Answer, Asked};

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Answered,
    /// The watch shows it before it is answered.
    AnsweredAfterTheWatch,
    Refused,
    /// Carried out without an answer.
    DoneUnanswered,
    /// Neither carried out nor answered.
    Swallowed,
    /// Carried out some seconds after the client has stopped waiting.
    DoneLate,
    /// Answered by an error of the server that is final.
    Failed,
    /// Carried out and answered by an error.
    DoneButFailed,
}

#[derive(Clone, Debug)]
struct Object {
    name: String,
    uid: String,
    version: u64,
    state: State,
    controller: Option<String>,
}

impl Object {
    fn sight(&self) -> Sight {
        Sight { uid: self.uid.as_str().into(), version: Some(self.version), state: self.state }
    }

    fn json(&self) -> Value {
        let going = (self.state != State::Live).then_some("2026-01-01T00:00:00Z");
        let owners: Vec<Value> = self.controller.iter().map(|uid| controller(uid)).collect();
        json!({"metadata": {
            "name": self.name, "namespace": "shop", "uid": self.uid, "resourceVersion": self.version.to_string(),
            "deletionTimestamp": going, "finalizers": ["test/holds"], "ownerReferences": owners,
        }})
    }

    fn pod(&self) -> Arc<Pod> {
        Arc::new(serde_json::from_value(self.json()).unwrap())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Create,
    Delete,
    Patch,
}

/// A write of an owner that was carried out.
#[derive(Clone, Debug)]
struct Done {
    owner: String,
    what: String,
    version: u64,
    method: Method,
    uid: String,
}

struct Inner {
    version: u64,
    objects: BTreeMap<String, Object>,
    events: Vec<Object>,
    cache: BTreeMap<String, Object>,
    /// Events that the cache has seen, and the version that it stands at.
    seen: usize,
    seen_version: u64,
    fates: HashMap<String, Fate>,
    reads: Fate,
    acts_for: String,
    done: Vec<Done>,
    expectations: Expectations,
}

#[derive(Clone)]
pub(super) struct World(Arc<Mutex<Inner>>);

pub(super) fn pod(name: &str) -> ObjectId {
    ObjectId { resource: rules::write::POD, key: ObjectKey::new("shop", name) }
}

impl World {
    pub(super) fn new(expectations: Expectations) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            version: 100,
            objects: BTreeMap::new(),
            events: Vec::new(),
            cache: BTreeMap::new(),
            seen: 0,
            seen_version: 100,
            fates: HashMap::new(),
            reads: Fate::Answered,
            acts_for: String::new(),
            done: Vec::new(),
            expectations,
        })))
    }

    pub(super) fn next_write(&self, name: &str, fate: Fate) {
        self.0.lock().fates.insert(name.to_owned(), fate);
    }

    pub(super) fn reads(&self, fate: Fate) {
        self.0.lock().reads = fate;
    }

    pub(super) fn acts_for(&self, owner: &str) {
        self.0.lock().acts_for = owner.to_owned();
    }

    pub(super) fn cached(&self, name: &str) -> Option<Sight> {
        self.0.lock().cache.get(name).map(Object::sight)
    }

    pub(super) fn cache(&self) -> Vec<(String, Sight)> {
        self.0.lock().cache.values().map(|object| (object.name.clone(), object.sight())).collect()
    }

    pub(super) fn terminate(&self, name: &str) {
        self.0.lock().change(name, State::Terminating);
    }

    pub(super) fn finish(&self, name: &str) {
        self.0.lock().change(name, State::Gone);
    }

    pub(super) fn touch(&self, name: &str) {
        let mut inner = self.0.lock();
        let Some(state) = inner.objects.get(name).map(|object| object.state) else { return };
        inner.change(name, state);
    }

    pub(super) fn make(&self, name: &str) {
        let mut inner = self.0.lock();
        if !inner.objects.contains_key(name) {
            inner.make(name, None);
        }
    }

    pub(super) fn remove_all(&self) {
        let mut inner = self.0.lock();
        let names: Vec<String> = inner.objects.keys().cloned().collect();
        for name in names {
            inner.change(&name, State::Gone);
        }
    }

    pub(super) fn watch(&self, events: usize) -> Vec<Freed> {
        self.0.lock().watch(events)
    }

    pub(super) fn relist(&self) -> Vec<Freed> {
        let mut inner = self.0.lock();
        let live = inner.objects.clone();
        let gone: Vec<Object> = inner.cache.values().filter(|held| !live.contains_key(&held.name)).cloned().collect();
        let mut freed = Vec::new();
        for object in live.into_values() {
            freed.extend(inner.shows(object));
        }
        for last in gone {
            // As it was last seen: nobody knows the version at which it went.
            freed.extend(inner.loses(&last));
        }
        (inner.seen, inner.seen_version) = (inner.events.len(), inner.version);
        freed
    }

    /// Writes of this owner that were carried out and that the cache has not passed.
    pub(super) fn carried_out_unseen(&self, owner: &str) -> Vec<String> {
        let inner = self.0.lock();
        let is_unseen = |done: &&Done| match done.method {
            // What has gone again is rightly not in the cache.
            Method::Create => {
                done.version > inner.seen_version && inner.objects.values().any(|object| object.uid == done.uid)
            }
            Method::Delete => done.version > inner.seen_version,
            // What is not in the cache cannot be judged.
            Method::Patch => inner.cache.values().any(|held| held.uid == done.uid && held.version < done.version),
        };
        inner.done.iter().filter(|done| done.owner == owner).filter(is_unseen).map(|done| done.what.clone()).collect()
    }

    pub(super) fn answer(&self, asked: &Asked) -> Answer {
        let (method, path) = asked.what.split_once(' ').unwrap();
        let name = path.rsplit('/').next().filter(|name| *name != "pods");
        let name = name.or_else(|| asked.body["metadata"]["name"].as_str()).unwrap().to_owned();
        let mut inner = self.0.lock();
        if method == "GET" {
            return match (inner.reads, inner.objects.get(&name)) {
                (Fate::Answered, Some(object)) => ok(object),
                (Fate::Answered, None) => Answer::Refuse(404, "NotFound"),
                _ => Answer::Silence,
            };
        }
        let (fate, owner) = (inner.fates.remove(&name).unwrap(), inner.acts_for.clone());
        match fate {
            Fate::Answered => inner.carry_out(&owner, method, &name, &asked.body),
            Fate::AnsweredAfterTheWatch => {
                let answer = inner.carry_out(&owner, method, &name, &asked.body);
                inner.watch(usize::MAX);
                answer
            }
            Fate::Refused => Answer::Refuse(403, "Forbidden"),
            Fate::Failed => Answer::Refuse(500, "InternalError"),
            Fate::DoneButFailed => {
                inner.carry_out(&owner, method, &name, &asked.body);
                Answer::Refuse(504, "Timeout")
            }
            Fate::DoneUnanswered => {
                inner.carry_out(&owner, method, &name, &asked.body);
                Answer::Silence
            }
            Fate::Swallowed => Answer::Silence,
            Fate::DoneLate => {
                let (world, method, body) = (self.clone(), method.to_owned(), asked.body.clone());
                tokio::spawn(async move {
                    tokio::time::sleep(LONGEST_WRITE + Duration::from_secs(9)).await;
                    world.0.lock().carry_out(&owner, &method, &name, &body);
                });
                Answer::Silence
            }
        }
    }
}

pub(super) fn controller(uid: &str) -> Value {
    json!({"uid": uid, "controller": true})
}

fn ok(object: &Object) -> Answer {
    Answer::Ok(object.json())
}

impl Inner {
    fn carry_out(&mut self, owner: &str, method: &str, name: &str, body: &Value) -> Answer {
        let found = self.objects.get(name).cloned();
        let wants = |pointer| body.pointer(pointer).and_then(Value::as_str).map(ToOwned::to_owned);
        match (method, found) {
            ("POST", Some(_)) => return Answer::Refuse(409, "AlreadyExists"),
            ("POST", None) => self.make(name, wants("/metadata/ownerReferences/0/uid")),
            (_, None) => return Answer::Refuse(404, "NotFound"),
            ("DELETE", Some(found)) => {
                if wants("/preconditions/uid") != Some(found.uid) {
                    return Answer::Refuse(409, "Conflict");
                }
                if found.state == State::Terminating {
                    return ok(&self.objects[name]);
                }
                self.change(name, State::Terminating);
            }
            (_, Some(found)) => {
                let judged = (wants("/metadata/uid"), wants("/metadata/resourceVersion"));
                if judged != (Some(found.uid), Some(found.version.to_string())) {
                    return Answer::Refuse(409, "Conflict");
                }
                self.change(name, found.state);
            }
        }
        let object = &self.objects[name];
        self.done.push(Done {
            owner: owner.to_owned(),
            what: format!("{method} {name}"),
            version: self.version,
            method: match method {
                "POST" => Method::Create,
                "DELETE" => Method::Delete,
                _ => Method::Patch,
            },
            uid: object.uid.clone(),
        });
        ok(object)
    }

    fn make(&mut self, name: &str, controller: Option<String>) {
        let uid = format!("u{}", self.version + 1);
        let object = Object { name: name.to_owned(), uid, version: 0, state: State::Live, controller };
        self.objects.insert(name.to_owned(), object);
        self.change(name, State::Live);
    }

    /// A new version of an object; what is gone is taken out.
    fn change(&mut self, name: &str, state: State) {
        let Some(object) = self.objects.get_mut(name) else { return };
        self.version += 1;
        (object.version, object.state) = (self.version, state);
        self.events.push(object.clone());
        if state == State::Gone {
            self.objects.remove(name);
        }
    }

    fn watch(&mut self, events: usize) -> Vec<Freed> {
        let next: Vec<Object> = self.events.iter().skip(self.seen).take(events).cloned().collect();
        self.seen += next.len();
        let mut freed = Vec::new();
        for object in next {
            self.seen_version = object.version;
            freed.extend(if object.state == State::Gone { self.loses(&object) } else { self.shows(object) });
        }
        freed
    }

    fn shows(&mut self, object: Object) -> Vec<Freed> {
        let old = self.cache.insert(object.name.clone(), object.clone());
        let changes = match old {
            None => vec![Change::Added { new: object.pod(), initial: false }],
            Some(old) if old.version == object.version => Vec::new(),
            Some(old) if old.uid == object.uid => vec![Change::Updated { old: old.pod(), new: object.pod() }],
            Some(old) => {
                vec![Change::Deleted { last: old.pod() }, Change::Added { new: object.pod(), initial: false }]
            }
        };
        changes.iter().map(|change| self.expectations.observe(rules::write::POD, change)).collect()
    }

    fn loses(&mut self, last: &Object) -> Vec<Freed> {
        if self.cache.remove(&last.name).is_none() {
            return Vec::new();
        }
        vec![self.expectations.observe(rules::write::POD, &Change::Deleted { last: last.pod() })]
    }
}
