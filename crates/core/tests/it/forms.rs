//! Contract §4.5: the forms in which certificates and keys are accepted.
use certkeep_core::material::{self, Refusal};
use secrecy::SecretString;

use crate::fixture::{self, P256, RSA, all, block, certificates, now, server, trusted};
use crate::openssl::openssl;

fn with_password(content: &[u8], password: &str) -> Result<material::ServerMaterial, Refusal> {
    material::server(content, Some(&SecretString::from(password)), now())
}

#[test]
fn every_key_type_with_its_chain() {
    for (name, bundle) in all() {
        let read = server(bundle.pem().as_bytes()).unwrap_or_else(|refusal| panic!("{name}: {refusal:?}"));
        assert_eq!(read.chain.certificates(), bundle.chain(), "{name}");
        assert_eq!(read.facts.held.issue_to, "pbx.example.com");
        assert_eq!(read.facts.dns_names, ["pbx.example.com", "sip.example.com"]);
        assert_eq!(read.facts.held.validity.not_after.to_string(), "2027-01-01T00:00:00Z");
    }
}

#[test]
fn every_form_of_a_key_becomes_the_same_pkcs8() {
    for (name, bundle) in all() {
        let plain = server(bundle.pem().as_bytes()).unwrap().key;
        let chain = certificates(&bundle.chain());
        let mut forms =
            vec![openssl("pkey", bundle.key_pem().as_bytes()), block("PRIVATE KEY", bundle.key.serialized_der()).into_bytes()];
        // There is no older form of Ed25519 keys.
        if name != "ed25519" {
            forms.push(openssl("pkey -traditional", bundle.key_pem().as_bytes()));
        }
        for form in forms {
            let read = server(&[&form, chain.as_bytes()].concat()).unwrap_or_else(|refusal| panic!("{name}: {refusal:?}"));
            assert_eq!(read.key.expose_pkcs8(), plain.expose_pkcs8(), "{name}");
        }
    }
    let with_parameters = openssl("ec -param_out", P256.key_pem().as_bytes());
    assert!(String::from_utf8_lossy(&with_parameters).contains("EC PARAMETERS"));
    let file = [&openssl("pkey -traditional", P256.key_pem().as_bytes()), &with_parameters[..]].concat();
    assert!(server(&[&file, certificates(&P256.chain()).as_bytes()].concat()).is_ok());
}

#[test]
fn explanatory_text_and_line_ends() {
    let bundle = &*P256;
    let explained = openssl("x509 -text", block("CERTIFICATE", &bundle.leaf).as_bytes());
    assert!(explained.starts_with(b"Certificate:"));
    let file = [&explained, bundle.key_pem().as_bytes()].concat();
    assert!(server(&file).is_ok());

    let pem = bundle.pem();
    for text in [pem.replace('\n', "\r\n"), pem.replace('\n', "\r"), format!("\u{feff}{pem}"), format!("\n \n{pem}\n\n")] {
        assert_eq!(server(text.as_bytes()).unwrap().chain.certificates(), bundle.chain());
    }
    // Files joined without a line end between them.
    assert!(server(pem.replace("-----\n-----BEGIN", "----------BEGIN").as_bytes()).is_ok());
    // What `openssl pkcs12` prints, Latin-1 in a friendly name.
    let bags = pem.replace("-----BEGIN", "Bag Attributes\n    friendlyName: B\u{1}\nsubject=CN = x\n-----BEGIN");
    let bags: Vec<u8> = bags.bytes().map(|octet| if octet == 1 { 0xFC } else { octet }).collect();
    assert!(server(&bags).is_ok());
}

#[test]
fn containers_old_and_new() {
    let schemes = [
        "-legacy -keypbe PBE-SHA1-RC2-40 -certpbe PBE-SHA1-RC2-40 -macalg sha1",
        "-keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES -macalg sha1",
        "-legacy -keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-RC2-40 -macalg sha1",
        "-keypbe AES-256-CBC -certpbe AES-256-CBC -macalg sha256",
        "-keypbe AES-128-CBC -certpbe NONE -macalg sha512",
        "-keypbe AES-256-CBC -certpbe AES-256-CBC -nomac",
    ];
    for bundle in [&*RSA, &*P256] {
        let plain = server(bundle.pem().as_bytes()).unwrap();
        for scheme in schemes {
            let container = openssl(&format!("pkcs12 -export -passout pass:Gehe1m! {scheme}"), bundle.pem().as_bytes());
            let read = with_password(&container, "Gehe1m!").unwrap_or_else(|refusal| panic!("{scheme}: {refusal:?}"));
            assert_eq!(read.chain, plain.chain, "{scheme}");
            assert_eq!(read.key.expose_pkcs8(), plain.key.expose_pkcs8(), "{scheme}");
            assert_eq!(with_password(&container, "wrong").unwrap_err(), Refusal::EncryptedKey, "{scheme}");
            assert_eq!(server(&container).unwrap_err(), Refusal::EncryptedKey, "{scheme}");
            let longer = [&container[..], b"x"].concat();
            assert_eq!(with_password(&longer, "Gehe1m!").unwrap_err(), Refusal::TrailingGarbage, "{scheme}");
        }
        let open = openssl("pkcs12 -export -passout pass:", bundle.pem().as_bytes());
        assert_eq!(server(&open).unwrap().chain, plain.chain, "the empty password is tried");
    }
    let odd = openssl("pkcs12 -export -passout pass:\u{fc}\u{20ac}", P256.pem().as_bytes());
    assert!(with_password(&odd, "\u{fc}\u{20ac}").is_ok(), "passwords are UTF-16 inside");
}

#[test]
fn encrypted_keys_open_with_their_password() {
    for (bundle, schemes) in [
        (&*RSA, &["-v2 aes256", "-v1 PBE-SHA1-3DES"][..]),
        (&*P256, &["-v2 aes-128-cbc -v2prf hmacWithSHA512", "-scrypt -scrypt_N 1024"]),
    ] {
        let chain = certificates(&bundle.chain());
        let plain = server(bundle.pem().as_bytes()).unwrap().key;
        for scheme in schemes {
            let key = openssl(&format!("pkcs8 -topk8 -passout pass:secret {scheme}"), bundle.key_pem().as_bytes());
            let file = [&key, chain.as_bytes()].concat();
            let read = with_password(&file, "secret").unwrap_or_else(|refusal| panic!("{scheme}: {refusal:?}"));
            assert_eq!(read.key.expose_pkcs8(), plain.expose_pkcs8(), "{scheme}");
            assert_eq!(with_password(&file, "wrong").unwrap_err(), Refusal::EncryptedKey, "{scheme}");
            assert_eq!(server(&file).unwrap_err(), Refusal::EncryptedKey, "{scheme}");
        }
        let sealed = openssl("pkey -traditional -aes128 -passout pass:secret", bundle.key_pem().as_bytes());
        assert!(String::from_utf8_lossy(&sealed).contains("Proc-Type: 4,ENCRYPTED"));
        assert_eq!(server(&[&sealed, chain.as_bytes()].concat()).unwrap_err(), Refusal::EncryptedKey);
    }
}

#[test]
fn certificates_of_cas() {
    let bundle = &*P256;
    let read = trusted(&bundle.root.der).unwrap();
    assert_eq!(read.chain.certificates(), std::slice::from_ref(&bundle.root.der));
    assert_eq!(read.facts.held.issue_to, "Root");
    let both = [bundle.intermediate.der.clone(), bundle.root.der.clone()];
    for order in [[0, 1], [1, 0]] {
        let read = trusted(certificates(&order.map(|index| both[index].clone())).as_bytes()).unwrap();
        assert_eq!(read.chain.certificates(), both);
        assert_eq!(read.facts.held.issue_to, "Intermediate");
    }
    let store = openssl("pkcs12 -export -nokeys -passout pass:", certificates(std::slice::from_ref(&bundle.root.der)).as_bytes());
    assert_eq!(trusted(&store).unwrap().chain.certificates(), std::slice::from_ref(&bundle.root.der));
}

#[test]
fn roots_of_another_age() {
    let key = String::from_utf8(openssl("pkey", fixture::RSA.key_pem().as_bytes())).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key.pem");
    std::fs::write(&file, key).unwrap();
    let file = file.to_str().unwrap();
    for hash in ["md5", "sha1"] {
        let root = openssl(&format!("req -x509 -{hash} -days 36500 -subj /O=Old -key {file}"), b"");
        assert_eq!(trusted(&root).unwrap().facts.held.issue_to, "O=Old", "{hash}");
    }
    let request = openssl(&format!("req -new -subj /CN=Older -key {file}"), b"");
    let first_version = openssl(&format!("x509 -req -days 36500 -signkey {file}"), &request);
    assert_eq!(trusted(&first_version).unwrap().facts.held.issue_to, "Older");
    // For a server it is a self-signed certificate like any other.
    let both = [&first_version, fixture::RSA.key_pem().as_bytes()].concat();
    assert_eq!(server(&both).unwrap().facts.held.issue_to, "Older");
}
