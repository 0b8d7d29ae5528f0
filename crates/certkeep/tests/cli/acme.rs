use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use certkeep_acme::AcmeIssuer;
use certkeep_core::application::{Application, Names};
use certkeep_core::issuance::AcmeAccount;
use certkeep_core::material::{KeyType, PrivateKey, certificate_request};
use certkeep_core::name::DnsName;
use certkeep_core::ports::{
    CertificateAuthority, Certificates, Change, Issuances, Issuer, NewCertificate, NewServer, OrderRequest, Renewals, Settings,
    Store, Version,
};
use certkeep_core::time::{Clock, SystemClock};
use certkeep_sandbox::{Options, Sandbox};
use certkeep_store::{Options as StoreOptions, SqlStore};
use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::process::{Data, Ended, ended, program};

const NAME: &str = "pbx.example.com.pem";

/// A data folder whose CA is a sandbox; there is an account, and a certificate that it ordered.
struct House {
    sandbox: Sandbox,
    data: Data,
    ca: CertificateAuthority,
    issuer: AcmeIssuer,
}

impl House {
    async fn build() -> House {
        let sandbox = Sandbox::start(Options::default()).await.unwrap();
        let data = Data::new();
        data.configure(&format!("[acme]\ndirectory = \"{}\"\nroots = [\"root.pem\"]\n", sandbox.directory_url()));
        fs::write(data.folder().join("root.pem"), sandbox.tls_root_pem()).unwrap();
        let ca = CertificateAuthority {
            directory: sandbox.directory_url().to_owned(),
            roots: vec![sandbox.tls_root_pem().to_owned()],
            contact: Vec::new(),
            external_account: None,
        };
        House { sandbox, data, ca, issuer: AcmeIssuer::new(Arc::new(SystemClock)) }
    }

    async fn store(&self) -> SqlStore {
        SqlStore::open_shared(&StoreOptions { folder: self.data.folder(), key_file: None }).await.unwrap()
    }

    /// Registers an account and keeps it.
    async fn register(&self) -> AcmeAccount {
        let account = self.issuer.register(&self.ca, &self.issuer.new_account(&self.ca).unwrap()).await.unwrap();
        let store = self.store().await;
        store.keep_acme_account(&account).await.unwrap();
        store.close().await;
        account
    }

    /// Has a certificate issued and keeps it.
    async fn certify(&self, account: &AcmeAccount) {
        let names: Vec<DnsName> = vec!["pbx.example.com".parse().unwrap()];
        let order = self.issuer.new_order(&self.ca, account, OrderRequest::for_names(&names)).await.unwrap();
        let challenge = order.authorizations[0].challenge.clone().unwrap();
        self.sandbox.set_txt("_acme-challenge.pbx.example.com", &[&challenge.value]).unwrap();
        self.issuer.validate(&self.ca, account, &order.url, &[challenge.url]).await.unwrap();
        let key = PrivateKey::generate(KeyType::P256).unwrap();
        let csr = certificate_request(&key, &names).unwrap();
        let chain = self.issuer.issue(&self.ca, account, &order.url, &csr, None).await.unwrap();
        let held = chain.facts().unwrap().held;
        let store = self.store().await;
        let new = NewCertificate {
            name: NAME.to_owned(),
            version: Some(Version { chain, key: Some(key), held, directory: None }),
            server: Some(NewServer { application: None, next_issuance: None, owner: None }),
            upload: None,
            limit: None,
        };
        store.create(&new).await.unwrap();
        store.close().await;
    }

    /// Runs a command in a thread of its own: the sandbox that it speaks with runs on this one.
    async fn run(&self, arguments: &[&str]) -> Ended {
        let mut command = program();
        command.args(arguments).arg("--data").arg(self.data.folder());
        tokio::task::spawn_blocking(move || ended(&mut command)).await.unwrap()
    }

    async fn json(&self, arguments: &[&str]) -> Value {
        let ended = self.run(&[arguments, &["--json"]].concat()).await;
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{}", ended.stdout);
        serde_json::from_str(&ended.stdout).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_account_there_is_none_to_show_to_rotate_or_to_export() {
    let house = House::build().await;
    assert_eq!(house.json(&["acme", "account", "list"]).await, json!([]));
    for command in [&["acme", "account", "rotate"][..], &["acme", "account", "export", "--stdout"]] {
        let ended = house.run(command).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (3, ""), "{}", ended.stderr);
        assert!(ended.stderr.contains("there is no account at https://"), "{}", ended.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_account_keeps_its_url_and_the_old_key_is_dead() {
    let house = House::build().await;
    let old = house.register().await;
    let before = house.json(&["acme", "account", "list"]).await;
    assert_eq!(before[0]["directory"], house.sandbox.directory_url());
    let rotated = house.json(&["acme", "account", "rotate"]).await;
    assert_eq!(rotated["url"], before[0]["url"]);
    assert_ne!(rotated["thumbprint"], before[0]["thumbprint"]);
    assert_eq!(house.json(&["acme", "account", "list"]).await, json!([rotated]));

    let names: Vec<DnsName> = vec!["pbx.example.com".parse().unwrap()];
    house.issuer.new_order(&house.ca, &old, OrderRequest::for_names(&names)).await.unwrap_err();
    let store = house.store().await;
    let kept = store.acme_account(&house.ca.directory).await.unwrap().unwrap();
    store.close().await;
    house.issuer.new_order(&house.ca, &kept, OrderRequest::for_names(&names)).await.unwrap();
}

/// The CA has changed the key and certkeep was killed before it saved that.
#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_was_interrupted_is_brought_to_its_end() {
    let house = House::build().await;
    let account = house.register().await;
    let next = house.issuer.new_account(&house.ca).unwrap();
    let place = format!("acme.next_account.{}", house.ca.directory);
    let store = house.store().await;
    store.set_setting(&place, &next.credentials).await.unwrap();
    house.issuer.roll_over(&house.ca, &account, &next).await.unwrap();

    let rotated = house.json(&["acme", "account", "rotate"]).await;
    let expected = certkeep_acme::account_facts(&next).unwrap().thumbprint;
    assert_eq!(rotated["thumbprint"], expected);
    assert!(store.setting(&place).await.unwrap().is_none_or(|kept| kept.expose_secret().is_empty()));
    store.close().await;
    assert_ne!(house.json(&["acme", "account", "rotate"]).await["thumbprint"], expected, "the next one is another");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_ca_has_an_account_of_its_own_that_is_told_by_the_cas_name() {
    let house = House::build().await;
    house.register().await;
    let other = Sandbox::start(Options::default()).await.unwrap();
    house.data.configure(&format!(
        "[acme]\nname = \"first\"\ndirectory = \"{}\"\nroots = [\"root.pem\"]\n\
         [[acme.fallback]]\nname = \"second\"\ndirectory = \"{}\"\nroots = [\"other.pem\"]\n",
        house.sandbox.directory_url(),
        other.directory_url(),
    ));
    fs::write(house.data.folder().join("other.pem"), other.tls_root_pem()).unwrap();
    let ca = CertificateAuthority {
        directory: other.directory_url().to_owned(),
        roots: vec![other.tls_root_pem().to_owned()],
        ..house.ca.clone()
    };
    let account = house.issuer.register(&ca, &house.issuer.new_account(&ca).unwrap()).await.unwrap();
    let store = house.store().await;
    store.keep_acme_account(&account).await.unwrap();

    let before = house.json(&["acme", "account", "list"]).await;
    let rotated = house.json(&["acme", "account", "rotate", "--ca", "second"]).await;
    assert_eq!(rotated["directory"], other.directory_url());
    assert_ne!(rotated["thumbprint"], before[1]["thumbprint"]);
    assert_eq!(house.json(&["acme", "account", "list"]).await, json!([before[0], rotated]));
    let kept = store.acme_account(&ca.directory).await.unwrap().unwrap();
    store.close().await;
    let exported = house.run(&["acme", "account", "export", "--stdout", "--ca", &ca.directory]).await;
    assert_eq!(exported.stdout, certkeep_acme::account_key(&kept).unwrap().to_pem().expose_secret());
    let nobody = house.run(&["acme", "account", "rotate", "--ca", "third"]).await;
    assert_eq!((nobody.code, nobody.stdout.as_str()), (3, ""));
    assert!(
        nobody.stderr.contains("no CA of the configuration is called \"third\"; there is first, second"),
        "{}",
        nobody.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exported_key_is_the_accounts_and_for_its_owner_alone() {
    let house = House::build().await;
    let account = house.register().await;
    let key = certkeep_acme::account_key(&account).unwrap().to_pem();
    let file = house.data.folder().join("account.pem");
    let path = file.to_str().unwrap();
    let exported = house.run(&["acme", "account", "export", path]).await;
    assert_eq!((exported.code, exported.stdout.as_str()), (0, ""), "{}", exported.stderr);
    assert_eq!(fs::read_to_string(&file).unwrap(), key.expose_secret());
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let again = house.run(&["acme", "account", "export", path]).await;
    assert_eq!(again.code, 1, "a file that is there is left alone");
    assert!(again.stderr.contains("account.pem cannot be written"), "{}", again.stderr);

    assert_eq!(house.run(&["acme", "account", "export", "--stdout"]).await.stdout, key.expose_secret());
    let jwk = house.run(&["acme", "account", "export", "--stdout", "--format", "jwk"]).await.stdout;
    let jwk: Value = serde_json::from_str(&jwk).unwrap();
    assert!(jwk["crv"] == "P-256" && jwk["d"].is_string(), "{}", jwk["crv"]);
    assert_eq!(house.run(&["acme", "account", "export"]).await.code, 2, "neither a file nor stdout");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_revoked_by_name_or_number_and_twice_is_no_error() {
    let house = House::build().await;
    house.certify(&house.register().await).await;
    let revoked = house.json(&["revoke", NAME, "--reason", "key-compromise"]).await;
    assert_eq!((&revoked["name"], &revoked["reason"]), (&json!(NAME), &json!("key-compromise")));
    assert_eq!((&revoked["renewing"], &revoked["deleted"]), (&json!(false), &json!(false)), "there is no application");
    assert_eq!(house.sandbox.revoked(), 1);
    let number = revoked["id"].to_string();
    assert_eq!(house.run(&["revoke", &number]).await.stdout, format!("{NAME} is revoked\n"));
    assert_eq!(house.run(&["revoke", &number, "--delete", "--no-renew"]).await.code, 2);
    assert_eq!(house.run(&["revoke", &number, "--delete"]).await.stdout, format!("{NAME} is revoked and deleted\n"));
    assert_eq!(house.run(&["revoke", NAME]).await.code, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_revocation_another_certificate_is_applied_for_unless_that_is_unwanted() {
    let house = House::build().await;
    house.certify(&house.register().await).await;
    let store = house.store().await;
    let entry = store.certificate_by_name(NAME).await.unwrap().unwrap();
    let names = Names::parse("pbx.example.com").unwrap();
    let application = Application { names, dns_provider: "pdns".to_owned(), auth: Vec::new() };
    let later = Timestamp::from_second(SystemClock.now().as_second() + 3_600_000).unwrap();
    let change = Change { application: Some(Some(application)), next_issuance: Some(Some(later)), ..Change::default() };
    store.change(entry.id, &change, SystemClock.now()).await.unwrap();
    let epoch = store.epoch().await.unwrap().certificates;

    assert_eq!(house.run(&["revoke", NAME, "--no-renew"]).await.stdout, format!("{NAME} is revoked\n"));
    assert_eq!(store.renewal_state(entry.id).await.unwrap().next_issuance, Some(later));
    let revoked = house.run(&["revoke", NAME]).await;
    assert_eq!(revoked.stdout, format!("{NAME} is revoked; another one is applied for\n"), "{}", revoked.stderr);
    let due = store.renewal_state(entry.id).await.unwrap().next_issuance.unwrap();
    assert!(due <= SystemClock.now(), "{due}");
    assert!(store.epoch().await.unwrap().certificates > epoch, "a service that runs forgets the entry");
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_certificates_own_key_revokes_what_another_account_ordered() {
    let house = House::build().await;
    house.certify(&house.register().await).await;
    house.register().await;
    house.json(&["revoke", NAME]).await;
    assert_eq!(house.sandbox.revoked(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_revoked_is_told() {
    let house = House::build().await;
    house.certify(&house.register().await).await;
    for unknown in ["nobody.pem", "999"] {
        let ended = house.run(&["revoke", unknown]).await;
        assert_eq!(ended.code, 3, "{}", ended.stderr);
        assert!(ended.stderr.contains("there is no server certificate"), "{}", ended.stderr);
    }
    house.sandbox.shut_ca().await.unwrap();
    let ended = house.run(&["revoke", NAME]).await;
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("801 ca_unreachable"), "{}", ended.stderr);
    assert_eq!(house.run(&["revoke", NAME, "--reason", "boredom"]).await.code, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_judges_caa_records_that_name_an_account_by_the_one_of_the_data_folder() {
    let house = House::build().await;
    let account = house.register().await;
    let url = certkeep_acme::account_facts(&account).unwrap().url.unwrap();
    let (host, key) = (format!("Host={}", house.sandbox.dns_api_url()), format!("APIKey={}", house.sandbox.dns_api_key()));
    let dns = house.sandbox.dns_addr().to_string();
    let check = ["dns", "check", "pdns", "--name", "pbx.example.com", "--resolver", &dns, "--authoritative", &dns];
    let check = [&check[..], &["--auth", &host, "--auth", &key]].concat();
    for (of, code, told) in [(url.clone(), 0, "ok      CAA"), (format!("{url}0"), 1, "FAILED  CAA")] {
        let property = format!("0 issue \"sandbox.example; accounturi={of}\"");
        house.sandbox.set_record("example.com", "CAA", &[&property]).unwrap();
        let checked = house.run(&check).await;
        assert_eq!(checked.code, code, "{}{}", checked.stdout, checked.stderr);
        assert!(checked.stdout.contains(told) && !checked.stdout.contains("not known"), "{}", checked.stdout);
    }
}
