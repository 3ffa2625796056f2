//! What is asked becomes an object: bodies are checked, patches are carried out, preconditions of names are kept.

use std::sync::Arc;

use serde_json::{Value, json};

use super::call::{Call, PatchFormat, Verb};
use super::core::{By, Core};
use super::failure::{Cause, Failure, Result};
use super::kind::{Kind, Resource};
use super::metadata::{self, is_deleting, meta_text};
use super::patch;
use super::rules::{self, form, native, pod, schema};
use super::store::Key;

/// What a draft does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Create,
    Update,
    Delete,
}

/// How the client is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// By the object.
    Object,
    /// By its Scale.
    Scale,
    /// By `Status: Success`, 201.
    Success,
}

/// A write that has begun.
pub(super) struct Draft<'a> {
    pub(super) caller: &'a str,
    pub(super) call: &'a Call,
    pub(super) resource: Arc<Resource>,
    /// The kind in the version of the request.
    pub(super) kind: Kind,
    /// Where it will be; the name is empty where the server makes one.
    pub(super) key: Key,
    pub(super) operation: Operation,
    /// As stored when the draft began.
    pub(super) before: Option<Arc<Value>>,
    /// The same in the version of the request.
    pub(super) old: Option<Arc<Value>>,
    /// What it becomes, in the version of the request; null for a deletion.
    pub(super) object: Value,
    pub(super) reply: Reply,
    /// DeleteOptions of a deletion.
    pub(super) options: Value,
}

impl<'a> Draft<'a> {
    pub(super) fn by(&self) -> By<'a> {
        By { caller: self.caller, verb: self.call.verb, subresource: &self.call.subresource }
    }

    /// Whether nothing of it is kept.
    pub(super) fn is_dry(&self) -> bool {
        let said = self.options.get("dryRun").and_then(Value::as_array);
        self.call.options.dry_run || said.is_some_and(|list| list.iter().any(|entry| entry == "All"))
    }

    /// Who manages the fields that are written.
    pub(super) fn manager(&self) -> &'a str {
        let named = self.call.options.field_manager.as_str();
        if named.is_empty() { self.caller } else { named }
    }
}

impl Core {
    /// Begins a write.
    pub(super) fn begin<'a>(&self, caller: &'a str, call: &'a Call) -> Result<Draft<'a>> {
        let resource = self.resource(&call.resource)?;
        let kind = resource.kind(&call.version).ok_or_else(Failure::no_such_resource)?.clone();
        let pods = resource.id == "pods";
        let namespace = if kind.namespaced { call.namespace.clone() } else { String::new() };
        let key = Key { resource: resource.id.clone(), namespace, name: call.name.clone() };
        let draft = Draft {
            caller,
            call,
            kind,
            key,
            operation: Operation::Update,
            before: None,
            old: None,
            object: Value::Null,
            reply: Reply::Object,
            options: Value::Null,
            resource,
        };
        match (call.subresource.as_str(), call.verb) {
            ("", Verb::Create) => self.begin_create(draft, call.body.clone()),
            ("", Verb::Delete) => self.begin_delete(draft, call.body.clone()),
            ("", Verb::Update | Verb::Patch(_)) => self.begin_update(draft),
            ("status", Verb::Update | Verb::Patch(_)) if draft.resource.traits.status => self.begin_update(draft),
            ("finalize", Verb::Update) if draft.resource.id == "namespaces" => self.begin_update(draft),
            ("resize", Verb::Update | Verb::Patch(_)) if pods => self.begin_update(draft),
            ("scale", Verb::Update | Verb::Patch(_)) if draft.resource.traits.scale => self.begin_scale(draft),
            ("binding", Verb::Create) if pods => self.begin_binding(draft),
            ("eviction", Verb::Create) if pods => self.begin_eviction(draft),
            ("" | "status" | "resize" | "scale" | "binding" | "eviction" | "finalize", _) => {
                Err(super::failure::unsupported(&draft.resource, call.verb))
            }
            ("ephemeralcontainers", _) if pods => Err(Failure::not_simulated("ephemeral containers")),
            _ => Err(Failure::no_such_resource()),
        }
    }

    fn begin_create<'a>(&self, mut draft: Draft<'a>, body: Value) -> Result<Draft<'a>> {
        let mut object = typed(&draft.resource, &draft.kind, body)?;
        self.check_namespace(&draft.resource, &draft.key.namespace, meta_text(&object, "name"))?;
        let in_body = meta_text(&object, "namespace");
        if !in_body.is_empty() && in_body != draft.key.namespace {
            let message = "the namespace of the provided object does not match the namespace sent on the request";
            return Err(Failure::bad_request(message));
        }
        if !draft.key.namespace.is_empty() {
            metadata::metadata(&mut object)?.insert("namespace".to_owned(), json!(draft.key.namespace));
        }
        let named = meta_text(&object, "name");
        if !draft.key.name.is_empty() && named.is_empty() {
            metadata::metadata(&mut object)?.insert("name".to_owned(), json!(draft.key.name));
        } else {
            named.clone_into(&mut draft.key.name);
        }
        if !meta_text(&object, "resourceVersion").is_empty() {
            return Err(Failure::new(500, "", "resourceVersion should not be set on objects to be created"));
        }
        shape(&draft.resource, &draft.kind, &mut object)?;
        native::admit(&draft.kind, &mut object, None)?;
        (draft.operation, draft.object) = (Operation::Create, object);
        Ok(draft)
    }

    fn begin_update<'a>(&self, mut draft: Draft<'a>) -> Result<Draft<'a>> {
        let call = draft.call;
        let is_apply = call.verb == Verb::Patch(PatchFormat::Apply);
        if is_apply && call.options.field_manager.is_empty() {
            let message = "Required value: is required for apply patch".to_owned();
            let cause = Cause { reason: "FieldValueRequired", message, field: "fieldManager".to_owned() };
            return Err(Failure::options("PatchOptions", &[cause]));
        }
        if call.options.force && matches!(call.verb, Verb::Patch(format) if format != PatchFormat::Apply) {
            let message = "Forbidden: may not be specified for non-apply patch".to_owned();
            let cause = Cause { reason: "FieldValueForbidden", message, field: "force".to_owned() };
            return Err(Failure::options("PatchOptions", &[cause]));
        }
        if self.load(&mut draft).is_err() {
            let makes = call.subresource.is_empty()
                && (is_apply || (call.verb == Verb::Update && draft.resource.traits.created_by_update));
            if makes {
                return self.begin_made(draft, is_apply);
            }
            // An update of an object that is gone fails by the uid that it names, if any.
            if call.verb == Verb::Update {
                check_uid(&draft, &call.body)?;
            }
            return Err(not_found(&draft));
        }
        let Some(old) = draft.old.clone() else { return Err(not_found(&draft)) };
        let mut object = match call.verb {
            Verb::Patch(format) => {
                let object = self.patched(&draft, format, &old)?;
                check_place(&draft.key, &object)?;
                object
            }
            _ => {
                let body = typed(&draft.resource, &draft.kind, call.body.clone())?;
                check_place(&draft.key, &body)?;
                check_uid(&draft, &body)?;
                body
            }
        };
        shape(&draft.resource, &draft.kind, &mut object).map_err(|failure| match call.verb {
            Verb::Patch(_) if failure.code == 400 => super::failure::unfit(&failure),
            _ => failure,
        })?;
        if call.subresource.is_empty() {
            native::admit(&draft.kind, &mut object, Some(&old))?;
        }
        draft.object = object;
        Ok(draft)
    }

    /// An update or apply that makes the object.
    fn begin_made<'a>(&self, draft: Draft<'a>, is_apply: bool) -> Result<Draft<'a>> {
        let body = draft.call.body.clone();
        let mut body = if is_apply { body } else { typed(&draft.resource, &draft.kind, body)? };
        check_place(&draft.key, &body)?;
        check_uid(&draft, &body)?;
        if is_apply {
            let (manager, force) = (draft.manager(), draft.call.options.force);
            let api_version = draft.kind.api_version();
            let types = types(&draft, &api_version)?;
            let object = patch::apply::apply(&types, None, &body, manager, "", force, self.now())?;
            return self.begin_create(draft, object);
        }
        metadata::metadata(&mut body)?.remove("resourceVersion");
        self.begin_create(draft, body)
    }

    /// Binds a Pod to a node.
    fn begin_binding<'a>(&self, mut draft: Draft<'a>) -> Result<Draft<'a>> {
        self.load(&mut draft)?;
        let Some(old) = &draft.old else { return Err(not_found(&draft)) };
        let mut object = (**old).clone();
        pod::bind(&mut object, &draft.call.body, self.now())?;
        (draft.object, draft.reply) = (object, Reply::Success);
        Ok(draft)
    }

    /// Finds the object.
    pub(super) fn load(&self, draft: &mut Draft<'_>) -> Result<()> {
        let Key { resource, namespace, name } = &draft.key;
        let Some(before) = self.store.get(resource, namespace, name) else { return Err(not_found(draft)) };
        draft.old = Some(self.read(&draft.resource, before, &draft.kind)?);
        draft.before = Some(Arc::clone(before));
        Ok(())
    }

    fn patched(&self, draft: &Draft<'_>, format: PatchFormat, old: &Value) -> Result<Value> {
        let (patch, kind) = (&draft.call.body, draft.kind.kind.as_str());
        match format {
            PatchFormat::Json => patch::json::apply(old, patch),
            PatchFormat::Merge => {
                patch::merge::check(patch)?;
                Ok(patch::merge::apply(old, patch))
            }
            PatchFormat::Strategic if draft.resource.custom.is_some() => Err(Failure::new(
                415,
                "UnsupportedMediaType",
                "the body of the request was in an unknown format - accepted media types include: \
                 application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
            )),
            PatchFormat::Strategic => patch::strategic::apply(kind, old, patch),
            PatchFormat::Apply => {
                let body = patch.clone();
                check_place(&draft.key, &body)?;
                let (manager, force) = (draft.manager(), draft.call.options.force);
                let api_version = draft.kind.api_version();
                let types = types(draft, &api_version)?;
                patch::apply::apply(&types, Some(old), &body, manager, &draft.call.subresource, force, self.now())
            }
        }
    }

    /// Nothing is made in a namespace that is not there, or going.
    fn check_namespace(&self, resource: &Resource, namespace: &str, name: &str) -> Result<()> {
        if !resource.namespaced() {
            return Ok(());
        }
        if namespace.is_empty() {
            return Err(Failure::bad_request("an empty namespace may not be set during creation"));
        }
        let namespaces = self.resource("namespaces")?;
        let Some(found) = self.store.get("namespaces", "", namespace) else {
            return Err(Failure::not_found(&namespaces, namespace));
        };
        if !is_deleting(found) {
            return Ok(());
        }
        let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
        let mut failure = Failure::forbidden(resource, name, &why);
        let cause = json!({"reason": "NamespaceTerminating",
            "message": format!("namespace {namespace} is being terminated"), "field": "metadata.namespace"});
        metadata::put_at(&mut failure.details, &["causes"], json!([cause]));
        Err(failure)
    }
}

pub(super) fn not_found(draft: &Draft<'_>) -> Failure {
    Failure::not_found(&draft.resource, &draft.key.name)
}

/// What apply has to know of the kind.
pub(super) fn types<'a>(draft: &'a Draft<'_>, api_version: &'a str) -> Result<patch::Types<'a>> {
    let Kind { kind, version, .. } = &draft.kind;
    match draft.resource.custom.as_ref().map(|custom| custom.fields(version)) {
        Some(fields) => Ok(patch::Types::custom(api_version, kind, fields, draft.resource.traits.status)),
        None => patch::Types::native(api_version, kind),
    }
}

/// Reads an object as its kind does: unknown fields vanish, defaults come.
pub(super) fn shape(resource: &Resource, kind: &Kind, object: &mut Value) -> Result<()> {
    form::read(kind, object)?;
    match &resource.custom {
        Some(custom) => {
            let Some(schema) = custom.schema(&kind.version) else { return Err(Failure::no_such_resource()) };
            schema::prune(schema, object);
            schema::default(schema, object);
        }
        None => native::default(kind, object),
    }
    Ok(())
}

/// A body as an object of this kind; native kinds may leave out which it is.
pub(super) fn typed(resource: &Resource, kind: &Kind, mut body: Value) -> Result<Value> {
    let expected = kind.api_version();
    let Some(members) = body.as_object_mut() else {
        return Err(Failure::bad_request("the object provided is unrecognized (must be of type object)"));
    };
    for (member, value) in [("apiVersion", expected.as_str()), ("kind", kind.kind.as_str())] {
        let said = members.get(member).and_then(Value::as_str).unwrap_or_default();
        if said.is_empty() && resource.custom.is_some() {
            let word = if member == "kind" { "Kind" } else { member };
            return Err(Failure::bad_request(format!(
                "Object '{word}' is missing in '{}'",
                Value::from(members.clone())
            )));
        }
        if said.is_empty() {
            members.insert(member.to_owned(), json!(value));
        } else if said != value && member == "apiVersion" {
            return Err(Failure::bad_request(format!(
                "the API version in the data ({said}) does not match the expected API version ({value})"
            )));
        } else if said != value && resource.custom.is_some() {
            let message = format!("Invalid value: {said:?}: must be {value}");
            let cause = Cause { reason: "FieldValueInvalid", message, field: "kind".to_owned() };
            let (kind, name) = (Kind { kind: said.to_owned(), ..kind.clone() }, meta_text(&body, "name"));
            return Err(rules::invalid(&kind, name, vec![cause]));
        } else if said != value {
            return Err(Failure::bad_request(format!(
                "{said} in version {:?} cannot be handled as a {value}: the kinds differ",
                kind.version
            )));
        }
    }
    metadata::metadata(&mut body)?;
    Ok(body)
}

/// The body names the object of the URL, or none.
fn check_place(key: &Key, body: &Value) -> Result<()> {
    let (name, namespace) = (meta_text(body, "name"), meta_text(body, "namespace"));
    if !name.is_empty() && name != key.name {
        return Err(Failure::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            key.name
        )));
    }
    if !namespace.is_empty() && namespace != key.namespace {
        let message = "the namespace of the provided object does not match the namespace sent on the request";
        return Err(Failure::bad_request(message));
    }
    Ok(())
}

/// A full update is for the object with this uid only.
fn check_uid(draft: &Draft<'_>, body: &Value) -> Result<()> {
    let (asked, found) = (meta_text(body, "uid"), draft.before.as_ref().map_or("", |before| meta_text(before, "uid")));
    if asked.is_empty() || asked == found {
        return Ok(());
    }
    let Key { namespace, name, .. } = &draft.key;
    let group = if draft.resource.custom.is_some() { format!("{}/", draft.kind.group) } else { String::new() };
    let place = if namespace.is_empty() { name.clone() } else { format!("{namespace}/{name}") };
    let why = format!(
        "StorageError: invalid object, Code: 4, Key: /registry/{group}{}/{place}, ResourceVersion: 0, \
         AdditionalErrorMsg: Precondition failed: UID in precondition: {asked}, UID in object meta: {found}",
        draft.kind.plural
    );
    Err(Failure::conflict(&draft.resource, name, &why))
}

/// A full update says which version it is for.
pub(super) fn check_version(draft: &Draft<'_>) -> Result<()> {
    let Some(old) = &draft.old else { return Ok(()) };
    let asked = meta_text(&draft.object, "resourceVersion");
    if asked.is_empty() && draft.call.verb == Verb::Update && !draft.resource.traits.unconditional {
        let message = "Invalid value: 0: must be specified for an update".to_owned();
        let cause = Cause { reason: "FieldValueInvalid", message, field: "metadata.resourceVersion".to_owned() };
        // The store refuses it, which knows the resource and not the kind.
        let kind = Kind { kind: draft.kind.plural.clone(), ..draft.kind.clone() };
        return Err(rules::invalid(&kind, &draft.key.name, vec![cause]));
    }
    if !asked.is_empty() && asked.parse::<u64>().is_err() {
        return Err(Failure::new(500, "", format!("strconv.ParseUint: parsing {asked:?}: invalid syntax")));
    }
    if !asked.is_empty() && asked != meta_text(old, "resourceVersion") {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        return Err(Failure::conflict(&draft.resource, &draft.key.name, why));
    }
    Ok(())
}
