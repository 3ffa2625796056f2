//! The other objects of the webhook: its Deployment, Service, rights and definitions, and the values that shape them.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::rendered::{Rendered, ci_files, text, value};

/// The only container of the webhook.
fn container(rendered: &Rendered) -> Result<&Value> {
    Ok(&rendered.webhook()?["spec"]["template"]["spec"]["containers"][0])
}

#[tokio::test] // IN-17
async fn two_renders_are_equal() -> Result<()> {
    for file in ci_files()? {
        let values = std::fs::read_to_string(e2e::paths::workspace()?.join("charts/kruise/ci").join(&file))?;
        ensure!(text("1.34.0", &values).await? == text("1.34.0", &values).await?, "{file}");
    }
    Ok(())
}

#[tokio::test] // IN-53, ruling 15; issue: every replica serves
async fn two_replicas_survive_a_node_a_zone_a_drain_and_an_upgrade() -> Result<()> {
    let rendered = Rendered::with(&json!({})).await?;
    let (webhook, own) =
        (rendered.webhook()?, json!({"control-plane": "controller-manager", "app.kubernetes.io/component": "webhook"}));
    let spec = &webhook["spec"];
    ensure!(spec["replicas"] == 2 && spec["minReadySeconds"] == 3, "{spec}");
    ensure!(
        spec["strategy"]
            == json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "100%"}})
    );
    ensure!(spec["selector"] == json!({"matchLabels": own}), "{}", spec["selector"]);
    for (name, label) in own.as_object().into_iter().flatten() {
        ensure!(spec["template"]["metadata"]["labels"][name] == *label, "{name}");
    }
    let pod = &spec["template"]["spec"];
    let apart = json!([{"weight": 100, "podAffinityTerm": {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": own}}}]);
    ensure!(pod["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"] == apart, "{pod}");
    let spread = json!([{
        "maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": own}, "matchLabelKeys": ["pod-template-hash"],
    }]);
    ensure!(pod["topologySpreadConstraints"] == spread, "{}", pod["topologySpreadConstraints"]);
    // The process has 10 s to drain (IN-54); the kubelet must not be the one that ends it.
    ensure!(pod["terminationGracePeriodSeconds"].as_u64() > Some(10), "{pod}");
    let budget = rendered.get("PodDisruptionBudget", "kruise-webhook")?;
    ensure!(budget["spec"] == json!({"maxUnavailable": 1, "selector": {"matchLabels": own}}), "{budget}");
    Ok(())
}

#[tokio::test] // IN-7
async fn a_suffix_of_a_vendor_does_not_hide_the_version() -> Result<()> {
    for (version, newer) in [("1.26.9", false), ("1.27.0", true), ("1.33.1-gke.1000", true), ("1.32.3-eks-abc", true)] {
        let rendered = Rendered::on(version, &json!({})).await?;
        let spread = &rendered.webhook()?["spec"]["template"]["spec"]["topologySpreadConstraints"][0];
        ensure!(spread.get("matchLabelKeys").is_some() == newer, "{version}: {spread}");
    }
    Ok(())
}

#[tokio::test] // ruling 16
async fn the_service_leads_to_pods_with_the_port_of_the_webhook_only() -> Result<()> {
    let rendered = Rendered::with(&json!({})).await?;
    let service = &rendered.get("Service", "kruise-webhook-service")?["spec"];
    ensure!(service["selector"] == json!({"control-plane": "controller-manager"}), "{service}");
    ensure!(
        service["ports"] == json!([{"name": "https", "port": 443, "targetPort": "webhook-server", "protocol": "TCP"}]),
        "{service}"
    );
    let ports = |deployment: &str| {
        anyhow::Ok(
            rendered.get("Deployment", deployment)?["spec"]["template"]["spec"]["containers"][0]["ports"].clone(),
        )
    };
    let serves = |ports: &Value| ports.as_array().into_iter().flatten().any(|port| port["name"] == "webhook-server");
    ensure!(serves(&ports("kruise-webhook")?) && !serves(&ports("kruise-controller-manager")?));
    Ok(())
}

#[tokio::test] // IN-14, ruling 15
async fn values_of_the_manager_shape_the_webhook_too() -> Result<()> {
    let affinity = json!({"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "pool", "operator": "Exists"}]}]}});
    let values = json!({
        "featureGates": "AllAlpha=true,PodWebhook=true",
        "imagePullSecrets": [{"name": "mirror"}],
        "imageTag": "v9",
        "serviceAccount": {"annotations": {"cloud": "identity"}},
        "manager": {
            "replicas": 3, "log": {"level": "6"}, "loggingFormat": "json", "priorityClassName": "system-cluster-critical",
            "image": {"repository": "registry.example:5000/mirror/kruise-manager", "tag": "v1.8.0"},
            "webhook": {"port": 9443}, "metrics": {"port": 18080}, "healthProbe": {"port": 18000},
            "resources": {"limits": {"cpu": "1"}}, "nodeAffinity": affinity, "nodeSelector": {"pool": "system"},
            "tolerations": [{"operator": "Exists"}],
        },
        "webhook": {"extraArgs": ["--allow-privileged=false"], "extraEnvs": [{"name": "CERTS_RENEW_BEFORE", "value": "90d"}]},
    });
    let rendered = Rendered::with(&values).await?;
    let (spec, container) = (&rendered.webhook()?["spec"], container(&rendered)?);
    let pod = &spec["template"]["spec"];
    ensure!(
        spec["replicas"] == 3 && container["image"] == "registry.example:5000/mirror/kruise-webhook:v9",
        "{container}"
    );
    let args = [
        "--metrics-addr=:18080",
        "--health-probe-addr=:18000",
        "--v=6",
        "--feature-gates=AllAlpha=true,PodWebhook=true",
        "--logging-format=json",
        "--allow-privileged=false",
    ];
    ensure!(container["args"] == json!(args), "{}", container["args"]);
    let env = container["env"].as_array().context("no env")?;
    for (name, text) in [
        ("WEBHOOK_PORT", "9443"),
        ("CERTS_RENEW_BEFORE", "90d"),
        ("SERVICE_NAME", "kruise-webhook-service"),
        ("SECRET_NAME", "kruise-webhook-certs"),
    ] {
        ensure!(env.contains(&json!({"name": name, "value": text})), "{name}: {env:?}");
    }
    let ports = json!([{"name": "webhook-server", "containerPort": 9443}, {"name": "metrics", "containerPort": 18080}, {"name": "health", "containerPort": 18000}]);
    ensure!(container["ports"] == ports && container["resources"]["limits"]["cpu"] == "1", "{container}");
    ensure!(pod["affinity"]["nodeAffinity"] == affinity && pod["nodeSelector"]["pool"] == "system", "{pod}");
    ensure!(
        pod["nodeSelector"]["kubernetes.io/os"] == "linux" && pod["tolerations"] == json!([{"operator": "Exists"}]),
        "{pod}"
    );
    ensure!(
        pod["priorityClassName"] == "system-cluster-critical" && pod["imagePullSecrets"] == json!([{"name": "mirror"}]),
        "{pod}"
    );
    ensure!(
        rendered.get("ServiceAccount", "kruise-webhook")?["metadata"]["annotations"] == json!({"cloud": "identity"})
    );
    Ok(())
}

#[tokio::test] // ruling 15
async fn values_of_the_webhook_win_over_those_of_the_manager() -> Result<()> {
    let values = json!({
        "manager": {"replicas": 3, "log": {"level": "6"}, "metrics": {"port": 1}, "hostNetwork": true},
        "webhook": {"replicas": 5, "log": {"level": "2"}, "metrics": {"port": 2}, "hostNetwork": false, "podDisruptionBudget": {"enabled": false}},
    });
    let rendered = Rendered::with(&values).await?;
    let spec = &rendered.webhook()?["spec"];
    ensure!(spec["replicas"] == 5 && spec["template"]["spec"].get("hostNetwork").is_none(), "{spec}");
    let args = container(&rendered)?["args"].clone();
    for arg in ["--v=2", "--metrics-addr=:2"] {
        ensure!(args.as_array().into_iter().flatten().any(|one| one == arg), "{args}");
    }
    ensure!(rendered.find("PodDisruptionBudget", "kruise-webhook").is_none(), "a budget is rendered");
    Ok(())
}

#[tokio::test] // ruling 15, IN-8
async fn the_network_of_the_node_is_for_the_webhook_and_leaves_its_ports_to_a_successor() -> Result<()> {
    let rendered = Rendered::with(&value("manager.hostNetwork", json!(true))).await?;
    let spec = &rendered.webhook()?["spec"];
    ensure!(spec["template"]["spec"]["hostNetwork"] == true, "{spec}");
    ensure!(spec["strategy"]["rollingUpdate"] == json!({"maxUnavailable": 1, "maxSurge": 1}), "{}", spec["strategy"]);
    let manager = &rendered.get("Deployment", "kruise-controller-manager")?["spec"]["template"]["spec"];
    ensure!(manager.get("hostNetwork").is_none(), "the manager is on the network of the node");
    Ok(())
}

#[tokio::test] // IN-46, IN-47
async fn conversion_leads_to_the_service_of_the_installation_and_the_bundle_is_left_to_the_webhook() -> Result<()> {
    let rendered = Rendered::with(&value("installation.namespace", json!("platform"))).await?;
    let mut converted = 0;
    for crd in rendered.of_kind("CustomResourceDefinition") {
        let conversion = &crd["spec"]["conversion"];
        if crd["spec"]["versions"].as_array().map(Vec::len) > Some(1) {
            let service =
                json!({"namespace": "platform", "name": "kruise-webhook-service", "path": "/convert", "port": 443});
            let want = json!({"clientConfig": {"service": service}, "conversionReviewVersions": ["v1", "v1beta1"]});
            ensure!(conversion["strategy"] == "Webhook" && conversion["webhook"] == want, "{conversion}");
            converted += 1;
        }
    }
    ensure!(converted > 0, "nothing is converted");
    Ok(())
}

#[tokio::test] // IN-48
async fn the_rights_for_certificates_name_every_definition_that_is_converted() -> Result<()> {
    let rendered = Rendered::with(&json!({})).await?;
    let converts = |crd: &&Value| crd["spec"]["conversion"]["strategy"] == "Webhook";
    let mut want: Vec<Value> = rendered
        .of_kind("CustomResourceDefinition")
        .filter(converts)
        .map(|crd| crd["metadata"]["name"].clone())
        .collect();
    want.sort_by_key(Value::to_string);
    for role in ["kruise-certs-role", "kruise-webhook-role"] {
        let rules = rendered.get("ClusterRole", role)?["rules"].as_array().context("no rules")?;
        let rule =
            rules.iter().find(|rule| rule["resources"] == json!(["customresourcedefinitions"])).context("no rule")?;
        ensure!(rule["resourceNames"] == json!(want), "{role}: {rule}");
    }
    Ok(())
}

#[tokio::test] // IN-63
async fn profiles_are_served_to_the_node_itself_unless_an_address_is_given() -> Result<()> {
    for (values, want) in [(json!({}), "localhost:8090"), (value("manager.pprofAddr", json!(":6060")), ":6060")] {
        let rendered = Rendered::with(&values).await?;
        let args = &rendered.get("Deployment", "kruise-controller-manager")?["spec"]["template"]["spec"]["containers"]
            [0]["args"];
        ensure!(
            args.as_array().into_iter().flatten().any(|arg| *arg == json!(format!("--pprof-addr={want}"))),
            "{args}"
        );
        let args = &container(&rendered)?["args"];
        ensure!(!args.to_string().contains("pprof"), "{args}");
    }
    Ok(())
}
