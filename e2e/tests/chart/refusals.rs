//! Values that the chart refuses, each with the key in the error.

use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};

use crate::rendered::{Rendered, ci_files, value};

/// Renders a value of `webhookConfiguration` that must be refused in words that hold the key and `words`.
async fn refused(key: &str, given: Value, path: &str, words: &str) -> Result<()> {
    let values = value(&format!("webhookConfiguration.{key}"), given);
    let Err(error) = Rendered::with(&values).await else { bail!("{values} was rendered") };
    let text = format!("{error:#}");
    ensure!(text.contains(&format!("webhookConfiguration.{path}")) && text.contains(words), "{values}: {text}");
    Ok(())
}

#[tokio::test] // IN-15
async fn a_failure_policy_is_ignore_or_fail() -> Result<()> {
    for group in ["pods", "kinds"] {
        let key = format!("failurePolicy.{group}");
        for bad in [json!("ignore"), json!("Retry"), json!(true), json!(["Fail"])] {
            refused(&key, bad, &key, "must be Ignore or Fail").await?;
        }
    }
    refused("failurePolicy", json!({"Pods": "Ignore"}), "failurePolicy.Pods", "no such group").await
}

#[tokio::test]
async fn a_time_out_is_a_whole_number_of_seconds_from_1_to_30() -> Result<()> {
    for key in ["timeoutSeconds", "timeouts.pods", "timeouts.kinds"] {
        for bad in [json!(0), json!(31), json!(-1), json!(2.5), json!("5s"), json!(true)] {
            refused(key, bad, key, "from 1 to 30").await?;
        }
    }
    refused("timeouts", json!({"default": 5}), "timeouts.default", "no such group").await?;
    refused("timeouts", json!(5), "timeouts", "must hold pods and kinds").await
}

#[tokio::test]
async fn a_selector_that_the_api_server_would_refuse_is_refused() -> Result<()> {
    let expression = |key: &str, operator: &str, values: Value| json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]});
    for (bad, at, words) in [
        (json!("kube-system"), "", "must be a label selector"),
        (json!([expression("a", "Exists", json!([]))]), "", "must be a label selector"),
        (json!({"matchFields": []}), ".matchFields", "only matchLabels and matchExpressions"),
        (json!({"matchLabels": ["a"]}), ".matchLabels", "must be a map"),
        (json!({"matchLabels": {"a": true}}), ".matchLabels", "values are strings"),
        (json!({"matchLabels": {"a b": "c"}}), ".matchLabels", "is no label"),
        (json!({"matchExpressions": {"key": "a"}}), ".matchExpressions", "must be a list"),
        (json!({"matchExpressions": ["a"]}), ".matchExpressions[0]", "must be {key, operator, values}"),
        (json!({"matchExpressions": [{"key": "a", "op": "Exists"}]}), ".matchExpressions[0].op", "only key, operator"),
        (expression("", "Exists", json!([])), ".matchExpressions[0].key", "the key of a label"),
        (expression("-a", "Exists", json!([])), ".matchExpressions[0].key", "the key of a label"),
        (expression("a", "Has", json!(["b"])), ".matchExpressions[0].operator", "not Has"),
        (expression("a", "In", json!([])), ".matchExpressions[0].values", "must not be empty"),
        (expression("a", "NotIn", json!("b")), ".matchExpressions[0].values", "must be a list"),
        (expression("a", "NotIn", json!([1])), ".matchExpressions[0].values", "values are strings"),
        (expression("a", "DoesNotExist", json!(["b"])), ".matchExpressions[0].values", "must be empty"),
    ] {
        for key in ["namespaceSelector.pods", "objectSelector.kinds"] {
            refused(key, bad.clone(), &format!("{key}{at}"), words).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_match_condition_that_the_api_server_would_refuse_is_refused() -> Result<()> {
    let key = "matchConditions.pods";
    let many: Vec<Value> = (0..65).map(|at| json!({"name": format!("c{at}"), "expression": "true"})).collect();
    for (bad, at, words) in [
        (json!("true"), "", "must be a list"),
        (json!({"name": "a", "expression": "true"}), "", "must be a list"),
        (json!(many), "", "takes 64"),
        (json!(["true"]), "[0]", "must be {name, expression}"),
        (json!([{"name": "a", "cel": "true"}]), "[0].cel", "only name and expression"),
        (json!([{"expression": "true"}]), "[0].name", "must be a name"),
        (json!([{"name": "not now", "expression": "true"}]), "[0].name", "must be a name"),
        (json!([{"name": "a", "expression": "true"}, {"name": "a", "expression": "false"}]), "[1].name", "there twice"),
        (json!([{"name": "a"}]), "[0].expression", "must be a CEL expression"),
        (json!([{"name": "a", "expression": " "}]), "[0].expression", "must be a CEL expression"),
        (json!([{"name": "a", "expression": true}]), "[0].expression", "must be a CEL expression"),
    ] {
        refused(key, bad, &format!("{key}{at}"), words).await?;
    }
    Ok(())
}

#[tokio::test] // before 1.28 the API server drops the member without a word
async fn match_conditions_are_refused_where_the_cluster_would_drop_them() -> Result<()> {
    let conditions = value("webhookConfiguration.matchConditions.kinds", json!([{"name": "a", "expression": "true"}]));
    for version in ["1.18.0", "1.27.16", "1.27.3-gke.100"] {
        let Err(error) = Rendered::on(version, &conditions).await else { bail!("{version} took them") };
        let text = format!("{error:#}");
        ensure!(text.contains("webhookConfiguration.matchConditions.kinds needs Kubernetes 1.28"), "{text}");
    }
    for version in ["1.28.0", "1.33.1-gke.1000", "1.32.3-eks-abc"] {
        Rendered::on(version, &conditions).await?;
    }
    Ok(())
}

#[tokio::test] // IN-16
async fn values_of_older_releases_render_whatever_they_lack_or_carry() -> Result<()> {
    for file in ci_files()? {
        Rendered::with_file(&file).await?;
    }
    let untouched = Rendered::with(&json!({})).await?.entries()?;
    for older in [
        json!({"webhookConfiguration": null}),
        json!({"webhookConfiguration": {"failurePolicy": null, "timeouts": null, "namespaceSelector": null, "objectSelector": null, "matchConditions": null}}),
        json!({"webhookConfiguration": {"timeoutSeconds": null, "aksIntegration": null, "failurePolicy": {"pods": null}}}),
        json!({"webhookConfiguration": {"failurePolicy": {"pods": ""}, "timeouts": {"pods": ""}, "somethingOld": 1}}),
    ] {
        ensure!(Rendered::with(&older).await?.entries()? == untouched, "{older}");
    }
    // As OpenKruise's values.yaml up to 1.5 had it.
    let older =
        Rendered::with(&json!({"webhookConfiguration": {"timeoutSeconds": 30, "failurePolicy": {"pods": "Ignore"}}}))
            .await?;
    ensure!(
        older.entry("vpodeviction.kb.io")?["failurePolicy"] == "Ignore"
            && older.entry("vcloneset.kb.io")?["failurePolicy"] == "Fail"
    );
    Ok(())
}
