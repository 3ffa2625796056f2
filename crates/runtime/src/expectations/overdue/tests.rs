//! Tests of the live check over a scripted API server.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rules::write::{CLONE_SET, PERSISTENT_VOLUME_CLAIM, POD, Resource};
use serde_json::{Value, json};

use super::*;
use crate::expectations::{Action, Expected};
use crate::mock::{Answer, Log, server};

const TIMEOUT: Duration = Duration::from_secs(300);

/// A check whose server answers this, and how often it counted.
struct Checked {
    check: LiveCheck,
    log: Log,
    counted: Arc<AtomicUsize>,
}

impl Checked {
    fn new(answer: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        let (client, log) = server(move |asked| answer(&asked.what));
        let counted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&counted);
        let check = LiveCheck::new(client, Expectations::new(TIMEOUT), move |owner| {
            assert_eq!(owner.to_string(), "shop/web");
            count.fetch_add(1, Ordering::Relaxed);
        });
        Self { check, log, counted }
    }

    fn counted(&self) -> usize {
        self.counted.load(Ordering::Relaxed)
    }

    /// What the owner waits for now, with an empty cache.
    fn scale_wait(&self) -> Option<Wait> {
        self.check.expectations.scale.waiting(&owner(), clock::instant(), |_| None)
    }

    fn version_wait(&self) -> Option<VersionWait> {
        self.check.expectations.versions.waiting("u", "9", clock::instant())
    }

    /// One pass of the owner: when it looks again.
    async fn pass(&self) -> Option<Duration> {
        Some(self.check.scale(&owner(), self.scale_wait()?).await)
    }

    async fn pass_over(&self, object: &ObjectId) -> Option<Duration> {
        Some(self.check.version(&owner().key, object, "u", self.version_wait()?).await)
    }

    fn expect_creation(&self, resource: Resource, name: &'static str) {
        let object = object(resource, name);
        self.check.expectations.scale.expect_creation(&owner(), &object);
        let made = Sight::of_metadata(&metadata("u", "10"));
        self.check.expectations.scale.created(&owner(), &object, made);
    }
}

fn owner() -> OwnerId {
    OwnerId { key: ObjectKey::new("shop", "web"), uid: "owner".into() }
}

fn object(resource: Resource, name: &'static str) -> ObjectId {
    ObjectId { resource, key: ObjectKey::new("shop", name) }
}

fn metadata(uid: &str, version: &str) -> ObjectMeta {
    ObjectMeta { uid: Some(uid.to_owned()), resource_version: Some(version.to_owned()), ..ObjectMeta::default() }
}

fn live(uid: &str, version: &str) -> Answer {
    let metadata: Value = serde_json::to_value(metadata(uid, version)).unwrap();
    Answer::Ok(json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": metadata}))
}

// Ruling 19
#[tokio::test(start_paused = true)]
async fn before_the_time_is_over_nothing_is_read() {
    let checked = Checked::new(|_| live("u", "10"));
    checked.expect_creation(POD, "a");
    assert_eq!(checked.pass().await, Some(TIMEOUT));
    tokio::time::sleep(TIMEOUT / 3).await;
    assert_eq!(checked.pass().await, Some(TIMEOUT * 2 / 3));
    assert!(checked.log.lines().is_empty());
}

// Ruling 19
#[tokio::test(start_paused = true)]
async fn what_the_server_does_not_have_is_read_once_counted_once_and_dropped() {
    let checked = Checked::new(|_| Answer::Refuse(404, "NotFound"));
    checked.expect_creation(POD, "a");
    checked.expect_creation(PERSISTENT_VOLUME_CLAIM, "b");
    checked.pass().await;
    tokio::time::sleep(TIMEOUT).await;
    assert_eq!(checked.pass().await, Some(AT_ONCE));
    assert_eq!(
        checked.log.lines(),
        ["GET /api/v1/namespaces/shop/persistentvolumeclaims/b", "GET /api/v1/namespaces/shop/pods/a"]
    );
    assert!(checked.log.all().iter().all(|asked| asked.accept.contains("as=PartialObjectMetadata")));
    assert_eq!((checked.counted(), checked.pass().await), (1, None));
}

// Ruling 19
#[tokio::test(start_paused = true)]
async fn what_was_carried_out_is_waited_for_however_long_the_cache_takes() {
    let checked = Checked::new(|_| live("u", "12"));
    checked.expect_creation(POD, "a");
    for round in 1..=3 {
        assert_eq!(checked.pass().await, Some(TIMEOUT));
        tokio::time::sleep(TIMEOUT).await;
        assert_eq!(checked.pass().await, Some(AT_ONCE));
        assert_eq!(checked.counted(), round);
    }
    let seen = Sight::of_metadata(&metadata("u", "10"));
    assert_eq!(checked.check.expectations.scale.observe(&object(POD, "a"), &seen), Some(owner().key));
    assert_eq!(checked.pass().await, None);
}

// Ruling 19
#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_is_asked_again_soon_and_nothing_is_dropped() {
    let calls = AtomicUsize::new(0);
    let checked = Checked::new(move |_| match calls.fetch_add(1, Ordering::Relaxed) {
        0 => Answer::Refuse(503, "ServiceUnavailable"),
        _ => Answer::Refuse(404, "NotFound"),
    });
    checked.expect_creation(POD, "a");
    checked.pass().await;
    tokio::time::sleep(TIMEOUT).await;
    assert_eq!(checked.pass().await, Some(UNANSWERED));
    assert_eq!(checked.counted(), 0);
    assert_eq!(checked.pass().await, Some(AT_ONCE));
    assert_eq!((checked.counted(), checked.pass().await), (1, None));
}

// Ruling 19
#[tokio::test(start_paused = true)]
async fn a_deletion_that_was_not_carried_out_is_dropped() {
    let checked = Checked::new(|_| live("u", "12"));
    let (scale, pod) = (&checked.check.expectations.scale, object(POD, "a"));
    scale.expect_deletion(&owner(), &pod, "u");
    let look = |_: &ObjectId| Some(Sight::of_metadata(&metadata("u", "9")));
    scale.waiting(&owner(), clock::instant(), look);
    tokio::time::sleep(TIMEOUT).await;
    let wait = scale.waiting(&owner(), clock::instant(), look).unwrap();
    let expected = Expected { action: Action::Delete, object: pod };
    assert!(matches!(&wait, Wait::Overdue { objects, .. } if *objects == [expected]));
    assert_eq!(checked.check.scale(&owner(), wait).await, AT_ONCE);
    assert_eq!(scale.waiting(&owner(), clock::instant(), look), None);
}

// Ruling 19, PL-72
#[tokio::test(start_paused = true)]
async fn an_overdue_version_is_checked_by_uid_and_version() {
    for (answer, kept) in [
        ((|| live("u", "10")) as fn() -> Answer, true),
        (|| live("u", "9"), false),
        (|| live("successor", "12"), true),
        (|| live("successor", "9"), true),
        (|| Answer::Refuse(404, "NotFound"), true),
    ] {
        let checked = Checked::new(move |_| answer());
        let object = object(CLONE_SET, "web");
        checked.check.expectations.versions.expect("u", "10", clock::instant());
        assert_eq!(checked.pass_over(&object).await, Some(TIMEOUT));
        tokio::time::sleep(TIMEOUT).await;
        assert_eq!(checked.pass_over(&object).await, Some(AT_ONCE));
        assert_eq!(checked.log.lines(), ["GET /apis/apps.kruise.io/v1beta1/namespaces/shop/clonesets/web"]);
        assert_eq!((checked.counted(), checked.version_wait().is_some()), (1, kept));
    }
}
