//! What holds for every page, what a page that is wrong is told, and every word of a page against a vendor of its own.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what goes wrong here fails the test at once"
)]
mod lint;
mod lists;
mod places;
mod sessions;
mod sets;
mod signatures;
mod styles;
mod tls;
mod vendor;
mod zones;

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use certkeep_core::application::{AuthEntry, AuthValue};
use certkeep_core::failure::Code;
use certkeep_core::ports::DnsProviders as _;
use certkeep_core::provider::{DefaultValue, ParameterKind};
use certkeep_dns::page::{Page, PageError};
use certkeep_dns::registry::{Registry, RegistryOptions};

fn registry() -> Registry {
    Registry::new(RegistryOptions::default())
}

#[test]
fn every_page_can_be_read_and_is_compiled_in() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../providers");
    let mut files = 0;
    let registry = registry();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let flag = path.file_stem().unwrap().to_str().unwrap();
        let page = Page::parse(flag, &fs::read_to_string(&path).unwrap());
        let page = page.unwrap_or_else(|error| panic!("{error}: {:?}", std::error::Error::source(&error)));
        assert!(registry.descriptor(flag).is_some(), "{flag}");
        if page.http.is_some() || page.driver.is_some() {
            assert!(page.docs.is_some() && page.read.is_some(), "{flag} does not say what it was written from");
        }
        files += 1;
    }
    assert!(files >= 145, "the appliance has 145 providers, and there are {files}");
    assert_eq!(registry.descriptors().len(), files);
}

#[test]
fn parameters_are_told_apart_and_their_defaults_are_of_their_kind() {
    for descriptor in registry().descriptors() {
        let mut keys = HashSet::new();
        for parameter in &descriptor.parameters {
            assert!(keys.insert(parameter.k.to_ascii_lowercase()), "{} {}", descriptor.flag, parameter.k);
            let fits = matches!(
                (parameter.kind, &parameter.default),
                (_, None)
                    | (ParameterKind::Boolean, Some(DefaultValue::Boolean(_)))
                    | (ParameterKind::Integer, Some(DefaultValue::Integer(_)))
                    | (ParameterKind::String, Some(DefaultValue::String(_)))
            );
            assert!(fits, "{} {}", descriptor.flag, parameter.k);
            assert!(!parameter.required || parameter.default.is_none(), "{} {}", descriptor.flag, parameter.k);
        }
    }
}

#[test]
fn providers_that_do_not_work_say_why() {
    let registry = registry();
    let mut served = 0;
    for descriptor in registry.descriptors() {
        match &descriptor.served {
            Ok(()) => served += 1,
            Err(why) => assert!(why.ends_with('.') && why.len() > 20, "{}: {why}", descriptor.flag),
        }
    }
    assert!(served >= 6, "{served}");
    let closed = registry.descriptor("stackpath").unwrap();
    assert!(closed.served.as_ref().unwrap_err().contains("2024"));
    let failure = registry.connect("stackpath", &certkeep_core::provider::Parameters::default()).err().unwrap();
    assert_eq!(failure.code, Code::ProviderParameter);
}

#[test]
fn the_seeds_example_and_the_vendors_other_words_are_understood() {
    let registry = registry();
    let alidns = registry.descriptor("alidns").unwrap();
    let text = |k: &str, v: &str| AuthEntry { k: k.into(), value: AuthValue::Text(v.into()) };
    let integer = |k: &str, v| AuthEntry { k: k.into(), value: AuthValue::Integer(v) };
    let given = [text("APIKey", "id"), text("secretkey", "secret"), integer("PropagationTimeout", 60)];
    let parameters = alidns.parameters(&given).unwrap();
    assert!(parameters.text("AccessKeyId").is_some() && parameters.text("AccessKeySecret").is_some());
    assert_eq!(parameters.integer("TTL"), Some(600));
}

#[test]
fn parameters_that_cannot_work_together_are_told_before_any_call() {
    let registry = registry();
    let text = |k: &str, v: &str| AuthEntry { k: k.into(), value: AuthValue::Text(v.into()) };
    let cases = [
        ("cloudflare", vec![text("AuthEmail", "a@example.com")], "AuthToken"),
        ("pdns", vec![text("APIKey", "k"), text("Host", "ftp://host.example")], "Host"),
        ("pdns", vec![text("APIKey", "k"), text("Host", "http://user:secret@host.example")], "Host"),
        ("pdns", vec![text("APIKey", "k\nX-Evil: 1"), text("Host", "http://127.0.0.1:1")], "X-API-Key"),
        ("acme-dns", vec![text("APIBase", "https://a.example"), text("Username", "u")], "Subdomain"),
        ("acme-dns", vec![text("APIBase", "https://a.example"), text("StorageBaseURL", "http://b.example")], "StorageBaseURL"),
        ("httpreq", vec![text("Endpoint", "https://host.example"), text("Mode", "RAW")], "Mode"),
        ("regru", vec![text("Username", "u"), text("Password", "p"), text("TLSCert", "-----BEGIN")], "TLSKey"),
        ("ovh", vec![text("ClientId", "c")], "ClientSecret"),
    ];
    for (flag, given, named) in cases {
        let parameters = registry.descriptor(flag).unwrap().parameters(&given).unwrap();
        let failure = registry.connect(flag, &parameters).err().unwrap();
        assert_eq!(failure.code, Code::ProviderParameter, "{flag}");
        assert!(failure.to_string().contains(named), "{failure}");
        assert!(!failure.to_string().contains("secret@") && !failure.to_string().contains("Evil"), "{failure}");
    }
}

#[test]
fn a_wrong_page_is_told_where() {
    let page = |body: &str| Page::parse("x", &format!("flag = \"x\"\nname = \"X\"\nparam = [{{ k = \"Key\" }}]\n{body}"));
    let recipe = |rest: &str| {
        format!(
            "[http]\nbase = \"https://x.example\"\n[zone]\nget = \"/z\"\neach = \"z\"\nkeep = {{ name = \"n\" }}\n\
             [remove]\ndelete = \"/r/{{{{ record.id }}}}\"\n{rest}"
        )
    };
    assert!(page(&recipe("[add]\npost = \"/r?k={{ Key }}\"")).is_ok());
    let cases = [
        (recipe("[add]\npost = \"/r?k={{ Other }}\""), "add", "Other is neither a parameter nor known here"),
        (recipe("[add]\npost = \"/r\"\nget = \"/r\""), "add", "exactly one"),
        (recipe("[add]\npost = \"r\""), "add", "begin with /"),
        (recipe("[add]\npost = \"/r\"\nnext = \"more\""), "add", "next has no meaning here"),
        (recipe("[add]\npost = \"/{{ Key\""), "add", ""),
        (recipe("[add]\npost = \"/r\"\ndoubles = true"), "add.doubles", "[find]"),
        (recipe(""), "add", "[add] and [remove]"),
        ("[add]\npost = \"/r\"".to_owned(), "http", "recipe"),
        ("driver = \"rfc2136\"\n[http]\nbase = \"https://x.example\"".to_owned(), "driver", "not both"),
    ];
    for (body, expected, words) in cases {
        match page(&body) {
            Err(PageError::Field { field, problem, .. }) => {
                assert_eq!(field, expected, "{problem}");
                assert!(problem.contains(words), "{problem}");
            }
            other => panic!("{body}: {other:?}"),
        }
    }
    for (body, named) in [("nonsense = 1", "nonsense"), ("[errors]\nX = \"bad_word\"", "bad_word")] {
        match page(body) {
            Err(PageError::Format { source, .. }) => assert!(source.to_string().contains(named), "{source}"),
            other => panic!("{body}: {other:?}"),
        }
    }
    assert!(matches!(Page::parse("y", "flag = \"x\"\nname = \"X\""), Err(PageError::Field { field, .. }) if field == "flag"));
}

#[test]
fn some_zones_are_found_without_asking_the_provider() {
    let registry = registry();
    let text = |k: &str, v: &str| AuthEntry { k: k.into(), value: AuthValue::Text(v.into()) };
    let server = text("Nameserver", "192.0.2.1");
    let key = [server.clone(), text("TSIGKey", "key"), text("TSIGSecret", "c2VjcmV0")];
    let cases = [
        ("pdns", vec![text("APIKey", "k"), text("Host", "http://127.0.0.1:1")], true),
        ("duckdns", vec![text("Token", "t")], false),
        ("rfc2136", key.to_vec(), true),
        ("rfc2136", [&key[..], &[text("Zones", "example.com")]].concat(), false),
        ("rfc2136", vec![server], false),
    ];
    for (flag, given, expected) in cases {
        let parameters = registry.descriptor(flag).unwrap().parameters(&given).unwrap();
        assert_eq!(registry.asks_for_zones(flag, &parameters), expected, "{flag}");
    }
    assert!(!registry.asks_for_zones("nosuch", &certkeep_core::provider::Parameters::default()));
}
