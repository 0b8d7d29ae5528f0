//! Every arrow points down (`ARCHITECTURE.md`): a crate may depend only on the rooms below it, and what talks to the
//! outside has one room each.
use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

/// Which rooms a room may know. Dev-dependencies are free: tests may open every door.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("certkeep-core", &[]),
    ("certkeep-engine", &["certkeep-core"]),
    ("certkeep-acme", &["certkeep-core"]),
    ("certkeep-dns", &["certkeep-core"]),
    ("certkeep-store", &["certkeep-core"]),
    ("certkeep-sandbox", &[]),
    ("certkeep-testkit", &["certkeep-core"]),
    ("certkeep-benches", &["certkeep-core", "certkeep-dns", "certkeep-sandbox", "certkeep-store", "certkeep-testkit"]),
    ("certkeep", &["certkeep-acme", "certkeep-core", "certkeep-dns", "certkeep-engine", "certkeep-sandbox", "certkeep-store"]),
];

/// Which rooms may use a library that talks to the outside.
const SOLE_USERS: &[(&str, &[&str])] = &[
    ("axum", &["certkeep", "certkeep-benches", "certkeep-sandbox", "certkeep-testkit"]),
    ("hickory-net", &["certkeep-dns", "certkeep-sandbox", "certkeep-testkit"]),
    ("hickory-proto", &["certkeep-dns", "certkeep-sandbox", "certkeep-testkit"]),
    ("instant-acme", &["certkeep-acme"]),
    ("reqwest", &["certkeep", "certkeep-acme", "certkeep-benches", "certkeep-dns", "certkeep-testkit"]),
    ("sqlx", &["certkeep-store"]),
];

/// What the domain must never see, however useful.
const NEVER_IN_CORE: &[&str] = &["tokio", "hyper", "rustls", "tracing", "toml"];

/// The dependencies that ship (normal and build), by crate.
fn shipped(metadata: &Value) -> BTreeMap<String, Vec<String>> {
    let packages = metadata["packages"].as_array().expect("cargo metadata lists packages");
    let dependencies = |package: &Value| {
        let all = package["dependencies"].as_array().expect("dependencies").iter();
        all.filter(|d| d["kind"] != "dev").map(|d| d["name"].as_str().expect("name").to_owned()).collect()
    };
    packages.iter().map(|p| (p["name"].as_str().expect("name").to_owned(), dependencies(p))).collect()
}

fn violations(crates: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let allowed = |table: &[(&str, &[&str])], key: &str| {
        table.iter().find(|(name, _)| *name == key).map(|(_, all)| all.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    let mut found = Vec::new();
    for (name, dependencies) in crates {
        let Some(known) = allowed(MAY_KNOW, name) else {
            found.push(format!("{name} has no place in the house yet: say in MAY_KNOW what it may know"));
            continue;
        };
        for dependency in dependencies {
            if dependency.starts_with("certkeep") && !known.contains(dependency) {
                found.push(format!("{name} may not know {dependency}"));
            }
            if allowed(SOLE_USERS, dependency).is_some_and(|users| !users.contains(name)) {
                found.push(format!("{name} may not use {dependency}"));
            }
            if name == "certkeep-core" && NEVER_IN_CORE.contains(&dependency.as_str()) {
                found.push(format!("{name} may never see {dependency}"));
            }
        }
    }
    found
}

fn this_house() -> BTreeMap<String, Vec<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    shipped(&serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON"))
}

#[test]
fn no_arrow_points_up() {
    assert_eq!(violations(&this_house()), Vec::<String>::new());
}

#[test]
fn an_arrow_that_points_up_is_found() {
    for (from, to, word) in [
        ("certkeep-core", "certkeep-engine", "know"),
        ("certkeep-engine", "certkeep-store", "know"),
        ("certkeep-dns", "certkeep-acme", "know"),
        ("certkeep-engine", "sqlx", "use"),
        ("certkeep-core", "tokio", "see"),
    ] {
        let mut house = this_house();
        house.get_mut(from).expect("the room exists").push(to.to_owned());
        let found = violations(&house);
        assert!(found.len() == 1 && found[0].contains(to) && found[0].contains(word), "{from} → {to}: {found:?}");
    }
}
