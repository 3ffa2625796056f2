//! Volumes of a template: distinct names, one source each, and what each common source cannot do without.

use std::collections::BTreeSet;

use super::{ClaimVolume, containers::no_way_up, distinct, resources::NOT_A_QUANTITY};
use crate::{field::Denial, look::Node, names, quantity};

/// The names of all volumes that the Pods will have.
pub(super) struct Volumes(BTreeSet<String>);

impl Volumes {
    pub(super) fn contains(&self, name: &str) -> bool {
        self.0.contains(name)
    }
}

const SOURCES: [&str; 30] = [
    "emptyDir",
    "hostPath",
    "gitRepo",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "secret",
    "nfs",
    "iscsi",
    "glusterfs",
    "persistentVolumeClaim",
    "rbd",
    "cinder",
    "cephfs",
    "flocker",
    "downwardAPI",
    "fc",
    "configMap",
    "azureFile",
    "flexVolume",
    "vsphereVolume",
    "quobyte",
    "azureDisk",
    "portworxVolume",
    "scaleIO",
    "projected",
    "storageos",
    "csi",
    "ephemeral",
    "image",
    "photonPersistentDisk",
];

/// What a source cannot do without.
const NEEDED: [(&str, &[&str]); 10] = [
    ("hostPath", &["path"]),
    ("secret", &["secretName"]),
    ("configMap", &["name"]),
    ("nfs", &["server", "path"]),
    ("persistentVolumeClaim", &["claimName"]),
    ("csi", &["driver"]),
    ("flexVolume", &["driver"]),
    ("azureFile", &["secretName", "shareName"]),
    ("gitRepo", &["repository"]),
    ("gcePersistentDisk", &["pdName"]),
];

const HOST_PATH_TYPES: [&str; 7] =
    ["BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];
const MODE_RANGE: &str = "must be a number between 0 and 0777 (octal), both inclusive";
const ONE_TYPE: &str = "may not specify more than 1 volume type";

pub(super) fn validate(spec: &Node<'_>, claims: &[ClaimVolume], out: &mut Vec<Denial>) -> Volumes {
    let list = spec.objects("volumes", out);
    let mut seen = BTreeSet::new();
    for volume in &list {
        let name = volume.required_text("name", out);
        if !name.is_empty()
            && let Err(detail) = names::dns_label(name)
        {
            out.push(volume.at("name").invalid(name, detail));
        }
        distinct(volume.at("name"), name, &mut seen, out);
        source(volume, out);
    }
    for claim in claims {
        if claim.name.is_empty() {
            out.push(claim.path.required(""));
        } else if let Err(detail) = names::dns_label(&claim.name) {
            out.push(claim.path.invalid(claim.name.as_str(), detail));
        }
        distinct(claim.path.clone(), &claim.name, &mut seen, out);
    }
    Volumes(seen.into_iter().map(str::to_owned).collect())
}

/// At most one source; none is filled in as an empty directory.
fn source(volume: &Node<'_>, out: &mut Vec<Denial>) {
    let choice = volume.choice(&SOURCES, &["name"]);
    for extra in choice.chosen.iter().skip(1) {
        out.push(volume.at(extra).forbidden(ONE_TYPE));
    }
    let Some(kind) = choice.chosen.first().copied() else { return };
    let Some(source) = volume.object(kind, out) else { return };
    for (_, members) in NEEDED.iter().filter(|(name, _)| *name == kind) {
        for member in *members {
            source.required_text(member, out);
        }
    }
    match kind {
        "emptyDir" => {
            if let Some(limit) = source.get("sizeLimit")
                && quantity::read(limit.value).is_none_or(|limit| limit.nanos() < 0)
            {
                out.push(limit.path.invalid(limit.value.clone(), NOT_A_QUANTITY));
            }
        }
        "hostPath" => {
            no_way_up(&source, "path", source.text("path", &mut Vec::new()), out);
            source.one_of("type", &HOST_PATH_TYPES, out);
        }
        "secret" | "configMap" => {
            mode(&source, "defaultMode", out);
            keys(&source, out);
        }
        "downwardAPI" => {
            mode(&source, "defaultMode", out);
            fields(&source, out);
        }
        "projected" => {
            mode(&source, "defaultMode", out);
            projected(&source, out);
        }
        "ephemeral" if source.get("volumeClaimTemplate").is_none() => {
            out.push(source.at("volumeClaimTemplate").required(""));
        }
        _ => {}
    }
}

fn projected(volume: &Node<'_>, out: &mut Vec<Denial>) {
    const KNOWN: [&str; 6] =
        ["secret", "configMap", "downwardAPI", "serviceAccountToken", "clusterTrustBundle", "podCertificate"];
    for source in volume.objects("sources", out) {
        let choice = source.choice(&KNOWN, &[]);
        for extra in choice.chosen.iter().skip(1) {
            out.push(source.at(extra).forbidden(ONE_TYPE));
        }
        let Some(kind) = choice.chosen.first().copied() else { continue };
        let Some(part) = source.object(kind, out) else { continue };
        match kind {
            "secret" | "configMap" => {
                part.required_text("name", out);
                keys(&part, out);
            }
            "downwardAPI" => fields(&part, out),
            "serviceAccountToken" => {
                part.required_text("path", out);
                part.within("expirationSeconds", 600, 1 << 32, "may not be less than 10 minutes", out);
            }
            _ => {}
        }
    }
}

/// Keys of a Secret or ConfigMap and the files they become.
fn keys(source: &Node<'_>, out: &mut Vec<Denial>) {
    for item in source.objects("items", out) {
        item.required_text("key", out);
        file(&item, out);
    }
}

/// Fields of the Pod and the files they become.
fn fields(source: &Node<'_>, out: &mut Vec<Denial>) {
    for item in source.objects("items", out) {
        file(&item, out);
        if let Some(field) = item.object("fieldRef", out) {
            field.required_text("fieldPath", out);
        }
        let choice = item.choice(&["fieldRef", "resourceFieldRef"], &["path", "mode"]);
        match choice.chosen.as_slice() {
            [] if !choice.unknown => {
                out.push(item.path.required("one of fieldRef and resourceFieldRef is required"));
            }
            [_, _, ..] => out.push(
                item.path.invalid("resource", "fieldRef and resourceFieldRef can not be specified simultaneously"),
            ),
            _ => {}
        }
    }
}

fn file(item: &Node<'_>, out: &mut Vec<Denial>) {
    let path = item.required_text("path", out);
    if path.starts_with('/') {
        out.push(item.at("path").invalid(path, "must be a relative path"));
    }
    no_way_up(item, "path", path, out);
    mode(item, "mode", out);
}

fn mode(node: &Node<'_>, member: &str, out: &mut Vec<Denial>) {
    node.within(member, 0, 0o777, MODE_RANGE, out);
}
