//! Accounts of names: where every name has one, certkeep opens it and keeps it.
use serde::Deserialize;

use super::Call;

/// How a name gets an account of its own. What is kept of it is `account` in the calls about its records.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enroll {
    /// An expression over the parameters: only where it is true, names have accounts of their own.
    pub when: Option<String>,
    /// Opens an account; what it keeps is all that is ever known of it.
    pub new: Call,
    /// An expression over `account`: the name that the challenge's CNAME has to lead to.
    pub target: String,
    /// Asks somebody else for the account. Where its `when` holds, nothing is kept here.
    pub known: Option<Call>,
    /// Hands a new account to that somebody.
    pub tell: Option<Call>,
}
