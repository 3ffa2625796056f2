//! Gives Pods with the readiness gate `KruisePodReady` their condition (PR-5, PL-81).
//!
//! The Pod webhook adds the gate; without this controller such Pods would never be ready. It only ever adds the
//! condition where it is missing; who wants a Pod not ready later is `rules::readiness`.

use std::sync::Arc;

use api::{k8s::Pod, keys};
use jiff::Timestamp;
use rules::{
    pod, readiness,
    write::{POD, Pace, Patch, PatchFormat, Step, Subresource, Verb, Write},
};
use runtime::{
    act::{Engine, Limits, Owner},
    ambient::Ambient,
    clock,
    controller::{self, Identity, Requeue},
    events::Reference,
    expectations::{Expectations, LiveCheck, ObjectId},
    informer::{Change, ObjectKey},
    queue::{Queue, RateLimit},
    resync,
    shutdown::Shutdown,
};
use serde_json::json;

use crate::setup::{Registration, Run, Setup};

/// The controller of the condition.
pub const REGISTRATION: Registration =
    Registration { identity: Identity { name: "pod-readiness-controller", kind: "Pod" }, needs: &[], register };

/// Workers; there is no flag (platform section 6).
const WORKERS: usize = 3;

fn register(setup: &mut Setup, shutdown: Shutdown) -> Run {
    let queue = Queue::new(REGISTRATION.identity.name, RateLimit::default());
    let pods = setup.caches.pods.wanted().store();
    let recorder = setup.recorder.with_component(REGISTRATION.identity.name);
    let client = (setup.client_for)(REGISTRATION.identity.name);
    let engine = Engine::new(client.clone(), recorder, setup.ambient.chance.clone(), Limits::default());
    let expectations = Expectations::new(setup.expectation_timeout);
    setup.caches.pods.wanted().on_change({
        let (queue, expectations) = (queue.clone(), expectations.clone());
        move |change| {
            expectations.observe(POD, change);
            match change {
                Change::Added { new, .. } | Change::Updated { new, .. } if lacks_condition(new) => {
                    queue.add_for(change, ObjectKey::of(new.as_ref()));
                }
                Change::Added { .. } | Change::Updated { .. } | Change::Deleted { .. } => {}
            }
        }
    });
    let all = pods.clone();
    let keys = move || {
        let all = all.all();
        all.iter().filter(|pod| lacks_condition(pod)).map(|pod| ObjectKey::of(pod.as_ref())).collect()
    };
    let resyncing = resync::run(setup.resync, keys, queue.clone(), shutdown.clone());
    let Ambient { clock, chance } = setup.ambient.clone();
    // No metric counts these: a condition that is written twice does no harm.
    let live = Arc::new(LiveCheck::new(client.client().clone(), expectations.clone(), |_| {}));
    let reconcile = move |key: ObjectKey| {
        let (pods, engine, expectations, live, clock) =
            (pods.clone(), engine.clone(), expectations.clone(), Arc::clone(&live), clock.clone());
        async move {
            let Some(pod) = pods.get(&key) else { return Ok(Requeue::Done) };
            let uid = pod.metadata.uid.as_str();
            let seen = pod.metadata.resource_version.as_str();
            if let Some(wait) = expectations.versions.waiting(uid, seen, clock::instant()) {
                let object = ObjectId { resource: POD, key: key.clone() };
                return Ok(Requeue::After(live.version(&key, &object, uid, wait).await));
            }
            if let Some(step) = plan(&pod, clock.now()) {
                let owner = Owner { reference: Reference::of(pod.as_ref()) };
                engine.run(&owner, &[step], &expectations).await.into_result()?;
            }
            Ok(Requeue::Done)
        }
    };
    let working = controller::run(REGISTRATION.identity, WORKERS, queue, chance, reconcile, shutdown);
    Box::pin(async {
        tokio::join!(working, resyncing);
    })
}

/// Whether a Pod has the gate but not the condition, and lives.
fn lacks_condition(pod: &Pod) -> bool {
    pod::has_readiness_gate(pod, keys::POD_READY_CONDITION)
        && pod::condition(pod, keys::POD_READY_CONDITION).is_none()
        && pod.metadata.deletion_timestamp.is_none()
}

/// The condition as True where it is missing (PR-5).
fn plan(pod: &Pod, now: Timestamp) -> Option<Step> {
    if !lacks_condition(pod) {
        return None;
    }
    let condition = readiness::condition(keys::POD_READY_CONDITION, "True", "", "", now);
    let patch = Patch {
        subresource: Subresource::Status,
        format: PatchFormat::Strategic,
        body: json!({"status": {"conditions": [condition]}}),
    };
    let write = Write {
        resource: POD,
        namespace: Some(pod.metadata.namespace.to_string()),
        name: pod.metadata.name.to_string(),
        // A patch without resourceVersion: the kubelet writes this status too, and nothing here depends on it.
        verb: Verb::Patch { uid: Some(pod.metadata.uid.to_string()), resource_version: None, patches: vec![patch] },
        reason: "add condition KruisePodReady",
        revision: None,
        on_success: None,
        on_failure: None,
    };
    Some(Step { groups: vec![vec![write]], pace: Pace::Concurrent })
}

#[cfg(test)]
mod tests {
    use api::k8s::Pod;
    use rules::write::Verb;
    use serde_json::{Value, json};

    fn pod(gates: Value, conditions: Value, deleted: Option<&str>) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "p", "namespace": "ns", "uid": "u", "deletionTimestamp": deleted},
            "spec": {"readinessGates": gates}, "status": {"conditions": conditions}}))
        .unwrap()
    }

    #[test] // PR-5
    fn only_living_pods_with_the_gate_and_without_the_condition_get_it() {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let gate = json!([{"conditionType": "KruisePodReady"}]);
        let there = json!([{"type": "KruisePodReady", "status": "False"}]);
        let step = super::plan(&pod(gate.clone(), json!([]), None), now).unwrap();
        let Verb::Patch { patches, resource_version: None, .. } = &step.groups[0][0].verb else { panic!() };
        assert_eq!(patches[0].body["status"]["conditions"][0]["status"], json!("True"));
        for (gates, conditions, deleted) in
            [(json!([]), json!([]), None), (gate.clone(), there, None), (gate, json!([]), Some("2026-01-01T00:00:00Z"))]
        {
            assert_eq!(super::plan(&pod(gates, conditions, deleted), now), None);
        }
    }
}
