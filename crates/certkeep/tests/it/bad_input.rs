//! Input that no honest client sends.
use http::Method;
use serde_json::json;

use crate::call::{Call, HERE};
use crate::contract;
use crate::house::{ADMIN, House, application, form};

fn update(body: impl Into<Vec<u8>>) -> Call {
    Call::new(Method::POST, "certificate/update").body(body)
}

contract! {
    async fn bad_utf8_or_broken_escapes_in_a_query(house: &House) {
        for query in ["id=%ff", "id=%", "id=%f", "id=%zz", "id=%ed%a0%80", "id=1&x=%c3", "%ff=1&id=1"] {
            house.get(&format!("certificate/get?{query}")).await.is(40001, "PARAMETER SYNTAX ERROR");
        }
    }

    async fn json_that_is_no_object(house: &House) {
        for body in ["[]", "[{\"id\":1}]", "\"id\"", "1", "true", "null"] {
            house.authorized(update(body)).await.is(40001, "PARAMETER SYNTAX ERROR");
        }
    }

    async fn json_nested_ten_thousand_deep(house: &House) {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let body = format!("{{\"id\":{}1{}}}", open.repeat(10_000), close.repeat(10_000));
            house.authorized(update(body)).await.is(-2, "INTERNAL SERVER ERROR");
        }
    }

    async fn numbers_as_strings_and_strings_as_numbers(house: &House) {
        house.post("certificate/update", json!({"id": "4"})).await.is_syntax_error("id");
        house.post("certificate/update", json!({"id": 4.5})).await.is_syntax_error("id");
        house.post("certificate/update", json!({"id": 1, "name": 1})).await.is_syntax_error("name");
        house.post("certificate/update", json!({"id": 1, "auto_renewal": "1"})).await.is_syntax_error("auto_renewal");
        house.post("certificate/update", json!({"id": 1, "auto_renewal": true})).await.is_syntax_error("auto_renewal");
        let mut create = application("docs.example.com");
        create["auth_info_list"] = json!([{"k": "TTL", "iv": "600"}]);
        house.post("certificate/create", create.clone()).await.is_syntax_error("TTL");
        create["auth_info_list"] = json!({"k": "TTL", "iv": 600});
        house.post("certificate/create", create).await.is_syntax_error("auth_info_list");
        house.post("certificate/create", json!({"type": 1, "name": []})).await.is_syntax_error("type");
    }

    /// The last one counts, as with most readers of JSON.
    async fn duplicate_keys(house: &House) {
        let body = format!(r#"{{"username":"x","username":"{}","password":"{}"}}"#, ADMIN.0, ADMIN.1);
        house.send(Call::new(Method::POST, "get_token").body(body)).await.is_success();
    }

    async fn lone_surrogates(house: &House) {
        for escape in ["\\ud800", "\\udc00", "\\ud800\\u0041"] {
            let body = format!(r#"{{"id":1,"name":"{escape}"}}"#);
            house.authorized(update(body)).await.is(-2, "INTERNAL SERVER ERROR");
        }
        house.authorized(update(b"{\"id\":1,\"name\":\"\xff\"}".as_slice())).await.is(-2, "INTERNAL SERVER ERROR");
    }

    async fn ids_that_are_negative_huge_or_fractions(house: &House) {
        for id in ["-1", "0", "9223372036854775807", "18446744073709551615"] {
            house.authorized(update(format!("{{\"id\":{id}}}"))).await.is(60001, "DATA NOT FOUND");
        }
        for id in ["1e400", "01", "+1"] {
            house.authorized(update(format!("{{\"id\":{id}}}"))).await.is(-2, "INTERNAL SERVER ERROR");
        }
        house.authorized(update("{\"id\":null}")).await.is_parameter_error("id", "required");
    }

    async fn multipart_without_boundary(house: &House) {
        let upload = |content_type: &str| {
            Call::new(Method::POST, "certificate/upload").header("content-type", content_type).body("x")
        };
        for content_type in ["multipart/form-data", "multipart/form-data; boundary=", "application/json", "text/plain"] {
            house.authorized(upload(content_type)).await.is(40001, "PARAMETER SYNTAX ERROR");
        }
        house.authorized(Call::new(Method::POST, "certificate/upload")).await.is(40001, "PARAMETER SYNTAX ERROR");
    }

    async fn multipart_that_breaks_off(house: &House) {
        let whole = form(&[("type", None, b"server"), ("file", Some("a.pem"), b"x")]);
        for length in [0, 1, 20, whole.body.len() / 2, whole.body.len() - 8] {
            let mut call = form(&[]);
            call.body = whole.body[..length].to_vec();
            house.authorized(call).await.is(40001, "PARAMETER SYNTAX ERROR");
        }
    }

    async fn a_nul_in_a_file_name(house: &House) {
        for name in ["a\0.pem", "\0", "a.pem\0/../../x"] {
            let answer = house.upload("server", name, "x").await;
            assert!(matches!(answer.errcode(), 40001 | 40002), "{}", answer.text);
        }
    }

    async fn unknown_parameters_are_ignored(house: &House) {
        house.get("certificate/list?nonsense=1&_=1700000000").await.is_success();
        let body = json!({"username": ADMIN.0, "password": ADMIN.1, "further": {"x": []}});
        house.send(Call::post("get_token", &body)).await.is_success();
    }

    async fn words_of_other_worlds_are_just_words(house: &House) {
        for word in ["';%20DROP%20TABLE%20certificates;--", "%3Cscript%3E", "%00", "%0d%0aX:%20y", "{{7*7}}"] {
            house.get(&format!("certificate/get?id={word}")).await.is_syntax_error("id");
            house.get(&format!("certificate/list?sort_by={word}")).await.is_parameter_error("sort_by", "oneof");
        }
    }

    /// §3: "A runaway client must not slow the others": what it gets is held back, what others get is not.
    async fn a_runaway_client_is_held_back_and_others_are_not(house: &House) {
        let token = house.token().await.to_owned();
        let wrong = || house.send(Call::post("refresh_token", &json!({"refresh": "wrong body"})).from(HERE));
        let started = tokio::time::Instant::now();
        for _ in 0..6 {
            for answer in futures::future::join_all((0..50).map(|_| wrong())).await {
                answer.is(40002, "PARAMETER ERROR");
            }
        }
        // 300 failures at 500 a second, the first 100 of them at once.
        assert!(started.elapsed().as_millis() >= 390, "{:?}", started.elapsed());
        let held = wrong();
        let served = house.send(Call::get("certificate/list").with(&token));
        let ((), ()) = tokio::join!(
            async { held.await.is(40002, "PARAMETER ERROR"); },
            async { served.await.is_success(); },
        );
    }
}
