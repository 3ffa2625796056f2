//! The simulated API server: what kube-apiserver answers, from memory.
//!
//! `core` is synchronous; `service` puts it under a real `kube::Client`. A write is `draft`, `settle`, commit, with the
//! webhooks of `admission` in between; `store` holds the objects and the log that `list` and `watch` read; `gc` says what
//! the collector of garbage would do. What a kind demands of its content is `rules`. What the server cannot do it refuses
//! loudly: HTTP 501 with a message that begins with `simulator:`, never a guess.

use std::sync::Arc;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::client::Body as ClientBody;
use parking_lot::Mutex;
use runtime::clock::Clock;
use serde_json::Value;

pub mod admission;
pub mod call;
mod core;
pub mod custom;
mod delete;
mod discovery;
mod draft;
pub mod failure;
mod gc;
pub mod kind;
mod list;
mod metadata;
pub mod patch;
mod query;
mod route;
pub mod rules;
mod selector;
mod service;
mod settle;
mod store;
mod subresource;
mod watch;

pub use self::service::Body;

use self::admission::Admission;
use self::call::{Call, Verb, Written};
use self::core::{Answer, Core};
use self::failure::{Failure, Result};
use self::settle::Outcome;

/// How often a write is begun again because the object changed under it.
const ATTEMPTS: u32 = 5;

/// Told of every write.
pub type Observer = Box<dyn FnMut(&Written) + Send>;

/// The server; clones are the same one.
#[derive(Clone)]
pub struct Server {
    shared: Arc<Shared>,
}

struct Shared {
    core: Arc<Mutex<Core>>,
    observers: Mutex<Observers>,
}

#[derive(Default)]
struct Observers {
    all: Vec<Observer>,
    /// They are being told, and are not in `all` meanwhile.
    busy: bool,
}

impl Server {
    /// An empty cluster. Uids and generated names come from the seed.
    #[must_use]
    pub fn new(clock: Clock, seed: u64) -> Self {
        let core = Arc::new(Mutex::new(Core::new(clock, seed)));
        Self { shared: Arc::new(Shared { core, observers: Mutex::default() }) }
    }

    /// Serves the kind of a CRD, at once and in all its versions.
    ///
    /// # Errors
    /// Fails where the CRD uses what is not simulated.
    pub fn install(&self, crd: &CustomResourceDefinition) -> Result<()> {
        let resource = custom::resource(crd)?;
        self.shared.core.lock().install(crd, resource)?;
        self.tell();
        Ok(())
    }

    /// Sets what is asked before anything is stored, and converts between versions.
    pub fn set_admission(&self, hook: Arc<dyn Admission>) {
        self.shared.core.lock().hook = Some(hook);
    }

    /// A client of this caller, without any faults of a network.
    #[must_use]
    pub fn client(&self, caller: &str) -> kube::Client {
        let (server, caller): (Self, Arc<str>) = (self.clone(), caller.into());
        let service = tower::service_fn(move |request: http::Request<ClientBody>| {
            let (server, caller) = (server.clone(), Arc::clone(&caller));
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect_bytes().await?.to_vec();
                Ok::<_, tower::BoxError>(server.call(&caller, http::Request::from_parts(parts, body)).await)
            }
        });
        kube::Client::new(service, "default")
    }

    /// Carries out a call by the same rules, without webhooks.
    ///
    /// # Errors
    /// The server refuses it.
    pub fn ask(&self, caller: &str, call: Call) -> Result<Arc<Value>> {
        let answer = self.carry_out(caller, &call);
        self.tell();
        answer.map(|answer| answer.body)
    }

    fn carry_out(&self, caller: &str, call: &Call) -> Result<Answer> {
        let mut core = self.shared.core.lock();
        if call.verb == Verb::Get {
            return core.get(call);
        }
        let mut draft = core.begin(caller, call)?;
        core.settle(&mut draft)?;
        match core.commit(draft)? {
            Outcome::Done(answer) => Ok(answer),
            Outcome::Changed => Err(Failure::new(500, "InternalError", "the object changed under a lock")),
        }
    }

    /// A write, with webhooks.
    async fn write(&self, caller: &str, call: &Call) -> Result<Answer> {
        for _ in 0..ATTEMPTS {
            let outcome = self.attempt(caller, call).await;
            self.tell();
            if let Outcome::Done(answer) = outcome? {
                return Ok(answer);
            }
        }
        let resource = self.shared.core.lock().resource(&call.resource)?;
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Err(Failure::conflict(&resource, &call.name, why))
    }

    async fn attempt(&self, caller: &str, call: &Call) -> Result<Outcome> {
        let (mut draft, hook) = {
            let core = self.shared.core.lock();
            (core.begin(caller, call)?, core.hook.clone())
        };
        let operation = admission::operation(&draft);
        let Some(hook) = hook.filter(|hook| hook.concerns(&draft.key.resource, &call.subresource, operation)) else {
            let mut core = self.shared.core.lock();
            core.settle(&mut draft)?;
            return core.commit(draft);
        };
        if let Some(patch) = hook.mutate(&admission::review(&draft)).await? {
            self.shared.core.lock().amend(&mut draft, &patch)?;
        }
        self.shared.core.lock().settle(&mut draft)?;
        hook.validate(&admission::review(&draft)).await?;
        self.shared.core.lock().commit(draft)
    }

    /// Stored objects of a kind, by namespace and name.
    #[must_use]
    pub fn objects(&self, resource: &str) -> Vec<Arc<Value>> {
        self.shared.core.lock().store.objects(resource, "").cloned().collect()
    }

    /// One stored object.
    #[must_use]
    pub fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<Arc<Value>> {
        self.shared.core.lock().store.get(resource, namespace, name).cloned()
    }

    /// The latest resourceVersion.
    #[must_use]
    pub fn resource_version(&self) -> u64 {
        self.shared.core.lock().store.version()
    }

    /// What the garbage collector and the namespace controller would do next, in order.
    #[must_use]
    pub fn garbage(&self) -> Vec<Call> {
        self.shared.core.lock().garbage()
    }

    /// Forgets the log: older watches and pages of lists expire.
    pub fn compact(&self) {
        self.shared.core.lock().store.compact();
    }

    /// Tells of every write that was applied, in order, before anybody is answered. Observers may ask the server; what
    /// they write is told after what they were told of.
    pub fn on_write(&self, observer: Observer) {
        self.shared.observers.lock().all.push(observer);
    }

    fn tell(&self) {
        let mut observers = {
            let mut shared = self.shared.observers.lock();
            if shared.busy {
                return;
            }
            shared.busy = true;
            std::mem::take(&mut shared.all)
        };
        loop {
            let untold = std::mem::take(&mut self.shared.core.lock().untold);
            if untold.is_empty() {
                break;
            }
            for written in &untold {
                observers.iter_mut().for_each(|observer| observer(written));
            }
        }
        let mut shared = self.shared.observers.lock();
        // Who came while the others were told is told from now on.
        observers.append(&mut shared.all);
        (shared.all, shared.busy) = (observers, false);
    }
}

impl crate::actors::Cluster for Server {
    fn ask(&self, caller: &str, call: Call) -> Result<Arc<Value>> {
        Self::ask(self, caller, call)
    }

    fn objects(&self, resource: &str) -> Vec<Arc<Value>> {
        Self::objects(self, resource)
    }

    fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<Arc<Value>> {
        Self::get(self, resource, namespace, name)
    }
}

#[cfg(test)]
mod tests;
