//! What comes along with an answer's body: status, headers, cookies, links.
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, LINK, SET_COOKIE};
use serde_json::{Map, Value, json};

/// Status, headers by their names in lower case, cookies, and links by what they lead to, for expressions.
pub(super) fn seen(status: StatusCode, headers: &HeaderMap) -> Value {
    let texts = |name| headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    let plain: Map<String, Value> =
        headers.iter().filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.into()))).collect();
    let cookies: Map<String, Value> = texts(SET_COOKIE)
        .filter_map(|cookie| cookie.split(';').next()?.split_once('='))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().into()))
        .collect();
    let links: Map<String, Value> = texts(LINK).flat_map(|text| text.split(',')).filter_map(link).collect();
    json!({ "status": status.as_u16(), "headers": plain, "cookies": cookies, "link": links })
}

/// One link (RFC 8288 §3): what it leads to, and its address.
fn link(text: &str) -> Option<(String, Value)> {
    let (address, rest) = text.trim().strip_prefix('<')?.split_once('>')?;
    let rel = rest.split(';').find_map(|part| part.trim().strip_prefix("rel="))?;
    Some((rel.trim_matches('"').to_owned(), address.into()))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn links_and_cookies() {
        let headers = HeaderMap::from_iter([
            (LINK, HeaderValue::from_static("</z?p=2>; rel=\"next\", </z?p=9>; rel=last")),
            (SET_COOKIE, HeaderValue::from_static("sid=a=b; Path=/; HttpOnly")),
        ]);
        let seen = seen(StatusCode::OK, &headers);
        assert_eq!(seen["link"], json!({"next": "/z?p=2", "last": "/z?p=9"}));
        assert_eq!(seen["cookies"], json!({"sid": "a=b"}));
        assert_eq!(seen["status"], 200);
    }
}
