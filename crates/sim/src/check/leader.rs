//! One leader at a time: a write of a process that held the Lease is applied before another holds it (PL-10).

use super::picture::{Picture, Step};
use crate::server::call::Written;

/// What is wrong with a write.
pub(super) fn check(picture: &Picture, written: &Written, _: &Step) -> Option<String> {
    // Leases are written to become the leader, events by whoever has something to tell.
    if written.resource.starts_with("leases") || written.resource.starts_with("events") {
        return None;
    }
    let holder = picture.leader.as_deref().filter(|holder| *holder != written.caller)?;
    Some(format!("is applied while {holder} leads (PL-10)"))
}

#[cfg(test)]
mod tests {
    use super::super::picture::{CLONESETS, LEASES};
    use super::super::story::{MANAGER, cloneset};
    use serde_json::json;

    #[test]
    fn a_write_of_a_former_leader_is_a_fault() {
        let mut story = cloneset(json!({"replicas": 1}));
        let lease = |holder| json!({"spec": {"holderIdentity": holder}});
        story.create(MANAGER, LEASES, "kruise-manager", lease(MANAGER));
        story.patch(MANAGER, CLONESETS, "web", json!({"status": {"replicas": 1}}));
        story.keeps();
        story.patch("kruise-manager-1", LEASES, "kruise-manager", lease("kruise-manager-1"));
        story.patch("kruise-manager-1", CLONESETS, "web", json!({"status": {"replicas": 2}}));
        story.keeps();
        story.patch(MANAGER, CLONESETS, "web", json!({"status": {"replicas": 3}}));
        story.breaks("leader", "while kruise-manager-1 leads");
    }
}
