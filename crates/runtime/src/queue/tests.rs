//! Tests of the queue with paused time.

use super::*;

const MS: fn(u64) -> Duration = Duration::from_millis;

fn key(name: &str) -> ObjectKey {
    ObjectKey::new("shop", name)
}

fn queue() -> Queue {
    Queue::new("test-controller", RateLimit::default())
}

/// The next key, if one is ready now.
async fn ready(queue: &Queue) -> Option<Item> {
    tokio::time::timeout(Duration::ZERO, queue.next()).await.ok().flatten()
}

/// How long until the next key, and which.
async fn next_after(queue: &Queue) -> (Duration, String) {
    let start = clock::instant();
    let item = queue.next().await.unwrap();
    (clock::instant() - start, item.key().name.to_string())
}

/// All keys that are ready now, in turn.
async fn drained(queue: &Queue) -> Vec<String> {
    let mut names = Vec::new();
    while let Some(item) = ready(queue).await {
        names.push(item.key().name.to_string());
    }
    names
}

#[tokio::test(start_paused = true)]
async fn a_key_waits_once_however_often_it_is_added() {
    let queue = queue();
    for name in ["a", "b", "a"] {
        queue.add(key(name));
    }
    assert_eq!(ready(&queue).await.unwrap().key(), &key("a"));
    assert_eq!(ready(&queue).await.unwrap().key(), &key("b"));
    assert!(ready(&queue).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_key_added_while_worked_on_comes_again_when_done() {
    let queue = queue();
    queue.add(key("a"));
    let item = ready(&queue).await.unwrap();
    queue.add(key("a"));
    queue.add(key("a"));
    assert!(ready(&queue).await.is_none(), "one worker a key");
    drop(item);
    let again = ready(&queue).await.unwrap();
    drop(again);
    assert!(ready(&queue).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn of_several_delays_the_earliest_counts() {
    let queue = queue();
    queue.add_after(key("a"), Urgency::Fresh, MS(50));
    queue.add_after(key("a"), Urgency::Fresh, MS(20));
    queue.add_after(key("a"), Urgency::Fresh, MS(90));
    assert_eq!(next_after(&queue).await, (MS(20), "a".to_owned()));
    assert!(tokio::time::timeout(MS(500), queue.next()).await.is_err(), "the later ones are gone");
}

#[tokio::test(start_paused = true)]
async fn a_delayed_key_is_not_held_back_by_a_busy_worker() {
    let queue = queue();
    let (first, second) = (queue.clone(), queue.clone());
    let waiting = tokio::spawn(async move { (first.next().await.unwrap(), first) });
    tokio::task::yield_now().await;
    let other = tokio::spawn(async move { next_after(&second).await });
    tokio::task::yield_now().await;
    queue.add_after(key("later"), Urgency::Fresh, MS(30));
    queue.add(key("now"));
    let (busy, _) = waiting.await.unwrap();
    assert_eq!(busy.key(), &key("now"));
    assert_eq!(other.await.unwrap(), (MS(30), "later".to_owned()));
}

// PL-31
#[tokio::test(start_paused = true)]
async fn failures_of_a_key_double_its_delay_until_it_is_forgotten() {
    let queue = queue();
    for want in [5, 10, 20, 40] {
        queue.add_rate_limited(key("a"));
        assert_eq!(next_after(&queue).await, (MS(want), "a".to_owned()));
    }
    assert_eq!(queue.failures(&key("a")), 4);
    queue.forget(&key("a"));
    queue.add_rate_limited(key("a"));
    assert_eq!(next_after(&queue).await.0, MS(5));
}

// PL-31
#[test]
fn a_delay_never_exceeds_its_cap() {
    let mut limiter = Limiter::new(RateLimit { qps: 0, ..RateLimit::default() });
    let now = Instant::now();
    let last = (0..100).map(|_| limiter.delay(&key("a"), now)).last();
    assert_eq!(last, Some(Duration::from_secs(1_000)));
}

// PL-31
#[test]
fn the_bucket_limits_all_keys_together() {
    let mut limiter = Limiter::new(RateLimit { base_delay: MS(5), max_delay: MS(1_000), qps: 10, bucket: 2 });
    let now = Instant::now();
    let mut delay = |name: &str, at: u64| limiter.delay(&key(name), now + MS(at));
    assert_eq!(delay("a", 0), MS(5));
    assert_eq!(delay("b", 0), MS(5));
    assert_eq!(delay("c", 0), MS(100), "the third token comes after a tenth of a second");
    assert_eq!(delay("d", 0), MS(200));
    assert_eq!(delay("e", 1_000), MS(5), "the bucket has filled");
}

#[test]
fn a_full_bucket_holds_no_more_than_its_burst() {
    let mut bucket = Bucket::new(10, 3).unwrap();
    let now = Instant::now() + Duration::from_secs(60);
    let delays: Vec<_> = (0..4).map(|_| bucket.take(now)).collect();
    assert_eq!(delays, [MS(0), MS(0), MS(0), MS(100)]);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_changed_goes_before_start_up_work() {
    let queue = queue();
    for name in ["old-1", "old-2"] {
        queue.add_after(key(name), Urgency::Background, Duration::ZERO);
    }
    queue.add(key("changed"));
    assert_eq!(drained(&queue).await, ["changed", "old-1", "old-2"]);
}

#[tokio::test(start_paused = true)]
async fn a_key_in_the_background_moves_up_when_it_changes() {
    let queue = queue();
    for name in ["old-1", "old-2", "old-3"] {
        queue.add_after(key(name), Urgency::Background, Duration::ZERO);
    }
    queue.add(key("old-2"));
    queue.add_after(key("old-2"), Urgency::Background, Duration::ZERO);
    assert_eq!(drained(&queue).await, ["old-2", "old-1", "old-3"]);
}

#[tokio::test(start_paused = true)]
async fn a_change_while_worked_on_is_fresh_even_if_it_was_to_come_again_in_the_background() {
    let queue = queue();
    queue.add(key("a"));
    let item = ready(&queue).await.unwrap();
    queue.add_after(key("b"), Urgency::Background, Duration::ZERO);
    queue.add_after(key("a"), Urgency::Background, Duration::ZERO);
    queue.add(key("a"));
    drop(item);
    assert_eq!(drained(&queue).await, ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn the_background_gets_its_turn_however_much_changes() {
    let queue = queue();
    for name in ["old-1", "old-2", "old-3"] {
        queue.add_after(key(name), Urgency::Background, Duration::ZERO);
    }
    let mut order = Vec::new();
    for number in 0..30 {
        // Two more changes for each key that is handed out.
        queue.add(key(&format!("changed-{number}-a")));
        queue.add(key(&format!("changed-{number}-b")));
        order.push(ready(&queue).await.unwrap().key().name.clone());
    }
    let turns: Vec<_> = order
        .iter()
        .enumerate()
        .filter(|(_, name)| name.starts_with("old"))
        .map(|(at, name)| (at, name.as_str()))
        .collect();
    assert_eq!(turns, [(10, "old-1"), (21, "old-2")]);
}

#[tokio::test(start_paused = true)]
async fn changes_before_the_background_waited_do_not_count_for_its_turn() {
    let queue = queue();
    for number in 0..15 {
        queue.add(key(&format!("changed-{number:02}")));
    }
    for _ in 0..9 {
        drop(ready(&queue).await);
    }
    queue.add_after(key("old"), Urgency::Background, Duration::ZERO);
    let order = drained(&queue).await;
    assert_eq!(order.last().map(String::as_str), Some("old"), "6 changes were left: {order:?}");
}

#[tokio::test(start_paused = true)]
async fn a_pause_keeps_the_urgency_and_the_highest_of_several_counts() {
    let queue = queue();
    queue.add_after(key("resync"), Urgency::Background, MS(5));
    queue.add_after(key("both"), Urgency::Background, MS(10));
    queue.add_after(key("both"), Urgency::Fresh, MS(30));
    queue.add(key("changed"));
    tokio::time::advance(MS(20)).await;
    assert_eq!(drained(&queue).await, ["changed", "both", "resync"]);
}

#[tokio::test(start_paused = true)]
async fn a_retry_of_a_failed_key_goes_before_the_background() {
    let queue = queue();
    queue.add_after(key("failed"), Urgency::Background, Duration::ZERO);
    drop(ready(&queue).await.unwrap());
    queue.add_after(key("old"), Urgency::Background, Duration::ZERO);
    queue.add_rate_limited(key("failed"));
    tokio::time::advance(MS(10)).await;
    assert_eq!(drained(&queue).await, ["failed", "old"]);
}

#[tokio::test(start_paused = true)]
async fn closing_ends_every_worker() {
    let queue = queue();
    queue.add_after(key("a"), Urgency::Fresh, MS(5));
    let workers: Vec<_> = (0..3)
        .map(|_| {
            let queue = queue.clone();
            tokio::spawn(async move { while queue.next().await.is_some() {} })
        })
        .collect();
    queue.close();
    for worker in workers {
        tokio::time::timeout(MS(1), worker).await.unwrap().unwrap();
    }
    queue.add(key("b"));
    assert!(queue.next().await.is_none());
}

#[track_caller]
fn check_metrics(queue: &str, want: &[(&str, &str)]) {
    let text = crate::metrics::encode().unwrap();
    for (name, value) in want {
        let line = format!("{name}{{name=\"{queue}\",controller=\"{queue}\"}} {value}\n");
        assert!(text.contains(&line), "{line} in {text}");
    }
}

// Platform section 13
#[tokio::test(start_paused = true)]
async fn the_metrics_show_what_waits_and_what_is_worked_on() {
    let queue = Queue::new("measured-controller", RateLimit::default());
    queue.add_after(key("b"), Urgency::Background, Duration::ZERO);
    queue.add(key("a"));
    tokio::time::advance(Duration::from_secs(2)).await;
    let item = queue.next().await.unwrap();
    tokio::time::advance(Duration::from_secs(3)).await;
    check_metrics(
        "measured-controller",
        &[
            ("workqueue_depth", "1"),
            ("kruise_queue_background_depth", "1"),
            ("workqueue_adds_total", "2"),
            ("workqueue_unfinished_work_seconds", "3.0"),
            ("workqueue_longest_running_processor_seconds", "3.0"),
            ("workqueue_queue_duration_seconds_sum", "2.0"),
            ("workqueue_queue_duration_seconds_count", "1"),
        ],
    );
    drop(item);
    drop(queue.next().await);
    check_metrics(
        "measured-controller",
        &[
            ("workqueue_depth", "0"),
            ("kruise_queue_background_depth", "0"),
            ("workqueue_queue_duration_seconds_sum", "7.0"),
            ("workqueue_work_duration_seconds_count", "2"),
        ],
    );
}

// Platform section 13: client-go counts each delayed return as a retry, and a key from the moment that it fell due.
#[tokio::test(start_paused = true)]
async fn the_metrics_count_delayed_keys_from_when_they_fell_due() {
    let queue = Queue::new("delayed-controller", RateLimit::default());
    queue.add_after(key("a"), Urgency::Fresh, MS(500));
    queue.add_rate_limited(key("b"));
    queue.add_after(key("c"), Urgency::Background, MS(500));
    check_metrics("delayed-controller", &[("workqueue_retries_total", "2"), ("workqueue_depth", "0")]);
    tokio::time::advance(MS(1_500)).await;
    check_metrics("delayed-controller", &[("workqueue_depth", "3"), ("kruise_queue_background_depth", "1")]);
    drop(queue.next().await);
    drop(queue.next().await);
    check_metrics("delayed-controller", &[("workqueue_queue_duration_seconds_sum", "2.495")]);
}
