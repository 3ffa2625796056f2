//! Passes of one or two replicas over an API server in memory, on a clock of the test's own.

use std::time::Duration;

use runtime::gates::Gates;
use serde_json::{Value, json};

use super::*;
use crate::certs::material::certificates;
use crate::configuration::bundle_of;
use crate::testing::FakeApi;

const SECRET: &str = "/api/v1/namespaces/kruise-system/secrets/kruise-webhook-certs";
const MUTATING: &str =
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/kruise-mutating-webhook-configuration";
const VALIDATING: &str =
    "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/kruise-validating-webhook-configuration";
const CRD: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/clonesets.apps.kruise.io";
const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/kruise-system/endpointslices";

fn entry(name: &str, path: &str) -> Value {
    json!({
        "name": name,
        "clientConfig": { "caBundle": "Cg==", "service": { "namespace": "x", "name": "y", "path": path } },
        "rules": [{ "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"] }],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1", "v1beta1"],
    })
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

/// A cluster with the configurations as a chart installs them: everything is in the list.
fn installed() -> FakeApi {
    let api = FakeApi::default();
    api.put(
        MUTATING,
        json!({ "webhooks": [
            entry("mpod.kb.io", "/mutate-pod"),
            entry("mcloneset.kb.io", "/mutate-apps-kruise-io-cloneset"),
            entry("msidecarset.kb.io", "/mutate-apps-kruise-io-sidecarset"),
        ] }),
    );
    api.put(VALIDATING, json!({ "webhooks": [entry("vcloneset.kb.io", "/validate-apps-kruise-io-cloneset")] }));
    api.put(
        CRD,
        json!({ "spec": {
            "group": "apps.kruise.io", "names": { "kind": "CloneSet" }, "versions": [{ "name": "v1alpha1" }],
            "conversion": { "strategy": "Webhook", "webhook": { "conversionReviewVersions": ["v1"] } },
        } }),
    );
    api
}

struct Replica {
    keeper: Keeper,
    credentials: Arc<Credentials>,
}

fn replica(api: &FakeApi, mode: Mode) -> Replica {
    replica_of(api, mode, None, "")
}

fn replica_of(api: &FakeApi, mode: Mode, pod: Option<&str>, gates: &str) -> Replica {
    let settings = Settings { pod: pod.map(str::to_owned), ..Settings::read(|_| None).unwrap() };
    let credentials = Arc::new(Credentials::default());
    let client = api.client();
    let store = Store::Secret {
        api: Box::new(kube::Api::namespaced(client.clone(), &settings.namespace)),
        name: settings.secret.clone(),
    };
    let paths = Arc::new(Paths::new(&Gates::parse(gates, None).unwrap()));
    let keeper = Keeper::new(settings, mode, paths, Cluster::new(client), store, Arc::clone(&credentials));
    Replica { keeper, credentials }
}

impl Replica {
    async fn pass(&mut self, second: i64) -> Outcome {
        self.keeper.pass(at(second)).await.unwrap()
    }

    /// The certificate that is served, if any.
    fn shown(&self) -> Option<Vec<u8>> {
        self.keeper.serving.as_ref().map(|serving| serving.cert.clone())
    }
}

fn names(object: &Value) -> Vec<&str> {
    object["webhooks"].as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap()).collect()
}

/// Every `caBundle` in the cluster, in certificates.
fn bundles(api: &FakeApi) -> Vec<usize> {
    let mut counts = Vec::new();
    for path in [MUTATING, VALIDATING] {
        for entry in api.get(path)["webhooks"].as_array().unwrap() {
            counts.push(certificates(&bundle_of(&entry["clientConfig"])).len());
        }
    }
    counts.push(certificates(&bundle_of(&api.get(CRD)["spec"]["conversion"]["webhook"]["clientConfig"])).len());
    counts
}

fn secret_text(api: &FakeApi, key: &str) -> String {
    api.get(SECRET)["data"][key].as_str().unwrap_or_default().to_owned()
}

#[tokio::test] // PL-41, PL-42, PL-45, PL-48, PL-49
async fn the_first_pass_makes_publishes_and_serves() {
    let api = installed();
    let mut one = replica(&api, Mode::Own);
    assert!(one.pass(0).await.wrote);
    assert!(one.shown().is_some());
    assert_eq!(names(&api.get(MUTATING)), ["mpod.kb.io", "mcloneset.kb.io"]);
    assert_eq!(bundles(&api), [1, 1, 1, 1]);
    assert_eq!(api.get(SECRET)["data"].as_object().unwrap().len(), 6);
    let template: Value =
        serde_json::from_str(api.get(MUTATING)["metadata"]["annotations"]["template"].as_str().unwrap()).unwrap();
    assert_eq!(template.as_array().unwrap().len(), 3);
}

#[tokio::test] // PL-E1, IN-33
async fn replicas_agree_and_nothing_is_written_twice() {
    let api = installed();
    let (mut one, mut two) = (replica(&api, Mode::Own), replica(&api, Mode::Own));
    one.pass(0).await;
    api.writes();
    for second in 1..4 {
        assert!(!two.pass(second).await.wrote);
        assert!(!one.pass(second).await.wrote);
    }
    assert_eq!(api.writes(), Vec::<String>::new());
    assert_eq!(one.shown(), two.shown());
}

#[tokio::test] // IN-32
async fn a_foreign_change_is_put_right() {
    let api = installed();
    let mut one = replica(&api, Mode::Own);
    one.pass(0).await;
    let right = api.get(MUTATING)["webhooks"].clone();
    let mut changed = api.get(MUTATING);
    changed["webhooks"][0]["failurePolicy"] = "Ignore".into();
    changed["webhooks"][1]["clientConfig"]["caBundle"] = "Cg==".into();
    api.put(MUTATING, changed);
    assert!(one.pass(1).await.wrote);
    assert_eq!(api.get(MUTATING)["webhooks"], right);
}

#[tokio::test] // PL-47
async fn a_missing_configuration_fails_the_pass_and_names_it() {
    let api = installed();
    api.remove(MUTATING);
    let err = replica(&api, Mode::Own).keeper.pass(at(0)).await.unwrap_err();
    assert_eq!(err.to_string(), "not found MutatingWebhookConfiguration kruise-mutating-webhook-configuration");
}

#[tokio::test] // ruling 21, IN-36
async fn a_new_authority_is_published_beside_the_old_one_before_it_is_served() {
    let api = installed();
    let mut one = replica(&api, Mode::Own);
    one.pass(0).await;
    let first = one.shown();

    api.remove(SECRET);
    assert_eq!(one.pass(100).await.again, Some(at(105)));
    assert_eq!(bundles(&api), [2, 2, 2, 2]);
    assert_eq!(one.shown(), first, "the old certificate is served while the API server may know only its authority");

    let mut late = replica(&api, Mode::Own);
    late.pass(102).await;
    assert_eq!(late.shown(), None, "a replica that starts in between serves nothing");
    assert!(late.credentials.trust().is_none());

    one.pass(105).await;
    assert_ne!(one.shown(), first);
    late.pass(106).await;
    assert_eq!(late.shown(), None);
    late.pass(107).await;
    assert_eq!(late.shown(), one.shown());

    one.pass(699).await;
    assert_eq!(bundles(&api), [2, 2, 2, 2]);
    one.pass(700).await;
    assert_eq!(bundles(&api), [1, 1, 1, 1], "the old authority goes after ten minutes");
    api.writes();
    late.pass(701).await;
    one.pass(760).await;
    assert_eq!(api.writes(), Vec::<String>::new(), "and stays away");
}

#[tokio::test] // PL-44
async fn a_renewal_under_the_same_authority_needs_no_wait() {
    let api = installed();
    let mut one = replica(&api, Mode::Own);
    one.pass(0).await;
    let (first, ca) = (one.shown(), secret_text(&api, "ca-cert.pem"));
    let mut broken = api.get(SECRET);
    for key in ["cert.pem", "tls.crt"] {
        broken["data"][key] = "".into();
    }
    api.put(SECRET, broken);
    one.pass(10).await;
    assert_ne!(one.shown(), first);
    assert_eq!(secret_text(&api, "ca-cert.pem"), ca);
    assert_eq!(bundles(&api), [1, 1, 1, 1]);
}

#[tokio::test] // IN-36
async fn a_secret_that_somebody_replaced_is_phased_in_too() {
    let api = installed();
    let mut one = replica(&api, Mode::Own);
    one.pass(0).await;
    let first = one.shown();
    let other = installed();
    replica(&other, Mode::Own).pass(0).await;
    let mut replaced = other.get(SECRET);
    replaced["metadata"] = json!({ "name": "kruise-webhook-certs" });
    api.put(SECRET, replaced);

    one.pass(100).await;
    assert_eq!(bundles(&api), [2, 2, 2, 2]);
    assert_eq!(one.shown(), first);
    one.pass(105).await;
    assert_ne!(one.shown(), first);
}

#[tokio::test] // IN-36, IN-71
async fn what_is_served_stays_trusted_though_somebody_emptied_secret_and_bundles() {
    let api = installed();
    let mut one = replica(&api, Mode::Own);
    one.pass(0).await;
    let (first, ca) = (one.shown(), one.keeper.serving.clone().unwrap().ca_cert);
    endpoints(&api, &["kruise-webhook-5d9c-fghij"]);
    api.put(SECRET, json!({ "metadata": { "name": "kruise-webhook-certs" } }));
    for path in [MUTATING, VALIDATING] {
        let mut wiped = api.get(path);
        wiped["webhooks"] = json!([]);
        api.put(path, wiped);
    }
    let mut bare = api.get(CRD);
    bare["spec"]["conversion"]["webhook"]["clientConfig"] = Value::Null;
    api.put(CRD, bare);

    assert_eq!(one.pass(100).await.again, Some(at(105)));
    assert_eq!(one.shown(), first, "served by all until the new one is known");
    let trusted = bundle_of(&api.get(CRD)["spec"]["conversion"]["webhook"]["clientConfig"]);
    assert!(certificates(&trusted).contains(&certificates(&ca)[0]));
    one.pass(105).await;
    assert_ne!(one.shown(), first);
}

#[tokio::test] // PL-42
async fn two_replicas_that_start_at_once_end_with_one_pair() {
    let api = installed();
    let (mut one, mut two) = (replica(&api, Mode::Own), replica(&api, Mode::Own));
    let (first, second) = tokio::join!(one.keeper.pass(at(0)), two.keeper.pass(at(0)));
    // A conflict on a configuration is repeated by the loop.
    drop((first, second));
    one.pass(1).await;
    two.pass(1).await;
    one.pass(7).await;
    two.pass(7).await;
    assert!(one.shown().is_some());
    assert_eq!(one.shown(), two.shown());
    assert_eq!(bundles(&api)[0], bundles(&api)[3]);
}

#[tokio::test]
async fn pod_entries_are_switched_on_only_when_the_service_answers() {
    let api = installed();
    let mut dormant = api.get(MUTATING);
    dormant["metadata"]["annotations"] = json!({ "template": dormant["webhooks"].to_string() });
    dormant["webhooks"] = json!([]);
    api.put(MUTATING, dormant);
    let mut one = replica(&api, Mode::Own);
    api.put(SLICES, json!({ "items": [] }));
    assert_eq!(one.pass(0).await.again, Some(at(1)));
    assert!(one.shown().is_some());
    assert_eq!(names(&api.get(MUTATING)), ["mcloneset.kb.io"]);

    api.put(SLICES, json!({ "items": [{ "ports": [{ "port": 9876 }], "endpoints": [{}] }] }));
    one.pass(10).await;
    one.pass(12).await;
    assert_eq!(names(&api.get(MUTATING)), ["mcloneset.kb.io"]);
    one.pass(13).await;
    assert_eq!(names(&api.get(MUTATING)), ["mpod.kb.io", "mcloneset.kb.io"]);

    api.put(SLICES, json!({ "items": [] }));
    let mut two = replica(&api, Mode::Own);
    two.pass(20).await;
    assert_eq!(names(&api.get(MUTATING)), ["mpod.kb.io", "mcloneset.kb.io"], "what is on stays on");
}

/// Ready endpoints of these Pods.
fn endpoints(api: &FakeApi, pods: &[&str]) {
    let endpoint = |pod: &&str| json!({ "targetRef": { "name": pod } });
    let endpoints: Vec<Value> = pods.iter().map(endpoint).collect();
    api.put(SLICES, json!({ "items": [{ "ports": [{ "port": 9876 }], "endpoints": endpoints }] }));
}

#[tokio::test] // IN-68, PL-E8
async fn replicas_of_two_versions_write_once_each_and_what_only_one_serves_waits_for_the_end_of_the_rollout() {
    let (api, old_pod, new_pod) = (installed(), "kruise-webhook-84b7-abcde", "kruise-webhook-5d9c-fghij");
    let mut old = replica_of(&api, Mode::Own, Some(old_pod), "PodWebhook=false");
    let mut new = replica_of(&api, Mode::Own, Some(new_pod), "");
    endpoints(&api, &[old_pod, new_pod]);
    old.pass(0).await;
    api.writes();
    for second in 1..10 {
        new.pass(second).await;
        old.pass(second).await;
    }
    assert_eq!(names(&api.get(MUTATING)), ["mcloneset.kb.io"]);
    assert_eq!(api.writes(), Vec::<String>::new());

    endpoints(&api, &[new_pod]);
    new.pass(20).await;
    assert_eq!(names(&api.get(MUTATING)), ["mpod.kb.io", "mcloneset.kb.io"]);
    assert_eq!(new.pass(21).await, Outcome { wrote: false, again: None });
}

#[tokio::test] // IN-32, PL-E8
async fn an_entry_that_was_on_comes_back_at_once_while_all_replicas_are_alike() {
    let (api, pod) = (installed(), "kruise-webhook-5d9c-fghij");
    let mut one = replica_of(&api, Mode::Own, Some(pod), "");
    endpoints(&api, &[pod]);
    one.pass(0).await;
    for webhooks in [Value::Null, json!([])] {
        let mut wiped = api.get(MUTATING);
        wiped["webhooks"] = webhooks;
        api.put(MUTATING, wiped);
        one.pass(10).await;
        assert_eq!(names(&api.get(MUTATING)), ["mpod.kb.io", "mcloneset.kb.io"]);
    }
}

#[tokio::test] // PL-46, IN-38
async fn external_certificates_are_followed_and_nothing_is_written() {
    let api = installed();
    replica(&api, Mode::Own).pass(0).await;
    let made = api.get(SECRET);
    let external = json!({
        "metadata": { "name": "kruise-webhook-certs" },
        "data": { "ca.crt": made["data"]["ca-cert.pem"], "tls.crt": made["data"]["tls.crt"], "tls.key": made["data"]["tls.key"] },
    });
    api.put(SECRET, external);
    let injected = api.get(CRD);
    let mut bare = injected.clone();
    bare["spec"]["conversion"]["webhook"]["clientConfig"]["caBundle"] = "Cg==".into();
    api.put(CRD, bare);
    api.writes();

    let mut one = replica(&api, Mode::External);
    let err = one.keeper.pass(at(1)).await.unwrap_err();
    assert_eq!(err.to_string(), "caBundle of CRD clonesets.apps.kruise.io does not match external caBundle");
    assert!(one.shown().is_none());
    api.put(CRD, injected);
    one.pass(2).await;
    assert!(one.shown().is_some());
    assert_eq!(api.writes(), Vec::<String>::new());
}

#[tokio::test] // IN-38
async fn without_the_external_secret_the_pass_says_what_is_missing() {
    let err = replica(&installed(), Mode::External).keeper.pass(at(0)).await.unwrap_err();
    assert_eq!(
        run::chain(&err),
        "certificates of Secret kruise-system/kruise-webhook-certs can't be used: ca.crt is missing"
    );
}

#[tokio::test] // PL-40
async fn the_loop_initialises_and_ends_with_the_process() {
    let api = installed();
    let one = replica(&api, Mode::Own);
    let (initialised, mut is_initialised) = tokio::sync::watch::channel(false);
    let shutdown = runtime::shutdown::Shutdown::manual();
    let running = tokio::spawn(run::run(one.keeper, api.client(), initialised, shutdown.clone()));
    let limit = Duration::from_secs(20);
    tokio::time::timeout(limit, is_initialised.wait_for(|is| *is)).await.unwrap().unwrap();
    shutdown.request();
    tokio::time::timeout(limit, running).await.unwrap().unwrap();
}
