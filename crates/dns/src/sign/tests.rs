//! What holds for every signer.
use super::key::tests::given;
use super::*;

/// A request without headers.
pub(super) fn request(method: &str, url: &str, body: &str) -> Outgoing {
    Outgoing {
        method: method.parse().unwrap(),
        url: url.parse().unwrap(),
        headers: HeaderMap::new(),
        body: body.as_bytes().to_vec(),
    }
}

/// An instant and a nonce.
pub(super) fn moment(now: &str, nonce: &str) -> Moment {
    Moment { now: now.parse().unwrap(), nonce: nonce.to_owned() }
}

/// An id and a secret.
pub(super) fn pair(id: &str, secret: &str) -> Pair {
    Pair { id: id.to_owned(), secret: secret.into() }
}

const ALL: &[(&str, Signer)] = &[
    ("aliyun", Signer::Aliyun),
    ("aliyun-rpc", Signer::AliyunRpc),
    ("aurora", Signer::Aurora),
    ("aws", Signer::Aws),
    ("baidu", Signer::Baidu),
    ("constellix", Signer::Constellix),
    ("dnsmadeeasy", Signer::Dnsmadeeasy),
    ("edgegrid", Signer::Edgegrid),
    ("exoscale", Signer::Exoscale),
    ("huawei", Signer::Huawei),
    ("iij", Signer::Iij),
    ("jwt", Signer::Jwt),
    ("nearlyfreespeech", Signer::Nearlyfreespeech),
    ("nifcloud", Signer::Nifcloud),
    ("oracle", Signer::Oracle),
    ("ovh", Signer::Ovh),
    ("tencent", Signer::Tencent),
    ("transip", Signer::Transip),
    ("volcengine", Signer::Volcengine),
    ("websupport", Signer::Websupport),
];

/// What a page has to give is enough, and nothing of it can be left out or sent in pieces.
#[test]
fn every_signer_wants_exactly_its_parameters() {
    let pem = include_str!("testdata/rfc7515-a2.pem");
    let value = |name: &str, other: &str| if name == "key" { pem.to_owned() } else { other.to_owned() };
    for (name, signer) in ALL {
        assert_eq!(Signer::deserialize(serde_json::json!(name)).unwrap(), *signer);
        let needed = if *signer == Signer::Jwt { &["key", "iss", "aud"] } else { signer.parameters().0 };
        let given: Given = needed.iter().map(|name| (*name, value(name, "x"))).collect();
        let ready = signer.ready(&given).unwrap();
        let mut request = request("POST", "https://api.example/a?b=c", "{}");
        ready.sign(&mut request, &moment("2023-11-14T22:13:20Z", "0123456789abcdef")).unwrap();
        assert!(request.headers.values().all(HeaderValue::is_sensitive), "{name}");

        for missing in needed {
            let given: Given = needed.iter().filter(|name| *name != missing).map(|name| (*name, value(name, "x"))).collect();
            assert_eq!(signer.ready(&given).err().unwrap().parameter, *missing, "{name}");
        }
    }
}

/// The examples at the head of this file name their parameters as the signers do.
#[test]
fn the_examples_are_of_this_world() {
    let head = include_str!("../sign.rs").split("//! ```").nth(1).unwrap().trim_start_matches("toml\n");
    let examples: String = head.lines().map(|line| line.trim_start_matches("//! ").to_owned() + "\n").collect();
    let examples: toml::Table = toml::from_str(&examples).unwrap();
    assert!(examples.len() >= ALL.len());
    for (flag, example) in examples {
        let mut given: std::collections::BTreeMap<String, String> = example.try_into().unwrap();
        let by = given.remove("by").unwrap();
        let (needed, optional) = Signer::deserialize(serde_json::json!(by)).unwrap().parameters();
        assert!(needed.iter().all(|name| given.contains_key(*name)), "{flag}");
        assert!(given.keys().all(|name| needed.contains(&name.as_str()) || optional.contains(&name.as_str())), "{flag}");
    }
}

#[test]
fn a_key_with_a_line_end_in_it_is_refused_before_it_is_sent() {
    let mut request = request("GET", "https://api.example/", "");
    let signer = Signer::Huawei.ready(&given([("id", "a\nb"), ("secret", "s3cr3t")])).unwrap();
    let error = signer.sign(&mut request, &moment("2023-11-14T22:13:20Z", "n")).unwrap_err();
    assert_eq!(error, Unsigned::Header("authorization".to_owned()));
}
