//! §5: neighbours.
use certkeep_core::time::Clock;
use serde_json::json;

use crate::call::members;
use crate::contract;
use crate::house::House;
use crate::material::CA;

contract! {
    /// "`GET webserver/get` → `https_cert` (a certificate name, or `default`)"
    async fn s5_webserver_get_answers_what_is_served(house: &House) {
        let answer = house.get("webserver/get").await;
        assert_eq!(answer.text, r#"{"errcode":0,"errmsg":"SUCCESS","https_cert":"default"}"#);
        house.uploaded("localhost.pem", &["localhost"], 90).await;
        house.post("webserver/update", json!({"https_cert": "localhost.pem"})).await.is_success();
        assert_eq!(house.get("webserver/get").await.json["https_cert"], "localhost.pem");
    }

    /// "`POST webserver/update {"https_cert"}`": only what is held can be served
    async fn s5_webserver_update_refuses_what_cannot_be_served(house: &House) {
        house.applied("docs.example.com").await;
        house.upload("trusted", "ca.pem", &CA.pem).await.is_success();
        house.post("certificate/create", json!({"type": "trusted", "name": "ca.pem"})).await.is_success();
        for name in ["nonsense", "docs.example.com.pem", "ca.pem"] {
            house.post("webserver/update", json!({"https_cert": name})).await.is_parameter_error("https_cert", "oneof");
        }
        house.post("webserver/update", json!({})).await.is_parameter_error("https_cert", "required");
        house.post("webserver/update", json!({"https_cert": 1})).await.is_syntax_error("https_cert");
        assert_eq!(house.get("webserver/get").await.json["https_cert"], "default");
    }

    /// "`GET system/get_menuoptions?menu=certificate` → `data`: `[{"text":name,"value":name}]` of server certificates,
    /// `default` first"
    async fn s5_menu_options_are_the_server_certificates(house: &House) {
        house.uploaded("b.pem", &["b.example.com"], 90).await;
        house.uploaded("a.pem", &["a.example.com"], 90).await;
        let answer = house.get("system/get_menuoptions?menu=certificate").await;
        let option = |name: &str| json!({"text": name, "value": name});
        let expected = json!({"errcode": 0, "errmsg": "SUCCESS", "data": [option("default"), option("a.pem"), option("b.pem")]});
        assert_eq!(answer.text, expected.to_string());
        house.get("system/get_menuoptions").await.is_parameter_error("menu", "required");
        house.get("system/get_menuoptions?menu=x").await.is_parameter_error("menu", "oneof");
    }

    /// "`GET system/information` → `data` …: stock clients probe with it; `firmware_version` is four dotted numbers"
    async fn s5_information_is_what_stock_clients_probe_for(house: &House) {
        house.advance(90);
        let answer = house.get("system/information").await;
        let data = &answer.is_success().json["data"];
        assert_eq!(
            members(data),
            [
                "device_name",
                "model_name",
                "sn",
                "firmware_version",
                "system_time",
                "up_time",
                "system_date_format",
                "system_time_format",
                "timestamp",
            ]
        );
        let now = house.clock.now();
        assert_eq!(data["timestamp"], now.as_second());
        assert_eq!(data["up_time"], 90);
        assert_eq!(data["system_date_format"], "YYYY/MM/DD");
        assert_eq!(data["system_time_format"], "hh:mm:ss");
        assert_eq!(data["system_time"], now.strftime("%Y/%m/%d %H:%M:%S").to_string());
        let numbers: Vec<_> = data["firmware_version"].as_str().unwrap().split('.').map(str::parse::<u32>).collect();
        assert!(numbers.len() == 4 && numbers.iter().all(Result::is_ok));
    }
}
