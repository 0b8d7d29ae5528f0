//! XML as plain values: an element with nothing but text is a text, another an object of its children and attributes;
//! children of one name are a list. Prefixes of namespaces, and attributes that have one, are left out.
use quick_xml::Reader;
use quick_xml::events::{BytesRef, BytesStart, Event};
use serde_json::{Map, Value};

/// How deep elements may lie in each other.
const DEEPEST: usize = 64;

/// An element that is being read.
struct Open {
    name: String,
    fields: Map<String, Value>,
    text: String,
}

impl Open {
    fn of(start: &BytesStart<'_>) -> Option<Open> {
        let name = local(start.name().as_ref());
        let mut fields = Map::new();
        for attribute in start.attributes() {
            let attribute = attribute.ok()?;
            let key = attribute.key.as_ref().to_owned();
            if !key.contains(':') && key != "xmlns" {
                fields.insert(key, quick_xml::escape::unescape(&attribute.value).ok()?.into_owned().into());
            }
        }
        Some(Open { name, fields, text: String::new() })
    }

    fn add(&mut self, name: String, value: Value) {
        match self.fields.get_mut(&name) {
            Some(Value::Array(list)) => list.push(value),
            Some(one) => *one = Value::Array(vec![one.take(), value]),
            None => drop(self.fields.insert(name, value)),
        }
    }

    fn value(mut self) -> Value {
        let text = self.text.trim();
        if self.fields.is_empty() {
            return text.into();
        }
        if !text.is_empty() {
            self.fields.insert("text".to_owned(), text.into());
        }
        self.fields.into()
    }
}

fn local(name: &str) -> String {
    name.rsplit(':').next().unwrap_or(name).to_owned()
}

/// Reads a document: an object with the root's name. `None` if it is none.
pub(super) fn tree(body: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(body).ok()?;
    let mut reader = Reader::from_str(text);
    let mut open = vec![Open { name: String::new(), fields: Map::new(), text: String::new() }];
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) if open.len() < DEEPEST => open.push(Open::of(&start)?),
            Event::Start(_) => return None,
            Event::Empty(start) => {
                let element = Open::of(&start)?;
                open.last_mut()?.add(element.name.clone(), element.value());
            }
            Event::End(_) => {
                let element = open.pop()?;
                open.last_mut()?.add(element.name.clone(), element.value());
            }
            Event::Text(text) => open.last_mut()?.text.push_str(&text),
            Event::CData(text) => open.last_mut()?.text.push_str(&text),
            Event::GeneralRef(entity) => open.last_mut()?.text.push(character(&entity)?),
            Event::Eof => break,
            Event::Comment(_) | Event::Decl(_) | Event::DocType(_) | Event::PI(_) => {}
        }
    }
    let root = open.pop().filter(|root| open.is_empty() && root.text.trim().is_empty() && root.fields.len() == 1)?;
    Some(root.fields.into())
}

/// One of the five entities of XML, or a character by its number; others are not looked up.
fn character(entity: &BytesRef<'_>) -> Option<char> {
    if let Ok(Some(character)) = entity.resolve_char_ref() {
        return Some(character);
    }
    match &**entity {
        "amp" => Some('&'),
        "apos" => Some('\''),
        "gt" => Some('>'),
        "lt" => Some('<'),
        "quot" => Some('"'),
        _ => None,
    }
}

/// A call of XML-RPC.
pub(super) fn rpc_call(method: &str, params: &[Value]) -> String {
    let mut out = format!("<?xml version=\"1.0\"?><methodCall><methodName>{}</methodName><params>", super::filters::xml(method));
    for param in params {
        out.push_str("<param>");
        rpc_value(param, &mut out);
        out.push_str("</param>");
    }
    out.push_str("</params></methodCall>");
    out
}

fn rpc_value(value: &Value, out: &mut String) {
    out.push_str("<value>");
    match value {
        Value::Null => out.push_str("<nil/>"),
        Value::Bool(b) => out.push_str(if *b { "<boolean>1</boolean>" } else { "<boolean>0</boolean>" }),
        Value::Number(n) if n.is_f64() => out.push_str(&format!("<double>{n}</double>")),
        Value::Number(n) => out.push_str(&format!("<int>{n}</int>")),
        Value::String(text) => out.push_str(&format!("<string>{}</string>", super::filters::xml(text))),
        Value::Array(list) => {
            out.push_str("<array><data>");
            list.iter().for_each(|item| rpc_value(item, out));
            out.push_str("</data></array>");
        }
        Value::Object(object) => {
            out.push_str("<struct>");
            for (key, value) in object {
                out.push_str(&format!("<member><name>{}</name>", super::filters::xml(key)));
                rpc_value(value, out);
                out.push_str("</member>");
            }
            out.push_str("</struct>");
        }
    }
    out.push_str("</value>");
}

/// What an answer of XML-RPC holds: its only value, or an object with `fault`.
pub(super) fn rpc_answer(tree: &Value) -> Option<Value> {
    let response = tree.get("methodResponse")?;
    if let Some(fault) = response.get("fault") {
        return Some(serde_json::json!({ "fault": rpc_plain(fault.get("value")?)? }));
    }
    rpc_plain(response.get("params")?.get("param")?.get("value")?)
}

fn rpc_plain(value: &Value) -> Option<Value> {
    let Some(object) = value.as_object() else { return Some(value.clone()) };
    let (kind, inner) = object.iter().next()?;
    let text = inner.as_str().unwrap_or_default();
    Some(match kind.as_str() {
        "boolean" => (text == "1").into(),
        "int" | "i4" | "i8" => text.parse::<i64>().ok()?.into(),
        "double" => text.parse::<f64>().ok()?.into(),
        "nil" => Value::Null,
        "array" => listed(inner.get("data").and_then(|data| data.get("value"))).map(rpc_plain).collect::<Option<Value>>()?,
        "struct" => {
            let members = listed(inner.get("member"));
            let member = |member: &Value| Some((member.get("name")?.as_str()?.to_owned(), rpc_plain(member.get("value")?)?));
            Value::Object(members.map(member).collect::<Option<Map<_, _>>>()?)
        }
        _ => inner.clone(),
    })
}

/// What is there once, several times or not at all.
fn listed(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    match value {
        None => [].iter(),
        Some(Value::Array(list)) => list.iter(),
        Some(one) => std::slice::from_ref(one).iter(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn elements_attributes_and_lists() {
        let document = br#"<?xml version="1.0"?><!DOCTYPE a><s:a xmlns:s="urn:x"><r id="7">x &amp; &#228;</r><r id="8"/>
            <s:one s:type="y"><![CDATA[<b>]]></s:one><empty/></s:a>"#;
        let expected = json!({"a": {"r": [{"id": "7", "text": "x & ä"}, {"id": "8"}], "one": "<b>", "empty": ""}});
        assert_eq!(tree(document).unwrap(), expected);
        for wrong in ["", "text", "<a>", "<a></b>", "<a/><b/>", "<a>&evil;</a>", &"<a>".repeat(100)] {
            assert!(tree(wrong.as_bytes()).is_none(), "{wrong}");
        }
    }

    #[test]
    fn remote_procedures() {
        let value = json!({"n": 1, "t": "a<b", "l": [true, {"x": "y"}], "none": []});
        let call = rpc_call("domain.list", std::slice::from_ref(&value));
        assert!(call.contains("<methodName>domain.list</methodName>") && call.contains("a&lt;b"), "{call}");
        let answer = call.replace("methodCall", "methodResponse").replace("<methodName>domain.list</methodName>", "");
        assert_eq!(rpc_answer(&tree(answer.as_bytes()).unwrap()).unwrap(), value);
        let fault = "<methodResponse><fault><value><struct><member><name>faultCode</name><value><int>4</int></value></member>\
                     </struct></value></fault></methodResponse>";
        assert_eq!(rpc_answer(&tree(fault.as_bytes()).unwrap()).unwrap(), json!({"fault": {"faultCode": 4}}));
    }

    proptest::proptest! {
        #[test]
        fn any_octets_can_be_read(body in "(<[a-c]>|</[a-c]>|&[a-z]{1,4};|[a-z<>&;\"' ]){0,24}") {
            if let Some(tree) = tree(body.as_bytes()) {
                rpc_answer(&tree);
            }
        }
    }
}
