//! The Pod itself: metadata, scheduling, security.

use serde_json::{Value, json};

use super::{C, check, refusals};
use crate::tests::{set, template};

#[test]
fn metadata() {
    check(&[
        ("/metadata", json!(1), &["metadata: Invalid value: 1: must be an object"]),
        ("/metadata/labels", json!({"-a": "b"}), &[r#"metadata.labels: Invalid value: "-a": name part must"#]),
        ("/metadata/labels", json!({"a": "b c"}), &[r#"metadata.labels: Invalid value: "b c": a valid label"#]),
        ("/metadata/annotations", json!({"Any.Key/x": "b c", "controller.kubernetes.io/pod-deletion-cost": "x"}), &[]),
    ]);
}

#[test]
fn members_of_the_pod() {
    check(&[
        ("/spec/restartPolicy", json!("OnFailure"), &[]),
        ("/spec/restartPolicy", json!("Sometimes"), &["restartPolicy: Unsupported value"]),
        ("/spec/dnsPolicy", json!("Cluster"), &[r#"dnsPolicy: Unsupported value: "Cluster""#]),
        ("/spec/dnsPolicy", json!("None"), &["dnsConfig: Required"]),
        (
            "/spec/dnsConfig",
            json!({"nameservers": ["1.2.3.4", "01.2.3.4", "::1", "dns"], "options": [{}]}),
            &[r#"dnsConfig.nameservers[3]: Invalid value: "dns""#, "dnsConfig.options[0].name: Required"],
        ),
        (
            "/spec/terminationGracePeriodSeconds",
            json!("30"),
            &["terminationGracePeriodSeconds: Invalid value: \"30\": must be an integer"],
        ),
        ("/spec/hostname", json!("a.b"), &["hostname: Invalid"]),
        ("/spec/subdomain", json!("A"), &["subdomain: Invalid"]),
        ("/spec/serviceAccountName", json!("a.b"), &[]),
        ("/spec/serviceAccountName", json!("A"), &["serviceAccountName: Invalid"]),
        (
            "/spec/readinessGates",
            json!([{"conditionType": "InPlaceUpdateReady"}, {}]),
            &["readinessGates[1].conditionType: Invalid"],
        ),
        (
            "/spec/hostAliases",
            json!([{"ip": "x", "hostnames": ["a_b"]}]),
            &["hostAliases[0].ip: Invalid", "hostAliases[0].hostnames[0]: Invalid"],
        ),
        ("/spec/preemptionPolicy", json!("x"), &["preemptionPolicy: Unsupported"]),
        ("/spec/newField", json!({"any": ["thing"]}), &[]),
    ]);
}

#[test]
fn scheduling() {
    let affinity = |kind: &str, how: &str, what: Value| json!({kind: {format!("{how}DuringSchedulingIgnoredDuringExecution"): what}});
    let term = |operator: &str, values: Value| json!({"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": operator, "values": values}]}]});
    check(&[
        ("/spec/nodeSelector", json!({"a": "b c"}), &["nodeSelector: Invalid"]),
        (
            "/spec/tolerations",
            json!([{"operator": "Exists"}, {"key": "a", "value": "b", "effect": "NoExecute", "tolerationSeconds": 3}]),
            &[],
        ),
        ("/spec/tolerations", json!([{}]), &["tolerations[0].operator: Invalid"]),
        (
            "/spec/tolerations",
            json!([{"key": "a", "operator": "Exists", "value": "b"}]),
            &["tolerations[0].operator: Invalid value: \"b\": value must be empty"],
        ),
        ("/spec/tolerations", json!([{"key": "a", "operator": "Is"}]), &["tolerations[0].operator: Unsupported"]),
        ("/spec/tolerations", json!([{"key": "a", "effect": "NoWay"}]), &["tolerations[0].effect: Unsupported"]),
        (
            "/spec/tolerations",
            json!([{"key": "a", "effect": "NoSchedule", "tolerationSeconds": 1}]),
            &["tolerations[0].effect: Invalid"],
        ),
        (
            "/spec/topologySpreadConstraints",
            json!([{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {"a": "-bad-"}}}]),
            &[],
        ),
        (
            "/spec/topologySpreadConstraints",
            json!([{}]),
            &[
                "topologySpreadConstraints[0].maxSkew: Invalid value: 0",
                "topologySpreadConstraints[0].topologyKey: Required",
                "topologySpreadConstraints[0].whenUnsatisfiable: Unsupported",
            ],
        ),
        (
            "/spec/topologySpreadConstraints",
            json!([{"maxSkew": 1, "minDomains": 2, "topologyKey": "z", "whenUnsatisfiable": "ScheduleAnyway"}]),
            &["topologySpreadConstraints[0].minDomains: Invalid"],
        ),
        (
            "/spec/topologySpreadConstraints",
            json!([{"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "ScheduleAnyway"}, {"maxSkew": 2, "topologyKey": "z", "whenUnsatisfiable": "ScheduleAnyway"}]),
            &[
                "topologySpreadConstraints[1].{topologyKey, whenUnsatisfiable}: Duplicate value: \"{z, ScheduleAnyway}\"",
            ],
        ),
        ("/spec/schedulingGates", json!([{"name": "a"}, {"name": "a"}]), &["schedulingGates[1].name: Duplicate"]),
        (
            "/spec/affinity",
            affinity("nodeAffinity", "required", json!({})),
            &["affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: Required"],
        ),
        ("/spec/affinity", affinity("nodeAffinity", "required", term("In", json!(["b"]))), &[]),
        (
            "/spec/affinity",
            affinity("nodeAffinity", "required", term("In", json!([]))),
            &[
                "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].values: Required",
            ],
        ),
        (
            "/spec/affinity",
            affinity("nodeAffinity", "required", term("Exists", json!(["b"]))),
            &[
                "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].values: Forbidden",
            ],
        ),
        (
            "/spec/affinity",
            affinity("nodeAffinity", "required", term("Gt", json!(["1", "2"]))),
            &[
                "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].values: Required",
            ],
        ),
        (
            "/spec/affinity",
            affinity("nodeAffinity", "required", term("Like", json!(["1"]))),
            &[
                "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].operator: Invalid",
            ],
        ),
        (
            "/spec/affinity",
            affinity("nodeAffinity", "preferred", json!([{"weight": 101, "preference": {}}])),
            &[
                "affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid value: 101: must be in the range 1-100",
            ],
        ),
        (
            "/spec/affinity",
            affinity("podAffinity", "required", json!([{}])),
            &["affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Required"],
        ),
        (
            "/spec/affinity",
            affinity("podAntiAffinity", "preferred", json!([{"weight": 1, "podAffinityTerm": {"topologyKey": "z"}}])),
            &[],
        ),
        (
            "/spec/affinity",
            affinity("podAntiAffinity", "preferred", json!([{"weight": 1}])),
            &[
                "affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm.topologyKey: Required",
            ],
        ),
    ]);
}

#[test]
fn security() {
    let at = format!("{C}/securityContext");
    check(&[
        (&at, json!({"runAsUser": 0, "privileged": true, "seccompProfile": {"type": "RuntimeDefault"}}), &[]),
        (
            &at,
            json!({"runAsUser": -1}),
            &[
                "containers[0].securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive",
            ],
        ),
        (
            &at,
            json!({"allowPrivilegeEscalation": false, "privileged": true}),
            &["containers[0].securityContext: Invalid"],
        ),
        (
            &at,
            json!({"allowPrivilegeEscalation": false, "capabilities": {"add": ["CAP_SYS_ADMIN"]}}),
            &["containers[0].securityContext: Invalid"],
        ),
        (
            &at,
            json!({"seccompProfile": {"type": "Localhost"}}),
            &["containers[0].securityContext.seccompProfile.localhostProfile: Required"],
        ),
        (
            &at,
            json!({"seccompProfile": {"type": "Any"}}),
            &["containers[0].securityContext.seccompProfile.type: Unsupported"],
        ),
        (
            &at,
            json!({"seccompProfile": {"type": 1}}),
            &["containers[0].securityContext.seccompProfile.type: Invalid value: 1: must be a string"],
        ),
        (&at, json!({"procMount": "x"}), &["containers[0].securityContext.procMount: Unsupported"]),
        (
            "/spec/securityContext",
            json!({"fsGroup": 1, "supplementalGroups": [1, -1], "fsGroupChangePolicy": "x"}),
            &["securityContext.supplementalGroups[1]: Invalid", "securityContext.fsGroupChangePolicy: Unsupported"],
        ),
        (
            "/spec/securityContext",
            json!({"sysctls": [{"name": "a", "value": "1"}, {"name": "a", "value": "2"}]}),
            &["securityContext.sysctls[1].name: Duplicate"],
        ),
    ]);
    let mut template = template();
    set(&mut template, "/spec/shareProcessNamespace", json!(true));
    set(&mut template, "/spec/hostPID", json!(true));
    assert_eq!(
        refusals(&template, &[]),
        [
            "securityContext.shareProcessNamespace: Invalid value: true: ShareProcessNamespace and HostPID cannot both be enabled"
        ]
    );
}
