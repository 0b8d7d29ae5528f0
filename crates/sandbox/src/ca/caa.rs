//! What CAA records say about the sandbox (RFC 8659): `issue` and `issuewild`, without their parameters.

use std::net::SocketAddr;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::CAA;
use hickory_proto::rr::{Name, RData, RecordType};

use super::problem::{Kind, Problem};
use super::validation::{LookupError, ask};

/// The name by which the sandbox goes in CAA records.
pub(super) const CAA_IDENTITY: &str = "sandbox.example";

/// Refuses a name whose CAA records are for others.
pub(super) async fn check(server: SocketAddr, name: &str, wildcard: bool) -> Result<(), Problem> {
    let records = relevant(server, name).await.map_err(|error| {
        let detail = format!("looking up CAA for {name}: {error}");
        Problem::new(Kind::Dns, detail)
    })?;
    if allows(&records, wildcard) {
        return Ok(());
    }
    Err(Problem::new(Kind::Caa, format!("the CAA records of {name} do not allow {CAA_IDENTITY}")))
}

/// The records of the name, or of the nearest name above it that has any (RFC 8659 §3).
async fn relevant(server: SocketAddr, name: &str) -> Result<Vec<CAA>, LookupError> {
    let mut level = Name::from_ascii(format!("{name}."))?;
    while !level.is_root() {
        let response = ask(server, &level, RecordType::CAA).await?;
        match response.metadata.response_code {
            ResponseCode::NoError | ResponseCode::NXDomain => {}
            // Above its zones the server knows nothing, and nothing is there.
            ResponseCode::Refused => break,
            code => return Err(LookupError::Code(code)),
        }
        let records = response.answers.into_iter().filter_map(|record| match record.data {
            RData::CAA(caa) => Some(caa),
            _ => None,
        });
        let records: Vec<CAA> = records.collect();
        if !records.is_empty() {
            return Ok(records);
        }
        level = level.base_name();
    }
    Ok(Vec::new())
}

fn allows(records: &[CAA], wildcard: bool) -> bool {
    let of = |tag: &str| records.iter().filter(|caa| caa.tag.eq_ignore_ascii_case(tag)).collect::<Vec<_>>();
    let mut ruling = if wildcard { of("issuewild") } else { Vec::new() };
    if ruling.is_empty() {
        ruling = of("issue");
    }
    let ours = |caa: &&CAA| {
        let issuer = caa.value.split(|octet| *octet == b';').next().unwrap_or_default();
        issuer.trim_ascii().eq_ignore_ascii_case(CAA_IDENTITY.as_bytes())
    };
    ruling.is_empty() || ruling.iter().any(ours)
}
