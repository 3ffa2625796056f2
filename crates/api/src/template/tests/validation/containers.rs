//! Containers: names, ports, variables, mounts, probes, amounts.

use serde_json::{Value, json};

use super::{C, check, refusals};
use crate::tests::{set, template};

#[test]
fn containers_and_their_names() {
    check(&[
        ("/spec", Value::Null, &["containers: Required value"]),
        ("/spec", json!([]), &["spec: Invalid value: []: must be an object"]),
        ("/spec/containers", json!([]), &["containers: Required value"]),
        ("/spec/containers", json!({}), &["containers: Invalid value: {}: must be a list"]),
        ("/spec/containers/0", json!("x"), &[r#"containers[0]: Invalid value: "x": must be an object"#]),
        ("/spec/containers/0/name", json!(""), &["containers[0].name: Required value"]),
        ("/spec/containers/0/name", json!("Main"), &[r#"containers[0].name: Invalid value: "Main": a lowercase"#]),
        (
            "/spec/initContainers",
            json!([{"name": "main", "image": "a"}]),
            &[r#"initContainers[0].name: Duplicate value: "main""#],
        ),
        ("/spec/containers/0/image", Value::Null, &["containers[0].image: Required value"]),
        (
            "/spec/containers/0/imagePullPolicy",
            json!("Now"),
            &[
                r#"containers[0].imagePullPolicy: Unsupported value: "Now": supported values: "Always", "IfNotPresent", "Never""#,
            ],
        ),
        (
            "/spec/containers/0/terminationMessagePolicy",
            json!("x"),
            &["containers[0].terminationMessagePolicy: Unsupported"],
        ),
        (
            "/spec/ephemeralContainers",
            json!([{}]),
            &["ephemeralContainers: Forbidden: ephemeral containers not allowed"],
        ),
        ("/spec/ephemeralContainers", json!([]), &[]),
    ]);
}

#[test]
fn ports() {
    let at = format!("{C}/ports");
    check(&[
        (&at, json!([{}]), &["containers[0].ports[0].containerPort: Required value"]),
        (
            &at,
            json!([{"containerPort": 70000}]),
            &["containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive"],
        ),
        (
            &at,
            json!([{"containerPort": 1, "protocol": "ICMP"}]),
            &[r#"containers[0].ports[0].protocol: Unsupported value: "ICMP""#],
        ),
        (&at, json!([{"containerPort": 1, "name": "A"}]), &["containers[0].ports[0].name: Invalid"]),
        (
            &at,
            json!([{"containerPort": 1, "name": "a"}, {"containerPort": 2, "name": "a"}]),
            &[r#"containers[0].ports[1].name: Duplicate value: "a""#],
        ),
        (&at, json!([{"containerPort": 1, "hostPort": -1}]), &["containers[0].ports[0].hostPort: Invalid value: -1"]),
        (
            &at,
            json!([{"containerPort": 1, "hostPort": 9}, {"containerPort": 2, "hostPort": 9}]),
            &[r#"containers[0].ports[1].hostPort: Duplicate value: "TCP//9""#],
        ),
        (
            &at,
            json!([{"containerPort": 1, "hostPort": 9}, {"containerPort": 1, "hostPort": 9, "protocol": "UDP"}]),
            &[],
        ),
        (&at, json!([{"containerPort": 1}, {"containerPort": 1}]), &[]),
    ]);
    let mut template = template();
    set(&mut template, "/spec/hostNetwork", json!(true));
    set(&mut template, "/spec/containers/0/ports", json!([{"containerPort": 80}]));
    assert!(refusals(&template, &[]).is_empty(), "the API server fills in the host port");
    set(&mut template, "/spec/containers/0/ports/0/hostPort", json!(81));
    assert_eq!(
        refusals(&template, &[]),
        ["containers[0].ports[0].hostPort: Invalid value: 81: must match `containerPort` when `hostNetwork` is true"]
    );
}

#[test]
fn variables() {
    let (env, from) = (format!("{C}/env"), format!("{C}/envFrom"));
    check(&[
        (&env, json!([{"name": "A", "value": "x"}, {"name": "my var"}]), &[]),
        (&env, json!([{"value": "x"}]), &["containers[0].env[0].name: Required value"]),
        (&env, json!([{"name": "A=B"}]), &["containers[0].env[0].name: Invalid"]),
        (&env, json!([{"name": "A", "value": 1}]), &["containers[0].env[0].value: Invalid value: 1: must be a string"]),
        (
            &env,
            json!([{"name": "A", "valueFrom": {}}]),
            &["containers[0].env[0].valueFrom: Invalid value: \"\": must specify one of"],
        ),
        (
            &env,
            json!([{"name": "A", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]),
            &["containers[0].env[0].valueFrom: Invalid"],
        ),
        (
            &env,
            json!([{"name": "A", "valueFrom": {"fieldRef": {}, "secretKeyRef": {"name": "s", "key": "k"}}}]),
            &["containers[0].env[0].valueFrom: Invalid", "containers[0].env[0].valueFrom.fieldRef.fieldPath: Required"],
        ),
        (&env, json!([{"name": "A", "valueFrom": {"futureRef": {}}}]), &[]),
        (&from, json!([{"configMapRef": {"name": "x"}, "prefix": "P_"}, {"secretRef": {"name": "y"}}]), &[]),
        (&from, json!([{"secretRef": {}}]), &["containers[0].envFrom[0].secretRef.name: Required value"]),
        (&from, json!([{}]), &["containers[0].envFrom[0]: Invalid value: \"\": must specify one of"]),
        (
            &from,
            json!([{"configMapRef": {"name": "x"}, "secretRef": {"name": "y"}}]),
            &["containers[0].envFrom[0]: Invalid"],
        ),
    ]);
}

#[test]
fn mounts_and_devices() {
    let (mounts, devices) = (format!("{C}/volumeMounts"), format!("{C}/volumeDevices"));
    check(&[
        (
            &mounts,
            json!([{"name": "x", "mountPath": "/a"}]),
            &[r#"containers[0].volumeMounts[0].name: Not found: "x""#],
        ),
        (
            &mounts,
            json!([{}]),
            &["containers[0].volumeMounts[0].name: Required", "containers[0].volumeMounts[0].mountPath: Required"],
        ),
        (
            &devices,
            json!([{"name": "x", "devicePath": "/dev/a"}]),
            &[r#"containers[0].volumeDevices[0].name: Not found: "x""#],
        ),
    ]);
    let mut template = template();
    set(&mut template, "/spec/volumes", json!([{"name": "v", "emptyDir": {}}]));
    for (mount, want) in [
        (json!({"subPath": "a/b"}), None),
        (json!({"subPath": "/a"}), Some("subPath: Invalid value: \"/a\": must be a relative path")),
        (json!({"subPath": "a/../b"}), Some("subPath: Invalid value: \"a/../b\": must not contain '..'")),
        (json!({"subPath": "a", "subPathExpr": "b"}), Some("subPathExpr: Invalid")),
        (json!({"mountPropagation": "Sideways"}), Some("mountPropagation: Unsupported")),
    ] {
        let mut mount = mount;
        mount["name"] = json!("v");
        mount["mountPath"] = json!("/v");
        set(&mut template, "/spec/containers/0/volumeMounts", json!([mount]));
        let found = refusals(&template, &[]);
        assert_eq!(found.len(), usize::from(want.is_some()), "{mount}: {found:?}");
        if let (Some(want), Some(line)) = (want, found.first()) {
            assert!(line.starts_with(&format!("containers[0].volumeMounts[0].{want}")), "{line}");
        }
    }
    set(
        &mut template,
        "/spec/containers/0/volumeMounts",
        json!([{"name": "v", "mountPath": "/v"}, {"name": "v", "mountPath": "/v"}]),
    );
    assert_eq!(
        refusals(&template, &[]),
        [r#"containers[0].volumeMounts[1].mountPath: Invalid value: "/v": must be unique"#]
    );
}

#[test]
fn probes_and_hooks() {
    let (liveness, readiness, hook) =
        (format!("{C}/livenessProbe"), format!("{C}/readinessProbe"), format!("{C}/lifecycle/preStop"));
    check(&[
        (&liveness, json!({"tcpSocket": {"port": 80}, "successThreshold": 1}), &[]),
        (&liveness, json!({"futureHandler": {}}), &[]),
        (&liveness, json!({}), &["containers[0].livenessProbe: Required value: must specify a handler type"]),
        (
            &liveness,
            json!({"exec": {"command": ["a"]}, "grpc": {"port": 1}}),
            &["containers[0].livenessProbe.grpc: Forbidden: may not specify more than 1 handler type"],
        ),
        (&liveness, json!({"exec": {}}), &["containers[0].livenessProbe.exec.command: Required"]),
        (
            &liveness,
            json!({"httpGet": {"port": "web"}, "periodSeconds": -1}),
            &["containers[0].livenessProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0"],
        ),
        (
            &liveness,
            json!({"httpGet": {"port": 0, "scheme": "http"}}),
            &[
                "containers[0].livenessProbe.httpGet.port: Invalid",
                "containers[0].livenessProbe.httpGet.scheme: Unsupported",
            ],
        ),
        (&liveness, json!({"httpGet": {}}), &["containers[0].livenessProbe.httpGet.port: Invalid value: 0"]),
        (
            &liveness,
            json!({"httpGet": {"port": 80, "httpHeaders": [{"value": "x"}]}}),
            &["containers[0].livenessProbe.httpGet.httpHeaders[0].name: Required"],
        ),
        (&liveness, json!({"tcpSocket": {"port": "Web"}}), &["containers[0].livenessProbe.tcpSocket.port: Invalid"]),
        (
            &liveness,
            json!({"grpc": {"port": 1}, "successThreshold": 2}),
            &["containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1"],
        ),
        (&readiness, json!({"grpc": {"port": 1}, "successThreshold": 2}), &[]),
        (
            &readiness,
            json!({"grpc": {"port": 1}, "terminationGracePeriodSeconds": 2}),
            &["containers[0].readinessProbe.terminationGracePeriodSeconds: Invalid"],
        ),
        (
            &liveness,
            json!({"grpc": {"port": 1}, "terminationGracePeriodSeconds": 0}),
            &["containers[0].livenessProbe.terminationGracePeriodSeconds: Invalid value: 0: must be greater than 0"],
        ),
        (&hook, json!({"sleep": {"seconds": 5}}), &[]),
        (&hook, json!({}), &["containers[0].lifecycle.preStop: Required"]),
    ]);
    let init = |restart: &str| json!([{"name": "i", "image": "a", "restartPolicy": restart, "startupProbe": {"exec": {"command": ["a"]}}}]);
    check(&[
        ("/spec/initContainers", init("Always"), &[]),
        (
            "/spec/initContainers",
            init(""),
            &[
                "initContainers[0].startupProbe: Forbidden: may not be set for init containers without restartPolicy=Always",
            ],
        ),
    ]);
}

#[test]
fn limits_and_requests() {
    let at = format!("{C}/resources");
    check(&[
        (
            &at,
            json!({"limits": {"cpu": "1", "memory": 1048576, "hugepages-2Mi": "3Mi"}, "requests": {"cpu": "1000m"}}),
            &[],
        ),
        (&at, json!({"requests": {"example.com/gpu": "1"}}), &[]),
        (
            &at,
            json!({"limits": {"cpu": "lots"}}),
            &[r#"containers[0].resources.limits[cpu]: Invalid value: "lots": quantities must match"#],
        ),
        (
            &at,
            json!({"limits": {"cpu": "-1"}}),
            &[r#"containers[0].resources.limits[cpu]: Invalid value: "-1": must be greater"#],
        ),
        (
            &at,
            json!({"limits": {"cpu": "100m"}, "requests": {"cpu": "0.2"}}),
            &[
                r#"containers[0].resources.requests: Invalid value: "200m": must be less than or equal to cpu limit of 100m"#,
            ],
        ),
        (&at, json!({"limits": {"/": "1"}}), &["containers[0].resources.limits[/]: Invalid"]),
        (&at, json!({"limits": []}), &["containers[0].resources.limits: Invalid value: []: must be an object"]),
    ]);
}
