//! Users, API tokens and the audit on the command line.
use std::fs;
use std::io::Write;
use std::process::Stdio;

use serde_json::Value;

use crate::process::{Data, Ended, Serving, program};

/// Runs a command that reads this on stdin.
fn fed(data: &Data, arguments: &[&str], input: &str) -> Ended {
    let mut command = program();
    command.args(arguments).arg("--data").arg(data.folder());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    Ended {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn json(ended: &Ended) -> Value {
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    serde_json::from_str(&ended.stdout).unwrap()
}

#[test]
fn users_are_added_changed_and_removed() {
    let data = Data::new();
    let added = fed(&data, &["user", "add", "anna", "--role", "admin"], "annas password\n");
    assert_eq!((added.code, added.stdout.as_str()), (0, ""), "{}", added.stderr);
    let file = data.folder().join("password");
    fs::write(&file, "berts password\nand more\n").unwrap();
    let file = file.to_str().unwrap().to_owned();
    let added = data.run(&["user", "add", "bert", "--role", "viewer", "--password-file", &file]);
    assert_eq!(added.code, 0, "{}", added.stderr);

    let listed = json(&data.run(&["user", "list", "--json"]));
    assert_eq!((&listed[0]["name"], &listed[0]["role"]), (&"anna".into(), &"admin".into()));
    assert_eq!((&listed[1]["name"], &listed[1]["totp"], &listed[1]["last_login"]), (&"bert".into(), &false.into(), &Value::Null));
    assert!(!listed.to_string().contains("argon2"), "{listed}");

    assert_eq!(data.run(&["user", "role", "bert", "operator"]).code, 0);
    assert_eq!(data.run(&["user", "disable", "bert"]).code, 0);
    let text = data.run(&["user", "list"]).stdout;
    assert_eq!(text.lines().nth(1).unwrap(), "bert  operator  never logged in  locked out");
    assert_eq!(data.run(&["user", "enable", "bert"]).code, 0);
    assert_eq!(data.run(&["user", "totp-off", "bert"]).code, 0);
    assert_eq!(fed(&data, &["user", "password", "bert"], "another password").code, 0);
    assert_eq!(data.run(&["user", "remove", "bert"]).code, 0);
    assert_eq!(json(&data.run(&["user", "list", "--json"])).as_array().unwrap().len(), 1);
}

#[test]
fn what_cannot_be_is_told_with_its_code() {
    let data = Data::new();
    fed(&data, &["user", "add", "anna", "--role", "admin"], "annas password\n");
    for (arguments, input, code, why) in [
        (vec!["user", "add", "anna", "--role", "viewer"], "another password", 1, "the name \"anna\" is taken"),
        (vec!["user", "add", "bert", "--role", "viewer"], "too short", 2, "at least 12 characters"),
        (vec!["user", "add", "bert", "--role", "viewer"], "", 2, "the secret belongs there"),
        (vec!["user", "add", " ", "--role", "viewer"], "another password", 2, "a name has"),
        (vec!["user", "role", "anna", "viewer"], "", 1, "the last admin"),
        (vec!["user", "remove", "nobody"], "", 3, "there is no such user"),
        (vec!["token", "revoke", "nobody"], "", 3, "there is no such user or token"),
        (vec!["token", "add", "ci", "--role", "viewer", "--expires", "soon"], "", 2, "12h, 90d or 52w"),
        (vec!["token", "add", "ci", "--role", "viewer", "--scope", "all"], "", 2, "change-certificates"),
    ] {
        let refused = fed(&data, &arguments, input);
        assert_eq!((refused.code, refused.stdout.as_str()), (code, ""), "{arguments:?}: {}", refused.stderr);
        assert!(refused.stderr.contains(why), "{arguments:?}: {}", refused.stderr);
    }
}

#[test]
fn tokens_are_shown_once() {
    let data = Data::new();
    let arguments = ["token", "add", "ci", "--role", "operator", "--expires", "90d", "--scope", "revoke", "--json"];
    let made = json(&data.run(&arguments));
    let token = made["token"].as_str().unwrap();
    assert!(token.starts_with("ck_") && token.len() == 46, "{token}");
    let listed = data.run(&["token", "list", "--json"]);
    assert!(!listed.stdout.contains(token));
    let listed = json(&listed);
    assert_eq!((&listed[0]["role"], &listed[0]["scopes"][0]), (&"operator".into(), &"revoke".into()));
    assert_eq!(listed[0]["expires"], made["expires"]);
    assert_eq!(data.run(&["token", "revoke", "ci"]).code, 0);
    assert_eq!(json(&data.run(&["token", "list", "--json"])), Value::Array(Vec::new()));
    let text = data.run(&["token", "add", "ci", "--role", "viewer"]).stdout;
    assert!(text.starts_with("ck_") && text.contains("keeps no copy"), "{text}");
}

#[test]
fn commands_are_in_the_audit_which_is_whole() {
    let data = Data::new();
    assert_eq!(data.run(&["audit", "verify"]).stdout, "There is no entry yet.\n");
    fed(&data, &["user", "add", "anna", "--role", "admin"], "annas password\n");
    data.client("pbx", &[]);
    assert_eq!(data.run(&["client", "change", "pbx", "--role", "viewer", "--network", "192.0.2.7"]).code, 0);
    assert_eq!(data.run(&["client", "remove", "box"]).code, 3);
    assert_eq!(data.run(&["keys", "rotate"]).code, 0);

    let listed = json(&data.run(&["audit", "list", "--json"]));
    let deeds: Vec<String> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| ["actor_kind", "action", "outcome"].map(|member| entry[member].as_str().unwrap()).join(" "))
        .collect();
    assert_eq!(
        deeds,
        [
            "command user.add done",
            "command client.add done",
            "command client.change done",
            "command client.remove failed",
            "command keys.rotate done",
        ]
    );
    let last = json(&data.run(&["audit", "list", "--last", "2", "--json"]));
    assert_eq!((last.as_array().unwrap().len(), &last[1]["sequence"]), (2, &5.into()));
    let whole = data.run(&["audit", "verify"]);
    let hash = last[1]["hash"].as_str().unwrap();
    assert_eq!(whole.stdout, format!("5 entries, all as they were written. The hash of the last one:\n{hash}\n"));

    let exported = data.run(&["audit", "export"]).stdout;
    let lines: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(Value::Array(lines), listed);
    let file = data.folder().join("audit.jsonl");
    assert_eq!(data.run(&["audit", "export", file.to_str().unwrap()]).code, 0);
    assert_eq!(fs::read_to_string(&file).unwrap(), exported);
    assert_eq!(data.run(&["audit", "export", file.to_str().unwrap()]).code, 1, "it is not written over");
    assert_eq!(data.run(&["audit", "list"]).stdout.lines().count(), 5);
}

#[tokio::test]
async fn a_changed_role_and_network_are_heeded_by_a_service_that_runs() {
    let data = Data::new();
    let client = data.client("pbx", &[]);
    let serving = Serving::start(&data);
    let answer = serving.login(&client).await;
    let token = answer["access_token"].as_str().unwrap();
    let delete = format!("certificate/delete?id=1&access_token={token}");
    assert_eq!(serving.get(&delete).await["errcode"], 60001, "there is none");
    let until = async |errcode: i64| {
        let what = format!("{errcode} to be answered");
        certkeep_testkit::wait::eventually(certkeep_testkit::wait::PATIENCE, what, async || {
            (serving.get(&delete).await["errcode"] == errcode).then_some(())
        })
        .await;
    };
    assert_eq!(data.run(&["client", "change", "pbx", "--role", "viewer"]).code, 0);
    until(10005).await;
    assert_eq!(data.run(&["client", "change", "pbx", "--network", "192.0.2.7"]).code, 0);
    until(70087).await;
    assert_eq!(serving.login(&client).await["errcode"], 70087);
    assert_eq!(data.run(&["client", "change", "pbx", "--anywhere", "--role", "admin"]).code, 0);
    until(60001).await;
    assert_eq!(data.run(&["client", "change", "pbx"]).code, 2);
    assert_eq!(data.run(&["client", "change", "box", "--anywhere"]).code, 3);
}

#[test]
fn the_first_start_offers_a_link_until_there_is_a_user() {
    let data = Data::new();
    let serving = Serving::start(&data);
    let offer = serving.next_line().expect("a line follows");
    let https = serving.ready.split(' ').nth(3).unwrap();
    let link = offer.strip_prefix("certkeep has no user yet: make the first one at ").unwrap();
    let token = link.strip_prefix(&format!("{https}/setup#")).unwrap();
    assert_eq!(token.len(), 43, "{link}");
    let (_, _, log) = serving.stop();
    assert!(!log.contains(token), "{log}");
    fed(&data, &["user", "add", "anna", "--role", "admin"], "annas password\n");
    let serving = Serving::start(&data);
    serving.terminate();
    assert_eq!(serving.next_line(), None, "nothing is offered to its end");
}
