use std::collections::BTreeSet;
use std::fs;

use certkeep_core::material::KeyType;

use super::*;

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(Source::new(PathBuf::from("certkeep.toml"), text.to_owned()))
}

fn refused(text: &str) -> String {
    let parsed = parse(text);
    parsed.and_then(|config| config.engine_settings()).expect_err(text).to_string()
}

fn sample() -> String {
    fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/certkeep.sample.toml")).unwrap()
}

/// The sample with the keys that it only shows.
fn sample_in_full() -> String {
    let shown = |line: &str| {
        let key = |rest: &str| rest.starts_with(|c: char| c.is_ascii_lowercase()) || rest.starts_with("[[");
        let bare = line.strip_prefix('#').filter(|rest| key(rest));
        bare.unwrap_or(line).to_owned() + "\n"
    };
    sample().lines().map(shown).collect()
}

/// The keys that are known at a place, as the refusal of an unknown one tells them.
fn known(text: &str) -> BTreeSet<String> {
    let refusal = parse(text).expect_err(text).to_string();
    let (_, known) = refusal.split_once("expected ").unwrap();
    known.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn the_sample_shows_every_key() {
    let sample: toml::Table = sample_in_full().parse().unwrap();
    let sections = known("nonsense = 1");
    assert_eq!(sample.keys().cloned().collect::<BTreeSet<_>>(), sections);
    for section in sections {
        let (first, head) = match &sample[&section] {
            toml::Value::Array(list) => (&list[0], format!("[[{section}]]")),
            table => (table, format!("[{section}]")),
        };
        let shown: BTreeSet<String> = first.as_table().unwrap().keys().cloned().collect();
        assert_eq!(shown, known(&format!("{head}\nnonsense = 1")), "{head}");
    }
}

#[test]
fn the_sample_is_a_configuration_with_and_without_what_it_only_shows() {
    let config = parse(&sample()).unwrap();
    assert_eq!(format!("{:?}", config.engine_settings().unwrap()), format!("{:?}", Config::default().engine_settings().unwrap()));
    assert_eq!(format!("{:?}", config.tls), format!("{:?}", Config::default().tls));
    assert_eq!(format!("{:?}", config.log), format!("{:?}", Config::default().log));
    parse(&sample_in_full()).unwrap();
}

#[test]
fn a_delegation_takes_its_secrets_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let (path, secrets) = (folder.path().join("some.toml"), folder.path().join("secrets"));
    let head = "[[delegation]]\nsuffix = \"Acme.example.net.\"\ndns_provider = \"pdns\"\n";
    fs::write(&path, format!("{head}auth = {{ Host = \"http://127.0.0.1:1\", TTL = 60 }}\nauth_file = \"secrets\"\n")).unwrap();
    fs::write(&secrets, "# of the zone\n\nAPIKey=plantedsecret\n").unwrap();
    let registry = certkeep_dns::registry::Registry::new(certkeep_dns::registry::RegistryOptions::default());
    let check = || Config::read(&path).unwrap().check_delegations(&registry).map_err(|error| error.to_string());
    let config = Config::read(&path).unwrap();
    check().unwrap();
    let delegations = config.engine_settings().unwrap().delegations;
    assert_eq!((delegations.len(), delegations[0].suffix.as_str()), (1, "acme.example.net"));
    let keys: Vec<&str> = delegations[0].auth.iter().map(|entry| entry.k.as_str()).collect();
    assert_eq!(keys, ["Host", "TTL", "APIKey"]);
    assert!(!format!("{config:?}{delegations:?}").contains("plantedsecret"));

    for (text, expected) in [
        ("plantedsecret", "line 5, column 13: [[delegation]] auth_file: line 1 of the file is not KEY=VALUE"),
        ("plantedsecret=1", "line 5, column 13: [[delegation]] auth_file: pdns has no such parameter; it has "),
        ("", "line 3, column 16: [[delegation]] dns_provider: APIKey is required"),
        ("APIKey=plantedsecret\nTTL=plantedsecret", "line 4, column "),
    ] {
        fs::write(&secrets, text).unwrap();
        let refusal = check().unwrap_err();
        assert!(refusal.contains(expected) && !refusal.contains("plantedsecret"), "{refusal}");
    }
    fs::write(&path, head.replace("pdns", "nosuch")).unwrap();
    assert!(check().unwrap_err().contains("line 3, column 16: [[delegation]] dns_provider: certkeep dns providers"));
}

#[test]
fn a_refusal_names_file_line_and_key() {
    for (text, expected) in [
        ("[acme]\n\ndirectori = \"x\"\n", "certkeep.toml, line 3, column 1: [acme] directori: unknown field `directori`"),
        ("[acne]\n", "certkeep.toml, line 1, column 2: [acne]: unknown field `acne`"),
        ("listen = 1\n", "certkeep.toml, line 1, column 1: listen: unknown field `listen`"),
        ("[limits]\nserver = \"many\"\n", "certkeep.toml, line 2, column 10: [limits] server: invalid type"),
        ("[limits]\nconcurrency = 0\n", "certkeep.toml, line 2, column 15: [limits] concurrency: invalid value: integer `0`"),
        ("[log]\nlevel = \"loud\"\n", "certkeep.toml, line 2, column 9: [log] level: unknown variant `loud`"),
        (
            "[dns]\nresolvers = [\n  \"192.0.2.1\",\n  \"dns.example\",\n]\n",
            "certkeep.toml, line 4, column 3: [dns] resolvers: this is not the IP address of a DNS server",
        ),
        ("[tls]\nlisten = \"8088\"\n", "certkeep.toml, line 2, column 10: [tls] listen: this is not an IP address with a port"),
        ("[tls]\nhttp = 80\n", "certkeep.toml, line 2, column 8: [tls] http: this is not an IP address with a port"),
        (
            "[acme]\ndirectory = \"http://ca.example/\"\n",
            "certkeep.toml, line 2, column 13: [acme] directory: this is not the HTTPS",
        ),
        (
            "[acme]\ncontact = [\"hostmaster@example.com\"]\n",
            "certkeep.toml, line 2, column 12: [acme] contact: this is not a contact",
        ),
        ("[acme]\nkey_type = \"ed25519\"\n", "certkeep.toml, line 2, column 12: [acme] key_type: unknown variant"),
        (
            "[acme]\nroots = [\"/nowhere/root.pem\"]\n",
            "certkeep.toml, line 2, column 10: [acme] roots: /nowhere/root.pem cannot be read",
        ),
        ("[acme]\neab_kid = \"kid\"\n", "certkeep.toml, line 2, column 11: [acme] eab_kid: also needs eab_hmac_key"),
        ("[acme]\neab_hmac_key = \"key\"\n", "certkeep.toml, line 2, column 16: [acme] eab_hmac_key: also needs eab_kid"),
        (
            "[[delegation]]\nsuffix = \"net\"\n",
            "certkeep.toml, line 2, column 10: [[delegation]] suffix: this is not a domain name with at least two parts",
        ),
        ("[[delegation]]\nsuffix = \"a.example\"\n", "certkeep.toml, line 1, column 1: [[delegation]]: missing field"),
        (
            "[dns]\ndoh = [\"http://dns.example/\"]\n",
            "certkeep.toml, line 2, column 8: [dns] doh: this is not the HTTPS address of a resolver",
        ),
        ("[tls\n", "certkeep.toml, line 1, column 5"),
    ] {
        let refusal = refused(text);
        assert!(refusal.starts_with(expected), "{text:?} gives {refusal}");
    }
}

#[test]
fn a_secret_is_in_no_refusal_and_in_no_debug_output() {
    for text in [
        "[acme]\neab_hmac_kee = \"plantedsecret\"",
        "[acme]\neab_hmac_key = [\"plantedsecret\"]",
        "[acme]\neab_hmac_key = \"plantedsecret",
        "[acme]\neab_hmac_key = \"plantedsecret\"",
        "[acme]\neab_hmac_key = \"plantedsecret\"\neab_hmac_key = \"plantedsecret\"",
        "[acme]\neab_hmac_key = \"plantedsecret\" oops",
    ] {
        let refusal = refused(text);
        assert!(!refusal.contains("plantedsecret"), "{refusal}");
    }
    assert!(!refused("[acme]\neab_hmac_key = 4711").contains("4711"));
    let config = parse("[acme]\neab_kid = \"kid\"\neab_hmac_key = \"plantedsecret\"").unwrap();
    assert!(!format!("{config:?}{:?}", config.engine_settings().unwrap()).contains("plantedsecret"));
}

#[test]
fn files_are_found_beside_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("some.toml");
    let root = rcgen::generate_simple_self_signed(vec!["ca.example".to_owned()]).unwrap().cert.pem();
    fs::write(folder.path().join("root.pem"), &root).unwrap();
    fs::write(folder.path().join("eab.key"), "c2VjcmV0\n").unwrap();
    fs::write(
        &path,
        "[acme]\nroots = [\"root.pem\"]\neab_kid = \"kid\"\neab_hmac_key_file = \"eab.key\"\n[store]\nkey_file = \"keys\"\n",
    )
    .unwrap();
    let config = Config::read(&path).unwrap();
    let settings = config.engine_settings().unwrap();
    assert_eq!(settings.cas.first.ca.roots, [root]);
    let account = settings.cas.first.ca.external_account.unwrap();
    assert_eq!(secrecy::ExposeSecret::expose_secret(&account.hmac_key), "c2VjcmV0");
    let location = config.location(Path::new("data")).unwrap();
    assert_eq!(location.options.key_file, Some(folder.path().join("keys")));
    assert!(location.server.is_none());

    fs::write(folder.path().join("root.pem"), "nothing").unwrap();
    let refusal = Config::read(&path).unwrap().engine_settings().unwrap_err().to_string();
    assert!(refusal.contains("line 2") && refusal.ends_with("the file holds no certificates in PEM"), "{refusal}");
}

#[test]
fn resolvers_by_https_are_told_with_the_roots_and_without_their_paths_in_debug_output() {
    let config = parse("[dns]\ndoh = [\"https://dns.example/customer-4711\"]\nresolvers = [\"192.0.2.1\"]\n").unwrap();
    let options = config.resolver_options().unwrap();
    assert_eq!(options.https, ["https://dns.example/customer-4711"]);
    assert_eq!(options.servers, ["192.0.2.1:53".parse().unwrap()]);
    assert!(!format!("{config:?}").contains("4711"));
    assert!(parse("").unwrap().resolver_options().unwrap().https.is_empty());
}

#[test]
fn further_cas_take_contact_and_key_type_from_the_first() {
    let config = parse(
        "[acme]\ncontact = [\"mailto:pbx@example.com\"]\nkey_type = \"p256\"\n\
         [[acme.fallback]]\ndirectory = \"https://one.example/dir\"\n\
         [[acme.fallback]]\ndirectory = \"https://two.example/dir\"\ncontact = []\nkey_type = \"rsa4096\"\n\
         eab_kid = \"kid\"\neab_hmac_key = \"c2VjcmV0\"\n",
    );
    let cas = config.unwrap().engine_settings().unwrap().cas;
    let all: Vec<_> = cas
        .iter()
        .map(|choice| {
            (choice.ca.directory.as_str(), choice.ca.contact.len(), choice.key_type, choice.ca.external_account.is_some())
        })
        .collect();
    assert_eq!(
        all,
        [
            ("https://acme-v02.api.letsencrypt.org/directory", 1, KeyType::P256, false),
            ("https://one.example/dir", 1, KeyType::P256, false),
            ("https://two.example/dir", 0, KeyType::Rsa4096, true),
        ]
    );
}

#[test]
fn a_ca_stands_in_the_list_once() {
    let text = "[[acme.fallback]]\ndirectory = \"https://acme-v02.api.letsencrypt.org/directory\"\n";
    let refusal = parse(text).unwrap().engine_settings().unwrap_err().to_string();
    assert!(refusal.contains("line 2") && refusal.ends_with("this CA is in the list already"), "{refusal}");
}

#[test]
fn some_names_have_cas_of_their_own() {
    let cas = "[acme]\nname = \"main\"\n[[acme.fallback]]\nname = \"lan\"\ndirectory = \"https://one.example/dir\"\n\
               [[acme.fallback]]\ndirectory = \"letsencrypt-staging\"\n";
    let rule = |cas: &str| format!("[[acme.for]]\nsuffix = \"lan.example.net\"\ncas = [{cas}]\n");
    let parsed = parse(&format!("{cas}{}", rule("\"lan\", \"letsencrypt\", \"letsencrypt-staging\""))).unwrap();
    let settings = parsed.engine_settings().unwrap();
    let order = |name: &str| -> Vec<String> {
        let names = [name.parse().unwrap()];
        settings.cas.order_for(&names).into_iter().map(|choice| choice.called().to_owned()).collect()
    };
    assert_eq!(order("pbx.lan.example.net"), ["lan", "main", "letsencrypt-staging"]);
    assert_eq!(order("pbx.example.net"), ["main", "lan", "letsencrypt-staging"]);
    for (rule, expected) in [
        (
            rule("\"lan\", \"nosuch\""),
            "line 10, column 15: [[acme.for]] cas: no CA is called so; there is main, lan, letsencrypt-staging",
        ),
        (rule("\"lan\", \"lan\""), "line 10, column 15: [[acme.for]] cas: this CA is in the list already"),
        (rule(""), "line 9, column 10: [[acme.for]] suffix: needs at least one CA in cas"),
        (
            "[[acme.fallback]]\nname = \"main\"\ndirectory = \"https://two.example/\"\n".to_owned(),
            "line 9, column 8: [[acme.fallback]] name: another CA is called so",
        ),
    ] {
        let refusal = refused(&format!("{cas}{rule}"));
        assert!(refusal.contains(expected), "{refusal}");
    }
}

#[test]
fn public_cas_go_by_a_word_and_some_want_an_account_with_them_first() {
    let cas =
        parse("[acme]\ndirectory = \"letsencrypt-staging\"\nprofile = \"shortlived\"\n").unwrap().engine_settings().unwrap().cas;
    assert_eq!(cas.first.ca.directory, "https://acme-staging-v02.api.letsencrypt.org/directory");
    assert_eq!(cas.first.profile.as_deref(), Some("shortlived"));
    let bound = "[[acme.fallback]]\ndirectory = \"zerossl\"\neab_kid = \"kid\"\neab_hmac_key = \"c2VjcmV0\"\n";
    assert_eq!(parse(bound).unwrap().engine_settings().unwrap().cas.further[0].ca.directory, "https://acme.zerossl.com/v2/DV90");
    for unbound in ["[acme]\ndirectory = \"zerossl\"\n", "[[acme.fallback]]\ndirectory = \"https://acme.zerossl.com/v2/DV90\"\n"]
    {
        let refusal = parse(unbound).unwrap().engine_settings().unwrap_err().to_string();
        assert!(refusal.contains("line 2") && refusal.contains("ZeroSSL also needs eab_kid and eab_hmac_key"), "{refusal}");
    }
}

#[test]
fn the_sample_names_every_public_ca() {
    for known in certkeep_core::authority::AUTHORITIES {
        assert!(sample().contains(known.word), "{}", known.word);
    }
}

#[test]
fn the_address_of_a_database_is_a_secret_and_may_lie_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("some.toml");
    let name = |text: &str| {
        fs::write(&path, text).unwrap();
        let config = Config::read(&path).map_err(|error| error.to_string())?;
        let location = config.location(Path::new("data")).map_err(|error| error.to_string())?;
        let shown = format!("{config:?}{location:?}");
        assert!(!shown.contains("planted"), "{shown}");
        Ok::<_, String>(format!("{:?}", location.server.unwrap()))
    };
    let url = "postgres://me:planted@db.example/keep";
    let expected = "ServerUrl { name: \"keep at db.example:5432\", .. }";
    assert_eq!(name(&format!("[store]\nurl = \"{url}\"\n")).unwrap(), expected);
    fs::write(folder.path().join("address"), format!("{url}\n")).unwrap();
    assert_eq!(name("[store]\nurl_file = \"address\"\n").unwrap(), expected);
    for (text, expected) in [
        (
            "[store]\nurl = \"sqlite://planted\"\n",
            "line 2, column 7: [store] url: this is not the address of a PostgreSQL database",
        ),
        ("[store]\nurl = \"postgres://me:planted@db\"\n", "line 2, column 7: [store] url: this is not the address"),
        ("[store]\nurl_file = \"nowhere\"\n", "line 2, column 12: [store] url_file: "),
        ("[store]\nurl = \"postgres://planted/a\"\nurl_file = \"address\"\n", "[store] url_file: url says the address already"),
    ] {
        let refusal = name(text).unwrap_err();
        assert!(refusal.contains(expected) && !refusal.contains("planted"), "{refusal}");
    }
}
