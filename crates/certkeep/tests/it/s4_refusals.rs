//! §4.6: what `create` refuses; nothing is stored then.
use certkeep_core::time::Clock;
use serde_json::{Value, json};

use crate::contract;
use crate::house::{House, Plan, application};
use crate::material::{CA, Ca, leaf};

/// Uploads a file and expects `create` to refuse it so, and to store nothing.
async fn refused(house: &House, kind: &str, content: impl AsRef<[u8]>, validation_type: &str) {
    house.upload(kind, "file.pem", content).await.is_success();
    let create = json!({"type": kind, "ca_type": "upload", "name": "file.pem"});
    house.post("certificate/create", create).await.is_parameter_error("name", validation_type);
    assert_eq!(house.count().await, 0);
}

/// Expects `create` to refuse an application with this member so, and to store nothing.
async fn application_refused(house: &House, member: &str, value: Value, field: &str, validation_type: &str) {
    let mut create = application("docs.example.com");
    create[member] = value;
    house.post("certificate/create", create).await.is_parameter_error(field, validation_type);
    assert_eq!(house.count().await, 0);
}

contract! {
    async fn s4_6_no_certificate(house: &House) {
        refused(house, "server", leaf(&["a.example.com"], house.clock.now(), 90).key, "no_certificate").await;
        refused(house, "trusted", leaf(&["a.example.com"], house.clock.now(), 90).key, "no_certificate").await;
    }

    async fn s4_6_no_key(house: &House) {
        refused(house, "server", leaf(&["a.example.com"], house.clock.now(), 90).certificate, "no_key").await;
    }

    async fn s4_6_a_key_that_does_not_match(house: &House) {
        let (one, other) = (leaf(&["a.example.com"], house.clock.now(), 90), leaf(&["a.example.com"], house.clock.now(), 90));
        refused(house, "server", format!("{}{}{}", one.certificate, other.key, CA.pem), "key_mismatch").await;
    }

    async fn s4_6_an_encrypted_key_without_password(house: &House) {
        refused(house, "server", include_bytes!("fixtures/encrypted_key.pem"), "encrypted_key").await;
    }

    async fn s4_6_a_broken_chain(house: &House) {
        let leaf = leaf(&["a.example.com"], house.clock.now(), 90);
        let stranger = Ca::new("Another CA");
        refused(house, "server", format!("{}{}{}", leaf.certificate, leaf.key, stranger.pem), "broken_chain").await;
    }

    async fn s4_6_an_expired_leaf(house: &House) {
        refused(house, "server", leaf(&["a.example.com"], house.clock.now(), 0).file(), "expired").await;
    }

    async fn s4_6_a_ca_certificate_as_server_leaf(house: &House) {
        refused(house, "server", format!("{}{}", CA.pem, CA.key()), "ca_as_server").await;
    }

    async fn s4_6_a_leaf_as_trusted_ca(house: &House) {
        refused(house, "trusted", leaf(&["a.example.com"], house.clock.now(), 90).certificate, "leaf_as_trusted").await;
    }

    async fn s4_6_rsa_under_2048_bits(house: &House) {
        refused(house, "server", include_bytes!("fixtures/weak_rsa.pem"), "weak_key").await;
    }

    async fn s4_6_trailing_garbage(house: &House) {
        let leaf = leaf(&["a.example.com"], house.clock.now(), 90);
        let request = "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n";
        refused(house, "server", leaf.file() + request, "trailing_garbage").await;
    }

    async fn s4_6_two_thousand_certificates(house: &House) {
        let file = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".repeat(2000);
        refused(house, "trusted", &file, "max").await;
        refused(house, "server", &file, "max").await;
    }

    async fn s4_6_missing_parameters_are_named(house: &House) {
        let create = async |body: Value| house.post("certificate/create", body).await;
        create(json!({})).await.is_parameter_error("type", "required");
        create(json!({"type": "nonsense"})).await.is_parameter_error("type", "oneof");
        create(json!({"type": "trusted"})).await.is_parameter_error("name", "required");
        create(json!({"type": "server"})).await.is_parameter_error("ca_type", "required");
        create(json!({"type": "server", "ca_type": "x"})).await.is_parameter_error("ca_type", "oneof");
        create(json!({"type": "server", "ca_type": "upload"})).await.is_parameter_error("name", "required");
        create(json!({"type": "server", "ca_type": "apply"})).await.is_parameter_error("issue_to", "required");
        let answer = create(json!({"type": "server", "ca_type": "apply", "issue_to": "a.example.com"})).await;
        answer.is_parameter_error("dns_provider", "required").is_parameter_error("auth_info_list", "required");
        let answer = create(json!({"type": "server", "ca_type": "upload", "name": "a", "auto_renewal": 2})).await;
        answer.is_parameter_error("auto_renewal", "oneof");
    }

    async fn s4_6_a_wrong_domain(house: &House) {
        for issue_to in ["localhost", "192.0.2.1", "a..example.com", "*.*.example.com", "a b.example.com", "a.example.com,"] {
            application_refused(house, "issue_to", issue_to.into(), "issue_to", "domain").await;
        }
    }

    async fn s4_6_a_provider_that_is_none_or_cannot_be_driven(house: &House) {
        application_refused(house, "dns_provider", "nonsense".into(), "dns_provider", "oneof").await;
        application_refused(house, "dns_provider", "nodriver".into(), "dns_provider", "unsupported").await;
    }

    /// "an unknown key, a wrong kind or a missing parameter is 40002 naming the key"
    async fn s4_6_a_parameter_of_the_provider_is_wrong(house: &House) {
        let with = |further: Value| json!([{"k": "AccessKeyId", "sv": "id"}, {"k": "AccessKeySecret", "sv": "key"}, further]);
        application_refused(house, "auth_info_list", with(json!({"k": "Nonsense", "sv": "x"})), "Nonsense", "unknown").await;
        application_refused(house, "auth_info_list", with(json!({"k": "TTL", "bv": true})), "TTL", "integer").await;
        application_refused(house, "auth_info_list", with(json!({"k": "TTL"})), "TTL", "oneof").await;
        application_refused(house, "auth_info_list", with(json!({"k": "TTL", "iv": 1, "sv": "1"})), "TTL", "oneof").await;
        let without = json!([{"k": "AccessKeyId", "sv": "id"}]);
        application_refused(house, "auth_info_list", without, "AccessKeySecret", "required").await;
    }

    /// The sentence beside the codes names the parameter and holds no value of a secret one.
    async fn s4_6_no_secret_is_repeated(house: &House) {
        let mut create = application("docs.example.com");
        create["auth_info_list"] = json!([
            {"k": "AccessKeyId", "iv": 1},
            {"k": "AccessKeySecret", "sv": "t0ps3cret"},
            {"k": "x", "sv": "t0ps3cret"},
        ]);
        let answer = house.post("certificate/create", create).await;
        answer.is(40002, "PARAMETER ERROR");
        assert!(!answer.text.contains("t0ps3cret"), "{}", answer.text);
        assert!(answer.text_of("submsg").contains("AccessKeyId"), "{}", answer.text);
    }

    /// §2, row 40003: "name already taken"
    async fn s4_6_a_name_that_is_taken_is_40003(house: &House) {
        house.applied("docs.example.com").await;
        let answer = house.post("certificate/create", application("docs.example.com")).await;
        answer.is(40003, "DUPLICATE KEY VALUE");
        let name = "docs.example.com.pem";
        let row = json!({"field": "name", "value": name, "external_source": "certificate", "external_source_name": name});
        assert_eq!(answer.json["duplicate_field_list"].to_string(), json!([row]).to_string());
        assert_eq!(house.count().await, 1);
    }

    /// "Limits: 3 server and 20 trusted as on the appliance; `limits.server` and `limits.trusted` in the configuration
    /// → 60002"
    async fn s4_6_one_more_than_the_limit_is_60002(house: &House) {
        let house = house.alike(Plan { max_server: Some(3), max_trusted: Some(1), ..Plan::default() }).await;
        for number in 0..3 {
            house.applied(&format!("a{number}.example.com")).await;
        }
        house.post("certificate/create", application("a3.example.com")).await.is(60002, "MAX LIMITATION EXCEEDED");
        for (name, errcode) in [("one.pem", 0), ("two.pem", 60002)] {
            house.upload("trusted", name, &CA.pem).await.is_success();
            let answer = house.post("certificate/create", json!({"type": "trusted", "name": name})).await;
            assert_eq!(answer.errcode(), errcode, "{}", answer.text);
        }
    }

    /// "unlimited by default"
    async fn s4_6_there_is_no_limit_by_default(house: &House) {
        for number in 0..5 {
            house.applied(&format!("a{number}.example.com")).await;
        }
    }
}
