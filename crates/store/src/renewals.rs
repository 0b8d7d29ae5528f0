//! When CAs are asked about renewals, and what they said.
use async_trait::async_trait;
use certkeep_core::certificate::CertificateId;
use certkeep_core::ports::{Question, RenewalState, Renewals, StoreError, Told};
use certkeep_core::renewal::Validity;
use certkeep_core::renewal_info::{Choice, Window};
use jiff::Timestamp;

use crate::SqlStore;
use crate::again::repeated;
use crate::error::{corrupt, unavailable};
use crate::rows::{chain, from_columns, instant};

const TABLE: &str = "certificates";

/// Those to be asked about at `$1`, `$3` at most, which are due again at `$2`.
pub(crate) const QUESTIONS: &str = "UPDATE certificates SET renewal_ask_at = $2
     WHERE renewal_ask_at <= $1
       AND id IN (SELECT id FROM certificates WHERE renewal_ask_at <= $1 ORDER BY renewal_ask_at, id LIMIT $3)
     RETURNING id, current_version, renewal_window_start, renewal_window_end, renewal_at";

/// What was chosen within the CA's window.
struct ChoiceRow {
    id: i64,
    renewal_window_start: Option<i64>,
    renewal_window_end: Option<i64>,
    renewal_at: Option<i64>,
}

from_columns!(ChoiceRow { id, renewal_window_start, renewal_window_end, renewal_at });

struct AskedRow {
    current_version: Option<i64>,
    kept: ChoiceRow,
}

from_columns!(AskedRow { current_version; kept });

struct StateRow {
    next_issuance_at: Option<i64>,
    renewal_explanation: Option<String>,
    renewal_ask_at: Option<i64>,
    kept: ChoiceRow,
}

from_columns!(StateRow { next_issuance_at, renewal_explanation, renewal_ask_at; kept });

struct HeldRow {
    chain: Vec<u8>,
    not_before: i64,
    not_after: i64,
    directory: Option<String>,
}

from_columns!(HeldRow { chain, not_before, not_after, directory });

impl ChoiceRow {
    fn choice(&self) -> Result<Option<Choice>, StoreError> {
        let (Some(start), Some(end), Some(at)) = (self.renewal_window_start, self.renewal_window_end, self.renewal_at) else {
            return Ok(None);
        };
        let at_instant = |microseconds| instant(TABLE, self.id, microseconds);
        let window = Window::new(at_instant(start)?, at_instant(end)?);
        let window = window.ok_or_else(|| corrupt(TABLE, self.id, "a window ends before it begins"))?;
        Ok(Some(Choice { window, at: at_instant(at)? }))
    }
}

impl AskedRow {
    fn question(self, version: i64, held: HeldRow) -> Result<Option<Question>, StoreError> {
        let Some(directory) = held.directory else { return Ok(None) };
        let id = self.kept.id;
        let kept = self.kept.choice()?;
        let validity =
            Validity { not_before: instant(TABLE, id, held.not_before)?, not_after: instant(TABLE, id, held.not_after)? };
        let chain = chain(&held.chain).ok_or_else(|| corrupt("versions", version, "the chain is cut off"))?;
        Ok(Some(Question { certificate: CertificateId(id), version, directory, chain, validity, kept }))
    }
}

async fn questions(store: &SqlStore, now: Timestamp, again: Timestamp, limit: u32) -> Result<Vec<Question>, StoreError> {
    let doing = unavailable("look for renewals to ask about");
    let rows: Vec<AskedRow> = sqlx::query_as(QUESTIONS)
        .bind(now.as_microsecond())
        .bind(again.as_microsecond())
        .bind(i64::from(limit))
        .fetch_all(store.writer())
        .await
        .map_err(&doing)?;
    let mut questions = Vec::with_capacity(rows.len());
    for row in rows {
        let Some(version) = row.current_version else { continue };
        let held: Option<HeldRow> = sqlx::query_as("SELECT chain, not_before, not_after, directory FROM versions WHERE id = $1")
            .bind(version)
            .fetch_optional(store.readers())
            .await
            .map_err(&doing)?;
        let Some(held) = held else { continue };
        match row.question(version, held) {
            Ok(question) => questions.extend(question),
            // It must not keep the others from being asked about.
            Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "a row cannot be read back"),
        }
    }
    Ok(questions)
}

async fn answered(store: &SqlStore, question: &Question, told: &Told) -> Result<(), StoreError> {
    let choice = told.choice.as_ref();
    let micros = |instant: Timestamp| instant.as_microsecond();
    sqlx::query(
        "UPDATE certificates
         SET renewal_ask_at = $3,
             renewal_explanation = CASE WHEN $6 IS NULL THEN renewal_explanation ELSE $7 END,
             renewal_window_start = COALESCE($4, renewal_window_start),
             renewal_window_end = COALESCE($5, renewal_window_end),
             renewal_at = COALESCE($6, renewal_at),
             next_issuance_at = CASE
                 WHEN $6 IS NULL OR next_issuance_at IS NULL OR failures_in_a_row > 0 OR status = 'issuing'
                     THEN next_issuance_at
                 ELSE $6 END
         WHERE id = $1 AND current_version = $2",
    )
    .bind(question.certificate.0)
    .bind(question.version)
    .bind(micros(told.ask_at))
    .bind(choice.map(|choice| micros(choice.window.start())))
    .bind(choice.map(|choice| micros(choice.window.end())))
    .bind(choice.map(|choice| micros(choice.at)))
    .bind(&told.explanation_url)
    .execute(store.writer())
    .await
    .map_err(unavailable("keep when to renew"))?;
    Ok(())
}

async fn state(store: &SqlStore, CertificateId(id): CertificateId) -> Result<RenewalState, StoreError> {
    let row: Option<StateRow> = sqlx::query_as(
        "SELECT id, next_issuance_at, renewal_ask_at, renewal_window_start, renewal_window_end, renewal_at, renewal_explanation
         FROM certificates WHERE id = $1",
    )
    .bind(id)
    .fetch_optional(store.readers())
    .await
    .map_err(unavailable("read when to renew"))?;
    let Some(row) = row else { return Ok(RenewalState::default()) };
    let at_instant = |microseconds: Option<i64>| microseconds.map(|at| instant(TABLE, id, at)).transpose();
    Ok(RenewalState {
        next_issuance: at_instant(row.next_issuance_at)?,
        choice: row.kept.choice()?,
        explanation_url: row.renewal_explanation,
        ask_at: at_instant(row.renewal_ask_at)?,
    })
}

#[async_trait]
impl Renewals for SqlStore {
    async fn questions(&self, now: Timestamp, again: Timestamp, limit: u32) -> Result<Vec<Question>, StoreError> {
        repeated(|| questions(self, now, again, limit)).await
    }

    async fn answered(&self, question: &Question, told: &Told) -> Result<(), StoreError> {
        repeated(|| answered(self, question, told)).await
    }

    async fn renewal_state(&self, id: CertificateId) -> Result<RenewalState, StoreError> {
        state(self, id).await
    }
}
