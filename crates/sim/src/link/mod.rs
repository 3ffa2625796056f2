//! The network between one replica of the manager and the API server, and what goes wrong on it.
//!
//! Every request of a replica passes here, takes a moment each way, and meets the faults that the history has set up
//! for it. A replica that is dead sends nothing and hears nothing. What a watch tells is in `telling`.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response};
use kube::Client;
use kube::client::Body as Asked;
use parking_lot::Mutex;
use runtime::ambient::Chance;
use runtime::clock;
use tokio::sync::{Notify, watch};
use tower::BoxError;

use crate::counts::Counts;
use crate::script::{Answer, Moment};
use crate::server::failure::Failure;
use crate::server::{Body, Server};

mod route;
mod telling;

use route::{Route, Traffic};

/// The longest way of a request or an answer.
const LONGEST_WAY: Duration = Duration::from_millis(20);

/// What befalls one write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The process dies before or after it.
    Kill(Moment),
    /// It is not applied and answered so.
    Fail(Answer),
    /// It is applied, its answer is lost.
    Lose,
    /// It reaches the server this much later.
    Slow(Duration),
}

/// Told as a watch delivers: the replica's cache has been shown this resource up to this version.
pub type Shown = Arc<dyn Fn(&str, &str, u64) + Send + Sync>;

/// What the networks of all replicas have in common; clones share it.
#[derive(Clone)]
pub struct Wire {
    /// The API server.
    pub server: Server,
    /// What happens is counted here.
    pub counts: Counts,
    /// Told of what arrives.
    pub shown: Shown,
    /// Until when nothing gets through.
    pub outage: Arc<Mutex<Option<std::time::Instant>>>,
}

impl Wire {
    /// When the outage is over, if there is one.
    fn outage(&self) -> Option<std::time::Instant> {
        self.outage.lock().filter(|until| *until > clock::instant())
    }
}

/// One replica's network; clones share it.
#[derive(Clone)]
pub struct Link {
    inner: Arc<Inner>,
}

struct Inner {
    wire: Wire,
    caller: String,
    /// How long the replica waits for the answer to a write: no write of it is applied later than that.
    patience: Duration,
    chance: Chance,
    dead: watch::Sender<bool>,
    state: Mutex<State>,
    /// Wakes watches whose faults have changed.
    changed: Notify,
}

#[derive(Default)]
struct State {
    writes: u64,
    /// By number of the write.
    faults: BTreeMap<u64, Fault>,
    /// Until when watches of a resource tell nothing.
    blocked: BTreeMap<String, std::time::Instant>,
    /// How often watches of a resource were broken, and how last.
    broken: BTreeMap<String, (u64, Break)>,
    /// What has been delivered, by resource.
    delivered: BTreeMap<String, u64>,
    without_lease: bool,
}

/// How a watch ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// The connection drops; the client resumes where it was.
    Cut,
    /// The version is too old: the client lists again.
    Expire,
}

impl Link {
    /// A network without faults.
    #[must_use]
    pub fn new(wire: Wire, caller: &str, patience: Duration, chance: Chance) -> Self {
        let (caller, dead) = (caller.to_owned(), watch::Sender::new(false));
        let (state, changed) = (Mutex::default(), Notify::new());
        Self { inner: Arc::new(Inner { wire, caller, patience, chance, dead, state, changed }) }
    }

    /// The replica's client.
    #[must_use]
    pub fn client(&self) -> Client {
        let link = self.clone();
        let service = tower::service_fn(move |request: Request<Asked>| {
            let link = link.clone();
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect_bytes().await?.to_vec();
                link.exchange(Request::from_parts(parts, body)).await
            }
        });
        Client::new(service, "default")
    }

    /// Who it belongs to, as the server's log names it.
    #[must_use]
    pub fn caller(&self) -> &str {
        &self.inner.caller
    }

    /// Ends the process: from now on nothing leaves it and nothing reaches it.
    pub fn die(&self) {
        self.inner.dead.send_replace(true);
    }

    /// Returns once the process is dead.
    pub async fn died(&self) {
        // An error would mean that no sender is left, but `self` holds one.
        let _ = self.inner.dead.subscribe().wait_for(|dead| *dead).await;
    }

    /// Lets the `nth` write from now, from 1, meet a fault.
    pub fn arm(&self, nth: u32, fault: Fault) {
        let mut state = self.inner.state.lock();
        let number = state.writes + u64::from(nth.max(1));
        state.faults.insert(number, fault);
    }

    /// Lets watches of a resource tell nothing for this time.
    pub fn lag(&self, resource: &str, time: Duration) {
        let until = clock::instant() + time;
        self.inner.state.lock().blocked.insert(resource.to_owned(), until);
        self.inner.changed.notify_waiters();
    }

    /// Ends the watches of a resource that are open.
    pub fn sever(&self, resource: &str, how: Break) {
        let mut state = self.inner.state.lock();
        let broken = state.broken.entry(resource.to_owned()).or_insert((0, how));
        *broken = (broken.0 + 1, how);
        drop(state);
        self.inner.changed.notify_waiters();
    }

    /// Lets requests for the Lease get no answer.
    pub fn cut_off_lease(&self) {
        self.inner.state.lock().without_lease = true;
    }

    /// Takes all faults back that have not happened yet.
    pub fn heal(&self) {
        let mut state = self.inner.state.lock();
        state.faults.clear();
        state.blocked.clear();
        state.without_lease = false;
        drop(state);
        self.inner.changed.notify_waiters();
    }

    /// One request and its answer, both in the log.
    async fn exchange(&self, request: Request<Vec<u8>>) -> Result<Response<Body>, BoxError> {
        let mut sent = DefaultHasher::new();
        sent.write(request.body());
        let asked = format!("{} {} {} ({:x})", self.caller(), request.method(), request.uri(), sent.finish());
        let answer = self.carry(request).await;
        let code = answer.as_ref().map_or(0, |answer| answer.status().as_u16());
        self.inner.wire.counts.log(&format!("{asked} {code}"), String::new);
        answer
    }

    async fn carry(&self, request: Request<Vec<u8>>) -> Result<Response<Body>, BoxError> {
        let Some(route) = Route::of(&request) else {
            return Err(format!("no route to {} {}", request.method(), request.uri()).into());
        };
        self.way().await;
        if let Some(until) = self.inner.wire.outage() {
            tokio::time::sleep_until(until.into()).await;
            return Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset).into());
        }
        let server = &self.inner.wire.server;
        let answer = match route.traffic {
            Traffic::Election if self.inner.state.lock().without_lease => std::future::pending().await,
            Traffic::Write => self.write(request, &route).await?,
            Traffic::Election | Traffic::Event | Traffic::Read => server.call(self.caller(), request).await,
            Traffic::List => {
                let answer = server.call(self.caller(), request).await;
                return Ok(telling::list(self.clone(), route.resource, answer).await);
            }
            Traffic::Watch { streams_list } => {
                let answer = server.call(self.caller(), request).await;
                self.way().await;
                return Ok(telling::watch(self.clone(), route.resource, streams_list, answer));
            }
        };
        self.way().await;
        Ok(answer)
    }

    async fn write(&self, request: Request<Vec<u8>>, route: &Route) -> Result<Response<Body>, BoxError> {
        let fault = {
            let mut state = self.inner.state.lock();
            state.writes += 1;
            let number = state.writes;
            state.faults.remove(&number)
        };
        if self.is_behind() {
            self.inner.wire.counts.add("writes on a stale cache");
        }
        let Wire { server, counts, .. } = &self.inner.wire;
        let Some(fault) = fault else { return Ok(server.call(self.caller(), request).await) };
        counts.add(fault.name());
        match fault {
            Fault::Kill(Moment::Before) => {
                self.die();
                std::future::pending().await
            }
            Fault::Kill(Moment::After) => {
                let _ = server.call(self.caller(), request).await;
                self.die();
                std::future::pending().await
            }
            Fault::Fail(Answer::Timeout) => std::future::pending().await,
            Fault::Fail(answer) => Ok(refused(answer, route)),
            Fault::Lose => {
                let _ = server.call(self.caller(), request).await;
                Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset).into())
            }
            Fault::Slow(time) => {
                let link = self.clone();
                // On its way whatever the sender does, even if it gives up or dies.
                let late = tokio::spawn(async move {
                    tokio::time::sleep(time.min(link.inner.patience)).await;
                    link.inner.wire.server.call(link.caller(), request).await
                });
                Ok(late.await?)
            }
        }
    }

    /// Some milliseconds; for ever if the process is dead by then.
    async fn way(&self) {
        tokio::time::sleep(LONGEST_WAY.mul_f64(self.inner.chance.fraction())).await;
        if *self.inner.dead.borrow() {
            std::future::pending::<()>().await;
        }
    }

    fn deliver(&self, resource: &str, version: u64) {
        self.inner.state.lock().delivered.insert(resource.to_owned(), version);
        (self.inner.wire.shown)(self.caller(), resource, version);
    }

    /// Whether a watch has yet to tell something that has happened.
    fn is_behind(&self) -> bool {
        let state = self.inner.state.lock();
        let watched: BTreeSet<&str> = state.delivered.keys().map(String::as_str).collect();
        watched.into_iter().any(|resource| {
            state.delivered.get(resource).is_some_and(|seen| *seen < self.inner.wire.counts.latest(resource))
        })
    }
}

impl Fault {
    fn name(self) -> &'static str {
        match self {
            Self::Kill(Moment::Before) => "killed before a write",
            Self::Kill(Moment::After) => "killed after a write",
            Self::Fail(Answer::Timeout) => "writes without an answer, not applied",
            Self::Fail(_) => "writes refused",
            Self::Lose => "answers lost",
            Self::Slow(_) => "writes delayed",
        }
    }
}

/// The answer of a server that could not.
fn refused(answer: Answer, route: &Route) -> Response<Body> {
    let failure = match answer {
        Answer::Conflict => Failure::new(409, "Conflict", format!("the {} has been modified", route.resource)),
        Answer::TooManyRequests => Failure::new(429, "TooManyRequests", "too many requests"),
        Answer::InternalError | Answer::Timeout => Failure::new(500, "InternalError", "the store does not answer"),
    };
    let mut response = Response::new(telling::whole(failure.status().to_string().into()));
    if let Ok(code) = http::StatusCode::from_u16(failure.code) {
        *response.status_mut() = code;
    }
    if failure.code == 429 {
        response.headers_mut().insert(http::header::RETRY_AFTER, http::HeaderValue::from_static("1"));
    }
    response
}

/// Whether a method changes anything.
fn is_write(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD)
}

#[cfg(test)]
mod tests;
