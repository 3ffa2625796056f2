//! Whether an answer is right: the request's identity, allowed, and for Pods of the suite a patch that leads to the Pod
//! as admission must leave it, for all others none.
//!
//! Equal patches of equal Pods are applied once: checking must not be what the load generator spends its time on.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;
use serde::Deserialize;

use crate::objects::reviews::Review;

/// What somebody answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// What the product must decide.
    Decision,
    /// "Allowed" to everything.
    Nothing,
}

/// Checks answers to these questions.
#[derive(Debug)]
pub(crate) struct Check {
    reviews: Vec<Review>,
    patches: Mutex<HashMap<(usize, String), Result<(), String>>>,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    response: Decision<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Decision<'a> {
    uid: &'a str,
    allowed: bool,
    patch: Option<&'a str>,
    patch_type: Option<&'a str>,
}

impl Check {
    /// Takes the questions.
    pub(crate) fn new(reviews: Vec<Review>) -> Self {
        Self { reviews, patches: Mutex::default() }
    }

    /// The text of a question, and its number; they go around.
    pub(crate) fn question(&self, nth: u64, uid: &str) -> (usize, String) {
        let which = (nth % self.reviews.len().max(1) as u64) as usize;
        (which, self.reviews.get(which).map(|review| review.text(uid)).unwrap_or_default())
    }

    /// Says what is wrong with an answer.
    pub(crate) fn answer(&self, which: usize, uid: &str, text: &[u8], expected: Expected) -> Result<(), String> {
        let answer: Answer<'_> = serde_json::from_slice(text).map_err(|err| format!("unreadable answer: {err}"))?;
        let Decision { uid: answered, allowed, patch, patch_type } = answer.response;
        if answered != uid {
            return Err("answer to another request".to_owned());
        }
        if !allowed {
            return Err("refused".to_owned());
        }
        let Some(review) = self.reviews.get(which) else { return Err("no such question".to_owned()) };
        match (patch, expected == Expected::Decision && review.admitted.is_some()) {
            (None, false) => Ok(()),
            (Some(_), false) => Err("a patch where nothing is to change".to_owned()),
            (None, true) => Err("no patch where one is due".to_owned()),
            (Some(_), true) if patch_type != Some("JSONPatch") => Err("a patch of unknown type".to_owned()),
            (Some(patch), true) => {
                let mut patches = self.patches.lock();
                let checked = patches.entry((which, patch.to_owned())).or_insert_with(|| applied(review, patch));
                checked.clone()
            }
        }
    }
}

fn applied(review: &Review, patch: &str) -> Result<(), String> {
    let patch = STANDARD.decode(patch).map_err(|err| format!("the patch is not base64: {err}"))?;
    let patch: json_patch::Patch = serde_json::from_slice(&patch).map_err(|err| format!("unreadable patch: {err}"))?;
    let mut pod = review.pod.clone();
    json_patch::patch(&mut pod, &patch).map_err(|err| format!("the patch does not fit the Pod: {err}"))?;
    if Some(&pod) == review.admitted.as_ref() { Ok(()) } else { Err("the patch leads to another Pod".to_owned()) }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::objects::reviews::reviews;

    /// The outcome for a question about a CloneSet's Pod (4) or another's (0).
    fn judged(which: usize, response: &Value, expected: Expected) -> Result<(), String> {
        let text = json!({"kind": "AdmissionReview", "response": response}).to_string();
        Check::new(reviews(1)).answer(which, "u", text.as_bytes(), expected)
    }

    fn patch(operations: &Value) -> Value {
        json!({"uid": "u", "allowed": true, "patchType": "JSONPatch", "patch": STANDARD.encode(operations.to_string())})
    }

    fn gate() -> Value {
        json!([{"op": "add", "path": "/spec/readinessGates/1", "value": {"conditionType": "KruisePodReady"}}])
    }

    #[test]
    fn the_right_answers_pass() {
        let allowed = json!({"uid": "u", "allowed": true});
        assert_eq!(judged(0, &allowed, Expected::Decision), Ok(()));
        assert_eq!(judged(4, &patch(&gate()), Expected::Decision), Ok(()));
        assert_eq!(judged(4, &allowed, Expected::Nothing), Ok(()));
    }

    #[test]
    fn wrong_answers_are_named() {
        let other = json!([{"op": "add", "path": "/spec/hostNetwork", "value": true}]);
        for (which, response, wrong) in [
            (0, json!({"uid": "v", "allowed": true}), "answer to another request"),
            (0, json!({"uid": "u", "allowed": false}), "refused"),
            (0, patch(&gate()), "a patch where nothing is to change"),
            (4, json!({"uid": "u", "allowed": true}), "no patch where one is due"),
            (4, patch(&other), "the patch leads to another Pod"),
        ] {
            assert_eq!(judged(which, &response, Expected::Decision).unwrap_err(), wrong);
        }
    }
}
