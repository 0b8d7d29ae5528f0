//! What an answer means: by the page's own words first, else by stage and status; never by guess.
use certkeep_core::failure::{Code, Failure};
use reqwest::StatusCode;

use crate::page::Meaning;

/// What a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Put a value up, or write a set.
    Add,
    /// Make changes effective.
    Commit,
    /// List records, or read a set.
    Find,
    /// Open a session.
    Login,
    /// Take a value down.
    Remove,
    /// List zones.
    Zone,
}

impl Stage {
    /// In the words of the trace.
    pub(crate) fn doing(self) -> &'static str {
        match self {
            Stage::Add => "add record",
            Stage::Commit => "commit",
            Stage::Find => "find record",
            Stage::Login => "log in",
            Stage::Remove => "remove record",
            Stage::Zone => "find zone",
        }
    }
}

/// What a refused call amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// What was asked for is not there.
    Absent,
    /// The set was changed since it was read.
    Conflict,
    /// The session is over.
    Expired,
    /// It failed.
    Failed(Code),
    /// It is there already.
    Present,
}

/// Judges an answer that is no success; `meaning` is what the page says of the vendor's code.
pub(crate) fn judge(stage: Stage, status: StatusCode, meaning: Option<Meaning>) -> Verdict {
    match meaning {
        Some(Meaning::Absent) => return absent(stage),
        Some(Meaning::Conflict) => return Verdict::Conflict,
        Some(Meaning::Expired) => return Verdict::Expired,
        Some(Meaning::Failure(code)) => return Verdict::Failed(code),
        Some(Meaning::Present) => return Verdict::Present,
        None => {}
    }
    match (status.as_u16(), stage) {
        (401, _) => Verdict::Failed(Code::CredentialsRejected),
        (403, _) => Verdict::Failed(Code::CredentialsForbidden),
        (404, Stage::Login) => Verdict::Failed(Code::ProviderUnreadable),
        (404, stage) => absent(stage),
        (407, _) => Verdict::Failed(Code::ProviderUnreachable),
        (412, _) => Verdict::Conflict,
        (429, _) => Verdict::Failed(Code::ProviderRateLimited),
        (300..=399, _) => Verdict::Failed(Code::ProviderUnreadable),
        (500.., _) | (408, _) => Verdict::Failed(Code::ProviderError),
        // A server that answers and opens no session does not take these credentials.
        (_, Stage::Login) => Verdict::Failed(Code::CredentialsRejected),
        (_, Stage::Find | Stage::Zone) => Verdict::Failed(Code::ProviderError),
        (_, Stage::Add | Stage::Commit | Stage::Remove) => Verdict::Failed(Code::RecordRefused),
    }
}

/// Nothing can be put up or committed where there is no zone; everywhere else nothing being there is an answer.
fn absent(stage: Stage) -> Verdict {
    match stage {
        Stage::Add | Stage::Commit => Verdict::Failed(Code::ZoneNotFound),
        Stage::Find | Stage::Login | Stage::Remove | Stage::Zone => Verdict::Absent,
    }
}

/// Whether the same call may do better at once.
pub(crate) fn is_passing(failure: &Failure, status: Option<StatusCode>) -> bool {
    match failure.code {
        Code::ProviderRateLimited | Code::ProviderUnreachable => true,
        Code::ProviderUnreadable => status.is_none_or(|status| status.is_success()),
        // A refusal stays one; a success that says of itself that it failed may pass.
        Code::ProviderError => status.is_none_or(|status| !status.is_client_error() || status == StatusCode::REQUEST_TIMEOUT),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_by_stage() {
        let failed = Verdict::Failed;
        let cases = [
            (Stage::Zone, 401, failed(Code::CredentialsRejected)),
            (Stage::Add, 403, failed(Code::CredentialsForbidden)),
            (Stage::Zone, 404, Verdict::Absent),
            (Stage::Add, 404, failed(Code::ZoneNotFound)),
            (Stage::Remove, 404, Verdict::Absent),
            (Stage::Find, 429, failed(Code::ProviderRateLimited)),
            (Stage::Add, 422, failed(Code::RecordRefused)),
            (Stage::Zone, 302, failed(Code::ProviderUnreadable)),
            (Stage::Find, 503, failed(Code::ProviderError)),
        ];
        for (stage, status, expected) in cases {
            assert_eq!(judge(stage, StatusCode::from_u16(status).unwrap(), None), expected, "{stage:?} {status}");
        }
    }

    #[test]
    fn the_pages_word_goes_first() {
        let status = StatusCode::FORBIDDEN;
        let rejected = Some(Meaning::Failure(Code::CredentialsRejected));
        assert_eq!(judge(Stage::Zone, status, rejected), Verdict::Failed(Code::CredentialsRejected));
        assert_eq!(judge(Stage::Add, status, Some(Meaning::Present)), Verdict::Present);
        assert_eq!(judge(Stage::Add, status, Some(Meaning::Absent)), Verdict::Failed(Code::ZoneNotFound));
    }
}
