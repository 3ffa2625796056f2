//! The crate's border: it cannot do I/O because nothing in its dependency tree can.

use std::process::Command;

#[test]
fn no_runtime_and_no_client_is_in_the_dependency_tree() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--package", "kruise-rules", "--edges", "normal", "--prefix", "none", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).unwrap();
    assert!(tree.contains("kruise-api"), "the tree is read: {tree}");
    for forbidden in ["tokio", "hyper", "kube-client", "kube-runtime", "reqwest", "fastrand", "rand"] {
        let found = tree.lines().find(|line| line.split(' ').next() == Some(forbidden));
        assert_eq!(found, None, "{forbidden} came into the dependency tree of rules");
    }
}
