//! Compiles `proto/` with a compiler written in Rust, so that a build needs no `protoc`.

use std::error::Error;

const PROTO_ROOT: &str = "../../proto";
const CRI_V1: &str = "../../proto/cri/v1/cri.proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={PROTO_ROOT}");
    let descriptors = protox::compile([CRI_V1], [PROTO_ROOT])?;
    tonic_prost_build::configure()
        .build_client(true)
        // Only the test double serves CRI.
        .build_server(std::env::var_os("CARGO_FEATURE_FAKE").is_some())
        // Connecting is `connection.rs`; the generated shortcut knows nothing of unix sockets and limits.
        .build_transport(false)
        .compile_fds(descriptors)?;
    Ok(())
}
