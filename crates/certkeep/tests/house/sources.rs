//! Rules that hold for every file of the project.
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file that grows past this is split by meaning.
const MAX_LINES: usize = 400;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The project's files that are text, as git knows them, with their contents.
fn files() -> Vec<(String, String)> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git is installed (Debian package git)");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let names = String::from_utf8(output.stdout).expect("file names are UTF-8");
    let read = |name: &str| std::fs::read_to_string(root().join(name)).ok().map(|text| (name.to_owned(), text));
    names.lines().filter_map(read).collect()
}

#[test]
fn no_source_file_is_longer_than_it_may_be() {
    let long: Vec<String> = files()
        .into_iter()
        .filter(|(name, text)| name.ends_with(".rs") && text.lines().count() > MAX_LINES)
        .map(|(name, text)| format!("{name}: {} lines", text.lines().count()))
        .collect();
    assert_eq!(long, Vec::<String>::new());
}

#[test]
fn no_file_names_a_machine_or_a_registry() {
    // Put together here, so that this file does not name them itself.
    let words =
        [["/wo", "rk/"], ["/ro", "ot/"], ["crates", ".io/"], ["py", "pi.org"], ["registry.np", "mjs"], ["deb.deb", "ian.org"]];
    let words: Vec<String> = words.iter().map(|parts| parts.concat()).collect();
    let mut found = Vec::new();
    for (name, text) in files() {
        // Cargo writes the registry's index into its lock file itself.
        if name == "Cargo.lock" {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            if words.iter().any(|word| line.contains(word.as_str())) {
                found.push(format!("{name}:{}", number + 1));
            }
        }
    }
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn no_module_has_a_name_that_says_nothing() {
    let empty = ["utils", "util", "common", "helpers", "helper", "misc", "manager"];
    let found: Vec<String> = files()
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| Path::new(name).file_stem().and_then(|s| s.to_str()).is_some_and(|stem| empty.contains(&stem)))
        .collect();
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn nothing_is_postponed_or_silenced_in_the_sources() {
    let words = [["TO", "DO"], ["FIX", "ME"], ["#[ig", "nore"], ["#[al", "low("], ["unimpl", "emented!"]];
    let words: Vec<String> = words.iter().map(|parts| parts.concat()).collect();
    let mut found = Vec::new();
    for (name, text) in files().into_iter().filter(|(name, _)| name.ends_with(".rs")) {
        for (number, line) in text.lines().enumerate() {
            if words.iter().any(|word| line.contains(word.as_str())) {
                found.push(format!("{name}:{}", number + 1));
            }
        }
    }
    assert_eq!(found, Vec::<String>::new());
}
