//! What we do not know survives: whatever a template holds reaches the Pod that the planner creates (design rule 3).

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    fixtures::cloneset,
    world::{created, world},
};

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z<>&é]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("x[a-z]{1,6}", inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

/// Every member of `of` stands in `in_` as it is; lists are equal.
fn is_within(of: &Value, in_: &Value) -> bool {
    match (of, in_) {
        (Value::Object(of), Value::Object(in_)) => {
            of.iter().all(|(key, value)| in_.get(key).is_some_and(|found| is_within(value, found)))
        }
        (of, in_) => of == in_,
    }
}

proptest! {
    #[test]
    fn unknown_members_of_the_template_reach_the_pod(
        spec in prop::collection::btree_map("x[a-z]{1,6}", anything(), 0..4),
        container in prop::collection::btree_map("x[a-z]{1,6}", anything(), 0..4),
    ) {
        let mut set = cloneset(1).build();
        for (key, value) in &spec {
            set.spec.template["spec"][key] = value.clone();
        }
        for (key, value) in &container {
            set.spec.template["spec"]["containers"][0][key] = value.clone();
        }
        let template = set.spec.template.clone();
        let mut world = world(cloneset(1)).settled();
        world.0.cloneset = std::sync::Arc::new(set);
        let settled = crate::cloneset::revisions::settle(&world.0.cloneset, Vec::new(), 0);
        world.0.revisions = settled.revisions;
        let pod = &created(&world.plan())[0];
        prop_assert!(is_within(&template["spec"], &pod["spec"]), "{template} {pod}");
    }
}

/// The bodies of all POSTs that an engine sends while it carries out a plan.
async fn posted(plan: &crate::cloneset::plan::Plan) -> Vec<Value> {
    let (sent, mut bodies) = tokio::sync::mpsc::unbounded_channel();
    let server = tower::service_fn(move |request: http::Request<kube::client::Body>| {
        let sent = sent.clone();
        async move {
            let is_post = request.method() == http::Method::POST;
            let bytes = request.into_body().collect_bytes().await.unwrap();
            if is_post {
                sent.send(serde_json::from_slice::<Value>(&bytes).unwrap()).unwrap();
            }
            let answer = http::Response::builder().status(201).header("content-type", "application/json");
            Ok::<_, std::convert::Infallible>(answer.body(kube::client::Body::from(bytes.to_vec())).unwrap())
        }
    });
    let pool = kube::Client::new(server, "shop");
    let connection = runtime::client::Connection::over(pool, runtime::flags::Limits::MANAGER);
    let engine = runtime::act::Engine::new(
        connection.guarded("test", &runtime::leader::Leadership::always()),
        runtime::events::Recorder::silent(),
        runtime::ambient::Chance::seeded(1),
        runtime::act::Limits::default(),
    );
    let owner = runtime::act::Owner { reference: runtime::events::Reference::default() };
    let expectations = runtime::expectations::Expectations::new(std::time::Duration::from_secs(300));
    let steps: Vec<_> = plan.scale.iter().cloned().collect();
    let outcome = engine.run(&owner, &steps, &expectations).await;
    assert!(outcome.failed.is_empty(), "{:?}", outcome.failed);
    let mut all = Vec::new();
    while let Ok(body) = bodies.try_recv() {
        all.push(body);
    }
    all
}

#[tokio::test]
async fn a_member_that_nobody_knows_is_in_the_body_of_our_post() {
    let unknown = json!({"deep": [{"er": 1}], "text": "<&>"});
    let set = cloneset(1).merge(json!({"spec": {"template": {"spec": {"fromTheFuture": unknown}}}}));
    let bodies = posted(&world(set).settled().plan()).await;
    assert_eq!(bodies.len(), 1);
    assert_eq!(bodies[0]["kind"], json!("Pod"));
    assert_eq!(bodies[0]["spec"]["fromTheFuture"], unknown);
}
