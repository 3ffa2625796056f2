//! The whole endpoint of a process with one controller: names, types and labels are what dashboards and alerts made for
//! client-go and controller-runtime ask for (platform section 13). A process of its own, so that nothing else counts.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::collections::BTreeSet;

use kube::Client;
use runtime::ambient::Ambient;
use runtime::controller::{self, Identity, Requeue};
use runtime::events::Recorder;
use runtime::flags::{ClientArgs, LeaderArgs, Limits};
use runtime::informer::ObjectKey;
use runtime::queue::{Queue, RateLimit};
use runtime::shutdown::Shutdown;
use runtime::{client, leader, metrics};

const NAME: &str = "cloneset-controller";

/// Type, name and labels of every metric; the last two are ours alone.
const WANT: &[&str] = &[
    "counter controller_runtime_reconcile_errors_total{controller}",
    "counter controller_runtime_reconcile_panics_total{controller}",
    "counter controller_runtime_reconcile_total{controller,result}",
    "counter controller_runtime_terminal_reconcile_errors_total{controller}",
    "gauge controller_runtime_active_workers{controller}",
    "gauge controller_runtime_max_concurrent_reconciles{controller}",
    "histogram controller_runtime_reconcile_time_seconds_bucket{controller,le}",
    "histogram controller_runtime_reconcile_time_seconds_count{controller}",
    "histogram controller_runtime_reconcile_time_seconds_sum{controller}",
    "counter workqueue_adds_total{controller,name}",
    "counter workqueue_retries_total{controller,name}",
    "gauge workqueue_depth{controller,name}",
    "gauge workqueue_longest_running_processor_seconds{controller,name}",
    "gauge workqueue_unfinished_work_seconds{controller,name}",
    "histogram workqueue_queue_duration_seconds_bucket{controller,le,name}",
    "histogram workqueue_queue_duration_seconds_count{controller,name}",
    "histogram workqueue_queue_duration_seconds_sum{controller,name}",
    "histogram workqueue_work_duration_seconds_bucket{controller,le,name}",
    "histogram workqueue_work_duration_seconds_count{controller,name}",
    "histogram workqueue_work_duration_seconds_sum{controller,name}",
    "counter rest_client_requests_total{code,host,method}",
    "gauge leader_election_master_status{name}",
    "counter process_cpu_seconds_total{}",
    "gauge process_max_fds{}",
    "gauge process_open_fds{}",
    "gauge process_resident_memory_bytes{}",
    "gauge process_start_time_seconds{}",
    "gauge process_virtual_memory_bytes{}",
    "gauge kruise_manager_is_leader{}",
    "gauge kruise_queue_background_depth{controller,name}",
    "gauge kruise_slow_reconciles{controller}",
];

/// A client whose server does not answer.
async fn alone() -> Client {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let config = "clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]\n\
                  contexts: [{name: c, context: {cluster: c, user: u}}]\n\
                  users: [{name: u, user: {}}]\n\
                  current-context: c\n";
    std::io::Write::write_all(&mut file, config.as_bytes()).unwrap();
    let args = ClientArgs { kubeconfig: file.path().to_str().unwrap().to_owned(), ..flags() };
    client::connect(&args, "test", Limits::MANAGER).await.unwrap()
}

/// A group of flags, none given.
fn flags<T: clap::Args>() -> T {
    let command = T::augment_args(clap::Command::new("test"));
    T::from_arg_matches(&command.get_matches_from(["test"])).unwrap()
}

fn scrape() -> (BTreeSet<String>, String) {
    let text = metrics::encode().unwrap();
    let (mut seen, mut of_type) = (BTreeSet::new(), "");
    for line in text.lines() {
        if let Some(declared) = line.strip_prefix("# TYPE ") {
            of_type = declared.split(' ').next_back().unwrap();
        } else if !line.starts_with('#') {
            let (name, labels) = line.split_once('{').map_or((line, ""), |(name, rest)| (name, rest));
            let name = name.split(' ').next().unwrap();
            let labels = labels.split_once('}').map_or("", |(labels, _)| labels);
            let mut labels: Vec<_> = labels.split(',').map(|label| label.split('=').next().unwrap()).collect();
            labels.sort_unstable();
            seen.insert(format!("{of_type} {name}{{{}}}", labels.join(",")));
        }
    }
    (seen, text)
}

// Platform section 13
#[tokio::test]
async fn the_endpoint_has_the_metrics_that_dashboards_ask_for() {
    let (client, shutdown) = (alone().await, Shutdown::manual());
    client.apiserver_version().await.unwrap_err();
    let ambient = Ambient::system();
    let recorder = Recorder::start(client.clone(), "test", None, ambient.clone(), shutdown.clone());
    let config = leader::Config::from_args(&flags::<LeaderArgs>(), "kruise-system").unwrap();
    let _leadership = leader::run(client, config, &recorder, ambient.clone(), shutdown.clone());
    let queue = Queue::new(NAME, RateLimit::default());
    let stop = shutdown.clone();
    let reconcile = move |_| {
        stop.request();
        async { Ok(Requeue::Done) }
    };
    let who = Identity { name: NAME, kind: "CloneSet" };
    let running = tokio::spawn(controller::run(who, 3, queue.clone(), ambient.chance, reconcile, shutdown));
    tokio::task::yield_now().await;
    let (_, before) = scrape();
    queue.add(ObjectKey::new("shop", "web"));
    running.await.unwrap();

    let (seen, _) = scrape();
    assert_eq!(seen, WANT.iter().map(ToString::to_string).collect());
    // A rate needs a first value: each result is there before anything was reconciled.
    for result in ["error", "requeue", "requeue_after", "success"] {
        let line = format!("controller_runtime_reconcile_total{{controller=\"{NAME}\",result=\"{result}\"}} 0\n");
        assert!(before.contains(&line), "{line} in {before}");
    }
}
