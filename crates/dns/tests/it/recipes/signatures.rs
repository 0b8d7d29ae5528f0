//! Signatures as they come over the wire, and what is said of keys that cannot sign.
use certkeep_core::application::{AuthEntry, AuthValue};
use certkeep_core::failure::Code;
use certkeep_core::ports::DnsProviders as _;
use certkeep_dns::registry::{Registry, RegistryOptions};

use super::vendor::{BARE, Folder, Vendor, page, said};

const PEM: &str = include_str!("../../../src/sign/testdata/rfc7515-a2.pem");

/// The parts of a page whose changes are signed in the way of Oracle.
fn signed(key: &str) -> String {
    let sign = format!("sign = {{ by = \"oracle\", id = \"me\", key = '''{key}''' }}\n");
    let calls = "[add]\npost = \"/add?a=1\"\njson = { value = \"{{ value }}\" }\n[remove]\ndelete = \"/remove\"\n";
    BARE.replace("[zone]", &format!("{sign}[zone]")) + calls
}

#[tokio::test]
async fn what_is_sent_is_what_was_signed() {
    let vendor = Vendor::start(|_| said(200, "{}")).await;
    let provider = vendor.provider(&page(&signed(PEM)));
    provider.add("v1").await.unwrap();
    provider.remove("v1", None).await.unwrap();

    let [add, remove] = vendor.asked().try_into().unwrap();
    assert_eq!(add.line, "POST /add?a=1");
    assert_eq!(add.headers["content-length"], add.body.len().to_string());
    assert_eq!(add.headers["host"], vendor.url.trim_start_matches("http://"));
    let names = "date (request-target) host content-length content-type x-content-sha256";
    let authorization = &add.headers["authorization"];
    assert!(authorization.contains(&format!("headers=\"{names}\"")), "{authorization}");
    assert!(remove.headers["authorization"].contains("headers=\"date (request-target) host\""));
}

#[tokio::test]
async fn a_login_is_signed_by_itself_and_holds_an_assertion() {
    let login = format!(
        "[login]\npost = \"/login\"\nform = {{ assertion = \"{{{{ assertion }}}}\" }}\nkeep = {{ token = \"token\" }}\n\
         sign = {{ by = \"transip\", key = '''{PEM}''' }}\n\
         assertion = {{ by = \"jwt\", aud = \"{{{{ Base }}}}\", iss = \"me\", key = '''{PEM}''' }}\n"
    );
    let http = BARE.replace("[zone]", "header.Authorization = \"Bearer {{ session.token }}\"\n[zone]");
    let calls = "[add]\npost = \"/add\"\n[remove]\npost = \"/remove\"\n";
    let vendor = Vendor::start(|_| said(200, r#"{"token": "t0ken"}"#)).await;
    vendor.provider(&page(&format!("{http}{login}{calls}"))).add("v1").await.unwrap();

    let [login, add] = vendor.asked().try_into().unwrap();
    assert!(login.headers.contains_key("signature") && !add.headers.contains_key("signature"));
    assert_eq!(login.body.strip_prefix("assertion=").unwrap().split('.').count(), 3);
    assert_eq!(add.headers["authorization"], "Bearer t0ken");
}

#[test]
fn a_key_that_is_none_is_refused_by_the_name_of_its_parameter() {
    let folder = Folder::new();
    folder.write("x", &page(&signed("{{ Key }}")));
    let registry = Registry::new(RegistryOptions { pages_folder: Some(folder.0.clone()), ..RegistryOptions::default() });
    let text = |k: &str, v: &str| AuthEntry { k: k.into(), value: AuthValue::Text(v.into()) };
    let sealed = include_str!("../../../src/sign/testdata/sealed.pem");
    for (key, told) in
        [("s3cr3t-k3y", "Key is not a private key in PEM"), (sealed, "Key is encrypted, and its passphrase is not given")]
    {
        let given = [text("Base", "https://127.0.0.1:1"), text("Key", key)];
        let parameters = registry.descriptor("x").unwrap().parameters(&given).unwrap();
        let failure = registry.connect("x", &parameters).err().unwrap();
        assert_eq!(failure.code, Code::ProviderParameter);
        assert!(format!("{failure:?}").contains(told), "{failure:?}");
        assert!(!format!("{failure:?}").contains("s3cr3t"), "{failure:?}");
    }
}
