//! The checker's own picture of the cluster: CloneSets with the recent history of their specs, their Pods with what
//! became of their availability and by whom, and their revisions. Made of writes only.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::knowledge::Knowledge;
use super::pod::Pod;
use super::spec::Spec;
use super::view::{controller, integer, selects, text, value};
use crate::server::call::Written;

pub(super) const CLONESETS: &str = "clonesets.apps.kruise.io";
pub(super) const PODS: &str = "pods";
pub(super) const REVISIONS: &str = "controllerrevisions.apps";
pub(super) const LEASES: &str = "leases.coordination.k8s.io";
pub(super) const CLAIMS: &str = "persistentvolumeclaims";

/// What happened longer ago is forgotten: longer than the longest lag of a history and any grace.
const REMEMBERED: SignedDuration = SignedDuration::from_mins(10);

/// All of it.
#[derive(Debug)]
pub(super) struct Picture {
    /// Who holds the Lease; `None` before there is one, and while nobody does.
    pub(super) leader: Option<String>,
    /// What managers know.
    pub(super) knowledge: Knowledge,
    /// CloneSets by uid, those that are gone too.
    pub(super) sets: BTreeMap<String, Set>,
    /// Pods by namespace and name.
    pub(super) pods: BTreeMap<String, BTreeMap<String, Life>>,
    /// ControllerRevisions by namespace and name.
    revisions: BTreeMap<String, BTreeMap<String, Arc<Value>>>,
    /// Claims by namespace and name.
    pub(super) claims: BTreeMap<String, BTreeMap<String, Arc<Value>>>,
}

/// A CloneSet.
#[derive(Debug)]
pub(super) struct Set {
    /// Namespace.
    pub(super) namespace: String,
    /// Name.
    pub(super) name: String,
    /// As it was stored last.
    pub(super) object: Arc<Value>,
    /// What it asked for, oldest first, never empty.
    pub(super) specs: VecDeque<Spec>,
    /// Version of its removal.
    pub(super) gone: Option<u64>,
    /// Names of its Pods (CS-3).
    pub(super) members: BTreeSet<String>,
    /// Pods that were its own lately.
    pub(super) left: VecDeque<Left>,
    /// Revisions that it controls, or that nobody does and it selects (RV-4).
    pub(super) revisions: BTreeMap<String, Revision>,
    /// The revision with the highest number, by the version since which it is.
    pub(super) newest: VecDeque<(u64, Timestamp, String)>,
}

/// A ControllerRevision.
#[derive(Clone, Debug)]
pub(super) struct Revision {
    /// Its number.
    pub(super) number: i64,
    /// As stored.
    pub(super) object: Arc<Value>,
}

/// A Pod and what became of it.
#[derive(Clone, Debug)]
pub(super) struct Life {
    /// As it is.
    pub(super) pod: Pod,
    /// uid of the CloneSet whose Pod it is (CS-3).
    pub(super) set: Option<String>,
    /// Since which version it is that, and whether a manager made it so.
    pub(super) joined: (u64, bool),
    /// Version of its last change.
    pub(super) changed: u64,
    /// Since which version it is available with 0 seconds; of no meaning while it is not.
    pub(super) up_from: u64,
    /// How it was lost last.
    pub(super) lost: Lost,
    /// A manager changed its image while it was available: it will go down by that.
    pub(super) doomed: bool,
    /// Version of the last state with the label of specified-delete, 0 for never.
    pub(super) specified: u64,
    /// The revision that it was updated from.
    pub(super) from: String,
}

/// How a Pod stopped being available.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lost {
    /// At which version.
    pub(super) version: u64,
    /// By a manager: counted whatever caches show.
    pub(super) ours: bool,
}

/// A Pod that is no Pod of the CloneSet any more: deleted, failed, released.
#[derive(Clone, Debug)]
pub(super) struct Left {
    /// When.
    pub(super) at: Timestamp,
    /// At which version, and whether by a manager.
    pub(super) how: Lost,
    /// How its availability was lost; with it, if it had it until then.
    pub(super) lost: Lost,
    /// As it was.
    pub(super) life: Life,
}

/// What a write on a Pod did.
#[derive(Debug, Default)]
pub(super) struct Step {
    /// The Pod before.
    pub(super) before: Option<Life>,
    /// The CloneSet whose Pod it is or was.
    pub(super) set: Option<String>,
}

impl Picture {
    /// Nothing.
    pub(super) const fn new(grace: SignedDuration) -> Self {
        Self {
            leader: None,
            knowledge: Knowledge::new(grace),
            sets: BTreeMap::new(),
            pods: BTreeMap::new(),
            claims: BTreeMap::new(),
            revisions: BTreeMap::new(),
        }
    }

    /// Takes a write in.
    pub(super) fn apply(&mut self, written: &Written, ours: bool) -> Step {
        match written.resource.as_str() {
            CLONESETS => self.apply_set(written),
            REVISIONS => self.apply_revision(written),
            CLAIMS => self.apply_claim(written),
            LEASES => {
                let holder = written.after.as_ref().map(|lease| text(lease, "/spec/holderIdentity"));
                self.leader = holder.filter(|holder| !holder.is_empty()).map(str::to_owned);
            }
            PODS => return self.apply_pod(written, ours),
            _ => {}
        }
        Step::default()
    }

    /// A Pod.
    pub(super) fn life(&self, namespace: &str, name: &str) -> Option<&Life> {
        self.pods.get(namespace)?.get(name)
    }

    /// The Pods of a CloneSet.
    pub(super) fn members<'a>(&'a self, set: &'a Set) -> impl Iterator<Item = &'a Life> {
        let pods = self.pods.get(&set.namespace);
        set.members.iter().filter_map(move |name| pods?.get(name))
    }

    fn apply_set(&mut self, written: &Written) {
        let Some(object) = written.after.as_ref().or(written.before.as_ref()) else { return };
        let uid = text(object, "/metadata/uid");
        let is_new = !self.sets.contains_key(uid);
        let set = self.sets.entry(uid.to_owned()).or_insert_with(|| Set {
            namespace: written.namespace.clone(),
            name: written.name.clone(),
            object: Arc::clone(object),
            specs: VecDeque::new(),
            gone: None,
            members: BTreeSet::new(),
            left: VecDeque::new(),
            revisions: BTreeMap::new(),
            newest: VecDeque::new(),
        });
        set.object = Arc::clone(object);
        if is_new {
            for (name, revision) in self.revisions.get(&written.namespace).into_iter().flatten() {
                set.note_revision(uid, name, Some(revision), written);
            }
        }
        if written.after.is_none() {
            set.gone = Some(written.version);
        }
        if set.specs.back().is_none_or(|last| !last.asks_the_same(object)) {
            set.specs.push_back(Spec::read(object, written.at, written.version));
        }
        while set.specs.get(1).is_some_and(|next| written.at.duration_since(next.at) > REMEMBERED) {
            set.specs.pop_front();
        }
    }

    fn apply_revision(&mut self, written: &Written) {
        let stored = self.revisions.entry(written.namespace.clone()).or_default();
        match &written.after {
            Some(object) => stored.insert(written.name.clone(), Arc::clone(object)),
            None => stored.remove(&written.name),
        };
        for (uid, set) in self.sets.iter_mut().filter(|(_, set)| set.namespace == written.namespace) {
            set.note_revision(uid, &written.name, written.after.as_ref(), written);
        }
    }

    fn apply_claim(&mut self, written: &Written) {
        let claims = self.claims.entry(written.namespace.clone()).or_default();
        match &written.after {
            Some(object) => claims.insert(written.name.clone(), Arc::clone(object)),
            None => claims.remove(&written.name),
        };
    }

    fn apply_pod(&mut self, written: &Written, ours: bool) -> Step {
        let before = self.pods.get_mut(&written.namespace).and_then(|pods| pods.remove(&written.name));
        let after = written.after.as_ref().map(|object| self.live_on(before.as_ref(), written, ours, object));
        let was = before.as_ref().and_then(|life| life.set.clone());
        let is = after.as_ref().and_then(|life| life.set.clone());
        if was != is {
            if let (Some(life), Some(set)) = (&before, was.as_ref().and_then(|uid| self.sets.get_mut(uid))) {
                set.leave(life, written, ours);
            }
            if let Some(set) = is.as_ref().and_then(|uid| self.sets.get_mut(uid)) {
                set.members.insert(written.name.clone());
            }
        }
        if let Some(life) = after {
            self.pods.entry(written.namespace.clone()).or_default().insert(written.name.clone(), life);
        }
        Step { before, set: was.or(is) }
    }

    /// The next state of a Pod's life.
    fn live_on(&self, before: Option<&Life>, written: &Written, ours: bool, object: &Arc<Value>) -> Life {
        let pod = Pod::read(object, written.at);
        let set = pod.controller.as_ref().filter(|_| pod.active).and_then(|uid| Some((uid, self.sets.get(uid)?)));
        let set = set.filter(|(_, set)| selects(value(&set.object, "/spec/selector"), object));
        let (version, name) = (written.version, set.map(|(uid, _)| uid.clone()));
        let Some(old) = before else {
            return Life {
                set: name,
                joined: (version, ours),
                changed: version,
                up_from: version,
                // A new Pod is not available and nobody's cache ever showed it otherwise.
                lost: Lost { version, ours: true },
                doomed: false,
                specified: if pod.specified { version } else { 0 },
                from: String::new(),
                pod,
            };
        };
        let mut life = old.clone();
        let (was_up, is_up) = (old.pod.up(), pod.up());
        if is_up && !was_up {
            (life.up_from, life.doomed) = (version, false);
        }
        if was_up && !is_up {
            // Up but too young to be available counts too: a cache that does not show the loss sees it grow old.
            life.lost = Lost { version, ours: ours || old.doomed };
        }
        if ours && is_up && was_up && !pod.images().eq(old.pod.images()) {
            life.doomed = true;
        }
        if ours && pod.revision != old.pod.revision {
            life.from.clone_from(&old.pod.revision);
        }
        if old.set != name {
            life.joined = (version, ours);
        }
        if pod.specified || old.pod.specified {
            life.specified = version;
        }
        if written.before != written.after {
            life.changed = version;
        }
        (life.set, life.pod) = (name, pod);
        life
    }
}

impl Set {
    /// Everything it asked for since a version: what was in force then and what came later.
    pub(super) fn asked_since(&self, version: u64) -> impl Iterator<Item = &Spec> {
        let first = self.specs.iter().rposition(|spec| spec.version <= version).unwrap_or(0);
        self.specs.iter().skip(first)
    }

    /// Revisions that were the newest since a version.
    pub(super) fn newest_since(&self, version: u64) -> impl Iterator<Item = &str> {
        let first = self.newest.iter().rposition(|(since, ..)| *since <= version).unwrap_or(0);
        self.newest.iter().skip(first).map(|(.., name)| name.as_str())
    }

    /// A revision that a label names in the long or short form.
    pub(super) fn revision(&self, label: &str) -> Option<&Revision> {
        let found = self.revisions.get(label);
        found.or_else(|| {
            let mut all = self.revisions.iter();
            all.find(|(name, _)| super::pod::same_revision(name, label)).map(|(_, revision)| revision)
        })
    }

    /// A revision of its namespace is like this now.
    fn note_revision(&mut self, uid: &str, name: &str, object: Option<&Arc<Value>>, written: &Written) {
        let listed = object.filter(|object| match controller(object) {
            Some(owner) => owner == uid,
            None => selects(value(&self.object, "/spec/selector"), object),
        });
        let changed = match listed {
            Some(object) => {
                let number = integer(object, "/revision").unwrap_or(0);
                self.revisions.insert(name.to_owned(), Revision { number, object: Arc::clone(object) });
                true
            }
            None => self.revisions.remove(name).is_some(),
        };
        if !changed {
            return;
        }
        let newest = self.revisions.iter().max_by_key(|(name, revision)| (revision.number, *name));
        let Some((newest, _)) = newest else { return };
        if self.newest.back().is_none_or(|(.., known)| known != newest) {
            self.newest.push_back((written.version, written.at, newest.clone()));
        }
        while self.newest.get(1).is_some_and(|(_, at, _)| written.at.duration_since(*at) > REMEMBERED) {
            self.newest.pop_front();
        }
    }

    fn leave(&mut self, life: &Life, written: &Written, ours: bool) {
        self.members.remove(&written.name);
        let how = Lost { version: written.version, ours };
        let lost = if life.pod.up() { Lost { ours: ours || life.doomed, ..how } } else { life.lost };
        self.left.push_back(Left { at: written.at, how, lost, life: life.clone() });
        while self.left.front().is_some_and(|left| written.at.duration_since(left.at) > REMEMBERED) {
            self.left.pop_front();
        }
    }
}
