//! Which feature gates have their feature in this version: one that is on without it is named at the start, once, so
//! that nobody counts on what is not there.

use runtime::gates::{Gate, Gates};
use tracing::warn;

/// Warns of each gate that is on, by a flag or by default, and changes nothing yet.
pub(crate) fn warn_of_missing(gates: &Gates) {
    for gate in missing(gates) {
        warn!(gate = gate.name(), "feature gate is on, but its feature is not in this version yet");
    }
}

fn missing(gates: &Gates) -> impl Iterator<Item = Gate> {
    Gate::ALL.iter().copied().filter(|gate| gates.is_on(*gate) && !is_here(*gate))
}

/// Whether some program of this version does what a gate is about. Without `_`: who adds a gate, or its feature, says so
/// here.
fn is_here(gate: Gate) -> bool {
    match gate {
        Gate::PodWebhook
        | Gate::KruiseDaemon
        | Gate::ResourcesDeletionProtection
        | Gate::CloneSetShortHash
        | Gate::KruisePodReadinessGate
        | Gate::CloneSetPartitionRollback
        | Gate::CloneSetEventHandlerOptimization
        | Gate::PreparingUpdateAsUpdate
        | Gate::TemplateNoDefaults
        | Gate::RecreatePodWhenChangeVCTInCloneSetGate
        | Gate::EnableExternalCerts
        | Gate::ForceDeleteTimeoutExpectationGate
        | Gate::DefaultHostNetworkHostPortsInPodTemplates => true,
        Gate::DaemonWatchingPod
        | Gate::WorkloadSpread
        | Gate::PodUnavailableBudgetDeleteGate
        | Gate::InPlaceUpdateEnvFromMetadata
        | Gate::StatefulSetAutoDeletePVC
        | Gate::PodProbeMarkerGate
        | Gate::PodIndexLabel
        | Gate::ResourceDistributionGate
        | Gate::PreDownloadImageForInPlaceUpdate
        | Gate::PreDownloadImageForDaemonSetUpdate
        | Gate::PodUnavailableBudgetUpdateGate
        | Gate::SidecarSetPatchPodMetadataDefaultsAllowed
        | Gate::SidecarTerminator
        | Gate::ImagePullJobGate
        | Gate::DeletionProtectionForCRDCascadingGate
        | Gate::EnhancedLivenessProbe
        | Gate::StatefulSetStartOrdinal
        | Gate::StatefulSetAutoResizePVCGate
        | Gate::InPlaceWorkloadVerticalScaling
        | Gate::InPlacePodVerticalScaling
        | Gate::EnablePodProbeMarkerOnServerless
        | Gate::EnableSortSidecarContainerByName
        | Gate::DaemonSetPruneIneligibleNodes => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_gate_that_is_on_without_its_feature_is_named_once() {
        let named = |flags: &str| -> Vec<_> { missing(&Gates::parse(flags, None).unwrap()).map(Gate::name).collect() };
        let by_default = named("");
        assert!(by_default.contains(&"WorkloadSpread") && !by_default.contains(&"PodWebhook"), "{by_default:?}");
        assert!(!by_default.contains(&"SidecarTerminator"), "it is off");
        assert!(!named("WorkloadSpread=false").contains(&"WorkloadSpread"));
        assert!(named("SidecarTerminator=true").contains(&"SidecarTerminator"));
    }
}
