//! How the fields of the native kinds are merged: merge keys of strategic merge patch, list types of server-side apply.
//!
//! Only what differs from the rule stands here. The rule: maps merge, lists are replaced, everything else is a leaf.
//! What is inside a list or map that is replaced whole needs no entry.

/// A struct of the API: its fields that are not merged by the rule.
#[derive(Debug)]
pub(crate) struct Struct {
    fields: &'static [Entry],
    /// Fields that the server writes as null where they are missing.
    nulls: &'static [&'static str],
    /// Whether server-side apply owns it whole.
    whole: bool,
}

/// One field.
#[derive(Debug)]
pub(crate) enum Field {
    /// A struct.
    Is(&'static Struct),
    /// A struct that the server always writes: where it is missing, it is empty.
    Always(&'static Struct),
    /// A map that server-side apply owns whole; strategic merge patch merges it.
    Whole,
    /// A map that both replace.
    Replaced,
    /// A list.
    List(List),
}

/// A list.
#[derive(Debug)]
pub(crate) struct List {
    /// Its items.
    pub(crate) item: &'static Struct,
    /// Server-side apply.
    pub(crate) applied: Applied,
    /// Strategic merge patch.
    pub(crate) patched: Patched,
}

/// Who owns what of a list under server-side apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Applied {
    /// The list is one value.
    Whole,
    /// Every value by itself.
    Set,
    /// Every item by itself, known by these fields.
    By(&'static [&'static str]),
}

/// What strategic merge patch does with a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patched {
    /// The patch's list replaces it.
    Replaced,
    /// Values are added.
    Values,
    /// Items are merged by this field.
    By(&'static str),
}

type Entry = (&'static str, Field);

const fn of(fields: &'static [Entry]) -> Struct {
    Struct { fields, nulls: &[], whole: false }
}

const fn is(name: &'static str, of: &'static Struct) -> Entry {
    (name, Field::Is(of))
}

const fn always(name: &'static str, of: &'static Struct) -> Entry {
    (name, Field::Always(of))
}

const fn whole(name: &'static str) -> Entry {
    (name, Field::Whole)
}

const fn list(name: &'static str, item: &'static Struct, applied: Applied, patched: Patched) -> Entry {
    (name, Field::List(List { item, applied, patched }))
}

/// Items known by the same one field in both formats.
const fn keyed(name: &'static str, item: &'static Struct, key: &'static [&'static str; 1]) -> Entry {
    let [by] = key;
    list(name, item, Applied::By(key), Patched::By(by))
}

/// A set of values in both formats.
const fn set(name: &'static str) -> Entry {
    list(name, &PLAIN, Applied::Set, Patched::Values)
}

impl Struct {
    /// How this field is merged, where it is not by the rule.
    pub(crate) fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|(known, _)| *known == name).map(|(_, field)| field)
    }

    /// Fields that are there even where nobody wrote them, and whether they are null then; empty maps otherwise.
    pub(crate) fn always(&self) -> impl Iterator<Item = (&'static str, bool)> {
        let maps =
            self.fields.iter().filter(|(_, field)| matches!(field, Field::Always(_))).map(|(name, _)| (*name, false));
        maps.chain(self.nulls.iter().map(|name| (*name, true)))
    }

    /// Whether server-side apply owns it whole.
    pub(crate) fn is_whole(&self) -> bool {
        self.whole
    }

    /// Whether nothing is known of it but the rule.
    pub(crate) fn is_plain(&self) -> bool {
        self.fields.is_empty() && !self.whole
    }
}

/// The struct of a native kind that this table knows.
pub(crate) fn kind(name: &str) -> Option<&'static Struct> {
    KINDS.iter().find(|(known, _)| *known == name).map(|(_, of)| *of)
}

/// A struct all of whose fields are merged by the rule.
pub(crate) static PLAIN: Struct = of(&[]);

/// A reference: nobody owns a part of it.
static REFERENCE: Struct = Struct { fields: &[], nulls: &[], whole: true };

/// ObjectMeta, of native and custom kinds.
pub(crate) static META: Struct = of(&[keyed("ownerReferences", &REFERENCE, &["uid"]), set("finalizers")]);

const fn with_nulls(nulls: &'static [&'static str]) -> Struct {
    Struct { nulls, ..of(&[]) }
}

static CONDITION: Struct = with_nulls(&["lastTransitionTime"]);
static CONDITIONS: Struct = of(&[keyed("conditions", &CONDITION, &["type"])]);
static PROBED_CONDITION: Struct = with_nulls(&["lastProbeTime", "lastTransitionTime"]);
static UPDATED_CONDITION: Struct = with_nulls(&["lastUpdateTime", "lastTransitionTime"]);
static HEARTBEAT_CONDITION: Struct = with_nulls(&["lastHeartbeatTime", "lastTransitionTime"]);
static DEPLOYMENT_STATUS: Struct = of(&[keyed("conditions", &UPDATED_CONDITION, &["type"])]);
static CLAIM_STATUS: Struct = of(&[keyed("conditions", &PROBED_CONDITION, &["type"])]);

static RESOURCES: Struct = of(&[list("claims", &PLAIN, Applied::By(&["name"]), Patched::Replaced)]);

static ENV: Struct = of(&[is("valueFrom", &ENV_SOURCE)]);
static ENV_SOURCE: Struct = of(&[
    whole("configMapKeyRef"),
    whole("fieldRef"),
    whole("fileKeyRef"),
    whole("resourceFieldRef"),
    whole("secretKeyRef"),
]);

static CONTAINER: Struct = of(&[
    list("ports", &PLAIN, Applied::By(&["containerPort", "protocol"]), Patched::By("containerPort")),
    keyed("env", &ENV, &["name"]),
    keyed("volumeMounts", &PLAIN, &["mountPath"]),
    keyed("volumeDevices", &PLAIN, &["devicePath"]),
    always("resources", &RESOURCES),
]);

static SECRET_REF: Struct = of(&[whole("secretRef")]);
static VOLUME: Struct = of(&[
    is("cephfs", &SECRET_REF),
    is("cinder", &SECRET_REF),
    is("csi", &CSI),
    is("ephemeral", &EPHEMERAL),
    is("flexVolume", &SECRET_REF),
    is("iscsi", &SECRET_REF),
    is("rbd", &SECRET_REF),
    is("scaleIO", &SECRET_REF),
    is("storageos", &SECRET_REF),
]);
static EPHEMERAL: Struct = of(&[is("volumeClaimTemplate", &CLAIM_TEMPLATE)]);
static CLAIM_TEMPLATE: Struct = of(&[always("metadata", &META), always("spec", &CLAIM_SPEC)]);

static AFFINITY: Struct = of(&[is("nodeAffinity", &NODE_AFFINITY)]);
static NODE_AFFINITY: Struct = of(&[whole("requiredDuringSchedulingIgnoredDuringExecution")]);
static SPREAD: Struct = of(&[whole("labelSelector")]);

static POD_SPEC: Struct = Struct {
    nulls: &["containers"],
    ..of(&[
        keyed("containers", &CONTAINER, &["name"]),
        keyed("initContainers", &CONTAINER, &["name"]),
        keyed("ephemeralContainers", &CONTAINER, &["name"]),
        keyed("volumes", &VOLUME, &["name"]),
        keyed("imagePullSecrets", &REFERENCE, &["name"]),
        keyed("hostAliases", &PLAIN, &["ip"]),
        keyed("schedulingGates", &PLAIN, &["name"]),
        keyed("resourceClaims", &PLAIN, &["name"]),
        list(
            "topologySpreadConstraints",
            &SPREAD,
            Applied::By(&["topologyKey", "whenUnsatisfiable"]),
            Patched::By("topologyKey"),
        ),
        whole("nodeSelector"),
        is("affinity", &AFFINITY),
        is("resources", &RESOURCES),
    ])
};

static POD_STATUS: Struct = of(&[
    keyed("conditions", &PROBED_CONDITION, &["type"]),
    keyed("podIPs", &PLAIN, &["ip"]),
    list("hostIPs", &PLAIN, Applied::Whole, Patched::By("ip")),
    keyed("resourceClaimStatuses", &PLAIN, &["name"]),
]);

static POD: Struct = of(&[always("metadata", &META), always("spec", &POD_SPEC), always("status", &POD_STATUS)]);
static TEMPLATE: Struct = of(&[always("metadata", &META), always("spec", &POD_SPEC)]);

static REPLICA_SET_SPEC: Struct =
    Struct { nulls: &["selector"], ..of(&[whole("selector"), always("template", &TEMPLATE)]) };
static DEPLOYMENT_SPEC: Struct = Struct {
    nulls: &["selector"],
    ..of(&[whole("selector"), always("strategy", &PLAIN), always("template", &TEMPLATE)])
};
static JOB_SPEC: Struct = of(&[whole("selector"), always("template", &TEMPLATE)]);
static SET_SPEC: Struct = Struct {
    nulls: &["selector"],
    ..of(&[whole("selector"), always("template", &TEMPLATE), always("updateStrategy", &PLAIN)])
};
static JOB_STATUS: Struct =
    of(&[list("conditions", &PLAIN, Applied::Whole, Patched::By("type")), is("uncountedTerminatedPods", &UNCOUNTED)]);
static UNCOUNTED: Struct = of(&[
    list("failed", &PLAIN, Applied::Set, Patched::Replaced),
    list("succeeded", &PLAIN, Applied::Set, Patched::Replaced),
]);
static CRON_JOB_SPEC: Struct = of(&[always("jobTemplate", &JOB_TEMPLATE)]);
static JOB_TEMPLATE: Struct = of(&[always("metadata", &META), always("spec", &JOB_SPEC)]);

static CLAIM_SPEC: Struct = of(&[whole("dataSource"), always("resources", &PLAIN), whole("selector")]);
static VOLUME_SPEC: Struct = of(&[
    whole("claimRef"),
    is("csi", &CSI),
    is("nodeAffinity", &VOLUME_AFFINITY),
    is("iscsi", &SECRET_REF),
    is("rbd", &SECRET_REF),
    is("cephfs", &SECRET_REF),
    is("cinder", &SECRET_REF),
    is("flexVolume", &SECRET_REF),
    is("scaleIO", &SECRET_REF),
    is("storageos", &SECRET_REF),
]);
static VOLUME_AFFINITY: Struct = of(&[whole("required")]);
static CSI: Struct = of(&[
    whole("controllerExpandSecretRef"),
    whole("controllerPublishSecretRef"),
    whole("nodeExpandSecretRef"),
    whole("nodePublishSecretRef"),
    whole("nodeStageSecretRef"),
]);

static SERVICE_SPEC: Struct =
    of(&[list("ports", &PLAIN, Applied::By(&["port", "protocol"]), Patched::By("port")), whole("selector")]);
static SERVICE_STATUS: Struct = of(&[keyed("conditions", &CONDITION, &["type"]), always("loadBalancer", &PLAIN)]);

static NODE_SPEC: Struct = of(&[set("podCIDRs")]);
static NODE_STATUS: Struct = of(&[
    keyed("conditions", &HEARTBEAT_CONDITION, &["type"]),
    keyed("addresses", &PLAIN, &["type"]),
    always("daemonEndpoints", &DAEMON_ENDPOINTS),
    always("nodeInfo", &PLAIN),
]);
static DAEMON_ENDPOINTS: Struct = of(&[always("kubeletEndpoint", &PLAIN)]);

static BUDGET_SPEC: Struct = of(&[("selector", Field::Replaced)]);

static WEBHOOKS: Struct = of(&[always("metadata", &META), keyed("webhooks", &WEBHOOK, &["name"])]);
static WEBHOOK: Struct = of(&[
    always("clientConfig", &PLAIN),
    keyed("matchConditions", &PLAIN, &["name"]),
    whole("namespaceSelector"),
    whole("objectSelector"),
]);

static DEFINITION_STATUS: Struct =
    of(&[list("conditions", &CONDITION, Applied::By(&["type"]), Patched::Replaced), always("acceptedNames", &PLAIN)]);
static DEFINITION_SPEC: Struct = of(&[always("names", &PLAIN)]);

/// A kind with metadata and nothing else to say.
static BARE: Struct = of(&[always("metadata", &META)]);

/// A kind with metadata, spec and status.
macro_rules! kinds {
    ($($name:ident: $spec:expr, $status:expr;)*) => {
        $(static $name: Struct =
            of(&[always("metadata", &META), always("spec", $spec), always("status", $status)]);)*
    };
}

kinds! {
    DEPLOYMENT: &DEPLOYMENT_SPEC, &DEPLOYMENT_STATUS;
    REPLICA_SET: &REPLICA_SET_SPEC, &CONDITIONS;
    SET: &SET_SPEC, &CONDITIONS;
    JOB: &JOB_SPEC, &JOB_STATUS;
    CRON_JOB: &CRON_JOB_SPEC, &PLAIN;
    CLAIM: &CLAIM_SPEC, &CLAIM_STATUS;
    PERSISTENT_VOLUME: &VOLUME_SPEC, &PLAIN;
    SERVICE: &SERVICE_SPEC, &SERVICE_STATUS;
    NODE: &NODE_SPEC, &NODE_STATUS;
    NAMESPACE: &PLAIN, &CONDITIONS;
    BUDGET: &BUDGET_SPEC, &CONDITIONS;
    DEFINITION: &DEFINITION_SPEC, &DEFINITION_STATUS;
}

static POD_TEMPLATE: Struct = of(&[always("metadata", &META), always("template", &TEMPLATE)]);
static REVISION: Struct = of(&[always("metadata", &META), whole("data")]);
static LEASE: Struct = of(&[always("metadata", &META), always("spec", &PLAIN)]);
static SERVICE_ACCOUNT: Struct = of(&[always("metadata", &META), keyed("secrets", &REFERENCE, &["name"])]);
static EVENT: Struct = of(&[
    always("metadata", &META),
    whole("involvedObject"),
    whole("regarding"),
    whole("related"),
    always("source", &PLAIN),
    always("deprecatedSource", &PLAIN),
]);

static KINDS: &[(&str, &Struct)] = &[
    ("Pod", &POD),
    ("PodTemplate", &POD_TEMPLATE),
    ("Deployment", &DEPLOYMENT),
    ("ReplicaSet", &REPLICA_SET),
    ("StatefulSet", &SET),
    ("DaemonSet", &SET),
    ("ControllerRevision", &REVISION),
    ("Job", &JOB),
    ("CronJob", &CRON_JOB),
    ("PersistentVolumeClaim", &CLAIM),
    ("PersistentVolume", &PERSISTENT_VOLUME),
    ("Service", &SERVICE),
    ("ServiceAccount", &SERVICE_ACCOUNT),
    ("Node", &NODE),
    ("Namespace", &NAMESPACE),
    ("PodDisruptionBudget", &BUDGET),
    ("Lease", &LEASE),
    ("Event", &EVENT),
    ("ConfigMap", &BARE),
    ("Secret", &BARE),
    ("Endpoints", &BARE),
    ("EndpointSlice", &BARE),
    ("PriorityClass", &BARE),
    ("StorageClass", &BARE),
    ("MutatingWebhookConfiguration", &WEBHOOKS),
    ("ValidatingWebhookConfiguration", &WEBHOOKS),
    ("CustomResourceDefinition", &DEFINITION),
];
