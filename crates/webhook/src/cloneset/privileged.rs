//! Refuses templates with privileged containers where `--allow-privileged=false` (platform page, section 2, step 5).

use api::field::{Denial, FieldPath};
use serde_json::Value;

/// One denial per privileged container, worded as kube-apiserver words its own.
pub(super) fn check(object: &Value) -> Vec<Denial> {
    let spec = FieldPath::new("spec").child("template").child("spec");
    let mut denials = Vec::new();
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        let containers = object.pointer("/spec/template/spec").and_then(|pod| pod.get(list)?.as_array());
        for (index, container) in containers.into_iter().flatten().enumerate() {
            if container.pointer("/securityContext/privileged") == Some(&Value::Bool(true)) {
                let field = spec.child(list).index(index).child("securityContext").child("privileged");
                denials.push(field.forbidden("disallowed by cluster policy"));
            }
        }
    }
    denials
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test] // platform page, section 2, step 5
    fn each_privileged_container_is_named() {
        let privileged = json!({ "securityContext": { "privileged": true } });
        let plain = json!({ "securityContext": { "privileged": false } });
        let pod = json!({ "containers": [plain, privileged], "initContainers": [privileged] });
        let denials = check(&json!({ "spec": { "template": { "spec": pod } } }));
        let texts: Vec<String> = denials.iter().map(ToString::to_string).collect();
        let line = |place: &str| {
            format!("spec.template.spec.{place}.securityContext.privileged: Forbidden: disallowed by cluster policy")
        };
        assert_eq!(texts, [line("initContainers[0]"), line("containers[1]")]);
    }
}
