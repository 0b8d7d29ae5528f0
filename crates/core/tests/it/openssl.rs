//! The files that people really have: made by OpenSSL's command line.
use std::io::Write;
use std::process::{Command, Stdio};

/// What `openssl` writes when it is given these words (separated by spaces) and this input.
pub(crate) fn openssl(words: &str, input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("openssl")
        .args(words.split(' '))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl cannot be started: install the Debian package openssl");
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {words}: {said}");
    output.stdout
}
