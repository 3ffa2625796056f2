//! The formats against what the real server answers (Kubernetes 1.34).

mod apply;
mod custom;
mod properties;
mod strategic;
mod track;
