use std::fs;

use crate::process::{Data, ended, program};

#[test]
fn an_unknown_key_is_named_with_its_line() {
    let data = Data::new();
    let path = data.configure("[acme]\ncontact = []\ndirectorie = \"https://ca.example/\"\n");
    for command in [vec!["config", "check"], vec!["serve", "--listen", "127.0.0.1:0"], vec!["client", "list"]] {
        let refused = data.run(&command);
        assert_eq!((refused.code, refused.stdout.as_str()), (2, ""), "{command:?}");
        let expected = format!("certkeep: {}, line 3, column 1: [acme] directorie: unknown field", path.display());
        assert!(refused.stderr.starts_with(&expected), "{}", refused.stderr);
    }
}

#[test]
fn a_file_that_is_understood_is_said_to_be() {
    let data = Data::new();
    let none = data.run(&["config", "check"]);
    assert_eq!((none.code, none.stderr.as_str()), (0, ""));
    assert!(none.stdout.contains("the defaults hold"), "{}", none.stdout);
    assert!(!data.folder().exists(), "a check makes nothing");

    let path = data.configure("[limits]\nserver = 3\n");
    let checked = data.run(&["config", "check"]);
    assert_eq!((checked.code, checked.stderr.as_str()), (0, ""));
    assert_eq!(checked.stdout, format!("{} is understood.\n", path.display()));
}

#[test]
fn another_file_can_be_named() {
    let data = Data::new();
    data.configure("nonsense");
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/certkeep.sample.toml");
    assert_eq!(data.run(&["config", "check", "--config", sample]).code, 0);
    let missing = data.run(&["config", "check", "--config", "/nowhere/certkeep.toml"]);
    assert_eq!(missing.code, 2);
    assert!(missing.stderr.contains("/nowhere/certkeep.toml cannot be read: "), "{}", missing.stderr);
}

#[test]
fn the_data_folder_comes_from_the_environment_too() {
    let data = Data::new();
    let path = data.configure("[api]\nenabled = 1\n");
    let refused = ended(program().args(["config", "check"]).env("CERTKEEP_DATA", data.folder()));
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains(&format!("{}, line 2", path.display())), "{}", refused.stderr);
}

#[test]
fn the_key_file_may_lie_elsewhere() {
    let data = Data::new();
    data.configure("[store]\nkey_file = \"../keys\"\n");
    data.client("pbx", &[]);
    assert!(data.folder().join("../keys").exists());
    assert!(!data.folder().join("sealing.key").exists());
    fs::remove_file(data.folder().join("certkeep.toml")).unwrap();
    assert_eq!(data.run(&["client", "list"]).code, 1, "without the key the folder stays shut");
}
