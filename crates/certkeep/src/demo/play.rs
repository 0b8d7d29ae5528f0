//! The story, from the first start to the certificate in service.
use std::time::{Duration, Instant};

use certkeep_core::client::ClientRole;
use certkeep_core::failure::Code;
use certkeep_core::material::Chain;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::DemoError;
use super::caller::{Answer, CallError, Caller};
use super::stage::Stage;
use super::story::Story;
use crate::cli::client;

/// The name that is applied for, in the sandbox's zone.
const NAME: &str = "docs.example.com";
/// What the certificate is called then (contract §4.1).
const FILE: &str = "docs.example.com.pem";
/// How often the client asks how far its application is.
const POLL: Duration = Duration::from_millis(20);
/// How long the application may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The demo's root for `curl --cacert`.
const ROOT_FILE: &str = "sandbox-root.pem";

/// What this is all about.
pub(super) fn opening(story: &Story) -> Result<(), DemoError> {
    story.title("certkeep keeps the TLS certificates of telephone systems and other appliances.")?;
    story.tell(
        "A certificate is the identity card that an appliance shows before a telephone or a browser trusts it. A CA\n\
         (certification authority) issues it, for some weeks only. certkeep applies for it, keeps it, and renews it in\n\
         time, so that nobody has to remember. Programs use certkeep over the P-Series certificate OpenAPI.\n\
         This demo does it once, in this one process. CA and DNS are a sandbox; nothing leaves this machine.",
    )
}

/// Plays everything; answers a token to go on with.
pub(super) async fn play(story: &mut Story, stage: &Stage) -> Result<SecretString, DemoError> {
    the_world(story, stage)?;
    let (client_id, secret) = a_client(story, stage).await?;
    let address = stage.service.https;
    let caller = Caller::new("localhost", address, &stage.service.engine.served().borrow().chain.to_pem())?;
    let token = a_token(story, &caller, &client_id, &secret).await?;
    let began = Instant::now();
    apply(story, stage, &caller, &token).await?;
    let id = wait(story, stage, &caller, &token, began).await?;
    read_back(story, &caller, &token, id).await?;
    put_in_service(story, stage, &caller, &token).await?;
    Ok(token)
}

fn the_world(story: &mut Story, stage: &Stage) -> Result<(), DemoError> {
    story.chapter("The world around, as a sandbox")?;
    story.tell(&format!("CA        {}  (speaks ACME, as Let's Encrypt does)", stage.sandbox.directory_url()))?;
    story.tell(&format!("DNS       {}  (the zone example.com)", stage.sandbox.dns_addr()))?;
    story.tell(&format!("DNS API   {}  (PowerDNS's, to change the zone)", stage.sandbox.dns_api_url()))?;
    story.chapter("certkeep is started")?;
    story.tell(&format!("certkeep serve --listen {}", stage.service.https))?;
    story.good("It made itself a key, a database and a self-signed certificate to begin with.")
}

async fn a_client(story: &mut Story, stage: &Stage) -> Result<(String, SecretString), DemoError> {
    story.chapter("Somebody is allowed to call")?;
    let options = certkeep_store::Options { folder: stage.folder.path().join("data"), key_file: None }.into();
    let (id, secret) =
        client::add(&options, "demo", ClientRole::Admin, &[]).await.map_err(|error| DemoError::Client(Box::new(error)))?;
    story.hide(secret.expose_secret());
    story.tell("certkeep client add demo")?;
    story.tell(&format!("client_id      {}\nclient_secret  {}", id, secret.expose_secret()))?;
    Ok((id, secret))
}

async fn a_token(story: &mut Story, caller: &Caller, client_id: &str, secret: &SecretString) -> Result<SecretString, DemoError> {
    story.chapter("The caller takes a token, good for half an hour")?;
    let body = json!({ "username": client_id, "password": secret.expose_secret() });
    story.request("POST", &caller.url("get_token"), Some(&body))?;
    let answer = caller.post("get_token", &body).await?;
    let token = answer.text("get_token", "access_token")?;
    story.shorten(&token);
    story.shorten(&answer.text("get_token", "refresh_token")?);
    story.answer(&answer.body)?;
    Ok(token.into())
}

async fn apply(story: &mut Story, stage: &Stage, caller: &Caller, token: &SecretString) -> Result<(), DemoError> {
    story.chapter(&format!("It applies for a certificate for {NAME}"))?;
    story.tell(
        "dns_provider says where the domain's DNS is kept, auth_info_list how to change it. certkeep needs that to\n\
         prove to the CA that the name is ours.",
    )?;
    story.hide(stage.sandbox.dns_api_key());
    let body = application(NAME, stage);
    let endpoint = with_token("certificate/create", token);
    story.request("POST", &caller.url(&endpoint), Some(&body))?;
    let answer = caller.post(&endpoint, &body).await?;
    story.answer(&answer.body)?;
    story.tell("It is answered at once; the rest happens by itself.")
}

/// Asks until the application is over; answers the certificate's number.
async fn wait(story: &mut Story, stage: &Stage, caller: &Caller, token: &SecretString, began: Instant) -> Result<i64, DemoError> {
    story.chapter("The CA wants proof, and certkeep gives it")?;
    let endpoint = with_token("certificate/list", token);
    let mut seen = false;
    loop {
        if !seen && let Some((name, value)) = stage.sandbox.txt_records().into_iter().find(|(name, _)| is_challenge(name)) {
            seen = true;
            story.tell("The CA asked for a TXT record that only the owner of the domain can write. certkeep wrote it:")?;
            story.tell(&format!("{name}  TXT  \"{value}\""))?;
        }
        let answer = caller.get(&endpoint).await?;
        let row = row_of(&answer).ok_or_else(|| CallError::Member("certificate/list".to_owned(), FILE))?;
        let status = row.get("apply_status").and_then(Value::as_str).unwrap_or_default();
        match status {
            "issuance_success" => {
                story.good(&format!("issuance_success {:.1} s after the application.", began.elapsed().as_secs_f64()))?;
                gone(story, stage).await?;
                let id = row.get("id").and_then(Value::as_i64);
                return Ok(id.ok_or_else(|| CallError::Member("certificate/list".to_owned(), "id"))?);
            }
            "issuing" if began.elapsed() < PATIENCE => tokio::time::sleep(POLL).await,
            "issuing" => return Err(DemoError::NotIssued(format!("still issuing after {} s", PATIENCE.as_secs()))),
            _ => return Err(DemoError::NotIssued(why(row))),
        }
    }
}

/// Waits until no challenge record is left.
async fn gone(story: &Story, stage: &Stage) -> Result<(), DemoError> {
    let began = Instant::now();
    while stage.sandbox.txt_records().into_iter().any(|(name, _)| is_challenge(&name)) {
        if began.elapsed() > PATIENCE {
            return Err(DemoError::RecordLeft);
        }
        tokio::time::sleep(POLL).await;
    }
    story.tell("The TXT record is gone again.")
}

async fn read_back(story: &mut Story, caller: &Caller, token: &SecretString, id: i64) -> Result<(), DemoError> {
    story.chapter("The certificate is there")?;
    let endpoint = with_token(&format!("certificate/get?id={id}"), token);
    story.request("GET", &caller.url(&endpoint), None)?;
    let answer = caller.get(&endpoint).await?;
    story.answer(&answer.body)?;
    story.tell("From here on certkeep renews it by itself, when a third of its life is left (auto_renewal 1).")
}

async fn put_in_service(story: &mut Story, stage: &Stage, caller: &Caller, token: &SecretString) -> Result<(), DemoError> {
    story.chapter("It is put in service: certkeep's own HTTPS")?;
    let endpoint = with_token("webserver/update", token);
    let body = json!({ "https_cert": FILE });
    story.request("POST", &caller.url(&endpoint), Some(&body))?;
    let answer = caller.post(&endpoint, &body).await?;
    story.answer(&answer.body)?;

    story.tell(&format!("Another client comes, which trusts only the CA and expects {NAME}:"))?;
    let strict = Caller::new(NAME, stage.service.https, stage.sandbox.issuing_root_pem())?;
    let endpoint = with_token("webserver/get", token);
    story.request("GET", &strict.url(&endpoint), None)?;
    let answer = strict.get(&endpoint).await?;
    story.answer(&answer.body)?;
    let presented = answer.certificate.and_then(|der| Chain::new(vec![der])).and_then(|chain| chain.facts().ok());
    let facts = presented.filter(|facts| facts.dns_names == [NAME]).ok_or(DemoError::WrongCertificate)?;
    let until = facts.held.validity.not_after;
    story.good(&format!("It was shown the new certificate, for {NAME}, valid until {}.", until.strftime("%Y-%m-%d")))
}

/// How to go on by hand.
pub(super) async fn invitation(story: &mut Story, stage: &Stage, token: &SecretString) -> Result<(), DemoError> {
    let setup = stage.service.engine.setup_token().await?;
    let root = stage.folder.path().join(ROOT_FILE);
    std::fs::write(&root, stage.sandbox.issuing_root_pem()).map_err(DemoError::Folder)?;
    let (address, token) = (stage.service.https, token.expose_secret());
    let curl = format!("curl -sw '\\n' --cacert {} --resolve {NAME}:{}:127.0.0.1", root.display(), address.port());
    let base = format!("https://{NAME}:{}/openapi/v1.0", address.port());
    let wildcard = application("*.example.com,example.com", stage);
    story.chapter("Go on yourself; Ctrl-C ends it and leaves nothing behind")?;
    if let Some(setup) = setup {
        story.tell("# the web page; its certificate is the sandbox's, so the browser warns")?;
        story.command(&format!("https://127.0.0.1:{}/setup#{}", address.port(), setup.expose_secret()))?;
    }
    story.tell("# all that is kept")?;
    story.command(&format!("{curl} '{base}/certificate/list?access_token={token}'"))?;
    story.tell("# apply for a wildcard and its domain in one")?;
    story.command(&format!("{curl} '{base}/certificate/create?access_token={token}' -d '{wildcard}'"))?;
    story.tell("# delete the first certificate: refused, for it is in service")?;
    story.command(&format!("{curl} '{base}/certificate/delete?id=1&access_token={token}'"))?;
    story.tell("With a CA and a domain of your own: certkeep serve. What can be configured: docs/certkeep.sample.toml")
}

/// What `certificate/create` is given.
fn application(names: &str, stage: &Stage) -> Value {
    json!({
        "type": "server",
        "ca_type": "apply",
        "issue_to": names,
        "dns_provider": "pdns",
        "auth_info_list": [
            { "k": "Host", "sv": stage.sandbox.dns_api_url() },
            { "k": "APIKey", "sv": stage.sandbox.dns_api_key() },
        ],
    })
}

fn with_token(endpoint: &str, token: &SecretString) -> String {
    let mark = if endpoint.contains('?') { '&' } else { '?' };
    format!("{endpoint}{mark}access_token={}", token.expose_secret())
}

fn is_challenge(name: &str) -> bool {
    name.starts_with("_acme-challenge.")
}

/// The row of our certificate in a list.
fn row_of(answer: &Answer) -> Option<&Value> {
    let rows = answer.body.get("certificate_list")?.as_array()?;
    rows.iter().find(|row| row.get("name").and_then(Value::as_str) == Some(FILE))
}

/// Why an application failed, in the words of the catalogue.
fn why(row: &Value) -> String {
    let number = row.get("apply_tip_code").and_then(Value::as_u64);
    let code = number.and_then(|number| u16::try_from(number).ok()).and_then(Code::from_number);
    code.map_or_else(
        || "for a reason that was not told".to_owned(),
        |code| format!("{} {}: {} {}", code.number(), code.name(), code.entry().what, code.entry().next),
    )
}
