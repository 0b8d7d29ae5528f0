//! What is done with a certificate that was issued, and with the account that ordered it.
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use certkeep_core::failure::Code;
use certkeep_core::material::{Chain, PrivateKey, check_issued};
use certkeep_core::ports::{Issuer, RevocationReason, Revoker};
use certkeep_core::renewal_info::RenewalId;
use certkeep_core::time::{Clock, SystemClock};

use super::{House, issuer, names, request};

impl House {
    pub(super) async fn certify(&self, wanted: &[&str], preferred: Option<&str>) -> (PrivateKey, Chain) {
        let order = self.place(wanted).await;
        self.put_up(&order).await;
        self.validate(&order).await.unwrap();
        let (key, csr) = request(wanted);
        let issued = self.issuer.issue(&self.ca, &self.account, &order.url, &csr, preferred).await;
        (key, issued.unwrap())
    }

    async fn status(&self, chain: &Chain) -> Option<String> {
        let serial = BASE64_URL_SAFE_NO_PAD.decode(RenewalId::of(chain).unwrap().serial()).unwrap();
        let serial: String = serial.iter().map(|octet| format!("{octet:02x}")).collect();
        self.pebble.certificate_status(&serial).await
    }
}

#[tokio::test]
async fn an_account_or_the_key_revokes_and_twice_is_no_error() {
    let house = House::build(|_| {}).await;
    let (_, first) = house.certify(&["first.acme.test"], None).await;
    let (key, second) = house.certify(&["second.acme.test"], None).await;
    assert_eq!(house.status(&first).await.as_deref(), Some("Valid"));
    for (by, chain) in [(Revoker::Account(&house.account), &first), (Revoker::CertificateKey(&key), &second)] {
        for _ in 0..2 {
            house.issuer.revoke(&house.ca, by, chain, RevocationReason::KeyCompromise).await.unwrap();
        }
        assert_eq!(house.status(chain).await.as_deref(), Some("Revoked"));
    }
}

#[tokio::test]
async fn another_account_does_not_revoke() {
    let house = House::build(|_| {}).await;
    let (_, chain) = house.certify(&["mine.acme.test"], None).await;
    let other = house.issuer.register(&house.ca, &house.issuer.new_account(&house.ca).unwrap()).await.unwrap();
    let outcome = house.issuer.revoke(&house.ca, Revoker::Account(&other), &chain, RevocationReason::Superseded).await;
    assert_eq!(outcome.unwrap_err().code, Code::RevocationRefused);
    assert_eq!(house.status(&chain).await.as_deref(), Some("Valid"));
}

#[tokio::test]
async fn an_account_rolls_over_keeps_its_orders_and_may_be_told_so_twice() {
    let mut house = House::build(|options| options.bad_nonce_percent = 50).await;
    let order = house.place(&["rolled.acme.test"]).await;
    let next = house.issuer.new_account(&house.ca).unwrap();
    house.issuer.roll_over(&house.ca, &house.account, &next).await.unwrap();
    // As after a kill between the CA's answer and our saving: the old account and the new key are what is known.
    let rolled = issuer().roll_over(&house.ca, &house.account, &next).await.unwrap();
    let old = house.issuer.order(&house.ca, &house.account, &order.url).await;
    old.unwrap_err();
    house.account = rolled;
    let (_, csr) = request(&["rolled.acme.test"]);
    let order = house.issuer.order(&house.ca, &house.account, &order.url).await.unwrap();
    house.put_up(&order).await;
    house.validate(&order).await.unwrap();
    house.issue(&order, &csr).await.unwrap();
}

#[tokio::test]
async fn a_key_that_another_account_has_is_refused() {
    let house = House::build(|_| {}).await;
    let other = house.issuer.register(&house.ca, &house.issuer.new_account(&house.ca).unwrap()).await.unwrap();
    let failure = house.issuer.roll_over(&house.ca, &house.account, &other).await.unwrap_err();
    // Pebble up to 2.4 takes it for a fault of its own.
    assert!(matches!(failure.code, Code::AccountRefused | Code::CaError), "{failure}");
    assert!(failure.evidence.their_message.as_deref().is_some_and(|said| said.contains("already in use")), "{failure}");
    house.place(&["still.acme.test"]).await;
}

#[tokio::test]
async fn the_preferred_of_three_chains_is_had() {
    let house = House::build(|options| options.alternate_roots = 2).await;
    let roots: Vec<Chain> = [vec![house.pebble.issuing_root_pem().to_owned()], house.pebble.alternate_root_pems().await]
        .concat()
        .iter()
        .map(|pem| Chain::parse_pem(pem).unwrap())
        .collect();
    assert_eq!(roots.len(), 3);
    for root in &roots {
        let name = root.root_name().unwrap();
        let (key, chain) = house.certify(&["chain.acme.test"], Some(&name)).await;
        assert_eq!(chain.root_name(), Some(name));
        check_issued(&chain, &key, &names(&["chain.acme.test"]), SystemClock.now()).unwrap();
    }
    let (_, default) = house.certify(&["chain.acme.test"], Some("Nobody's Root")).await;
    assert_eq!(default.root_name(), roots[0].root_name());
}
