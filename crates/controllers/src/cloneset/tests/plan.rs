//! Whole passes: which step is taken, in the order of the page (CS-40..70).

use serde_json::{Value, json};

use super::{
    fixtures::{cloneset, pod, pods},
    world::{created, lines, world},
};
use crate::cloneset::{numbers::Rollback, snapshot::RevisionLabel};

fn in_place() -> Value {
    json!({"podUpdatePolicy": "InPlaceIfPossible"})
}

#[test] // CS-43, CS-65, CS-66
fn missing_pods_are_created_at_the_update_revision() {
    let plan = world(cloneset(3)).settled().plan();
    let bodies = created(&plan);
    assert_eq!(bodies.len(), 3);
    for body in &bodies {
        let name = body["metadata"]["name"].as_str().unwrap();
        let labels = &body["metadata"]["labels"];
        assert_eq!(format!("web-{}", labels["apps.kruise.io/cloneset-instance-id"].as_str().unwrap()), name);
        assert_eq!(labels["controller-revision-hash"], json!("web-2"));
        assert_eq!(labels["pod-template-hash"], json!("2"));
        assert_eq!(labels["lifecycle.apps.kruise.io/state"], json!("PreparingNormal"));
        assert_eq!(body["metadata"]["generateName"], json!("web-"));
        assert_eq!(body["metadata"]["ownerReferences"][0]["apiVersion"], json!("apps.kruise.io/v1beta1"));
        assert_eq!(body["spec"]["readinessGates"], json!([{"conditionType": "InPlaceUpdateReady"}]));
    }
    let names: Vec<&Value> = bodies.iter().map(|body| &body["metadata"]["name"]).collect();
    assert!(names.is_sorted_by(|a, b| a.as_str() < b.as_str()), "{names:?}");
}

#[test] // CS-43, CS-121
fn a_partition_splits_new_pods_between_the_revisions() {
    let plan = world(cloneset(4).partition(3)).plan();
    let revisions: Vec<Value> =
        created(&plan).iter().map(|pod| pod["metadata"]["labels"]["controller-revision-hash"].clone()).collect();
    assert_eq!(revisions, [json!("web-1"), json!("web-1"), json!("web-1"), json!("web-2")]);
    assert_eq!(created(&plan)[0]["spec"]["containers"][0]["image"], json!("web:1"));
}

#[test] // RV-7
fn the_short_label_holds_the_hash_alone() {
    let plan = world(cloneset(1)).settled().settings(|settings| settings.revision_label = RevisionLabel::Hash).plan();
    assert_eq!(created(&plan)[0]["metadata"]["labels"]["controller-revision-hash"], json!("2"));
}

#[test] // CS-42, CS-43, CS-127
fn a_throttled_scale_up_says_so_and_lets_updates_go_on() {
    let world = world(cloneset(4).scale_max_unavailable(1).rolling_update(in_place()).max_unavailable(2))
        .owning(pods(3).each(|pod| pod.old()).first(1, |pod| pod.not_ready()));
    let plan = world.plan();
    assert_eq!(plan.scale, None);
    assert_eq!(plan.events[0].reason, "ScaleUpLimited");
    assert_eq!(plan.held[0].by, "scaleStrategy.maxUnavailable");
    assert_eq!(lines(&plan), ["patch web-a0 (update in place) -> web-2"]);
}

#[test] // CS-4, CS-45
fn a_listed_pod_is_deleted_before_any_other() {
    let world = world(cloneset(2).merge(json!({"spec": {"scaleStrategy": {"podsToDelete": ["web-a1"]}}})))
        .settled()
        .owning(pods(3));
    assert_eq!(lines(&world.plan()), ["delete web-a1 (delete specified Pod)"]);
}

#[test] // CS-46
fn scale_down_waits_for_pods_that_are_to_go_first() {
    let cloneset =
        cloneset(1).max_unavailable(0).merge(json!({"spec": {"scaleStrategy": {"podsToDelete": ["web-a1"]}}}));
    let world = world(cloneset).settled().owning(pods(2));
    let plan = world.plan();
    assert_eq!(lines(&plan), ["delete web-a1 (delete specified Pod)"]);
}

#[test] // CS-37, CS-45
fn a_ready_pod_is_deleted_only_within_max_unavailable() {
    let world = world(cloneset(4).max_unavailable(1)).settled().owning(pods(4).first(2, |pod| pod.specified_delete()));
    let plan = world.plan();
    assert_eq!(lines(&plan), ["delete web-a0 (delete specified Pod)"]);
    assert_eq!((plan.held[0].action, plan.held[0].pods), ("delete", 1));
}

#[test] // CS-47, CS-60
fn a_pod_goes_with_its_claims() {
    let world = world(cloneset(0).merge(json!({"spec": {"scaleStrategy": {"enablePVCReuse": true}}})))
        .settled()
        .owning(pods(1))
        .claims(&["a0", "other"]);
    assert_eq!(lines(&world.plan()), ["delete web-a0 (scale down)", "delete data-web-a0 (delete claim)"]);
}

#[test] // CS-47
fn a_hooked_pod_prepares_for_deletion_instead() {
    let hooked = cloneset(0).merge(json!({"spec": {"lifecycle": {"preDelete": {"labelsHandler": {"drain": "yes"}}}}}));
    let world = world(hooked).settled().owning(pods(1).each(|pod| pod.label("drain", "yes")));
    assert_eq!(lines(&world.plan()), ["patch web-a0 (prepare for deletion)"]);
}

#[test] // CS-41
fn a_pod_that_prepares_for_deletion_is_rescued_before_new_ones_are_created() {
    let world = world(cloneset(2)).settled().owning(pods(2).first(1, |pod| pod.state("PreparingDelete")));
    assert_eq!(lines(&world.plan()), ["patch web-a0 (cancel deletion)"]);
}

#[test] // CS-57, CS-59
fn pods_are_updated_in_place_within_max_unavailable() {
    let world = world(cloneset(5).rolling_update(in_place()).max_unavailable(2)).owning(pods(5).each(|pod| pod.old()));
    let plan = world.plan();
    assert_eq!(lines(&plan), ["patch web-a0 (update in place) -> web-2", "patch web-a1 (update in place) -> web-2"]);
    let held = plan.held[0];
    assert_eq!((held.action, held.pods, held.by, held.limit, held.unavailable), ("update", 3, "maxUnavailable", 2, 2));
}

#[test] // CS-30, CS-38
fn a_partition_holds_old_pods_back() {
    let world = world(cloneset(4).rolling_update(in_place()).partition(2).max_unavailable("100%"))
        .owning(pods(4).first(2, |pod| pod.old()));
    assert_eq!(lines(&world.plan()), [""; 0]);
}

#[test] // CS-59, CS-134
fn what_cannot_be_done_in_place_is_recreated_or_fails() {
    let other = json!({"spec": {"template": {"spec": {"hostNetwork": true}}}});
    let of = |policy: &str| {
        let mut world = world(
            cloneset(2).merge(other.clone()).rolling_update(json!({"podUpdatePolicy": policy})).max_unavailable(1),
        );
        let mut old = world.0.revisions.current.template.clone();
        old["spec"]["hostNetwork"] = json!(false);
        let mut first = (*world.0.revisions.history[0]).clone();
        first.data = rules::revision::data(&old);
        world.0.revisions.history[0] = std::sync::Arc::new(first);
        world.owning(pods(2).each(|pod| pod.old())).plan()
    };
    assert_eq!(lines(&of("InPlaceIfPossible")), ["patch web-a0 (mark for recreation) -> web-2"]);
    let only = of("InPlaceOnly");
    assert_eq!(lines(&only), [""; 0]);
    assert!(
        only.failure.unwrap().starts_with("find Pod web-a0 update strategy is InPlaceOnly but can not update in-place")
    );
}

#[test] // CS-59, CS-45
fn a_pod_marked_for_recreation_is_deleted_by_the_scaling_half() {
    let world = world(cloneset(2).max_unavailable(1))
        .owning(pods(2).each(|pod| pod.old()).first(1, |pod| pod.specified_delete()));
    assert_eq!(lines(&world.plan())[0], "delete web-a0 (delete specified Pod)");
}

#[test] // CS-53, ruling 18
fn a_new_pod_becomes_normal_and_may_be_ready_in_one_write() {
    let world = world(cloneset(1)).settled().owning_raw(pods(1).each(|pod| pod.state("PreparingNormal")));
    let plan = world.plan();
    assert_eq!(lines(&plan), ["patch web-a0 (let Pod be ready)"]);
    let rules::write::Verb::Patch { patches, .. } = &plan.update.unwrap().groups[0][0].verb else { panic!() };
    assert_eq!(patches.len(), 1);
    assert_eq!(patches[0].body["metadata"]["labels"]["lifecycle.apps.kruise.io/state"], json!("Normal"));
    assert_eq!(patches[0].body["status"]["conditions"][0]["type"], json!("InPlaceUpdateReady"));
}

#[test] // section 7 (kube-scheduler)
fn a_pod_that_is_not_scheduled_is_left_alone() {
    let world = world(cloneset(1)).settled().owning_raw(pods(1).each(|pod| pod.unassigned().state("PreparingNormal")));
    assert_eq!(lines(&world.plan()), [""; 0]);
}

#[test] // CS-53, CS-125
fn pods_are_refreshed_while_paused_and_on_delete() {
    let fresh = || pods(1).each(|pod| pod.state("PreparingNormal"));
    for cloneset in [cloneset(1).paused(), cloneset(1).on_delete()] {
        assert_eq!(lines(&world(cloneset).owning_raw(fresh()).plan()), ["patch web-a0 (let Pod be ready)"]);
    }
}

#[test] // CS-54
fn paused_and_on_delete_move_no_pod() {
    for cloneset in [cloneset(3).paused(), cloneset(3).on_delete()] {
        assert_eq!(lines(&world(cloneset).owning(pods(3).each(|pod| pod.old())).plan()), [""; 0]);
    }
}

#[test] // CS-38
fn with_the_rollback_gate_a_raised_partition_moves_pods_back() {
    let world = world(cloneset(4).rolling_update(in_place()).partition(4).max_unavailable(1)).owning(pods(4));
    assert_eq!(lines(&world.plan()), [""; 0]);
    let back = world.settings(|settings| settings.rollback = Rollback::On);
    assert_eq!(lines(&back.plan()), ["patch web-a0 (update in place) -> web-1"]);
}

#[test] // table of 4.8
fn a_hook_holds_the_update_until_it_is_taken_away() {
    let hooked = || {
        cloneset(1)
            .rolling_update(in_place())
            .max_unavailable(1)
            .merge(json!({"spec": {"lifecycle": {"inPlaceUpdate": {"labelsHandler": {"drain": "yes"}}}}}))
    };
    let old = || pods(1).each(|pod| pod.old());
    let of = |pods| lines(&world(hooked()).owning(pods).plan());
    assert_eq!(of(old().each(|pod| pod.label("drain", "yes"))), ["patch web-a0 (prepare for update in place)"]);
    assert_eq!(of(old().each(|pod| pod.label("drain", "yes").state("PreparingUpdate"))), [""; 0]);
    assert_eq!(of(old().each(|pod| pod.state("PreparingUpdate"))), ["patch web-a0 (update in place) -> web-2"]);
    assert_eq!(of(old().each(|pod| pod.state("Updating"))), ["patch web-a0 (move lifecycle)"], "refreshed first");
}

#[test] // section 7 (garbage collector)
fn a_cloneset_that_is_being_deleted_touches_no_pod() {
    let deleted = cloneset(3).merge(json!({"metadata": {"deletionTimestamp": "2026-01-01T11:00:00Z"}}));
    assert_eq!(lines(&world(deleted).owning(pods(1).each(|pod| pod.old())).plan()), [""; 0]);
}

#[test] // CS-61, CS-66, CS-67, CS-68
fn claims_that_nobody_has_are_taken_over_with_their_id() {
    let claim =
        json!({"metadata": {"name": "data", "labels": {"tier": "db"}}, "spec": {"accessModes": ["ReadWriteOnce"]}});
    let with_claims = cloneset(2)
        .merge(json!({"spec": {"volumeClaimTemplates": [claim], "scaleStrategy": {"enablePVCReuse": true},
        "template": {"spec": {"volumes": [{"name": "data", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}]}}}}));
    let plan = world(with_claims).settled().claims(&["kept1"]).plan();
    let reused = created(&plan).into_iter().find(|pod| pod["metadata"]["name"] == json!("web-kept1")).unwrap();
    assert_eq!(
        reused["spec"]["volumes"],
        json!([{"name": "data", "persistentVolumeClaim": {"claimName": "data-web-kept1", "readOnly": false}}, {"name": "tmp", "emptyDir": {}}])
    );
    let made: Vec<String> = lines(&plan).into_iter().filter(|line| line.contains("claim")).collect();
    assert_eq!(made.len(), 1, "only the new Pod needs a new claim: {made:?}");
}

#[test] // CS-19, CS-20
fn upkeep_prunes_names_and_truncates_history() {
    let listed =
        cloneset(1).merge(json!({"spec": {"revisionHistoryLimit": 0, "scaleStrategy": {"podsToDelete": ["gone"]}}}));
    let mut world = world(listed).settled().owning(pods(1));
    world.0.revisions.history[0] = world.0.revisions.history[0].clone();
    let upkeep = world.plan().upkeep;
    let reasons: Vec<&str> = upkeep.iter().map(|step| step.groups[0][0].reason).collect();
    assert_eq!(reasons, ["prune podsToDelete", "truncate history"]);
    assert_eq!(upkeep[1].groups[0][0].name, "web-1");
}

#[test] // CS-2
fn names_of_pods_that_ended_are_not_used_again() {
    let mut world = world(cloneset(1)).settled();
    world.0.inactive = vec![pod("web-ended").build()];
    let body = &created(&world.plan())[0];
    assert_ne!(body["metadata"]["name"], json!("web-ended"));
}
