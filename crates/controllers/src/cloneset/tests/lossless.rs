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
