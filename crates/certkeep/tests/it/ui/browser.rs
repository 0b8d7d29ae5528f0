//! A browser without script: keeps its cookie, follows nothing by itself.
use axum::body::Body;
use certkeep_core::people::Role;
use certkeep_engine::acting::Acting;
use http::header::{COOKIE, LOCATION, SET_COOKIE};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use secrecy::{ExposeSecret, SecretString};

use crate::call::HERE;
use crate::house::House;

pub(super) const PASSWORD: &str = "a password of theirs";

/// An answer.
pub(super) struct Page {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Page {
    /// Where it leads.
    pub(super) fn leads_to(&self) -> &str {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.text);
        self.headers[LOCATION].to_str().unwrap()
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// Somebody at a browser.
pub(super) struct Browser<'a> {
    house: &'a House,
    pub(super) cookie: String,
    pub(super) csrf: String,
    pub(super) acting: Acting,
}

pub(super) async fn ask(house: &House, request: Request<Body>) -> Page {
    let (head, body) = house.front().answer(HERE, request).await.into_parts();
    let octets = body.collect().await.unwrap().to_bytes();
    Page { status: head.status, headers: head.headers, text: String::from_utf8_lossy(&octets).into_owned() }
}

pub(super) fn fields(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

pub(super) fn posted(path: &str, cookie: &str, body: String) -> Request<Body> {
    let request = Request::builder().method(Method::POST).uri(path).header("host", "certkeep.example");
    let request = request.header("content-type", "application/x-www-form-urlencoded").header(COOKIE, cookie);
    request.body(Body::from(body)).unwrap()
}

impl<'a> Browser<'a> {
    /// Makes the first user, an admin, through the page.
    pub(super) async fn first(house: &'a House) -> Browser<'a> {
        let token = house.engine.setup_token().await.unwrap().unwrap();
        let form = [("token", token.expose_secret()), ("name", "anna"), ("password", PASSWORD)];
        Browser::of(house, ask(house, posted("/setup", "", fields(&form))).await).await
    }

    /// Somebody of this role, whom an admin adds, logged in through the page.
    pub(super) async fn with_role(&self, name: &str, role: Role) -> Browser<'a> {
        self.acting.add_user(name, role, &SecretString::from(PASSWORD)).await.unwrap();
        let form = fields(&[("name", name), ("password", PASSWORD)]);
        Browser::of(self.house, ask(self.house, posted("/login", "", form)).await).await
    }

    async fn of(house: &'a House, welcome: Page) -> Browser<'a> {
        assert_eq!(welcome.leads_to(), "/");
        let cookie = welcome.headers[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
        let session = cookie.split_once('=').unwrap().1;
        let identity = house.engine.browser(session).await.unwrap();
        let csrf = certkeep_engine::people::csrf_token(session).expose_secret().to_owned();
        Browser { house, csrf, acting: house.engine.acting_as(&identity, HERE), cookie }
    }

    pub(super) async fn get(&self, path: &str) -> Page {
        let request = Request::builder().uri(path).header(COOKIE, &self.cookie).header("host", "certkeep.example");
        ask(self.house, request.body(Body::empty()).unwrap()).await
    }

    pub(super) async fn post(&self, path: &str, form: &[(&str, &str)]) -> Page {
        let mut all = vec![("csrf", self.csrf.as_str())];
        all.extend_from_slice(form);
        ask(self.house, posted(path, &self.cookie, fields(&all))).await
    }

    /// Posts a form with a file.
    pub(super) async fn send(&self, path: &str, form: &[(&str, &str)], name: &str, content: &str) -> Page {
        let mut body = String::new();
        for (field, value) in form.iter().chain([&("csrf", self.csrf.as_str())]) {
            body.push_str(&format!("--edge\r\nContent-Disposition: form-data; name=\"{field}\"\r\n\r\n{value}\r\n"));
        }
        let head = format!("--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n");
        body.push_str(&format!("{head}{content}\r\n--edge--\r\n"));
        let request = Request::builder().method(Method::POST).uri(path).header("host", "certkeep.example");
        let request = request.header("content-type", "multipart/form-data; boundary=edge").header(COOKIE, &self.cookie);
        ask(self.house, request.body(Body::from(body)).unwrap()).await
    }

    /// Every page that links lead to, from the first one on.
    pub(super) async fn crawl(&self) -> Vec<(String, Page)> {
        let mut known = vec!["/".to_owned()];
        let mut seen = Vec::new();
        while let Some(path) = known.get(seen.len()).cloned() {
            let page = self.get(&path).await;
            for link in page.text.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
                let link = link.replace("&amp;", "&");
                // Of the providers' pages, which are alike, one is enough; sorting shows the same rows.
                if link.starts_with('/') && !link.contains("sort=") && !known.contains(&link) {
                    known.push(link);
                }
            }
            seen.push((path, page));
        }
        seen
    }
}
