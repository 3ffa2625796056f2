//! Wakes the loop when one of its objects changes (PL-40).
//!
//! Each object is watched by name and as metadata only: the change is all that matters, the pass reads live. A watch
//! that begins at version 0 first reports the object as it is, so nothing is missed between two watches, and the right
//! to list is not needed.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, pin_mut};
use k8s_openapi::api::admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{WatchEvent, WatchParams};
use kube::{Api, Client, Resource};
use runtime::shutdown::Shutdown;
use tokio::sync::Notify;
use tracing::debug;

use crate::configuration::crds::Kind;
use crate::configuration::webhooks::Flavour;

/// First and longest pause after a watch failed; the regular pass covers what is missed meanwhile.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// Watches all objects of the loop until shutdown.
pub(super) fn watch(
    client: &Client,
    secret: Option<(&str, &str)>,
    kinds: &[Kind],
    wake: &Arc<Notify>,
    shutdown: &Shutdown,
) {
    if let Some((namespace, name)) = secret {
        spawn::<Secret>(Api::namespaced(client.clone(), namespace), name, wake, shutdown);
    }
    let mutating = Flavour::Mutating.object();
    spawn::<MutatingWebhookConfiguration>(Api::all(client.clone()), mutating, wake, shutdown);
    let validating = Flavour::Validating.object();
    spawn::<ValidatingWebhookConfiguration>(Api::all(client.clone()), validating, wake, shutdown);
    for kind in kinds {
        spawn::<CustomResourceDefinition>(Api::all(client.clone()), &kind.crd, wake, shutdown);
    }
}

fn spawn<K>(api: Api<K>, name: &str, wake: &Arc<Notify>, shutdown: &Shutdown)
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + serde::de::DeserializeOwned + Send + Sync + 'static,
{
    let params = WatchParams::default().fields(&format!("metadata.name={name}")).disable_bookmarks();
    let (name, wake, shutdown) = (name.to_owned(), Arc::clone(wake), shutdown.clone());
    tokio::spawn(async move {
        let mut pause = PAUSES.0;
        loop {
            let ended = tokio::select! {
                () = shutdown.requested() => return,
                ended = follow(&api, &params, &wake) => ended,
            };
            pause = match ended {
                Ok(()) => PAUSES.0,
                Err(err) => {
                    debug!(kind = %K::kind(&()), name, %err, "watch again");
                    (pause * 2).min(PAUSES.1)
                }
            };
            tokio::select! {
                () = shutdown.requested() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    });
}

/// One watch, until the server ends it.
async fn follow<K>(api: &Api<K>, params: &WatchParams, wake: &Notify) -> Result<(), kube::Error>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let stream = api.watch_metadata(params, "0").await?;
    pin_mut!(stream);
    while let Some(event) = stream.next().await {
        match event? {
            WatchEvent::Added(_) | WatchEvent::Modified(_) | WatchEvent::Deleted(_) => wake.notify_one(),
            WatchEvent::Bookmark(_) => {}
            WatchEvent::Error(status) => return Err(kube::Error::Api(status)),
        }
    }
    Ok(())
}
