//! Octets that no honest tool wrote: nothing panics, and what is accepted is accepted again.
use proptest::prelude::*;

use crate::fixture::{Dice, ED25519, P256, all};
use crate::openssl::openssl;
use crate::upload::upload;

/// Valid files of every form.
fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![P256.leaf.clone(), P256.root.der.clone(), P256.pem().into_bytes()];
    seeds.extend(all().iter().map(|(_, bundle)| bundle.pem().into_bytes()));
    // One round of hashing, so that time goes into reading.
    let quick = "-iter 1 -passout pass:secret";
    for scheme in [
        "-legacy -keypbe PBE-SHA1-RC2-40 -certpbe PBE-SHA1-RC2-40",
        "-keypbe PBE-SHA1-3DES -certpbe NONE -nomac",
        "-keypbe AES-256-CBC -certpbe AES-256-CBC",
    ] {
        seeds.push(openssl(&format!("pkcs12 -export {quick} {scheme}"), P256.pem().as_bytes()));
    }
    seeds.push(openssl(&format!("pkcs8 -topk8 {quick}"), ED25519.key_pem().as_bytes()));
    seeds.push(openssl("pkey -traditional", P256.key_pem().as_bytes()));
    seeds
}

/// A valid file after a few accidents.
fn mutate(seeds: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let mut content = seeds[dice.below(seeds.len())].clone();
    // Where the file is text, half of the accidents happen to what is encoded.
    if dice.below(2) == 0
        && let Ok(mut blocks) = pem::parse_many(&content)
        && !blocks.is_empty()
    {
        let index = dice.below(blocks.len());
        let mut inner = blocks[index].contents().to_vec();
        accident(&mut inner, seeds, dice);
        blocks[index] = pem::Pem::new(blocks[index].tag(), inner);
        dice.shuffle(&mut blocks);
        return pem::encode_many(&blocks).into_bytes();
    }
    for _ in 0..=dice.below(3) {
        accident(&mut content, seeds, dice);
    }
    content
}

fn accident(content: &mut Vec<u8>, seeds: &[Vec<u8>], dice: &mut Dice) {
    let position = dice.below(content.len());
    match dice.below(6) {
        0 => content.truncate(position),
        1 | 2 if !content.is_empty() => content[position] ^= 1 << dice.below(8),
        3 if !content.is_empty() => content[position] = [0, 1, 0x7F, 0x80, 0x82, 0x84, 0xFF][dice.below(7)],
        4 => {
            let other = &seeds[dice.below(seeds.len())];
            let from = dice.below(other.len());
            let piece = &other[from..from + dice.below(other.len() - from).min(300)];
            content.splice(position..position, piece.iter().copied());
        }
        _ => {
            let end = position + dice.below(content.len() - position).min(300);
            content.drain(position..end);
        }
    }
}

#[test]
fn mutations_of_valid_files() {
    let seeds = seeds();
    seeds.iter().for_each(|seed| upload(seed));
    let mut dice = Dice::new(4_006);
    for _ in 0..20_000 {
        upload(&mutate(&seeds, &mut dice));
    }
}

#[test]
fn endless_nesting() {
    for opener in [&b"\x30\x80"[..], b"\x30\x84\x00\xFF\xFF\xFF", b"\xA0\x80", b"-----BEGIN ", b"-----BEGIN X-----"] {
        upload(&opener.repeat(100_000));
    }
    // Sequences inside each other, with lengths that are right.
    let mut nested = Vec::new();
    for _ in 0..2_000 {
        let length = u32::try_from(nested.len()).unwrap().to_be_bytes();
        nested = [&[0x30, 0x84], &length[..], &nested].concat();
    }
    upload(&nested);
    upload(&[b"-----BEGIN CERTIFICATE-----\n", &[b'A'; 3 << 20][..]].concat());
}

proptest! {
    #[test]
    fn any_octets(content: Vec<u8>) {
        upload(&content);
    }

    #[test]
    fn any_octets_in_a_block(
        content: Vec<u8>,
        label in prop::sample::select(vec![
            "CERTIFICATE", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "PRIVATE KEY", "RSA PRIVATE KEY",
        ]),
    ) {
        upload(crate::fixture::block(label, &content).as_bytes());
    }

    #[test]
    fn any_text_around_dashes(text in "(-----BEGIN |-----END |-----|CERTIFICATE|PRIVATE KEY|\n|[A-Za-z+/=]{0,8}){0,24}") {
        upload(text.as_bytes());
    }
}
