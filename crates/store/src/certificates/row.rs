//! A row of the inventory.
use certkeep_core::application::{Application, Names};
use certkeep_core::certificate::{ApplyStatus, Certificate, CertificateId, Held, Kind, Origin, Role, Server};
use certkeep_core::failure::Code;
use certkeep_core::ports::StoreError;
use certkeep_core::renewal::Validity;

use crate::error::corrupt;
use crate::rows::{from_columns, from_json, instant, kind, to_json, unknown};
use crate::seal::{Place, Sealer};

/// The table.
pub(crate) const TABLE: &str = "certificates";

/// The columns of [`CertificateRow`].
macro_rules! certificate_columns {
    () => {
        "id, name, kind, held_issue_to, not_before, not_after, origin, status, names, dns_provider, sealed_auth, failure_code"
    };
}
pub(crate) use certificate_columns;

/// The columns of [`CertificateRow`], from the clauses that follow.
macro_rules! select_certificates {
    ($rest:literal) => {
        concat!("SELECT ", $crate::certificates::row::certificate_columns!(), " FROM certificates ", $rest)
    };
}
pub(crate) use select_certificates;

/// What an entry is made of.
pub(crate) struct CertificateRow {
    id: i64,
    name: String,
    kind: String,
    held_issue_to: Option<String>,
    not_before: Option<i64>,
    not_after: Option<i64>,
    origin: Option<String>,
    status: Option<String>,
    application: ApplicationColumns,
    failure_code: Option<i64>,
}

from_columns!(CertificateRow { id, name, kind, held_issue_to, not_before, not_after, origin, status, failure_code; application });

impl CertificateRow {
    /// The entry, its parameters opened.
    pub(crate) fn certificate(self, sealer: &Sealer) -> Result<Certificate, StoreError> {
        let id = self.id;
        let held = held(id, self.held_issue_to, self.not_before, self.not_after)?;
        let role = match kind(&self.kind) {
            Some(Kind::Trusted) => Role::Trusted,
            Some(Kind::Server) => {
                let origin = self.origin.as_deref().and_then(origin).ok_or_else(|| unknown(TABLE, id, "origin"))?;
                let status = self.status.as_deref().and_then(status).ok_or_else(|| unknown(TABLE, id, "status"))?;
                let application = self.application.open(id, sealer)?;
                let failure = self.failure_code.map(|number| code(id, number)).transpose()?;
                let auto_renewal = origin == Origin::Apply || application.is_some();
                Role::Server(Box::new(Server { origin, auto_renewal, application, status, failure }))
            }
            None => return Err(unknown(TABLE, id, "kind")),
        };
        Ok(Certificate { id: CertificateId(id), name: self.name, held, role })
    }
}

fn held(id: i64, issue_to: Option<String>, not_before: Option<i64>, not_after: Option<i64>) -> Result<Option<Held>, StoreError> {
    let (Some(issue_to), Some(not_before), Some(not_after)) = (issue_to, not_before, not_after) else {
        return Ok(None);
    };
    let validity = Validity { not_before: instant(TABLE, id, not_before)?, not_after: instant(TABLE, id, not_after)? };
    Ok(Some(Held { issue_to, validity }))
}

fn code(id: i64, number: i64) -> Result<Code, StoreError> {
    u16::try_from(number).ok().and_then(Code::from_number).ok_or_else(|| unknown(TABLE, id, "failure_code"))
}

/// The application of an entry as three columns, all there or none.
#[derive(Default)]
pub(crate) struct ApplicationColumns {
    pub(crate) names: Option<String>,
    pub(crate) dns_provider: Option<String>,
    pub(crate) sealed_auth: Option<Vec<u8>>,
}

from_columns!(ApplicationColumns { names, dns_provider, sealed_auth });

fn auth(row: &str) -> Place<'_> {
    Place { table: TABLE, column: "sealed_auth", row }
}

impl ApplicationColumns {
    /// The columns of an application of the entry `id`.
    pub(crate) fn seal(id: i64, application: &Application, sealer: &Sealer) -> Result<ApplicationColumns, StoreError> {
        Ok(ApplicationColumns {
            names: Some(to_json(TABLE, id, &application.names)?),
            dns_provider: Some(application.dns_provider.clone()),
            sealed_auth: Some(sealer.seal_auth(auth(&id.to_string()), &application.auth)?),
        })
    }

    /// The application, if the entry has one.
    pub(crate) fn open(self, id: i64, sealer: &Sealer) -> Result<Option<Application>, StoreError> {
        match (self.names, self.dns_provider, self.sealed_auth) {
            (Some(names), Some(dns_provider), Some(sealed)) => {
                let names: Names = from_json(TABLE, id, &names)?;
                let auth = sealer.open_auth(auth(&id.to_string()), &sealed)?;
                Ok(Some(Application { names, dns_provider, auth }))
            }
            (None, None, None) => Ok(None),
            _ => Err(corrupt(TABLE, id, "half an application")),
        }
    }

    /// Whether there is one.
    pub(crate) fn is_there(&self) -> bool {
        self.names.is_some()
    }
}

/// The word of a state, as the API has it.
pub(crate) const fn status_word(status: ApplyStatus) -> &'static str {
    match status {
        ApplyStatus::IssuanceFail => "issuance_fail",
        ApplyStatus::IssuanceSuccess => "issuance_success",
        ApplyStatus::Issuing => "issuing",
    }
}

/// The state of a word.
pub(crate) fn status(word: &str) -> Option<ApplyStatus> {
    [ApplyStatus::IssuanceFail, ApplyStatus::IssuanceSuccess, ApplyStatus::Issuing]
        .into_iter()
        .find(|status| status_word(*status) == word)
}

/// The word of an origin, as the API has it.
pub(crate) const fn origin_word(origin: Origin) -> &'static str {
    match origin {
        Origin::Apply => "apply",
        Origin::Upload => "upload",
    }
}

/// The origin of a word.
pub(crate) fn origin(word: &str) -> Option<Origin> {
    [Origin::Apply, Origin::Upload].into_iter().find(|origin| origin_word(*origin) == word)
}
