//! The entries of both webhook configurations: whom they see, and what is the user's to choose.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::rendered::{MUTATING, Rendered, VALIDATING, ci_files, value};

/// The entries of each group.
const PODS: [&str; 3] = ["mpod.kb.io", "vpod.kb.io", "vpodeviction.kb.io"];
const KINDS: [&str; 2] = ["mcloneset.kb.io", "vcloneset.kb.io"];

/// Group and resource of all that may pass the webhook: no wildcard, no Lease, Node, Event, Namespace or status.
const KNOWN: [(&str, &str); 3] = [("", "pods"), ("", "pods/eviction"), ("apps.kruise.io", "clonesets")];

fn names(entries: &[Value]) -> Vec<&str> {
    entries.iter().filter_map(|entry| entry["name"].as_str()).collect()
}

#[tokio::test] // IN-28, IN-29, PL-48
async fn the_entries_of_the_installation_page_wait_in_the_templates() -> Result<()> {
    let rendered = Rendered::with(&json!({})).await?;
    let kinds =
        json!({"apiGroups": ["apps.kruise.io"], "apiVersions": ["v1alpha1", "v1beta1"], "resources": ["clonesets"]});
    let pods = json!({"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]});
    let evictions = json!({"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods/eviction"]});
    let rows = [
        ("mpod.kb.io", "/mutate-pod", &pods, json!(["CREATE"])),
        ("mcloneset.kb.io", "/mutate-apps-kruise-io-cloneset", &kinds, json!(["CREATE", "UPDATE"])),
        ("vpod.kb.io", "/validate-pod", &pods, json!(["UPDATE", "DELETE"])),
        ("vpodeviction.kb.io", "/validate-pod", &evictions, json!(["CREATE"])),
        ("vcloneset.kb.io", "/validate-apps-kruise-io-cloneset", &kinds, json!(["CREATE", "UPDATE", "DELETE"])),
    ];
    ensure!(names(&rendered.entries()?) == rows.each_ref().map(|row| row.0), "{:?}", names(&rendered.entries()?));
    for (name, path, rule, operations) in rows {
        let entry = rendered.entry(name)?;
        let mut rule = rule.clone();
        rule["operations"] = operations;
        rule["scope"] = json!("*");
        ensure!(entry["rules"] == json!([rule]), "{entry}");
        let service =
            json!({"name": "kruise-webhook-service", "namespace": "kruise-system", "path": path, "port": 443});
        ensure!(entry["clientConfig"] == json!({"service": service}), "{entry}");
        ensure!(
            entry["admissionReviewVersions"] == json!(["v1", "v1beta1"]) && entry["sideEffects"] == "None",
            "{entry}"
        );
        ensure!(entry["failurePolicy"] == "Fail" && entry["timeoutSeconds"] == 30, "{entry}");
        ensure!(entry["objectSelector"] == json!({}) && entry.get("matchConditions").is_none(), "{entry}");
    }
    for (kind, name) in [MUTATING, VALIDATING] {
        ensure!(rendered.get(kind, name)?.get("webhooks").is_none(), "{kind} is active before anybody serves");
    }
    Ok(())
}

#[tokio::test] // issue: isolation
async fn no_entry_sees_more_than_pods_evictions_and_our_own_kinds() -> Result<()> {
    for file in ci_files()? {
        let rendered = Rendered::with_file(&file).await?;
        let mut entries = rendered.entries().unwrap_or_default();
        for (kind, name) in [MUTATING, VALIDATING] {
            entries.extend(rendered.get(kind, name)?["webhooks"].as_array().into_iter().flatten().cloned());
        }
        ensure!(!entries.is_empty(), "{file}: no entry");
        for entry in &entries {
            for rule in entry["rules"].as_array().context("no rules")? {
                let sees = (&rule["apiGroups"], &rule["resources"]);
                let is_known = KNOWN.iter().any(|(group, name)| sees == (&json!([group]), &json!([name])));
                ensure!(is_known, "{file}: {entry}");
            }
        }
    }
    Ok(())
}

#[tokio::test] // IN-60, PL-53
async fn pod_entries_leave_out_kube_system_and_the_installation_namespace_by_name_and_by_label() -> Result<()> {
    let rendered = Rendered::with(&value("installation.namespace", json!("platform"))).await?;
    let want = json!({"matchExpressions": [
        {"key": "control-plane", "operator": "NotIn", "values": ["openkruise"]},
        {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-system", "platform"]},
    ]});
    for name in PODS {
        let entry = rendered.entry(name)?;
        ensure!(entry["namespaceSelector"] == want, "{entry}");
        ensure!(entry["clientConfig"]["service"]["namespace"] == "platform", "{entry}");
    }
    for name in KINDS {
        ensure!(rendered.entry(name)?["namespaceSelector"] == json!({}), "{name}");
    }
    let label = &rendered.get("Namespace", "platform")?["metadata"]["labels"]["control-plane"];
    ensure!(label == "openkruise", "{label}");
    Ok(())
}

#[tokio::test] // IN-62
async fn the_expressions_of_the_aks_enforcer_are_in_every_entry() -> Result<()> {
    let rendered = Rendered::with(&value("webhookConfiguration.aksIntegration", json!(true))).await?;
    let managed = json!({"key": "kubernetes.azure.com/managedby", "operator": "NotIn", "values": ["aks"]});
    for name in PODS {
        let want = json!([
            {"key": "control-plane", "operator": "NotIn", "values": ["openkruise", "true"]},
            {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-system", "kruise-system"]},
            managed,
        ]);
        ensure!(rendered.entry(name)?["namespaceSelector"]["matchExpressions"] == want, "{name}");
    }
    for name in KINDS {
        let want = json!([{"key": "control-plane", "operator": "NotIn", "values": ["true"]}, managed]);
        ensure!(rendered.entry(name)?["namespaceSelector"]["matchExpressions"] == want, "{name}");
    }
    Ok(())
}

#[tokio::test] // IN-15
async fn each_group_of_entries_has_its_own_policy_time_out_selectors_and_conditions() -> Result<()> {
    let selector =
        json!({"matchLabels": {"team": "shop"}, "matchExpressions": [{"key": "tier", "operator": "Exists"}]});
    let conditions =
        json!([{"name": "not-now", "expression": "request.operation != 'CREATE' || \"a\" < \"b\" && true"}]);
    let before = Rendered::with(&json!({})).await?;
    for (group, own, others) in [("pods", &PODS[..], &KINDS[..]), ("kinds", &KINDS[..], &PODS[..])] {
        let values = json!({"webhookConfiguration": {
            "failurePolicy": {group: "Ignore"}, "timeouts": {group: 7}, "namespaceSelector": {group: selector},
            "objectSelector": {group: selector}, "matchConditions": {group: conditions},
        }});
        let after = Rendered::with(&values).await?;
        for name in own {
            let entry = after.entry(name)?;
            ensure!(entry["failurePolicy"] == "Ignore" && entry["timeoutSeconds"] == 7, "{entry}");
            ensure!(entry["matchConditions"] == conditions, "{entry}");
            // The labels of an Eviction are not those of the Pod.
            let objects = if *name == "vpodeviction.kb.io" { json!({}) } else { selector.clone() };
            ensure!(entry["objectSelector"] == objects, "{entry}");
            let mut namespaces = before.entry(name)?["namespaceSelector"].clone();
            namespaces["matchLabels"] = selector["matchLabels"].clone();
            let built_in = namespaces["matchExpressions"].as_array().cloned().unwrap_or_default();
            namespaces["matchExpressions"] =
                built_in.into_iter().chain([selector["matchExpressions"][0].clone()]).collect();
            ensure!(entry["namespaceSelector"] == namespaces, "{entry}");
        }
        for name in others {
            ensure!(after.entry(name)? == before.entry(name)?, "{group} changed {name}");
        }
    }
    Ok(())
}

#[tokio::test] // section 5: webhookConfiguration.timeoutSeconds
async fn a_group_without_a_time_out_of_its_own_has_the_common_one() -> Result<()> {
    let values = json!({"webhookConfiguration": {"timeoutSeconds": 12, "timeouts": {"kinds": 3}}});
    let rendered = Rendered::with(&values).await?;
    ensure!(
        rendered.entry("vpod.kb.io")?["timeoutSeconds"] == 12
            && rendered.entry("vcloneset.kb.io")?["timeoutSeconds"] == 3
    );
    Ok(())
}

#[tokio::test] // command 4 of the installation page, IN-24
async fn without_the_pod_gate_only_the_entries_of_our_kinds_are_left() -> Result<()> {
    for gates in ["PodWebhook=false", " KruiseDaemon=false , PodWebhook = false", "AllBeta=false"] {
        let rendered = Rendered::with(&value("featureGates", json!(gates))).await?;
        ensure!(names(&rendered.entries()?) == KINDS, "{gates}: {:?}", names(&rendered.entries()?));
    }
    Ok(())
}

#[tokio::test] // IN-38, IN-46, PL-46
async fn with_external_certificates_everything_is_rendered_and_nothing_may_be_written() -> Result<()> {
    let injector = json!({"cert-manager.io/inject-ca-from": "kruise-system/kruise-webhook-certs"});
    let values = json!({"featureGates": "EnableExternalCerts=true", "externalCerts": {"annotations": injector}});
    let (own, external) = (Rendered::with(&json!({})).await?, Rendered::with(&values).await?);
    let mut active = Vec::new();
    for (kind, name) in [MUTATING, VALIDATING] {
        let object = external.get(kind, name)?;
        let annotations = &object["metadata"]["annotations"];
        ensure!(
            annotations["cert-manager.io/inject-ca-from"] == injector["cert-manager.io/inject-ca-from"],
            "{annotations}"
        );
        ensure!(annotations["template"] == "", "{annotations}");
        active.extend(object["webhooks"].as_array().context("no entries")?.iter().cloned());
    }
    ensure!(active == own.entries()?, "the active entries are not those of the template");
    let converted: Vec<&Value> = external
        .of_kind("CustomResourceDefinition")
        .filter(|crd| crd["spec"]["conversion"]["strategy"] == "Webhook")
        .collect();
    ensure!(!converted.is_empty(), "nothing is converted");
    for crd in converted {
        ensure!(crd["metadata"]["annotations"]["cert-manager.io/inject-ca-from"].is_string(), "{}", crd["metadata"]);
    }
    ensure!(external.of_kind("Secret").next().is_none(), "a Secret is rendered");
    for kind in ["ClusterRole", "ClusterRoleBinding"] {
        let name = if kind == "ClusterRole" { "kruise-certs-role" } else { "kruise-certs-rolebinding" };
        ensure!(external.find(kind, name).is_none(), "{name} is rendered");
        own.get(kind, name)?;
    }
    Ok(())
}
