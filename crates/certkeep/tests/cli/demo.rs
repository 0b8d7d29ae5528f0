use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::process::{ended, program, terminate, wait};

#[test]
fn the_demo_tells_its_story_and_leaves_nothing_behind() {
    let room = tempfile::tempdir().unwrap();
    let told = ended(program().args(["demo", "--once"]).env("TMPDIR", room.path()).current_dir(room.path()));
    assert_eq!(told.code, 0, "{}{}", told.stdout, told.stderr);
    assert_eq!(told.stderr, "", "nothing to complain about");
    let mut rest = told.stdout.as_str();
    for expected in [
        "certkeep keeps the TLS certificates of telephone systems",
        "1. The world around, as a sandbox",
        "CA        https://127.0.0.1:",
        "2. certkeep is started",
        "3. Somebody is allowed to call",
        "client_secret  ********",
        "4. The caller takes a token",
        "> POST https://localhost:",
        "/openapi/v1.0/get_token",
        "\"errcode\":0",
        "5. It applies for a certificate for docs.example.com",
        "\"dns_provider\":\"pdns\"",
        "\"name\":\"docs.example.com.pem\",\"apply_status\":\"issuing\"",
        "6. The CA wants proof",
        "issuance_success",
        "The TXT record is gone again.",
        "7. The certificate is there",
        "certificate/get?id=1&access_token=",
        "\"apply_status\":\"issuance_success\"",
        "8. It is put in service",
        "\"https_cert\":\"docs.example.com.pem\"",
        "It was shown the new certificate, for docs.example.com, valid until ",
    ] {
        let at = rest.find(expected).unwrap_or_else(|| panic!("{expected:?} is missing in its place:\n{}", told.stdout));
        rest = &rest[at + expected.len()..];
    }
    assert!(!told.stdout.contains('\u{1b}'), "no colours beside a terminal");
    assert!(fs::read_dir(room.path()).unwrap().next().is_none(), "something is left behind");
}

#[test]
fn it_goes_on_until_it_is_ended_and_leaves_nothing_behind_then() {
    let room = tempfile::tempdir().unwrap();
    let mut child =
        program().arg("demo").env("TMPDIR", room.path()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut told = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let command = told.find(|line| line.trim_start().starts_with("curl ")).expect("commands to go on with");
    assert!(command.contains("/openapi/v1.0/certificate/list?access_token="), "{command}");
    let root = command.split_once("--cacert ").unwrap().1.split(' ').next().unwrap();
    assert!(fs::read_to_string(root).unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
    assert!(told.any(|line| line.contains("docs/certkeep.sample.toml")));
    terminate(child.id());
    assert_eq!(wait(&mut child).code(), Some(0));
    assert!(fs::read_dir(room.path()).unwrap().next().is_none(), "something is left behind");
}
