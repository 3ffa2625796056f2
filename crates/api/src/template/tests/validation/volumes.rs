//! Volumes, of the template and of claims.

use serde_json::{Value, json};

use super::{ClaimVolume, check, refusals};
use crate::{
    field::FieldPath,
    tests::{set, template},
};

#[test] // CS 5.2, row `spec.template`
fn claim_volumes_resolve_mounts_and_are_named_like_volumes() {
    let mut template = template();
    set(&mut template, "/spec/volumes", json!([{"name": "v", "emptyDir": {}}]));
    set(&mut template, "/spec/containers/0/volumeMounts", json!([{"name": "data", "mountPath": "/data"}]));
    let claims = |names: &[&str]| -> Vec<ClaimVolume> {
        let one = |(index, name): (usize, &&str)| ClaimVolume {
            path: FieldPath::new("claims").index(index),
            name: (*name).to_owned(),
        };
        names.iter().enumerate().map(one).collect()
    };
    assert!(refusals(&template, &claims(&["data"])).is_empty());
    assert_eq!(refusals(&template, &claims(&["data", "data"])), [r#"claims[1]: Duplicate value: "data""#]);
    assert_eq!(refusals(&template, &claims(&["data", "v"])), [r#"claims[1]: Duplicate value: "v""#]);
    assert_eq!(refusals(&template, &claims(&["data", ""])), ["claims[1]: Required value"]);
    assert!(refusals(&template, &claims(&["data", "A.b"]))[0].starts_with(r#"claims[1]: Invalid value: "A.b""#));
}

#[test]
fn volumes() {
    let v = |source: Value| {
        let mut volume = source;
        volume["name"] = json!("v");
        json!([volume])
    };
    check(&[
        ("/spec/volumes", json!([{"name": "v"}]), &[]),
        ("/spec/volumes", v(json!({"futureSource": {}})), &[]),
        ("/spec/volumes", json!([{"emptyDir": {}}]), &["volumes[0].name: Required"]),
        ("/spec/volumes", json!([{"name": "V"}]), &["volumes[0].name: Invalid"]),
        ("/spec/volumes", json!([{"name": "v"}, {"name": "v"}]), &[r#"volumes[1].name: Duplicate value: "v""#]),
        (
            "/spec/volumes",
            v(json!({"emptyDir": {}, "secret": {"secretName": "s"}})),
            &["volumes[0].secret: Forbidden: may not specify more than 1 volume type"],
        ),
        ("/spec/volumes", v(json!({"emptyDir": {"sizeLimit": "x"}})), &["volumes[0].emptyDir.sizeLimit: Invalid"]),
        ("/spec/volumes", v(json!({"hostPath": {}})), &["volumes[0].hostPath.path: Required"]),
        (
            "/spec/volumes",
            v(json!({"hostPath": {"path": "/a/../b", "type": "Dir"}})),
            &["volumes[0].hostPath.path: Invalid", "volumes[0].hostPath.type: Unsupported"],
        ),
        ("/spec/volumes", v(json!({"secret": {}})), &["volumes[0].secret.secretName: Required"]),
        (
            "/spec/volumes",
            v(json!({"configMap": {"name": "c", "defaultMode": 512}})),
            &["volumes[0].configMap.defaultMode: Invalid value: 512: must be a number between 0 and 0777"],
        ),
        (
            "/spec/volumes",
            v(json!({"configMap": {"name": "c", "items": [{"key": "k", "path": "/x"}, {"path": "y"}]}})),
            &["volumes[0].configMap.items[0].path: Invalid", "volumes[0].configMap.items[1].key: Required"],
        ),
        (
            "/spec/volumes",
            v(json!({"persistentVolumeClaim": {}})),
            &["volumes[0].persistentVolumeClaim.claimName: Required"],
        ),
        (
            "/spec/volumes",
            v(json!({"downwardAPI": {"items": [{"path": "x"}]}})),
            &["volumes[0].downwardAPI.items[0]: Required"],
        ),
        (
            "/spec/volumes",
            v(
                json!({"projected": {"sources": [{"secret": {"name": "a"}, "configMap": {"name": "b"}}, {"serviceAccountToken": {"expirationSeconds": 1}}]}}),
            ),
            &[
                "volumes[0].projected.sources[0].configMap: Forbidden",
                "volumes[0].projected.sources[1].serviceAccountToken.path: Required",
                "volumes[0].projected.sources[1].serviceAccountToken.expirationSeconds: Invalid",
            ],
        ),
        ("/spec/volumes", v(json!({"ephemeral": {}})), &["volumes[0].ephemeral.volumeClaimTemplate: Required"]),
        ("/spec/volumes", v(json!({"csi": {"driver": "d"}})), &[]),
    ]);
}
