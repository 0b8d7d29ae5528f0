//! §2: answers. Every row of the errcode table is provoked: here, or where the table's paragraph is.
use certkeep_core::client::ClientRole;
use http::Method;
use serde_json::json;

use crate::call::{Call, ELSEWHERE};
use crate::contract;
use crate::house::{House, Plan, form};

contract! {
    /// "HTTP 200 and a JSON object for every API answer": status and type are checked of every answer in these tests.
    async fn s2_an_unknown_interface_is_10001(house: &House) {
        for path in [
            "/openapi/v1.0/certificate/nonsense",
            "/openapi/v1.0/%00",
            "/openapi/v1.0/certificate%2Fget",
            "/openapi/nonsense/x",
        ] {
            let answer = house.authorized(Call::raw(Method::GET, path)).await;
            answer.is(10001, "INTERFACE NOT EXISTED");
            assert_eq!(answer.json["invalid_param_list"], json!([{"value": format!("No route for GET {path}")}]));
        }
    }

    /// Row 10001 says nothing of the query, which may hold a token.
    async fn s2_an_unknown_interface_does_not_repeat_the_query(house: &House) {
        let answer = house.authorized(Call::get("nonsense?password=s3cret")).await;
        assert!(!answer.text.contains("s3cret") && !answer.text.contains("access_token"), "{}", answer.text);
    }

    /// Row 10003: `/openapi/v9.9/…`
    async fn s2_another_version_is_10003(house: &House) {
        house.send(Call::raw(Method::GET, "/openapi/v9.9/certificate/list")).await.is(10003, "API VERSION UNSUPPORTED");
        house.send(Call::raw(Method::POST, "/openapi/v2.0/get_token")).await.is(10003, "API VERSION UNSUPPORTED");
    }

    /// Row -2: "a fault of ours", a panic included; and the next call is served.
    async fn s2_a_panic_is_minus_2(house: &House) {
        house.token().await;
        *house.clock.broken.lock().unwrap() = true;
        let answer = house.get("system/information").await;
        *house.clock.broken.lock().unwrap() = false;
        answer.is(-2, "INTERNAL SERVER ERROR");
        assert_eq!(answer.members(), ["errcode", "errmsg"]);
        house.get("system/information").await.is_success();
    }

    /// Row -2: "a fault of ours"; what went wrong is not told.
    async fn s2_a_failing_store_is_minus_2(house: &House) {
        house.token().await;
        house.store.clone().close().await;
        let answer = house.get("certificate/list").await;
        answer.is(-2, "INTERNAL SERVER ERROR");
        assert_eq!(answer.members(), ["errcode", "errmsg"]);
    }

    /// Row -2: "also an undecodable JSON body (`invalid_param_list:[{"value":"<why>"}]`)"
    async fn s2_undecodable_json_is_minus_2_and_says_why(house: &House) {
        for body in ["", "{", "nonsense", "{\"id\":}", "{} {}"] {
            let answer = house.authorized(Call::new(Method::POST, "certificate/update").body(body)).await;
            answer.is(-2, "INTERNAL SERVER ERROR");
            assert!(answer.json["invalid_param_list"][0]["value"].is_string(), "{}", answer.text);
        }
    }

    /// Row 10004: "access token missing, unknown"
    async fn s2_a_missing_or_unknown_token_is_10004(house: &House) {
        house.send(Call::get("certificate/list")).await.is(10004, "TOKEN EXPIRED");
        for token in ["", "x", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef", "%00"] {
            house.send(Call::get("certificate/list").with(token)).await.is(10004, "TOKEN EXPIRED");
        }
        house.send(Call::post("certificate/create", &json!({}))).await.is(10004, "TOKEN EXPIRED");
    }

    /// Row 10005: "the client's role does not allow the call"
    async fn s2_a_viewer_may_only_read(house: &House) {
        let viewer = ("viewer-id", "viewer-secret");
        house.add_client("viewer", viewer, ClientRole::Viewer, &[]).await;
        let id = house.applied("docs.example.com").await;
        let token = house.token_of(viewer).await;
        for endpoint in [
            &format!("certificate/get?id={id}"),
            "certificate/list",
            "certificate/query?ids=1",
            "webserver/get",
            "system/get_menuoptions?menu=certificate",
            "system/information",
        ] {
            house.send(Call::get(endpoint).with(&token)).await.is_success();
        }
        house.send(Call::get(&format!("certificate/delete?id={id}")).with(&token)).await.is(10005, "ACCESS DENIED");
        for endpoint in ["certificate/create", "certificate/update", "webserver/update"] {
            house.send(Call::post(endpoint, &json!({})).with(&token)).await.is(10005, "ACCESS DENIED");
        }
        house.send(form(&[("type", None, b"server")]).with(&token)).await.is(10005, "ACCESS DENIED");
        house.send(Call::get("del_token").with(&token)).await.is_success();
    }

    /// Row 70087: "outside the client's permitted addresses", for a live token and for the login
    async fn s2_a_call_from_elsewhere_is_70087(house: &House) {
        let bound = ("bound-id", "bound-secret");
        house.add_client("bound", bound, ClientRole::Admin, &["127.0.0.1/32"]).await;
        let token = house.token_of(bound).await;
        house.send(Call::get("certificate/list").with(&token)).await.is_success();
        house.send(Call::get("certificate/list").with(&token).from(ELSEWHERE)).await.is(70087, "IP FORBIDDEN");
        let login = Call::post("get_token", &json!({"username": bound.0, "password": bound.1})).from(ELSEWHERE);
        house.send(login).await.is(70087, "IP FORBIDDEN");
    }

    /// Row 70123: "API switched off", before anything else is looked at
    async fn s2_a_switched_off_api_is_70123(house: &House) {
        let house = house.alike(Plan { switched_off: true, ..Plan::default() }).await;
        for path in ["/openapi/v1.0/certificate/list", "/openapi/v9.9/x", "/openapi/nonsense", "//x"] {
            house.send(Call::raw(Method::GET, path)).await.is(70123, "API UNAVAILABLE");
        }
        house.login(crate::house::ADMIN).await.is(70123, "API UNAVAILABLE");
    }

    /// The order of checks: route, token, role, parameters.
    async fn s2_the_first_check_that_refuses_is_told(house: &House) {
        house.send(Call::get("nonsense")).await.is(10001, "INTERFACE NOT EXISTED");
        house.send(Call::get("certificate/get?id=%ff")).await.is(10004, "TOKEN EXPIRED");
        house.get("certificate/get?id=%ff").await.is(40001, "PARAMETER SYNTAX ERROR");
    }

    /// "oversize body": of JSON and of a form, sent to its end before the answer is read
    async fn s2_an_oversize_body_is_40004(house: &House) {
        let body = format!("{{\"name\":\"{}\"}}", "x".repeat(2 << 20));
        house.authorized(Call::new(Method::POST, "certificate/update").body(body.clone())).await.is(40004, "FILE SIZE EXCEEDED");
        house.send(Call::new(Method::POST, "get_token").body(body)).await.is(40004, "FILE SIZE EXCEEDED");
        house.upload("server", "a.pem", vec![b'x'; 3 << 20]).await.is(40004, "FILE SIZE EXCEEDED");
    }

    /// A body that is refused unread, by token or route, is read to its end as well.
    async fn s2_an_answer_reaches_a_client_whose_body_nobody_wants(house: &House) {
        let body = vec![b'x'; 3 << 20];
        house.send(Call::new(Method::POST, "certificate/upload").body(body.clone())).await.is(10004, "TOKEN EXPIRED");
        house.send(Call::new(Method::POST, "nonsense").body(body)).await.is(10001, "INTERFACE NOT EXISTED");
    }

    /// An answer of a method that is none is an answer too.
    async fn s2_no_answer_is_kept_by_a_cache(house: &House) {
        let answer = house.get("certificate/list").await;
        assert_eq!(answer.headers["cache-control"], "no-store");
    }
}
