//! Against Caddy, whose ACME server shares no code with Pebble; `./test newer` fetches and runs it.
use certkeep_core::failure::Code;
use certkeep_core::material::check_issued;
use certkeep_core::ports::{CertificateAuthority, Issuer, OrderRequest, RevocationReason, Revoker};
use certkeep_core::time::{Clock, SystemClock};
use certkeep_testkit::peers::Caddy;

use crate::pebble::{authorities, issuer, names, request};

#[tokio::test]
async fn newer_caddy_certifies_and_revokes() {
    let (pdns, router) = authorities().await;
    let caddy = Caddy::start(router.dns_addr()).await;
    let ca = CertificateAuthority {
        directory: caddy.directory_url().to_owned(),
        roots: vec![caddy.root_pem().to_owned()],
        contact: vec!["mailto:someone@example.com".into()],
        external_account: None,
    };
    let issuer = issuer();
    let account = issuer.register(&ca, &issuer.new_account(&ca).unwrap()).await.unwrap();
    let wanted = ["caddy.acme.test", "*.caddy.acme.test"];
    let order = issuer.new_order(&ca, &account, OrderRequest::for_names(&names(&wanted))).await.unwrap();
    let challenges: Vec<_> = order.authorizations.iter().filter_map(|each| each.challenge.clone()).collect();
    assert_eq!(challenges.len(), 2);
    let values: Vec<String> = challenges.iter().map(|challenge| format!("\"{}\"", challenge.value)).collect();
    pdns.set("_acme-challenge.caddy.acme.test", "TXT", &values.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let urls: Vec<String> = challenges.into_iter().map(|challenge| challenge.url).collect();
    issuer.validate(&ca, &account, &order.url, &urls).await.unwrap();
    let (key, csr) = request(&wanted);
    let chain = issuer.issue(&ca, &account, &order.url, &csr, None).await.unwrap();
    check_issued(&chain, &key, &names(&wanted), SystemClock.now()).unwrap();
    assert_eq!(issuer.renewal_info(&ca, &chain).await.unwrap(), None);

    issuer.revoke(&ca, Revoker::Account(&account), &chain, RevocationReason::Superseded).await.unwrap();
    let asking = names(&wanted);
    let request = OrderRequest { profile: Some("classic"), ..OrderRequest::for_names(&asking) };
    assert_eq!(issuer.new_order(&ca, &account, request).await.unwrap_err().code, Code::ProfileNotOffered);
}
