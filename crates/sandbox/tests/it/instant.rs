//! instant-acme, a client of others, in this process.

use certkeep_sandbox::{Options, Sandbox};
use instant_acme::{Account, AuthorizationStatus, ChallengeType, Identifier, NewAccount, NewOrder, OrderStatus, RetryPolicy};
use tempfile::NamedTempFile;

use crate::acme_client::{DEADLINE, csr, ders};
use crate::certificates::verify;

#[tokio::test]
async fn instant_acme_gets_a_certificate() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    let root = NamedTempFile::new().unwrap();
    std::fs::write(root.path(), sandbox.tls_root_pem()).unwrap();
    let patience = RetryPolicy::new().timeout(DEADLINE);
    let names = ["a.example.com", "*.example.com"];

    let new = NewAccount { contact: &["mailto:admin@example.com"], terms_of_service_agreed: true, only_return_existing: false };
    let builder = Account::builder_with_root(root.path()).unwrap();
    let (account, _) = builder.create(&new, sandbox.directory_url().to_owned(), None).await.unwrap();
    let identifiers = names.map(|name| Identifier::Dns(name.to_owned()));
    let mut order = account.new_order(&NewOrder::new(&identifiers)).await.unwrap();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.unwrap();
        assert_eq!(authorization.status, AuthorizationStatus::Pending);
        let mut challenge = authorization.challenge(ChallengeType::Dns01).unwrap();
        let name = challenge.identifier().to_string();
        let owner = format!("_acme-challenge.{}", name.trim_start_matches("*."));
        sandbox.set_txt(&owner, &[&challenge.key_authorization().dns_value()]).unwrap();
        challenge.set_ready().await.unwrap();
    }
    assert_eq!(order.poll_ready(&patience).await.unwrap(), OrderStatus::Ready);
    order.finalize_csr(&csr(&names)).await.unwrap();
    let chain = ders(&order.poll_certificate(&patience).await.unwrap());
    verify(&sandbox, &chain, "a.example.com").unwrap();
    verify(&sandbox, &chain, "any.example.com").unwrap();
}
