//! A real Kubernetes cluster on one machine, and what scenarios need to speak about it.
//!
//! `cluster` builds nodes out of namespaces, `apiserver` starts kube-apiserver and etcd alone, `images` fills the
//! local registry, `install` puts the product in with Helm. Tests wait with `wait` and explain failures with
//! `diagnose`. Everything here may poll with a deadline; nothing here sleeps and hopes.

pub mod apiserver;
pub mod cluster;
pub mod command;
pub mod diagnose;
pub mod http;
pub mod images;
pub mod install;
pub mod kubectl;
pub mod lock;
pub mod manifests;
pub mod outage;
pub mod packages;
pub mod paths;
pub mod pki;
pub mod ports;
pub mod preflight;
pub mod process;
pub mod progress;
pub mod scenario;
pub mod tls;
pub mod tools;
pub mod wait;
