//! What Pods and Pod templates look like: containers, volumes, and who owns which field.
//!
//! Values that differ from Pod to Pod stand in slots, see `template.rs`.

use serde_json::{Map, Value, json};

/// A container: name, image, port.
type Container = (&'static str, &'static str, u16);

/// The containers of a Pod: the application, and what rides along; every fourth workload has the last one too.
pub(super) const CONTAINERS: [Container; 3] = [
    ("main", "registry.example.com/shop/web-frontend:v1.18.3", 8080),
    ("proxy", "registry.example.com/mesh/sidecar-proxy:1.24.2", 15021),
    ("logs", "registry.example.com/observability/log-shipper:3.1.4", 2020),
];

/// The containers of a workload, without what admission adds.
pub(super) fn containers(count: usize) -> Vec<Value> {
    let mut containers: Vec<Value> = CONTAINERS.iter().take(count).map(container).collect();
    if let Some(main) = containers.first_mut().and_then(Value::as_object_mut) {
        main.insert("args".to_owned(), json!(["--config=/etc/app/config.yaml", "--log-format=json"]));
        main.insert("livenessProbe".to_owned(), probe("/healthz", 8080));
        main.insert(
            "env".to_owned(),
            json!([
                {"name": "POD_NAME", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}},
                {"name": "REGION", "value": "eu-central-1"},
            ]),
        );
    }
    containers
}

fn container((name, image, port): &Container) -> Value {
    json!({
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "env": [{"name": "REGION", "value": "eu-central-1"}],
        "ports": [{"name": "http", "containerPort": port, "protocol": "TCP"}],
        "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "250m", "memory": "512Mi"}},
        "readinessProbe": probe("/readyz", *port),
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "volumeMounts": [{"name": "config", "mountPath": "/etc/app", "readOnly": true}],
    })
}

fn probe(path: &str, port: u16) -> Value {
    json!({
        "httpGet": {"path": path, "port": port, "scheme": "HTTP"},
        "initialDelaySeconds": 5, "periodSeconds": 10, "timeoutSeconds": 2, "successThreshold": 1, "failureThreshold": 3,
    })
}

/// The volumes of a workload, without the token that admission adds.
pub(super) fn volumes() -> Vec<Value> {
    vec![json!({"name": "config", "configMap": {"name": "<owner>-config", "defaultMode": 420}})]
}

/// One entry of `managedFields`, for these parts of an object.
pub(super) fn managed(manager: &str, time: &str, subresource: Option<&str>, parts: &Value) -> Value {
    let mut entry = json!({
        "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": fields(parts),
        "manager": manager, "operation": "Update", "time": time,
    });
    if let (Some(entry), Some(subresource)) = (entry.as_object_mut(), subresource) {
        entry.insert("subresource".to_owned(), json!(subresource));
    }
    entry
}

/// Which fields a value has, in the form of `fieldsV1`: lists by their merge key where they have one.
fn fields(value: &Value) -> Value {
    let Value::Object(members) = value else { return json!({}) };
    let mut owned = Map::new();
    for (name, member) in members {
        let inner = match member {
            Value::Array(items) => by_key(items).unwrap_or_else(|| json!({})),
            other => fields(other),
        };
        owned.insert(format!("f:{name}"), inner);
    }
    Value::Object(owned)
}

fn by_key(items: &[Value]) -> Option<Value> {
    let mut owned = Map::new();
    for item in items {
        let (key, value) = ["name", "type", "uid"].into_iter().find_map(|key| Some((key, item.get(key)?)))?;
        let mut inner = fields(item);
        inner.as_object_mut()?.insert(".".to_owned(), json!({}));
        owned.insert(format!("k:{}", json!({ key: value })), inner);
    }
    Some(Value::Object(owned))
}
