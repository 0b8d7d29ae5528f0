//! From JSON members to the engine's commands, which can only hold what is valid in form (contract §4.6, §4.7).
use certkeep_core::application::{AuthEntry, AuthValue, InvalidNames, Names};
use certkeep_core::certificate::{CertificateId, Kind};
use certkeep_engine::inventory::{ApplicationInput, Create, Update};
use serde_json::Value;

use super::fields::Fields;
use crate::http::envelope::Refused;

/// Reads the members of `certificate/create`.
///
/// # Errors
/// 40001, 40002, with every member that is wrong.
pub(crate) fn create(mut fields: Fields) -> Result<Create, Refused> {
    let kind = fields.text("type").and_then(|word| one_of(&mut fields, "type", &word, kind));
    let command = match fields.required("type", kind) {
        None => None,
        Some(Kind::Trusted) => upload_name(&mut fields).map(|upload| Create::Trust { upload }),
        Some(Kind::Server) => {
            let applied = fields.text("ca_type").and_then(|word| one_of(&mut fields, "ca_type", &word, is_applied));
            match fields.required("ca_type", applied) {
                None => None,
                Some(true) => {
                    let names = names(&mut fields);
                    let names = fields.required("issue_to", names);
                    let input = application(&mut fields);
                    names.map(|names| Create::Apply { names, input })
                }
                Some(false) => {
                    let upload = upload_name(&mut fields);
                    let renewed = fields.switch("auto_renewal").unwrap_or(false);
                    let renewal = renewed.then(|| application(&mut fields));
                    upload.map(|upload| Create::Serve { upload, renewal })
                }
            }
        }
    };
    fields.finish(command)
}

/// Reads the members of `certificate/update`.
///
/// # Errors
/// 40001, 40002, with every member that is wrong.
pub(crate) fn update(mut fields: Fields) -> Result<(CertificateId, Update), Refused> {
    let id = fields.integer("id").map(CertificateId);
    let id = fields.required("id", id);
    let update = Update {
        upload: fields.text("name"),
        names: names(&mut fields),
        auto_renewal: fields.switch("auto_renewal"),
        input: application(&mut fields),
    };
    fields.finish(id.map(|id| (id, update)))
}

/// The API's word for a kind.
pub(crate) fn kind(word: &str) -> Option<Kind> {
    [Kind::Server, Kind::Trusted].into_iter().find(|kind| kind.as_str() == word)
}

fn is_applied(word: &str) -> Option<bool> {
    match word {
        "apply" => Some(true),
        "upload" => Some(false),
        _ => None,
    }
}

/// What the word means; notes a word that means nothing.
fn one_of<T>(fields: &mut Fields, name: &str, word: &str, meaning: impl Fn(&str) -> Option<T>) -> Option<T> {
    let meant = meaning(word);
    if meant.is_none() {
        fields.invalid(name, "oneof");
    }
    meant
}

fn upload_name(fields: &mut Fields) -> Option<String> {
    let name = fields.text("name");
    fields.required("name", name)
}

fn names(fields: &mut Fields) -> Option<Names> {
    let text = fields.text("issue_to")?;
    match Names::parse(&text) {
        Ok(names) => Some(names),
        Err(error) => {
            let validation_type = match error {
                InvalidNames::Name(..) => "domain",
                InvalidNames::TooMany => "max",
            };
            fields.invalid_since("issue_to", validation_type, &error.to_string());
            None
        }
    }
}

fn application(fields: &mut Fields) -> ApplicationInput {
    ApplicationInput { dns_provider: fields.text("dns_provider"), auth: auth_info_list(fields) }
}

/// Reads `auth_info_list`: `{k}` with exactly one of `iv`, `sv`, `bv`. A problem is named by the entry's key.
fn auth_info_list(fields: &mut Fields) -> Option<Vec<AuthEntry>> {
    let list = fields.list("auth_info_list")?;
    Some(list.into_iter().filter_map(|entry| auth_info(fields, entry)).collect())
}

fn auth_info(fields: &mut Fields, entry: Value) -> Option<AuthEntry> {
    let Value::Object(mut members) = entry else { return fields.wrong_type("auth_info_list", "object") };
    let k = match members.remove("k") {
        Some(Value::String(k)) if !k.is_empty() => k,
        None | Some(Value::Null | Value::String(_)) => {
            fields.invalid("k", "required");
            return None;
        }
        Some(_) => return fields.wrong_type("k", "string"),
    };
    let mut given = ["iv", "sv", "bv"].into_iter().filter_map(|member| {
        let value = members.remove(member).filter(|value| !value.is_null())?;
        Some((member, value))
    });
    let (Some((member, value)), None) = (given.next(), given.next()) else {
        fields.invalid_since(&k, "oneof", "has to have exactly one of iv, sv, bv");
        return None;
    };
    let value = match (member, value) {
        ("bv", Value::Bool(value)) => AuthValue::Boolean(value),
        ("bv", _) => return fields.wrong_type(&k, "boolean"),
        ("iv", Value::Number(number)) => match number.as_i64() {
            Some(integer) => AuthValue::Integer(integer),
            None if number.is_u64() => {
                fields.invalid(&k, "max");
                return None;
            }
            None => return fields.wrong_type(&k, "integer"),
        },
        ("iv", _) => return fields.wrong_type(&k, "integer"),
        (_, Value::String(text)) => AuthValue::Text(text.into()),
        (_, _) => return fields.wrong_type(&k, "string"),
    };
    Some(AuthEntry { k, value })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use secrecy::ExposeSecret;

    use super::*;
    use crate::http::envelope::ErrCode;

    fn list(json: &str) -> Result<Vec<AuthEntry>, Refused> {
        let mut fields = Fields::read(format!(r#"{{"auth_info_list":{json}}}"#).as_bytes()).unwrap();
        let list = auth_info_list(&mut fields);
        fields.finish(list)
    }

    #[test]
    fn each_entry_has_a_key_and_exactly_one_value() {
        let read = list(r#"[{"k":"TTL","iv":600},{"k":"Key","sv":"s"},{"k":"On","bv":true,"iv":null,"x":[]}]"#).unwrap();
        let keys: Vec<_> = read.iter().map(|entry| entry.k.as_str()).collect();
        assert_eq!(keys, ["TTL", "Key", "On"]);
        assert_eq!(read[0].value, AuthValue::Integer(600));
        assert!(matches!(&read[1].value, AuthValue::Text(text) if text.expose_secret() == "s"));
        assert_eq!(read[2].value, AuthValue::Boolean(true));
    }

    #[test]
    fn a_problem_is_named_by_its_key() {
        let cases = [
            (r#"{"k":"TTL"}"#, ErrCode::ParameterError, r#""field":"TTL","validation_type":"oneof""#),
            (r#"{"k":"TTL","iv":1,"sv":"1"}"#, ErrCode::ParameterError, r#""field":"TTL","validation_type":"oneof""#),
            (r#"{"iv":1}"#, ErrCode::ParameterError, r#""field":"k","validation_type":"required""#),
            (r#"{"k":"TTL","iv":9223372036854775808}"#, ErrCode::ParameterError, r#""field":"TTL","validation_type":"max""#),
            (r#"{"k":"TTL","iv":"1"}"#, ErrCode::ParameterSyntaxError, r#""field":"TTL","validation_type":"integer""#),
            (r#"{"k":"TTL","iv":1.5}"#, ErrCode::ParameterSyntaxError, r#""field":"TTL","validation_type":"integer""#),
            (r#"{"k":"TTL","sv":1}"#, ErrCode::ParameterSyntaxError, r#""field":"TTL","validation_type":"string""#),
            (r#"{"k":"TTL","bv":1}"#, ErrCode::ParameterSyntaxError, r#""field":"TTL","validation_type":"boolean""#),
            (r#"{"k":1,"iv":1}"#, ErrCode::ParameterSyntaxError, r#""field":"k","validation_type":"string""#),
            ("7", ErrCode::ParameterSyntaxError, r#""field":"auth_info_list","validation_type":"object""#),
        ];
        for (entry, code, row) in cases {
            let refused = list(&format!("[{entry}]")).unwrap_err();
            let body = String::from_utf8(refused.to_body()).unwrap();
            assert_eq!(refused.code(), code, "{entry}");
            assert!(body.contains(row), "{entry}: {body}");
        }
        assert_eq!(list("{}").unwrap_err().code(), ErrCode::ParameterSyntaxError);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 6, |inner| {
            let key =
                prop_oneof![Just("k".to_owned()), Just("iv".to_owned()), Just("sv".to_owned()), Just("bv".to_owned()), ".{0,4}"];
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::vec((key, inner), 0..6).prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_json_is_a_list_or_refused(json in any_json()) {
            let count = json.as_array().map_or(0, Vec::len);
            if let Ok(entries) = list(&json.to_string()) {
                prop_assert_eq!(entries.len(), count);
                prop_assert!(entries.iter().all(|entry| !entry.k.is_empty()));
            }
        }

        #[test]
        fn any_object_is_a_command_or_refused(json in any_json(), server in any::<bool>(), applied in any::<bool>()) {
            let body = serde_json::json!({
                "type": if server { "server" } else { "trusted" },
                "ca_type": if applied { "apply" } else { "upload" },
                "id": 1, "name": json, "issue_to": json, "auto_renewal": json, "auth_info_list": json,
            });
            let read = || Fields::read(body.to_string().as_bytes()).unwrap();
            let _ = create(read());
            let _ = update(read());
        }
    }
}
