//! Who may use whom, and what must not be linked: asked of Cargo itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Our crates, and those of ours that each of them may use. Nothing points up, and the binaries share only pure crates.
const MAY_USE: &[(&str, &[&str])] = &[
    ("connector", &["dsp-protocol", "policy", "policy-plan", "identity", "dps-signaling"]),
    ("dataplane", &["dps-signaling", "policy-plan", "ngsi-ld-filter"]),
    ("ngsi-ld-filter", &["policy-plan"]),
    ("policy", &["policy-plan"]),
    ("dsp-protocol", &[]),
    ("policy-plan", &[]),
    ("identity", &[]),
    ("dps-signaling", &[]),
    ("ngsi-ld-source", &[]),
    ("two-cities-demo", &[]),
    ("tck", &["dsp-protocol"]),
];

/// Libraries that only the crates beside them may name among their own dependencies.
const OWNERS: &[(&str, &[&str])] = &[
    ("regorus", &["policy"]),
    ("oxrdf", &["policy"]),
    ("oxttl", &["policy"]),
    ("sea-orm", &["connector"]),
    ("sea-orm-migration", &["connector"]),
    ("sqlx", &["connector"]),
    ("redb", &["dataplane"]),
    ("object_store", &["dataplane"]),
    ("russh", &["dataplane"]),
    ("russh-sftp", &["dataplane"]),
    ("ssi-dids-core", &["identity"]),
    ("ssi-json-ld", &["identity"]),
    ("ssi-rdf", &["identity"]),
    ("did-jwk", &["identity"]),
    ("did-method-key", &["identity"]),
    ("josekit", &["identity"]),
    ("vaultrs", &["connector"]),
    ("utoipa", &["connector"]),
    ("actix-web", &["connector", "dataplane", "ngsi-ld-source", "tck"]),
    ("reqwest", &["connector", "dataplane", "ngsi-ld-source", "two-cities-demo", "tck"]),
];

/// Crates without I/O of their own: neither a runtime nor a socket may be in their trees.
const PURE: &[&str] = &["dsp-protocol", "policy-plan", "dps-signaling", "ngsi-ld-filter", "policy", "identity"];

fn cargo(arguments: &[&str]) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let output = Command::new(env!("CARGO")).args(arguments).arg("--locked").current_dir(root).output().unwrap();
    assert!(
        output.status.success(),
        "`cargo {}` failed: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// The workspace's packages as their manifests say it.
fn members() -> Vec<Value> {
    let metadata: Value = serde_json::from_str(&cargo(&["metadata", "--format-version", "1", "--no-deps"])).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

fn name(package: &Value) -> &str {
    package["name"].as_str().unwrap()
}

/// The dependencies that a package declares for what it ships: tests are left out, build scripts are not.
fn declared(package: &Value) -> impl Iterator<Item = &Value> {
    package["dependencies"].as_array().unwrap().iter().filter(|dependency| dependency["kind"].as_str() != Some("dev"))
}

/// Everything that gets linked into a package or runs while it is built, by name.
fn tree(package: &str) -> BTreeSet<String> {
    cargo(&["tree", "--package", package, "--edges", "normal,build", "--prefix", "none", "--format", "{p}"])
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

fn assert_absent(package: &str, banned: &[&str]) {
    let linked = tree(package);
    let found: Vec<_> = banned.iter().filter(|&&banned| linked.contains(banned)).collect();
    assert!(found.is_empty(), "`{package}` must not link {found:?}; `cargo tree -p {package} -i NAME` shows the way");
}

#[test]
fn our_crates_use_each_other_in_one_direction() {
    let members = members();
    let names: BTreeSet<_> = members.iter().map(name).collect();
    let known: BTreeSet<_> = MAY_USE.iter().map(|(package, _)| *package).collect();
    assert_eq!(names, known, "the table of this test has to name every crate of the workspace");
    for package in &members {
        let (_, allowed) = MAY_USE.iter().find(|(known, _)| *known == name(package)).unwrap();
        for used in declared(package).map(name).filter(|used| names.contains(used)) {
            assert!(allowed.contains(&used), "`{}` uses `{used}`, but may only use {allowed:?}", name(package));
        }
    }
}

#[test]
fn a_library_with_an_owner_is_named_nowhere_else() {
    for package in &members() {
        for used in declared(package).map(name) {
            if let Some((_, owners)) = OWNERS.iter().find(|(library, _)| *library == used) {
                assert!(owners.contains(&name(package)), "`{}` names `{used}`, owned by {owners:?}", name(package));
            }
        }
    }
}

#[test]
fn the_data_plane_links_neither_database_nor_credentials_nor_policy_engine() {
    let banned =
        ["ssi-json-ld", "ssi-dids-core", "sea-orm", "sqlx-core", "josekit", "regorus", "utoipa", "openssl-sys"];
    assert_absent("dataplane", &banned);
}

#[test]
fn there_is_one_tls_provider() {
    // OpenSSL is in the connector for tokens, under josekit alone; `deny.toml` says that too.
    for package in ["connector", "dataplane"] {
        assert_absent(package, &["ring", "rsa", "native-tls", "tokio-native-tls", "tokio-openssl", "hyper-openssl"]);
        assert!(tree(package).contains("aws-lc-rs"), "`{package}` should have rustls on aws-lc-rs");
    }
}

#[test]
fn pure_crates_have_no_runtime_and_no_sockets() {
    for package in PURE {
        assert_absent(package, &["tokio", "mio", "hyper", "reqwest", "actix-web", "sqlx-core", "socket2"]);
    }
}

#[test]
fn every_crate_says_the_two_features_that_change_numbers() {
    for package in &members() {
        for dependency in declared(package).filter(|dependency| name(dependency) == "serde_json") {
            let features: BTreeSet<_> =
                dependency["features"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            for needed in ["arbitrary_precision", "preserve_order"] {
                assert!(
                    features.contains(needed),
                    "`{}` asks for serde_json without `{needed}`: its tests would see other numbers than the binaries",
                    name(package)
                );
            }
        }
    }
}

#[test]
fn libraries_that_break_often_are_pinned_exactly() {
    for package in &members() {
        for dependency in declared(package) {
            let name_of = name(dependency);
            if name_of == "regorus" || ["ssi-", "did-"].iter().any(|family| name_of.starts_with(family)) {
                let wanted = dependency["req"].as_str().unwrap();
                assert!(wanted.starts_with('='), "`{}` asks for {name_of} {wanted}", name(package));
            }
        }
    }
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    for package in &members() {
        let manifest = std::fs::read_to_string(package["manifest_path"].as_str().unwrap()).unwrap();
        let manifest: toml::Value = toml::from_str(&manifest).unwrap();
        let inherited = manifest.get("lints").and_then(|lints| lints.get("workspace")).and_then(toml::Value::as_bool);
        assert_eq!(inherited, Some(true), "`{}` needs `[lints] workspace = true`", name(package));
    }
}
