//! Tests of what stands between us and the API server, over a scripted one; time is tokio's and paused.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use http::{Method, Request, StatusCode};
use kube::client::Body;
use serde_json::json;

use super::*;
use crate::mock::{Answer, Asked, Cluster, Log, server};
use crate::shutdown::Shutdown;
use crate::{clock, metrics};

const S: fn(u64) -> Duration = Duration::from_secs;
const NO_LIMIT: Limits = Limits { qps: 0, burst: 0 };

/// A connection to a server that gives these answers in turn, the last one again and again.
fn connection(limits: Limits, answers: Vec<fn() -> Answer>) -> (Connection, Log) {
    let at = AtomicUsize::new(0);
    let (client, log) = server(move |_| answers[at.fetch_add(1, Ordering::Relaxed).min(answers.len() - 1)]());
    (Connection::over(client, limits), log)
}

fn ok() -> Answer {
    Answer::Ok(json!({}))
}

fn late(after: Duration) -> Answer {
    Answer::Late(after, Box::new(ok()))
}

fn request(method: Method) -> Request<Body> {
    Request::builder().method(method).uri("/api").body(Body::from(b"{\"a\":1}".to_vec())).unwrap()
}

async fn send(client: &Client, method: Method) -> Result<StatusCode, kube::Error> {
    client.send(request(method)).await.map(|response| response.status())
}

/// How long it takes and what comes of it.
async fn timed<T>(what: impl Future<Output = T>) -> (u64, T) {
    let start = clock::instant();
    let done = what.await;
    ((clock::instant() - start).as_secs(), done)
}

fn not_leader(sent: &Result<StatusCode, kube::Error>) -> bool {
    sent.as_ref().is_err_and(|err| matches!(failure(err), Some(Failure::NotLeader)))
}

fn timed_out(sent: &Result<StatusCode, kube::Error>) -> bool {
    sent.as_ref().is_err_and(|err| matches!(failure(err), Some(Failure::TimedOut(_))))
}

/// A leader, and what ends it: a request for the end, or the cluster going down.
async fn elected() -> (Leadership, Cluster, Shutdown) {
    let (cluster, end) = (Cluster::default(), Shutdown::manual());
    let leadership = cluster.start("me", &end);
    assert!(leadership.acquired().await);
    (leadership, cluster, end)
}

// Ruling 13
#[tokio::test(start_paused = true)]
async fn a_429_is_sent_again_when_the_server_said() {
    let (connection, log) =
        connection(NO_LIMIT, vec![|| Answer::ComeBack(429, "7"), || Answer::Refuse(429, "TooManyRequests"), ok]);
    let (took, sent) = timed(send(&connection.client("x"), Method::POST)).await;
    assert_eq!((took, sent.unwrap().as_u16()), (8, 200));
    assert!(log.all().iter().all(|asked| asked.body == json!({"a": 1})), "the body was sent again");
    assert_eq!(log.all().len(), 3);
}

// Ruling 13
#[tokio::test(start_paused = true)]
async fn a_server_error_is_final_for_writes_and_for_reads_unless_the_server_says_when_to_come_back() {
    let answers: Vec<fn() -> Answer> =
        vec![|| Answer::ComeBack(503, "1"), || Answer::Refuse(503, "ServiceUnavailable"), ok];
    for (method, sends) in [(Method::GET, 2), (Method::HEAD, 2), (Method::POST, 1), (Method::DELETE, 1)] {
        let (connection, log) = connection(NO_LIMIT, answers.clone());
        assert_eq!(send(&connection.client("x"), method.clone()).await.unwrap().as_u16(), 503);
        assert_eq!(log.all().len(), sends, "{method}: a write that failed so may have been carried out");
    }
}

#[tokio::test(start_paused = true)]
async fn requests_beyond_the_burst_wait_for_their_turn() {
    let (connection, _) = connection(Limits { qps: 10, burst: 3 }, vec![ok]);
    let client = connection.client("x");
    let start = clock::instant();
    for _ in 0..5 {
        send(&client, Method::GET).await.unwrap();
    }
    assert_eq!((clock::instant() - start).as_millis(), 200);
}

// PL-33
#[tokio::test(start_paused = true)]
async fn each_client_has_a_rate_and_a_user_agent_of_its_own() {
    let (connection, log) = connection(Limits { qps: 1, burst: 1 }, vec![ok]);
    let (first, second) = (connection.client("kruise-manager"), connection.client("kruise-manager/x-controller"));
    let both = async {
        send(&first, Method::GET).await.unwrap();
        send(&second, Method::GET).await.unwrap();
    };
    assert_eq!(timed(both).await.0, 0, "neither waits for the other");
    let agents: Vec<_> = log.all().into_iter().map(|asked| asked.user_agent).collect();
    assert_eq!(agents, ["kruise-manager", "kruise-manager/x-controller"]);
}

#[tokio::test(start_paused = true)]
async fn requests_are_counted_by_code_and_method() {
    let (connection, _) = connection(NO_LIMIT, vec![|| Answer::Refuse(404, "NotFound")]);
    // A method that no other test counts.
    send(&connection.client("x"), Method::OPTIONS).await.unwrap();
    let text = metrics::encode().unwrap();
    assert!(text.contains("rest_client_requests_total{code=\"404\",method=\"OPTIONS\",host=\"test\"} 1\n"), "{text}");
}

// Platform section 5
#[tokio::test(start_paused = true)]
async fn a_write_that_waits_for_its_turn_is_not_timed_out() {
    let (leadership, _cluster, _end) = elected().await;
    let (connection, log) = connection(Limits { qps: 1, burst: 1 }, vec![|| late(S(3))]);
    let client = connection.guarded("x", &leadership);
    let (took, sent) = timed(join_all((0..11).map(|_| send(client.client(), Method::PATCH)))).await;
    assert_eq!(took, 13, "ten seconds in the queue, three under way");
    assert!(sent.iter().all(Result::is_ok), "{sent:?}");
    assert_eq!(log.all().len(), 11);
}

// Platform section 5
#[tokio::test(start_paused = true)]
async fn each_send_of_a_write_has_a_time_of_its_own_that_ends_before_another_can_lead() {
    let (leadership, _cluster, _end) = elected().await;
    let (connection, _) = connection(NO_LIMIT, vec![|| Answer::ComeBack(429, "7"), || Answer::Silence]);
    let (took, sent) = timed(send(connection.guarded("x", &leadership).client(), Method::POST)).await;
    assert_eq!((took, timed_out(&sent)), (11, true), "seven seconds of pause, four for the second send");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_end_is_timed_out() {
    let service = tower::service_fn(|_: Request<Body>| async {
        let endless = futures::stream::pending::<Result<axum::body::Bytes, std::io::Error>>();
        Ok::<_, tower::BoxError>(http::Response::new(axum::body::Body::from_stream(endless)))
    });
    let (leadership, _cluster, _end) = elected().await;
    let connection = Connection::over(Client::new(service, "default"), NO_LIMIT);
    let (took, sent) = timed(send(connection.guarded("x", &leadership).client(), Method::POST)).await;
    assert_eq!((took, timed_out(&sent)), (4, true));
    let mut read = request(Method::GET);
    read.extensions_mut().insert(WholeAnswerWithin(S(10)));
    let (took, sent) = timed(connection.client("x").send(read)).await;
    assert!(took == 10 && sent.is_err());
}

// Platform section 5
#[tokio::test(start_paused = true)]
async fn a_leader_that_cannot_renew_sends_no_write_that_waited_for_its_turn() {
    let (leadership, cluster, _end) = elected().await;
    let (connection, log) = connection(Limits { qps: 1, burst: 1 }, vec![ok]);
    let client = connection.guarded("x", &leadership);
    *cluster.down.lock() = true;
    let sent = join_all((0..21).map(|_| send(client.client(), Method::PUT))).await;
    let refused = sent.iter().filter(|sent| not_leader(sent)).count();
    assert!((10..=12).contains(&refused), "about ten seconds were left: {refused}");
    assert_eq!(log.all().len() + refused, 21, "what was refused was not sent");
    assert_eq!(send(client.client(), Method::GET).await.unwrap().as_u16(), 200, "reading needs no leadership");
}

// Ruling 13, platform section 5
#[tokio::test(start_paused = true)]
async fn a_write_that_was_turned_away_is_not_sent_again_once_leadership_is_lost() {
    let (leadership, cluster, _end) = elected().await;
    let (connection, log) = connection(NO_LIMIT, vec![|| Answer::ComeBack(429, "20"), ok]);
    *cluster.down.lock() = true;
    let sent = send(connection.guarded("x", &leadership).client(), Method::POST).await;
    assert!(not_leader(&sent), "{sent:?}");
    assert_eq!(log.all().len(), 1);
}

// IN-52
#[tokio::test(start_paused = true)]
async fn the_lease_is_released_after_the_sends_under_way_and_no_send_starts_then() {
    let (leadership, cluster, end) = elected().await;
    let held = Arc::new(std::sync::Mutex::new(Vec::new()));
    let (seen, lease) = (Arc::clone(&held), cluster.clone());
    let (pool, log) = server(move |_: &Asked| {
        seen.lock().unwrap().push(lease.spec("holderIdentity"));
        late(S(3))
    });
    let client = Connection::over(pool, NO_LIMIT).guarded("x", &leadership);
    let under_way = tokio::spawn({
        let client = client.client().clone();
        async move { send(&client, Method::POST).await }
    });
    tokio::time::sleep(S(1)).await;
    end.request();
    tokio::time::sleep(S(1)).await;
    assert!(not_leader(&send(client.client(), Method::POST).await));
    assert_eq!(cluster.spec("holderIdentity"), "me", "a write is under way");
    assert_eq!(under_way.await.unwrap().unwrap().as_u16(), 200);
    leadership.over().await;
    assert_eq!(cluster.spec("holderIdentity"), "");
    assert!(not_leader(&send(client.client(), Method::POST).await));
    assert_eq!(log.all().len(), 1);
    assert_eq!(*held.lock().unwrap(), ["me"]);
}

#[tokio::test]
async fn a_request_without_a_connection_is_known_not_to_have_been_sent() {
    // A port on which nobody listens: it was ours, and is closed.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = Config::new(format!("http://127.0.0.1:{port}").parse().unwrap());
    let connection = Connection::over(Client::try_from(config).unwrap(), NO_LIMIT);
    let err = connection.client("x").send(request(Method::POST)).await.unwrap_err();
    assert!(matches!(failure(&err), Some(Failure::NotConnected(_))), "{err:?}");
    assert!(words(&err).starts_with("cannot connect: "), "{}", words(&err));
}
