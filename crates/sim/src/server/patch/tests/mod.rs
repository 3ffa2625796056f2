//! The formats against what the real server answers (Kubernetes 1.34).

mod strategic;
