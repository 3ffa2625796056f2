//! Looking objects up by namespace and label selector, without walking a namespace where a label says which few match.

use std::collections::BTreeSet;
use std::sync::Arc;

use api::k8s::{Metadata, Text, share};
use api::keys;
use rules::selector::Selector;

use super::{Cached, Index, Store};

/// Index by namespace.
const BY_NAMESPACE: &str = "namespace";
/// Index by namespace and one label.
const BY_LABEL: &str = "namespace and label";

/// Labels whose value differs from Pod to Pod: an entry for each would find one Pod and take the memory of a list.
const ONE_EACH: [&str; 2] = [keys::INSTANCE_ID_LABEL, "statefulset.kubernetes.io/pod-name"];

/// The indices that [`Store::select`] needs.
#[must_use]
pub fn selectable<T: Cached>() -> [Index<T>; 2] {
    [
        Index { name: BY_NAMESPACE, values: |object| vec![object.metadata().namespace.clone()] },
        Index { name: BY_LABEL, values: |object| labels(object.metadata()) },
    ]
}

fn labels(metadata: &Metadata) -> Vec<Text> {
    let indexed = metadata.labels.iter().filter(|(key, _)| !ONE_EACH.contains(&key.as_str()));
    indexed.map(|(key, value)| share(&entry(&metadata.namespace, key, value))).collect()
}

/// No part can hold a slash but the key, and no key an equals sign.
fn entry(namespace: &str, key: &str, value: &str) -> String {
    format!("{namespace}/{key}={value}")
}

impl<T: Cached> Store<T> {
    /// The objects of a namespace that a selector matches, ordered by name. Needs the indices of [`selectable`]. Takes
    /// time in proportion to the objects that have the rarest label asked for; only a selector that asks for no value
    /// walks the namespace.
    #[must_use]
    pub fn select(&self, namespace: &str, selector: &Selector) -> Vec<Arc<T>> {
        let asked = selector.values_asked_for().filter(|(key, _)| !ONE_EACH.contains(key));
        let entries = |(key, values): (&str, BTreeSet<&str>)| -> Vec<String> {
            values.iter().map(|value| entry(namespace, key, value)).collect()
        };
        let rarest = asked.map(entries).min_by_key(|entries| self.count(BY_LABEL, entries));
        let mut found = match rarest {
            // An object has one value of a label, so no object stands under two of the entries.
            Some(entries) => entries.iter().flat_map(|entry| self.by_index(BY_LABEL, entry)).collect(),
            None => self.by_index(BY_NAMESPACE, namespace),
        };
        found.retain(|object| selector.matches(&object.metadata().labels));
        found.sort_unstable_by(|one, other| one.metadata().name.cmp(&other.metadata().name));
        found
    }
}
