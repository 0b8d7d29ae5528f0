//! §4.1 to §4.4: reading certificates.
use certkeep_core::failure::Code;
use serde_json::{Value, json};

use crate::call::members;
use crate::contract;
use crate::house::House;

/// Names of the rows of a list, in order.
async fn names(house: &House, parameters: &str) -> Vec<String> {
    let answer = house.get(&format!("certificate/list?{parameters}")).await;
    answer.is_success();
    let rows = answer.json["certificate_list"].as_array().unwrap();
    rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
}

/// `b.pem`, `a.pem` and `ca.pem` are held until different days, `c.example.com.pem` is being applied for.
async fn some(house: &House) -> [i64; 4] {
    let b = house.uploaded("b.pem", &["1.example.com"], 300).await;
    let a = house.uploaded("a.pem", &["2.example.com"], 30).await;
    let c = house.applied("c.example.com").await;
    house.upload("trusted", "ca.pem", &crate::material::CA.pem).await.is_success();
    house.post("certificate/create", json!({"type": "trusted", "name": "ca.pem"})).await.is_success();
    [b, a, c, house.id_of("ca.pem").await]
}

contract! {
    /// §4.1, the seed's example: an applied certificate, field by field, in this order; `-` while none is held.
    async fn s4_1_an_applied_certificate_is_as_the_seed_shows_it(house: &House) {
        let parameters = json!([
            {"k": "TTL", "iv": 600},
            {"k": "AccessKeyId", "sv": "AKIAIXXXXXXXXXXAMPLE"},
            {"k": "AccessKeySecret", "sv": "wJalrXUXXXXXXXXXXLEKEY"},
            {"k": "PropagationTimeout", "iv": 300},
            {"k": "PollingInterval", "iv": 5},
            {"k": "Verbose", "bv": false},
        ]);
        let create = json!({
            "type": "server", "ca_type": "apply", "issue_to": "docs.example.com", "dns_provider": "alidns",
            "auth_info_list": parameters,
        });
        house.post("certificate/create", create).await.is_success();
        let id = house.id_of("docs.example.com.pem").await;
        let answer = house.get(&format!("certificate/get?id={id}")).await;
        let expected = json!({
            "errcode": 0,
            "errmsg": "SUCCESS",
            "certificate": {
                "id": id,
                "name": "docs.example.com.pem",
                "type": "server",
                "issue_to": "docs.example.com",
                "expiration": "-",
                "ca_type": "apply",
                "auto_renewal": 1,
                "dns_provider": "alidns",
                "apply_status": "issuing",
                "auth_info_list": parameters,
            },
        });
        assert_eq!(answer.text, expected.to_string());
    }

    /// §4.1: a trusted certificate has none of the fields of a server certificate: "Absent means absent, not null."
    async fn s4_1_a_trusted_certificate_has_no_server_fields(house: &House) {
        let [.., id] = some(house).await;
        let certificate = house.certificate(id).await;
        assert_eq!(members(&certificate), ["id", "name", "type", "issue_to", "expiration"]);
        assert_eq!(certificate["type"], "trusted");
        assert_eq!(certificate["issue_to"], "Test CA");
    }

    /// §4.1: "an uploaded one without renewals is `issuance_success`"; "empty string where none", "`[]` where none"
    async fn s4_1_an_uploaded_certificate_has_empty_fields_of_application(house: &House) {
        let id = house.uploaded("mine.pem", &["www.example.com", "example.com"], 90).await;
        let certificate = house.certificate(id).await;
        assert_eq!(
            members(&certificate),
            [
                "id",
                "name",
                "type",
                "issue_to",
                "expiration",
                "ca_type",
                "auto_renewal",
                "dns_provider",
                "apply_status",
                "auth_info_list",
            ]
        );
        assert_eq!(certificate["issue_to"], "www.example.com");
        assert_eq!(certificate["ca_type"], "upload");
        assert_eq!(certificate["auto_renewal"], 0);
        assert_eq!(certificate["dns_provider"], "");
        assert_eq!(certificate["apply_status"], "issuance_success");
        assert_eq!(certificate["auth_info_list"], json!([]));
    }

    /// §4.1: `expiration` is "`YYYY/MM/DD hh:mm:ss`, UTC"
    async fn s4_1_expiration_is_written_in_utc(house: &House) {
        let id = house.uploaded("mine.pem", &["www.example.com"], 90).await;
        let day = certkeep_core::time::Clock::now(&house.clock) + jiff::SignedDuration::from_hours(24 * 90);
        let day = jiff::tz::Offset::UTC.to_datetime(day).date();
        let expected = format!("{:04}/{:02}/{:02} 00:00:00", day.year(), day.month(), day.day());
        assert_eq!(house.certificate(id).await["expiration"], expected);
    }

    /// §4.1: `apply_status` goes from `issuing` to `issuance_success`, and then a certificate is held.
    async fn s4_1_an_application_is_issued(house: &House) {
        let id = house.applied("docs.example.com").await;
        house.work();
        let certificate = house.settled(id, "issuance_success").await;
        assert_ne!(certificate["expiration"], "-");
        assert_eq!(certificate.get("apply_tip_code"), None);
    }

    /// §4.1: `apply_tip_code` "only after a failed application", beside `issuance_fail`, before `auth_info_list`
    async fn s4_1_a_failed_application_has_a_tip_code(house: &House) {
        *house.ca_failure.lock().unwrap() = Some(Code::CaaForbids);
        let id = house.applied("docs.example.com").await;
        house.work();
        let certificate = house.settled(id, "issuance_fail").await;
        assert_eq!(certificate["apply_tip_code"], 401);
        assert_eq!(certificate["expiration"], "-");
        let order = members(&certificate);
        assert_eq!(order[order.len() - 3..], ["apply_status", "apply_tip_code", "auth_info_list"]);
    }

    /// §4.1: "after a failed renewal it is `issuance_fail` with the code, the old certificate still there"
    async fn s4_1_a_failed_renewal_leaves_the_old_certificate(house: &House) {
        let id = house.applied("docs.example.com").await;
        house.work();
        let before = house.settled(id, "issuance_success").await;
        *house.ca_failure.lock().unwrap() = Some(Code::CaaForbids);
        let parameters = json!([{"k": "AccessKeyId", "sv": "id"}, {"k": "AccessKeySecret", "sv": "new"}]);
        let update = json!({"id": id, "auth_info_list": parameters});
        house.post("certificate/update", update).await.is_success();
        let after = house.settled(id, "issuance_fail").await;
        assert_eq!(after["expiration"], before["expiration"]);
        assert_eq!(after["apply_tip_code"], 401);
    }

    /// §4.1: a wildcard's name is `_.example.com.pem`
    async fn s4_1_the_file_name_of_a_wildcard_has_an_underscore(house: &House) {
        let id = house.applied("*.example.com").await;
        let certificate = house.certificate(id).await;
        assert_eq!(certificate["name"], "_.example.com.pem");
        assert_eq!(certificate["issue_to"], "*.example.com");
    }

    /// §4.2: "Unknown → 60001. Not a number → 40001."
    async fn s4_2_get_of_no_certificate(house: &House) {
        for id in ["4", "0", "-1", "9223372036854775807", "99999999999999999999999999", "-99999999999999999999999999"] {
            house.get(&format!("certificate/get?id={id}")).await.is(60001, "DATA NOT FOUND");
        }
        for id in ["x", "4x", "4.0", "0x4", "-", "%204", "+4", "%D9%A4"] {
            house.get(&format!("certificate/get?id={id}")).await.is_syntax_error("id");
        }
        house.get("certificate/get").await.is_parameter_error("id", "required");
        house.get("certificate/get?id=").await.is_parameter_error("id", "required");
        house.get("certificate/get?id=1&id=2").await.is_syntax_error("id");
    }

    /// §4.3: "`total_number` counts all matches; a page past the end is an empty array."
    async fn s4_3_list_answers_pages(house: &House) {
        some(house).await;
        let answer = house.get("certificate/list?page=2&page_size=3").await;
        assert_eq!(answer.is_success().members(), ["errcode", "errmsg", "total_number", "certificate_list"]);
        assert_eq!(answer.json["total_number"], 4);
        assert_eq!(answer.json["certificate_list"].as_array().unwrap().len(), 1);
        for page in ["3", "4294967295", "99999999999999999999"] {
            let answer = house.get(&format!("certificate/list?page={page}&page_size=3")).await;
            assert_eq!(answer.is_success().json["certificate_list"], json!([]));
            assert_eq!(answer.json["total_number"], 4);
        }
    }

    /// §4.3: rows are what get shows.
    async fn s4_3_a_row_is_what_get_shows(house: &House) {
        let [_, _, c, _] = some(house).await;
        let answer = house.get("certificate/list").await;
        let row = answer.json["certificate_list"].as_array().unwrap().iter().find(|row| row["id"] == c).unwrap().clone();
        assert_eq!(row.to_string(), house.certificate(c).await.to_string());
    }

    /// §4.3: "`sort_by` ∈ id name issue_to expiration type, `order_by` ∈ asc desc"; "Dates sort as dates, not as text;
    /// `-` last."
    async fn s4_3_list_is_sorted(house: &House) {
        some(house).await;
        assert_eq!(names(house, "").await, ["b.pem", "a.pem", "c.example.com.pem", "ca.pem"]);
        assert_eq!(names(house, "sort_by=id&order_by=desc").await, ["ca.pem", "c.example.com.pem", "a.pem", "b.pem"]);
        assert_eq!(names(house, "sort_by=name").await, ["a.pem", "b.pem", "c.example.com.pem", "ca.pem"]);
        assert_eq!(names(house, "sort_by=name&order_by=desc").await, ["ca.pem", "c.example.com.pem", "b.pem", "a.pem"]);
        assert_eq!(names(house, "sort_by=issue_to&type=server").await, ["b.pem", "a.pem", "c.example.com.pem"]);
        assert_eq!(names(house, "sort_by=type").await, ["b.pem", "a.pem", "c.example.com.pem", "ca.pem"]);
        assert_eq!(names(house, "sort_by=expiration&type=server").await, ["a.pem", "b.pem", "c.example.com.pem"]);
        let latest_first = names(house, "sort_by=expiration&order_by=desc&type=server").await;
        assert_eq!(latest_first, ["b.pem", "a.pem", "c.example.com.pem"]);
    }

    /// §4.3: "`type` ∈ trusted server"
    async fn s4_3_list_is_filtered_by_type(house: &House) {
        some(house).await;
        assert_eq!(names(house, "type=trusted").await, ["ca.pem"]);
        let answer = house.get("certificate/list?type=server&page_size=1").await;
        assert_eq!(answer.json["total_number"], 3);
    }

    /// §4.3: "Unknown `sort_by` → 40002"; page 0, page_size 0 and 10001; what is no number is 40001
    async fn s4_3_list_refuses_what_it_does_not_know(house: &House) {
        for parameter in ["sort_by", "order_by", "type"] {
            house.get(&format!("certificate/list?{parameter}=nonsense")).await.is_parameter_error(parameter, "oneof");
        }
        for parameter in ["page", "page_size"] {
            house.get(&format!("certificate/list?{parameter}=0")).await.is_parameter_error(parameter, "min");
            house.get(&format!("certificate/list?{parameter}=-1")).await.is_parameter_error(parameter, "min");
            house.get(&format!("certificate/list?{parameter}=x")).await.is_syntax_error(parameter);
        }
        house.get("certificate/list?page_size=10001").await.is_parameter_error("page_size", "max");
        house.get("certificate/list?page_size=10000").await.is_success();
    }

    /// §4.4: "found rows only, in the asked order; `total_number` = rows found"
    async fn s4_4_query_answers_found_rows_in_the_asked_order(house: &House) {
        let [b, a, c, _] = some(house).await;
        let answer = house.get(&format!("certificate/query?ids={c},999,{b},{a}")).await;
        assert_eq!(answer.is_success().members(), ["errcode", "errmsg", "total_number", "certificate_list"]);
        assert_eq!(answer.json["total_number"], 3);
        let ids: Vec<_> = answer.json["certificate_list"].as_array().unwrap().iter().map(|row| row["id"].clone()).collect();
        assert_eq!(ids, [c, b, a].map(Value::from));
        let none = house.get("certificate/query?ids=998,999,-1,99999999999999999999").await;
        assert_eq!(none.is_success().json["total_number"], 0);
        house.get("certificate/query").await.is_parameter_error("ids", "required");
        for ids in ["x", "1,,2", "1;2", "1,2,"] {
            house.get(&format!("certificate/query?ids={ids}")).await.is_syntax_error("ids");
        }
    }
}
