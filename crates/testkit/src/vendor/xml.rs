//! XML as plain values, and XML-RPC both ways.
use quick_xml::Reader;
use quick_xml::escape::escape;
use quick_xml::events::Event;
use serde_json::{Map, Value, json};

/// A document as `{"Root": …}`: an element is its text, or an object of its children; several of one name are a list.
/// Prefixes of names are left off; attributes are `@name`, and the text beside them `#text`.
pub(super) fn read(text: &str) -> Option<Value> {
    let mut reader = Reader::from_str(text);
    let mut open: Vec<(String, Map<String, Value>, String)> = vec![(String::new(), Map::new(), String::new())];
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => open.push((start.local_name().as_ref().to_owned(), attributes(&start), String::new())),
            Event::Empty(start) => {
                let name = start.local_name().as_ref().to_owned();
                put(&mut open.last_mut()?.1, name, close(attributes(&start), String::new()));
            }
            Event::End(_) => {
                let (name, children, text) = open.pop()?;
                put(&mut open.last_mut()?.1, name, close(children, text));
            }
            Event::Text(part) => open.last_mut()?.2.push_str(&part.xml10_content()),
            Event::CData(part) => open.last_mut()?.2.push_str(&part.xml10_content()),
            Event::GeneralRef(name) => {
                let c = match name.resolve_char_ref().ok()? {
                    Some(c) => c.to_string(),
                    None => quick_xml::escape::resolve_xml_entity(&name)?.to_owned(),
                };
                open.last_mut()?.2.push_str(&c);
            }
            Event::Eof => break,
            _ => (),
        }
    }
    let (_, root, _) = open.pop()?;
    (open.is_empty() && root.len() == 1).then_some(Value::Object(root))
}

fn attributes(start: &quick_xml::events::BytesStart<'_>) -> Map<String, Value> {
    let attributes = start.attributes().flatten().filter(|a| !a.key.as_ref().starts_with("xmlns"));
    attributes.map(|a| (format!("@{}", a.key.local_name().as_ref()), a.value.as_ref().into())).collect()
}

fn close(mut children: Map<String, Value>, text: String) -> Value {
    if children.keys().all(|key| key.starts_with('@')) {
        if children.is_empty() {
            return text.into();
        }
        children.insert("#text".to_owned(), text.into());
    }
    children.into()
}

fn put(into: &mut Map<String, Value>, name: String, value: Value) {
    match into.get_mut(&name) {
        None => drop(into.insert(name, value)),
        Some(Value::Array(list)) => list.push(value),
        Some(one) => *one = json!([one.take(), value]),
    }
}

/// A call of XML-RPC as `{"method": …, "params": […]}`.
pub(super) fn read_call(text: &str) -> Option<Value> {
    let document = read(text)?;
    let call = document.get("methodCall")?;
    let params = children(call.get("params"), "param").into_iter().filter_map(|param| plain(param.get("value")?)).collect();
    Some(json!({ "method": call.get("methodName")?, "params": Value::Array(params) }))
}

/// The children of one name, be there none, one or many.
fn children<'a>(of: Option<&'a Value>, name: &str) -> Vec<&'a Value> {
    match of.and_then(|of| of.get(name)) {
        None => Vec::new(),
        Some(Value::Array(list)) => list.iter().collect(),
        Some(one) => vec![one],
    }
}

fn plain(value: &Value) -> Option<Value> {
    let Some(fields) = value.as_object() else { return Some(value.clone()) };
    let (kind, inner) = fields.iter().next()?;
    let text = inner.as_str().unwrap_or_default();
    Some(match kind.as_str() {
        "int" | "i4" | "i8" => text.trim().parse::<i64>().ok()?.into(),
        "double" => text.trim().parse::<f64>().ok()?.into(),
        "boolean" => (text.trim() == "1").into(),
        "nil" => Value::Null,
        "array" => children(inner.get("data"), "value").into_iter().filter_map(plain).collect(),
        "struct" => children(Some(inner), "member")
            .into_iter()
            .filter_map(|member| Some((member.get("name")?.as_str()?.to_owned(), plain(member.get("value")?)?)))
            .collect::<Map<_, _>>()
            .into(),
        _ => text.into(),
    })
}

/// An answer of XML-RPC; `{"faultCode": …, "faultString": …}` is a fault.
pub(super) fn write_answer(value: &Value) -> String {
    let inner = written(value);
    let inner = if value.get("faultCode").is_some() {
        format!("<fault>{inner}</fault>")
    } else {
        format!("<params><param>{inner}</param></params>")
    };
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<methodResponse>{inner}</methodResponse>\n")
}

fn written(value: &Value) -> String {
    let inner = match value {
        Value::Null => "<nil/>".to_owned(),
        Value::Bool(b) => format!("<boolean>{}</boolean>", u8::from(*b)),
        Value::Number(n) if n.is_f64() => format!("<double>{n}</double>"),
        Value::Number(n) => format!("<int>{n}</int>"),
        Value::String(text) => format!("<string>{}</string>", escape(text.as_str())),
        Value::Array(list) => format!("<array><data>{}</data></array>", list.iter().map(written).collect::<String>()),
        Value::Object(fields) => {
            let member =
                |(name, value)| format!("<member><name>{}</name>{}</member>", escape(String::as_str(name)), written(value));
            format!("<struct>{}</struct>", fields.iter().map(member).collect::<String>())
        }
    };
    format!("<value>{inner}</value>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_plain_values() {
        let text = "<?xml version=\"1.0\"?><s:Root xmlns:s=\"urn:x\"><a>1</a><a>2 &amp; 3</a><b k=\"v\"/><c/></s:Root>";
        assert_eq!(read(text), Some(json!({"Root": {"a": ["1", "2 & 3"], "b": {"@k": "v", "#text": ""}, "c": ""}})));
        assert_eq!(read("<a><b></a>"), None);
    }

    #[test]
    fn calls_are_read_and_answers_written() {
        let call = "<methodCall><methodName>add</methodName><params><param><value><string>k</string></value></param>\
            <param><value><struct><member><name>ttl</name><value><int>60</int></value></member></struct></value></param>\
            <param><value><array><data><value><boolean>1</boolean></value></data></array></value></param></params></methodCall>";
        assert_eq!(read_call(call), Some(json!({"method": "add", "params": ["k", {"ttl": 60}, [true]]})));
        assert!(write_answer(&json!({"faultCode": 1})).contains("<fault><value><struct>"));
        let answer = write_answer(&json!(["a<b"]));
        assert!(answer.contains("<array><data><value><string>a&lt;b</string></value></data></array>"), "{answer}");
    }
}
