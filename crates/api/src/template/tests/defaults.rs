//! CS-103, member by member.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{HostPorts, apply};

#[track_caller]
fn pod(spec: Value) -> Value {
    let mut template = json!({"spec": spec});
    apply(&mut template, HostPorts::Leave);
    template["spec"].clone()
}

#[track_caller]
fn container(container: Value) -> Value {
    pod(json!({"containers": [container]}))["containers"][0].clone()
}

#[track_caller]
fn volume(volume: Value) -> Value {
    pod(json!({"volumes": [volume]}))["volumes"][0].clone()
}

#[test] // CS-103
fn a_bare_template_looks_like_that_of_a_native_workload() {
    let spec = pod(json!({"containers": [{"name": "main", "image": "nginx:1.25", "ports": [{"containerPort": 80}]}]}));
    assert_eq!(
        spec,
        json!({
            "restartPolicy": "Always",
            "dnsPolicy": "ClusterFirst",
            "schedulerName": "default-scheduler",
            "terminationGracePeriodSeconds": 30,
            "securityContext": {},
            "containers": [{
                "name": "main",
                "image": "nginx:1.25",
                "imagePullPolicy": "Always",
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
                "ports": [{"containerPort": 80, "protocol": "TCP"}],
            }],
        })
    );
}

#[test]
fn what_is_set_stays() {
    let spec = json!({
        "restartPolicy": "Never", "dnsPolicy": "None", "schedulerName": "mine", "terminationGracePeriodSeconds": 0,
        "securityContext": {"runAsUser": 1},
        "containers": [{"imagePullPolicy": "Never", "terminationMessagePath": "/x", "terminationMessagePolicy": "FallbackToLogsOnError"}],
        "volumes": [{"name": "a", "secret": {"defaultMode": 0}}, {"name": "b", "hostPath": {"type": "File"}}],
    });
    assert_eq!(pod(spec.clone()), spec);
}

#[test] // CS-103
fn pull_policy_is_always_in_containers_and_by_tag_in_init_containers() {
    for (image, init) in
        [("a:1", "IfNotPresent"), ("a", "Always"), ("a:latest", "Always"), ("a@sha256:00", "IfNotPresent")]
    {
        let spec = pod(json!({"containers": [{"image": image}], "initContainers": [{"image": image}]}));
        assert_eq!(spec["containers"][0]["imagePullPolicy"], "Always", "{image}");
        assert_eq!(spec["initContainers"][0]["imagePullPolicy"], init, "{image}");
    }
}

#[test] // CS-103: no grpc.service
fn probes_and_hooks_get_numbers_and_http_members() {
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let filled = container(json!({probe: {"httpGet": {"port": 80}, "timeoutSeconds": 0, "periodSeconds": 7}}));
        assert_eq!(
            filled[probe],
            json!({"httpGet": {"port": 80, "path": "/", "scheme": "HTTP"}, "timeoutSeconds": 1, "periodSeconds": 7, "successThreshold": 1, "failureThreshold": 3})
        );
        assert_eq!(container(json!({probe: {"grpc": {"port": 1}}}))[probe]["grpc"], json!({"port": 1}));
    }
    let hooks = container(
        json!({"lifecycle": {"postStart": {"httpGet": {"port": 1}}, "preStop": {"exec": {"command": ["x"]}}}}),
    );
    assert_eq!(
        hooks["lifecycle"],
        json!({"postStart": {"httpGet": {"port": 1, "path": "/", "scheme": "HTTP"}}, "preStop": {"exec": {"command": ["x"]}}})
    );
}

#[test]
fn field_references_get_an_api_version() {
    let filled = container(
        json!({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}, {"name": "B", "value": "b"}]}),
    );
    assert_eq!(filled["env"][0]["valueFrom"]["fieldRef"], json!({"fieldPath": "metadata.name", "apiVersion": "v1"}));
    assert_eq!(filled["env"][1], json!({"name": "B", "value": "b"}));
}

#[test] // CS-103: as a typed API server stores them
fn amounts_take_their_canonical_form() {
    let filled = container(
        json!({"resources": {"limits": {"cpu": 1, "memory": "1024Mi"}, "requests": {"cpu": "0.0001", "odd": "x"}}}),
    );
    assert_eq!(
        filled["resources"],
        json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1m", "odd": "x"}})
    );
    assert_eq!(volume(json!({"name": "a", "emptyDir": {"sizeLimit": "1000m"}}))["emptyDir"]["sizeLimit"], "1");
}

#[test] // CS-103
fn volumes_get_modes_and_types() {
    for (given, want) in [
        (json!({"name": "a"}), json!({"name": "a", "emptyDir": {}})),
        (json!({"name": "a", "secret": null}), json!({"name": "a", "secret": null, "emptyDir": {}})),
        (json!({"name": "a", "newSource": {}}), json!({"name": "a", "newSource": {}})),
        (json!({"name": "a", "secret": {}}), json!({"name": "a", "secret": {"defaultMode": 420}})),
        (json!({"name": "a", "configMap": {}}), json!({"name": "a", "configMap": {"defaultMode": 420}})),
        (
            json!({"name": "a", "hostPath": {"path": "/x"}}),
            json!({"name": "a", "hostPath": {"path": "/x", "type": ""}}),
        ),
        (
            json!({"name": "a", "downwardAPI": {"items": [{"path": "x", "fieldRef": {"fieldPath": "y"}}]}}),
            json!({"name": "a", "downwardAPI": {"defaultMode": 420, "items": [{"path": "x", "fieldRef": {"fieldPath": "y", "apiVersion": "v1"}}]}}),
        ),
        (
            json!({"name": "a", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}, {"secret": {"name": "s"}}]}}),
            json!({"name": "a", "projected": {"defaultMode": 420, "sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 3600}}, {"secret": {"name": "s"}}]}}),
        ),
    ] {
        assert_eq!(volume(given.clone()), want, "{given}");
    }
}

#[test] // CS-103: filling these would give a re-applied manifest another revision
fn some_sources_are_left_alone_unlike_in_native_workloads() {
    for source in ["iscsi", "rbd", "azureDisk", "scaleIO", "image", "ephemeral"] {
        let given = json!({"name": "a", source: {"volumeClaimTemplate": {"spec": {}}}});
        assert_eq!(volume(given.clone()), given, "{source}");
    }
}

#[test] // CS-103: Kubernetes fills these into Pods only
fn what_belongs_to_pods_only_is_not_filled_in() {
    let spec = pod(json!({"containers": [{"name": "a", "resources": {"limits": {"cpu": "1"}}}], "hostNetwork": true}));
    assert_eq!(spec["containers"][0]["resources"], json!({"limits": {"cpu": "1"}}));
    assert!(spec.get("enableServiceLinks").is_none());
    assert!(spec.get("priority").is_none());
}

#[test] // design rule 3
fn unknown_members_stay() {
    let given = json!({"containers": [{"name": "a", "newField": {"deep": [null, 1]}}], "future": [1]});
    let spec = pod(given.clone());
    assert_eq!(spec["containers"][0]["newField"], given["containers"][0]["newField"]);
    assert_eq!(spec["future"], given["future"]);
}

proptest! {
    #[test]
    fn defaults_take_any_json_and_are_idempotent(template in crate::tests::json()) {
        for host_ports in [HostPorts::Leave, HostPorts::CopyContainerPorts] {
            let mut once = template.clone();
            apply(&mut once, host_ports);
            let mut twice = once.clone();
            apply(&mut twice, host_ports);
            prop_assert_eq!(once, twice);
        }
    }

    /// Native workloads are stored with their defaults, so what is valid stays valid.
    #[test]
    fn defaults_never_make_a_template_invalid(template in crate::tests::json()) {
        let path = crate::field::FieldPath::new("template");
        let before = crate::template::validation::validate(&template, &path, &[]);
        let mut filled = template;
        apply(&mut filled, HostPorts::Leave);
        for denial in crate::template::validation::validate(&filled, &path, &[]) {
            prop_assert!(before.iter().any(|known| known.field == denial.field), "{denial}");
        }
    }
}
