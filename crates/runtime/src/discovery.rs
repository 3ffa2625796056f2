//! Is a kind served (PL-20)? Asked once, at the start of those who need it; what to do without is theirs to say.
//!
//! A missing kind is believed only after four attempts, and only if the server says so: a controller that is left out
//! by mistake stands still until the next restart, one that is started by mistake merely waits for its caches.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;
use kube::Client;
use rules::write::Resource;
use tracing::{debug, warn};

use crate::ambient::Chance;
use crate::client;

/// Pauses between the attempts (PL-20). A CRD that was created a moment ago is served within seconds.
const PAUSES: [Duration; 3] = [Duration::from_millis(500), Duration::from_millis(2_500), Duration::from_millis(12_500)];

/// Longest random addition to a pause, as a part of it (PL-20).
const JITTER: f64 = 0.1;

/// Those of the kinds that the server does not know, asked for all at once. Takes 16 s if there are any.
pub async fn absent(client: &Client, kinds: impl IntoIterator<Item = Resource>, chance: &Chance) -> BTreeSet<Resource> {
    let kinds: BTreeSet<_> = kinds.into_iter().collect();
    let answers = join_all(kinds.into_iter().map(async |kind| (kind, find(client, kind, chance).await))).await;
    answers.into_iter().filter(|(_, presence)| *presence == Presence::Absent).map(|(kind, _)| kind).collect()
}

/// The name of a kind's definition, for those who have to install it.
#[must_use]
pub fn crd_name(kind: &Resource) -> String {
    format!("{}.{}", kind.plural, kind.group)
}

/// Whether to count on a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    /// The server lists it, or did not say.
    Present,
    /// The server lists its group version, but not the kind.
    Absent,
}

async fn find(client: &Client, kind: Resource, chance: &Chance) -> Presence {
    let mut pauses = PAUSES.into_iter();
    loop {
        let found = look(client, kind).await;
        if matches!(found, Ok(Presence::Present)) {
            return Presence::Present;
        }
        let Some(pause) = pauses.next() else { return settle(kind, found) };
        debug!(kind = kind.kind, ?found, "kind is not served, look again");
        tokio::time::sleep(chance.stretched(pause, JITTER)).await;
    }
}

/// What the last attempt means.
fn settle(kind: Resource, found: Result<Presence, kube::Error>) -> Presence {
    found.unwrap_or_else(|err| {
        warn!(kind = kind.kind, err = client::words(&err), "cannot ask whether the kind is served, count on it");
        Presence::Present
    })
}

async fn look(client: &Client, kind: Resource) -> Result<Presence, kube::Error> {
    let listed = match kind.group {
        "" => client.list_core_api_resources(kind.version).await?,
        group => client.list_api_group_resources(&format!("{group}/{}", kind.version)).await?,
    };
    let is_listed = listed.resources.iter().any(|resource| resource.kind == kind.kind);
    Ok(if is_listed { Presence::Present } else { Presence::Absent })
}

#[cfg(test)]
mod tests {
    use rules::write::{CLONE_SET, POD};
    use serde_json::{Value, json};

    use super::*;
    use crate::clock;
    use crate::mock::{Answer, server};

    fn list(kinds: &[&str]) -> Value {
        let resources: Vec<_> = kinds
            .iter()
            .map(|kind| json!({"kind": kind, "name": "n", "singularName": "", "namespaced": true, "verbs": []}))
            .collect();
        json!({"kind": "APIResourceList", "groupVersion": "apps.kruise.io/v1beta1", "resources": resources})
    }

    /// Asks for CloneSets a server that gives these answers in turn; the last one stays. Says how long it took.
    async fn ask(answers: &'static [fn() -> Answer]) -> (Presence, usize, Duration) {
        let calls = parking_lot::Mutex::new(0);
        let (client, log) = server(move |_| {
            let mut calls = calls.lock();
            *calls += 1;
            answers[answers.len().min(*calls) - 1]()
        });
        let start = clock::instant();
        let presence = find(&client, CLONE_SET, &Chance::seeded(1)).await;
        (presence, log.all().len(), clock::instant() - start)
    }

    // PL-20
    #[tokio::test(start_paused = true)]
    async fn a_kind_in_the_list_is_present_at_once() {
        let (client, log) = server(|_| Answer::Ok(list(&["SidecarSet", "CloneSet"])));
        assert!(absent(&client, [CLONE_SET, CLONE_SET], &Chance::seeded(1)).await.is_empty());
        assert_eq!(log.lines(), ["GET /apis/apps.kruise.io/v1beta1"], "a kind is asked for once");
        let (client, log) = server(|_| Answer::Ok(list(&["Pod"])));
        assert!(absent(&client, [POD], &Chance::seeded(1)).await.is_empty());
        assert_eq!(log.lines(), ["GET /api/v1"]);
    }

    // PL-20
    #[tokio::test(start_paused = true)]
    async fn a_kind_that_is_not_in_the_list_is_absent_after_four_attempts() {
        let (presence, attempts, took) = ask(&[|| Answer::Ok(list(&["SidecarSet"]))]).await;
        assert_eq!((presence, attempts), (Presence::Absent, 4));
        assert!((Duration::from_millis(15_500)..Duration::from_millis(17_060)).contains(&took), "{took:?}");
    }

    // PL-20
    #[tokio::test(start_paused = true)]
    async fn a_kind_that_appears_meanwhile_is_present() {
        let (presence, attempts, took) = ask(&[
            || Answer::Refuse(503, "ServiceUnavailable"),
            || Answer::Ok(list(&[])),
            || Answer::Ok(list(&["CloneSet"])),
        ])
        .await;
        assert_eq!((presence, attempts), (Presence::Present, 3));
        assert!(took < Duration::from_millis(3_310), "{took:?}");
    }

    // PL-20: also the 404 of a group version that does not exist; the watch will tell (PL-21).
    #[tokio::test(start_paused = true)]
    async fn any_other_error_counts_as_present() {
        let refusals: [&'static [fn() -> Answer]; 3] = [
            &[|| Answer::Refuse(404, "NotFound")],
            &[|| Answer::Refuse(403, "Forbidden")],
            &[|| Answer::Ok(list(&[])), || Answer::Refuse(500, "InternalError")],
        ];
        for answers in refusals {
            let (presence, attempts, _) = ask(answers).await;
            assert_eq!((presence, attempts), (Presence::Present, 4));
        }
    }

    #[test]
    fn a_definition_is_named_as_its_crd() {
        assert_eq!(crd_name(&CLONE_SET), "clonesets.apps.kruise.io");
    }
}
