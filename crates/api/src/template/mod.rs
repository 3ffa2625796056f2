//! Pod templates, as every workload kind carries them: what Kubernetes fills in, and what it refuses.
//!
//! Both work on JSON: members that we don't know are left alone and never refused (design rule 3). A Pod made from a
//! template passes kube-apiserver's own validation later; refusing here is a service to the user, so a check that could
//! be wrong about a newer Kubernetes is left out.

pub mod defaults;
pub mod validation;
