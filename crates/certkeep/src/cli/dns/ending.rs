//! How a command about a provider ends: one JSON object, or lines for people.
use certkeep_core::failure::{Entry, Evidence, Failure};
use serde::Serialize;
use serde_json::{Value, json};

use crate::cli::CommandError;
use crate::cli::ending::print;

/// What went wrong, as JSON.
#[derive(Serialize)]
struct Failed<'a> {
    ok: bool,
    code: u16,
    name: &'a str,
    message: &'a str,
    next: &'a str,
    evidence: &'a Evidence,
}

/// A failure as an object.
pub(super) fn object(failure: &Failure) -> Value {
    let Entry { number, name, what, next, .. } = failure.code.entry();
    json!(Failed { ok: false, code: number, name, message: what, next, evidence: &failure.evidence })
}

/// Turns the end of the work into what is printed: with `--json` the object is all that is said.
pub(super) fn end(json: bool, done: Result<(Value, String), CommandError>) -> Result<(), CommandError> {
    match done {
        Ok((object, _)) if json => print(&format!("{object}\n")),
        Ok((_, line)) => print(&line),
        Err(error) if json => {
            let object = match &error {
                CommandError::Dns(failure) => object(failure),
                CommandError::NoProvider(_) => {
                    json!({ "ok": false, "message": error.to_string(), "next": "Choose one that `certkeep dns providers` lists." })
                }
                error => json!({ "ok": false, "message": error.to_string() }),
            };
            print(&format!("{object}\n"))?;
            Err(CommandError::Told(Box::new(error)))
        }
        Err(error) => Err(error),
    }
}
