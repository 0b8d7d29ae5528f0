//! Chains in any order, with duplicates and cross-signed CAs.
use proptest::prelude::*;

use crate::fixture::{Ca, P256, block, certificates, leaf_params, server, trusted};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_order_reads_to_the_same_chain(
        order in Just(vec![0usize, 1, 2, 3]).prop_shuffle(),
        repeated in proptest::option::of(0usize..3),
    ) {
        let bundle = &*P256;
        let chain = bundle.chain();
        let mut blocks: Vec<String> = certificates_of(&chain);
        blocks.push(bundle.key_pem());
        let mut file: String = order.iter().map(|index| blocks[*index].as_str()).collect();
        if let Some(index) = repeated {
            file += &blocks[index];
        }
        let read = server(file.as_bytes()).unwrap();
        prop_assert_eq!(read.chain.certificates(), chain);
    }
}

fn certificates_of(ders: &[Vec<u8>]) -> Vec<String> {
    ders.iter().map(|der| block("CERTIFICATE", der)).collect()
}

#[test]
fn a_chain_may_end_anywhere() {
    let bundle = &*P256;
    let chain = bundle.chain();
    for length in 1..=3 {
        let file = bundle.key_pem() + &certificates(&chain[..length]);
        assert_eq!(server(file.as_bytes()).unwrap().chain.certificates(), &chain[..length]);
    }
}

#[test]
fn cross_signed_cas_do_not_break_a_chain() {
    let bundle = &*P256;
    let old = Ca::root("Old Root", &rcgen::PKCS_ECDSA_P256_SHA256);
    let cross = old.cross(&bundle.root, "Root");
    let [leaf, intermediate, root] = <[Vec<u8>; 3]>::try_from(bundle.chain()).unwrap();
    let read = |certs: &[&Vec<u8>]| {
        let ders: Vec<Vec<u8>> = certs.iter().map(|der| (*der).clone()).collect();
        server((bundle.key_pem() + &certificates(&ders)).as_bytes()).map(|read| read.chain.certificates().to_vec())
    };
    let longest = vec![leaf.clone(), intermediate.clone(), cross.clone(), old.der.clone()];
    assert_eq!(read(&[&old.der, &root, &cross, &intermediate, &leaf]), Ok(longest.clone()));
    assert_eq!(read(&[&leaf, &intermediate, &cross, &root, &old.der]), Ok(longest));
    let either = read(&[&leaf, &intermediate, &cross, &root]).unwrap();
    assert_eq!(either.len(), 3);
    assert_eq!(read(&[&root, &cross, &leaf, &intermediate]), Ok(either));

    // The intermediate under two roots at once.
    let second = old.cross(&bundle.intermediate, "Intermediate");
    let forked = read(&[&leaf, &intermediate, &second, &root, &old.der]).unwrap();
    assert_eq!(forked.len(), 3);
    assert_eq!(read(&[&old.der, &second, &root, &leaf, &intermediate]), Ok(forked));

    // Two roots that signed each other lead round in a circle, not for ever.
    let back = bundle.root.cross(&old, "Old Root");
    assert_eq!(read(&[&leaf, &intermediate, &cross, &back]).unwrap().len(), 4);
    assert!(trusted(certificates(&[cross.clone(), back]).as_bytes()).is_ok());
    let all = [root, cross.clone(), old.der.clone()];
    assert_eq!(trusted(certificates(&all).as_bytes()).unwrap().chain.certificates(), [cross, old.der.clone()]);
}

#[test]
fn of_several_certificates_for_a_key_the_longest_valid_is_served() {
    let bundle = &*P256;
    let mut params = leaf_params(&["pbx.example.com"]);
    params.not_after = rcgen::date_time_ymd(2028, 1, 1);
    let renewed = bundle.intermediate.sign(&params, &bundle.key);
    for file in [bundle.pem() + &block("CERTIFICATE", &renewed), block("CERTIFICATE", &renewed) + &bundle.pem()] {
        let read = server(file.as_bytes()).unwrap();
        assert_eq!(read.chain.certificates(), [renewed.clone(), bundle.intermediate.der.clone(), bundle.root.der.clone()]);
        assert_eq!(read.facts.held.validity.not_after.to_string(), "2028-01-01T00:00:00Z");
    }
}

#[test]
fn a_leaf_may_not_sign() {
    let bundle = &*P256;
    let key = rcgen::KeyPair::generate().unwrap();
    let issuer = rcgen::Issuer::new(leaf_params(&["pbx.example.com"]), &bundle.key);
    let below = leaf_params(&["evil.example.com"]).signed_by(&key, &issuer).unwrap();
    let file = block("PRIVATE KEY", key.serialized_der()) + &block("CERTIFICATE", below.der()) + &certificates(&bundle.chain());
    assert!(server(file.as_bytes()).is_err());
}
