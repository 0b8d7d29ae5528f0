use std::fs;

use crate::process::{ended, program};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/help.txt");

/// Set to write the file anew.
const WRITE: &str = "CERTKEEP_WRITE_HELP";

#[test]
fn help_says_what_is_committed() {
    let commands: &[&[&str]] = &[
        &[],
        &["serve"],
        &["acme"],
        &["acme", "account"],
        &["acme", "account", "list"],
        &["acme", "account", "rotate"],
        &["acme", "account", "export"],
        &["audit"],
        &["audit", "list"],
        &["audit", "verify"],
        &["audit", "export"],
        &["client"],
        &["client", "add"],
        &["client", "change"],
        &["client", "list"],
        &["client", "remove"],
        &["client", "rotate"],
        &["config"],
        &["config", "check"],
        &["dns"],
        &["dns", "add"],
        &["dns", "remove"],
        &["dns", "check"],
        &["dns", "providers"],
        &["dns", "show"],
        &["dns", "lint"],
        &["revoke"],
        &["explain"],
        &["store"],
        &["store", "copy"],
        &["backup"],
        &["restore"],
        &["keys"],
        &["keys", "rotate"],
        &["token"],
        &["token", "add"],
        &["token", "list"],
        &["token", "revoke"],
        &["user"],
        &["user", "add"],
        &["user", "list"],
        &["user", "remove"],
        &["user", "role"],
        &["user", "password"],
        &["user", "disable"],
        &["user", "enable"],
        &["user", "totp-off"],
        &["demo"],
    ];
    let mut text = String::new();
    for command in commands {
        let help = ended(program().args(*command).arg("--help"));
        assert_eq!((help.code, help.stderr.as_str()), (0, ""), "{command:?}");
        text += &format!("$ certkeep {}\n{}\n", [command, &["--help"][..]].concat().join(" "), help.stdout);
    }
    if std::env::var_os(WRITE).is_some() {
        fs::write(FILE, &text).unwrap();
    }
    let committed = fs::read_to_string(FILE).unwrap_or_default();
    assert_eq!(text, committed, "{WRITE}=1 cargo test -p certkeep --test cli help writes {FILE} anew");
}
