//! §4.5 to §4.8: adding, changing and deleting certificates.
use certkeep_core::time::Clock;
use serde_json::json;

use crate::call::Call;
use crate::contract;
use crate::house::{ADMIN, House, application, form};
use crate::material::{CA, leaf};

contract! {
    /// §4.5: "parts `type` and `file` in any order", "Answers `file`"
    async fn s4_5_parts_stand_in_any_order(house: &House) {
        let file = ("file", Some("a.pem"), b"x".as_slice());
        let kind = ("type", None, b"server".as_slice());
        for parts in [[file, kind], [kind, file]] {
            let answer = house.authorized(form(&parts)).await;
            assert_eq!(answer.is_success().members(), ["errcode", "errmsg", "file"]);
            assert_eq!(answer.json["file"], "a.pem");
        }
        let further = ("further", None, b"part".as_slice());
        house.authorized(form(&[further, file, kind])).await.is_success();
    }

    /// §4.5: "Keeps only the base name (both `/` and `\` separate)."
    async fn s4_5_only_the_base_name_is_kept(house: &House) {
        for (sent, kept) in [
            ("../../etc/passwd", "passwd"),
            ("C:\\x\\y.pem", "y.pem"),
            ("/a/b\\c.pem", "c.pem"),
            ("bücher.pem", "bücher.pem"),
        ] {
            assert_eq!(house.upload("server", sent, "x").await.is_success().json["file"], kept);
        }
        for sent in ["", "..", "a/", "a/.."] {
            house.upload("server", sent, "x").await.is(40002, "PARAMETER ERROR");
        }
    }

    /// §4.5: what is missing or no kind is named
    async fn s4_5_upload_names_what_is_wrong(house: &House) {
        house.authorized(form(&[("file", Some("a.pem"), b"x")])).await.is_parameter_error("type", "required");
        house.authorized(form(&[("type", None, b"server")])).await.is_parameter_error("file", "required");
        house.upload("nonsense", "a.pem", "x").await.is_parameter_error("type", "oneof");
        house.upload("server", "a.pem", "").await.is(40002, "PARAMETER ERROR");
    }

    /// §2, row 40004: "upload over the limit (1 MiB)"
    async fn s4_5_a_file_over_1_mib_is_40004(house: &House) {
        house.upload("server", "a.pem", vec![b'x'; 1 << 20]).await.is_success();
        house.upload("server", "a.pem", vec![b'x'; (1 << 20) + 1]).await.is(40004, "FILE SIZE EXCEEDED");
    }

    /// §4.5: "Stores for at most an hour"; §2, row 60001: "unknown temporary file"
    async fn s4_5_an_upload_is_kept_for_an_hour(house: &House) {
        for name in ["early.pem", "late.pem"] {
            house.upload("trusted", name, &CA.pem).await.is_success();
        }
        let create = |name: &str| Call::post("certificate/create", &json!({"type": "trusted", "name": name}));
        house.advance(3590);
        let token = house.token_of(ADMIN).await;
        house.send(create("early.pem").with(&token)).await.is_success();
        house.advance(20);
        house.send(create("late.pem").with(&token)).await.is(60001, "DATA NOT FOUND");
    }

    /// §4.5: "`.p12`/`.pfx` with an optional part `password`"
    async fn s4_5_a_container_is_opened_by_its_password(house: &House) {
        let container: &[u8] = include_bytes!("fixtures/container.p12");
        let create = json!({"type": "server", "ca_type": "upload", "name": "box.p12"});
        let file = ("file", Some("box.p12"), container);
        let kind = ("type", None, b"server".as_slice());
        house.authorized(form(&[file, kind])).await.is_success();
        house.post("certificate/create", create.clone()).await.is_parameter_error("name", "encrypted_key");
        house.authorized(form(&[file, kind, ("password", None, b"wrong")])).await.is_success();
        house.post("certificate/create", create.clone()).await.is_parameter_error("name", "encrypted_key");
        house.authorized(form(&[("password", None, b"secret"), file, kind])).await.is_success();
        house.post("certificate/create", create).await.is_success();
        assert_eq!(house.certificate(house.id_of("box.p12").await).await["issue_to"], "locked.example.com");
    }

    /// §4.5: "A server file holds key and chain in one PEM, in any order."
    async fn s4_5_a_server_file_is_read_in_any_order(house: &House) {
        let leaf = leaf(&["www.example.com"], house.clock.now(), 90);
        let orders = [
            [&leaf.key, &leaf.certificate, &CA.pem],
            [&CA.pem, &leaf.certificate, &leaf.key],
            [&leaf.certificate, &leaf.key, &CA.pem],
        ];
        for (number, parts) in orders.into_iter().enumerate() {
            let name = format!("{number}.pem");
            house.upload("server", &name, parts.map(String::as_str).concat()).await.is_success();
            let create = json!({"type": "server", "ca_type": "upload", "name": name});
            house.post("certificate/create", create).await.is_success();
        }
    }

    /// §4.6: "Answers `name` and `apply_status` (no id)"; "`issuing` at once"
    async fn s4_6_create_answers_name_and_status(house: &House) {
        let answer = house.post("certificate/create", application("docs.example.com")).await;
        assert_eq!(answer.is_success().members(), ["errcode", "errmsg", "name", "apply_status"]);
        assert_eq!(answer.json["name"], "docs.example.com.pem");
        assert_eq!(answer.json["apply_status"], "issuing");
        let leaf = leaf(&["www.example.com"], house.clock.now(), 90);
        house.upload("server", "www.pem", leaf.file()).await.is_success();
        let answer = house.post("certificate/create", json!({"type": "server", "ca_type": "upload", "name": "www.pem"})).await;
        assert_eq!(answer.json["apply_status"], "issuance_success");
    }

    /// §4.6: "wildcard and IDN accepted; several names separated by commas"
    async fn s4_6_wildcards_idn_and_several_names_are_accepted(house: &House) {
        for (issue_to, name) in [
            ("*.example.com,example.com", "_.example.com.pem"),
            ("bücher.example", "xn--bcher-kva.example.pem"),
            ("a.example.net, b.example.net", "a.example.net.pem"),
        ] {
            let answer = house.post("certificate/create", application(issue_to)).await;
            assert_eq!(answer.is_success().json["name"], name);
        }
    }

    /// §4.6: the `name` is "the `file` of an upload of the same type"
    async fn s4_6_an_upload_is_for_its_type_and_used_once(house: &House) {
        house.upload("trusted", "ca.pem", &CA.pem).await.is_success();
        let serve = json!({"type": "server", "ca_type": "upload", "name": "ca.pem"});
        house.post("certificate/create", serve).await.is(60001, "DATA NOT FOUND");
        let trust = json!({"type": "trusted", "name": "ca.pem"});
        house.post("certificate/create", trust.clone()).await.is_success();
        house.post("certificate/create", trust).await.is(60001, "DATA NOT FOUND");
    }

    /// §4.6: "auto_renewal … only heeded for server+upload"
    async fn s4_6_auto_renewal_of_an_upload_needs_a_provider(house: &House) {
        let leaf = leaf(&["www.example.com"], house.clock.now(), 90);
        house.upload("server", "www.pem", leaf.file()).await.is_success();
        let mut create = json!({"type": "server", "ca_type": "upload", "name": "www.pem", "auto_renewal": 1});
        house.post("certificate/create", create.clone()).await.is_parameter_error("dns_provider", "required");
        create["dns_provider"] = "alidns".into();
        create["auth_info_list"] = json!([{"k": "AccessKeyId", "sv": "id"}, {"k": "AccessKeySecret", "sv": "key"}]);
        house.post("certificate/create", create).await.is_success();
        let certificate = house.certificate(house.id_of("www.pem").await).await;
        assert_eq!((&certificate["auto_renewal"], &certificate["dns_provider"]), (&json!(1), &json!("alidns")));
        assert_eq!(certificate["apply_status"], "issuance_success");

        let mut apply = application("docs.example.com");
        apply["auto_renewal"] = 0.into();
        house.post("certificate/create", apply).await.is_success();
        assert_eq!(house.certificate(house.id_of("docs.example.com.pem").await).await["auto_renewal"], 1);
    }

    /// §4.7: "`id` Integer"; "Absent = unchanged"
    async fn s4_7_an_update_of_nothing_changes_nothing(house: &House) {
        let id = house.uploaded("www.pem", &["www.example.com"], 90).await;
        let before = house.certificate(id).await;
        let answer = house.post("certificate/update", json!({"id": id})).await;
        assert_eq!(answer.is_success().members(), ["errcode", "errmsg"]);
        assert_eq!(house.certificate(id).await, before);
        house.post("certificate/update", json!({})).await.is_parameter_error("id", "required");
        house.post("certificate/update", json!({"id": id.to_string()})).await.is_syntax_error("id");
        house.post("certificate/update", json!({"id": 999})).await.is(60001, "DATA NOT FOUND");
    }

    /// §4.7: "server certificates only (trusted → 40002)"
    async fn s4_7_a_trusted_certificate_cannot_be_updated(house: &House) {
        house.upload("trusted", "ca.pem", &CA.pem).await.is_success();
        house.post("certificate/create", json!({"type": "trusted", "name": "ca.pem"})).await.is_success();
        let id = house.id_of("ca.pem").await;
        house.post("certificate/update", json!({"id": id})).await.is(40002, "PARAMETER ERROR");
    }

    /// §4.7: "`name` swaps in a newly uploaded file"
    async fn s4_7_a_new_file_is_swapped_in(house: &House) {
        let id = house.uploaded("www.pem", &["www.example.com"], 90).await;
        house.upload("server", "new.pem", leaf(&["new.example.com"], house.clock.now(), 90).file()).await.is_success();
        house.post("certificate/update", json!({"id": id, "name": "new.pem"})).await.is_success();
        let certificate = house.certificate(id).await;
        assert_eq!((&certificate["name"], &certificate["issue_to"]), (&json!("new.pem"), &json!("new.example.com")));
    }

    /// §4.7: "`issue_to` only for apply; `auto_renewal` only for upload"
    async fn s4_7_issue_to_is_for_applied_ones_only(house: &House) {
        let id = house.uploaded("www.pem", &["www.example.com"], 90).await;
        let answer = house.post("certificate/update", json!({"id": id, "issue_to": "other.example.com"})).await;
        answer.is(40002, "PARAMETER ERROR");
        assert_eq!(answer.invalid()[0].0, "issue_to");
    }

    /// §4.7: "Changing issue_to … of an applied one starts a new application; the old certificate serves until the new
    /// one is there."
    async fn s4_7_a_change_of_an_applied_one_starts_an_application(house: &House) {
        let id = house.applied("docs.example.com").await;
        house.work();
        let before = house.settled(id, "issuance_success").await;
        let answer = house.post("certificate/update", json!({"id": id, "issue_to": "new.example.com"})).await;
        answer.is_success();
        let after = house.settled(id, "issuance_success").await;
        assert_eq!((&after["issue_to"], &after["name"]), (&json!("new.example.com"), &json!("new.example.com.pem")));
        assert_eq!(after["auth_info_list"], before["auth_info_list"]);
    }

    /// §2, row 70082: "edit or delete while an application is running"
    async fn s4_7_edit_or_delete_while_an_application_runs_is_70082(house: &House) {
        let id = house.applied("docs.example.com").await;
        house.post("certificate/update", json!({"id": id, "issue_to": "x.example.com"})).await.is(70082, "OVERLOAD_TASK_RUNNING");
        house.get(&format!("certificate/delete?id={id}")).await.is(70082, "OVERLOAD_TASK_RUNNING");
        house.certificate(id).await;
    }

    /// §4.8: "answers `reboot` and `apply` Integers; both 0 here"
    async fn s4_8_delete_answers_reboot_and_apply(house: &House) {
        let id = house.uploaded("www.pem", &["www.example.com"], 90).await;
        let answer = house.get(&format!("certificate/delete?id={id}")).await;
        assert_eq!(answer.text, r#"{"errcode":0,"errmsg":"SUCCESS","reboot":0,"apply":0}"#);
        house.get(&format!("certificate/get?id={id}")).await.is(60001, "DATA NOT FOUND");
        house.get(&format!("certificate/delete?id={id}")).await.is(60001, "DATA NOT FOUND");
        house.get("certificate/delete").await.is_parameter_error("id", "required");
        house.get("certificate/delete?id=x").await.is_syntax_error("id");
    }

    /// §4.8: "In use → 70091."
    async fn s4_8_the_certificate_in_use_cannot_be_deleted(house: &House) {
        let id = house.uploaded("localhost.pem", &["localhost"], 90).await;
        house.post("webserver/update", json!({"https_cert": "localhost.pem"})).await.is_success();
        house.get(&format!("certificate/delete?id={id}")).await.is(70091, "CONNECTION_RELATION_EXISTED");
        house.post("webserver/update", json!({"https_cert": "default"})).await.is_success();
        house.get(&format!("certificate/delete?id={id}")).await.is_success();
    }
}
