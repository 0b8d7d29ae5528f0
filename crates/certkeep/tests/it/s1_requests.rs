//! §1: requests.
use http::Method;
use serde_json::json;

use crate::call::Call;
use crate::contract;
use crate::house::{ADMIN, House};

contract! {
    /// "GET reads and deletes; POST adds, edits, operates. No other methods."
    async fn s1_no_other_methods(house: &House) {
        let token = house.token().await;
        for method in [Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS, Method::POST] {
            let answer = house.send(Call::new(method.clone(), "certificate/get?id=1").with(token)).await;
            answer.is(10001, "INTERFACE NOT EXISTED");
            let said = format!("No route for {method} /openapi/v1.0/certificate/get");
            assert_eq!(answer.json["invalid_param_list"], json!([{"value": said}]));
        }
        house.send(Call::get("certificate/create").with(token)).await.is(10001, "INTERFACE NOT EXISTED");
    }

    /// "The token is a query parameter, anywhere in the query"
    async fn s1_the_token_stands_anywhere_in_the_query(house: &House) {
        let id = house.applied("docs.example.com").await;
        let token = house.token().await;
        for query in [
            format!("access_token={token}&id={id}"),
            format!("id={id}&access_token={token}&x=1"),
            format!("x&id={id}&access_token={token}"),
        ] {
            house.send(Call::get(&format!("certificate/get?{query}"))).await.is_success();
        }
    }

    /// "maybe percent-encoded"
    async fn s1_the_token_may_be_percent_encoded(house: &House) {
        let encoded: String = house.token().await.bytes().map(|b| format!("%{b:02x}")).collect();
        house.send(Call::get("certificate/list").with(&encoded)).await.is_success();
        house.send(Call::get(&format!("certificate/list?access%5ftoken={encoded}"))).await.is_success();
    }

    /// "`Authorization: Bearer` is accepted as well"
    async fn s1_a_bearer_token_is_accepted(house: &House) {
        let bearer = format!("Bearer {}", house.token().await);
        house.send(Call::get("certificate/list").header("authorization", &bearer)).await.is_success();
        let basic = format!("Basic {}", house.token().await);
        house.send(Call::get("certificate/list").header("authorization", &basic)).await.is(10004, "TOKEN EXPIRED");
    }

    /// "JSON is parsed by content: bodies arrive as `application/json`, `text/plain` or without a type"
    async fn s1_json_is_parsed_by_content(house: &House) {
        let body = json!({"username": ADMIN.0, "password": ADMIN.1});
        house.send(Call::post("get_token", &body)).await.is_success();
        for content_type in ["application/json", "text/plain", "application/x-www-form-urlencoded", "nonsense"] {
            house.send(Call::post("get_token", &body).header("content-type", content_type)).await.is_success();
        }
    }

    /// "GETs may carry `Content-Type: application/json` and no body"
    async fn s1_a_get_may_carry_a_content_type_and_no_body(house: &House) {
        let call = Call::get("certificate/list").header("content-type", "application/json");
        house.authorized(call).await.is_success();
    }

    /// "Never refuse by `Host` or by the value of `User-Agent`"
    async fn s1_a_foreign_host_and_any_user_agent_are_served(house: &House) {
        for user_agent in ["", "curl/8", "'; DROP TABLE", "Mozilla/5.0"] {
            let call = Call::get("certificate/list").header("host", "192.168.5.150:8088").header("user-agent", user_agent);
            house.authorized(call).await.is_success();
        }
    }

    /// "Doubled slashes and doubled prefixes get the 10001 envelope: no redirect, no panic, no HTML"
    async fn s1_doubled_slashes_and_prefixes_get_the_envelope(house: &House) {
        for path in [
            "//certificate/list",
            "//openapi/v1.0/certificate/list",
            "/openapi//v1.0/certificate/list",
            "/openapi/v1.0//certificate/list",
            "/openapi/v1.0/certificate//list",
            "/openapi/v1.0/openapi/v1.0/refresh_token",
            "/openapi/v1.0/certificate/list/",
            "/openapi/v1.0/",
            "/openapi/v1.0",
            "/openapi/",
            "/openapi",
        ] {
            for method in [Method::GET, Method::POST] {
                house.authorized(Call::raw(method, path)).await.is(10001, "INTERFACE NOT EXISTED");
            }
        }
    }
}
