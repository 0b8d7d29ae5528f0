//! The rehearsal: a service is backed up while it runs, restored elsewhere, and goes on there.
use std::path::Path;
use std::time::Duration;

use certkeep_sandbox::{Options, Sandbox};
use certkeep_testkit::wait::eventually;

use crate::discretion::beside;
use crate::keys::{issued, shown, token};
use crate::process::{Data, Ended, PATIENCE, Serving, ended, program};

/// A command with a backup and a passphrase.
fn with_backup(data: &Data, command: &str, file: &Path, passphrase: &str) -> Ended {
    let secret = file.with_file_name("passphrase");
    std::fs::write(&secret, format!("{passphrase}\n")).unwrap();
    data.run(&[command.as_ref(), file.as_os_str(), "--passphrase-file".as_ref(), secret.as_os_str()])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_service_goes_on() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    let data = beside(&sandbox);
    let client = data.client("pbx", &[]);
    let serving = Serving::start(&data);
    let token = token(&serving, &client).await;
    let id = issued(&serving, &sandbox, &token, "first.example.com").await;
    let before = shown(&serving, &token, &id).await;
    let file = data.folder().with_file_name("backup");
    let done = with_backup(&data, "backup", &file, "correct horse");
    assert_eq!((done.code, done.stdout.as_str(), done.stderr.as_str()), (0, "", ""));
    let (status, _, log) = serving.stop();
    assert_eq!(status.code(), Some(0), "{log}");

    // The folder may hold its configuration already.
    let elsewhere = beside(&sandbox);
    let wrong = with_backup(&elsewhere, "restore", &file, "wrong horse");
    assert_eq!(wrong.code, 1);
    assert!(wrong.stderr.contains("the passphrase is wrong"), "{}", wrong.stderr);
    let secret_line = file.with_file_name("line");
    let empty = with_backup(&elsewhere, "restore", &file, "");
    assert_eq!(empty.code, 2, "{}", empty.stderr);
    std::fs::write(&secret_line, "correct horse\n").unwrap();
    let mut restore = program();
    restore.arg("restore").arg(&file).args(["--passphrase-file", "-", "--data"]).arg(elsewhere.folder());
    let restored = ended(restore.stdin(std::fs::File::open(&secret_line).unwrap()));
    assert_eq!((restored.code, restored.stderr.as_str()), (0, ""));
    let held = with_backup(&elsewhere, "restore", &file, "correct horse");
    assert_eq!(held.code, 1);
    assert!(held.stderr.contains("is there already"), "{}", held.stderr);

    let serving = Serving::start(&elsewhere);
    assert!(serving.accepts(&token).await, "a token from before the backup");
    assert_eq!(shown(&serving, &token, &id).await, before);
    // The account at the CA goes on too.
    issued(&serving, &sandbox, &token, "second.example.com").await;
    crate::keys::token(&serving, &client).await;
    let (status, _, log) = serving.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn renewals_go_on_after_a_restore() {
    // Renewed some ten seconds after it was issued.
    let sandbox = Sandbox::start(Options { validity: Duration::from_secs(15), ..Options::default() }).await.unwrap();
    let data = beside(&sandbox);
    let client = data.client("pbx", &[]);
    let serving = Serving::start(&data);
    let token = token(&serving, &client).await;
    let id = issued(&serving, &sandbox, &token, "short.example.com").await;
    let file = data.folder().with_file_name("backup");
    assert_eq!(with_backup(&data, "backup", &file, "correct horse").code, 0);
    // Nobody renews for it from here on.
    drop(serving);

    let elsewhere = beside(&sandbox);
    assert_eq!(with_backup(&elsewhere, "restore", &file, "correct horse").code, 0);
    let serving = Serving::start(&elsewhere);
    let first = shown(&serving, &token, &id).await["certificate"]["expiration"].clone();
    let renewed = || async { (shown(&serving, &token, &id).await["certificate"]["expiration"] != first).then_some(()) };
    eventually(PATIENCE, "a renewal", renewed).await;
    sandbox.stop().await;
}
