//! Cookies, headers, forms of others, and roles.
use axum::body::Body;
use certkeep_core::people::Role;
use http::header::{COOKIE, SET_COOKIE};
use http::{Request, StatusCode};

use super::browser::{Browser, PASSWORD, ask, fields, posted};
use crate::house::House;

/// Every page, with the role from which on it is shown.
const PAGES: [(&str, Role); 13] = [
    ("/", Role::Viewer),
    ("/ui/certificates", Role::Viewer),
    ("/ui/certificates/1", Role::Viewer),
    ("/ui/certificates/1/delete", Role::Operator),
    ("/ui/new", Role::Operator),
    ("/ui/new/alidns?names=a.example.com", Role::Operator),
    ("/ui/upload", Role::Operator),
    ("/ui/trusted", Role::Viewer),
    ("/ui/providers", Role::Viewer),
    ("/ui/cas", Role::Viewer),
    ("/ui/clients", Role::Admin),
    ("/ui/users", Role::Admin),
    ("/ui/audit", Role::Admin),
];

/// A path, a form, and the role that may.
struct Deed(&'static str, &'static [(&'static str, &'static str)], Role);

/// What changes or tells a secret, with the role from which on it is done.
const DEEDS: [Deed; 7] = [
    Deed("/ui/certificates/1/renew", &[], Role::Operator),
    Deed("/ui/certificates/1/key", &[], Role::Operator),
    Deed("/ui/certificates/1/access", &[], Role::Operator),
    Deed("/ui/certificates/1/delete", &[], Role::Operator),
    Deed("/ui/new/alidns", &[("names", "b.example.com"), ("go", "apply")], Role::Operator),
    Deed("/ui/upload", &[("kind", "server")], Role::Operator),
    Deed("/ui/users", &[("go", "add"), ("name", "eve"), ("role", "admin"), ("password", PASSWORD)], Role::Admin),
];

#[tokio::test]
async fn nobody_sees_a_page_without_a_session() {
    let house = House::directly().await;
    for (path, _) in PAGES {
        let page = ask(&house, Request::builder().uri(path).body(Body::empty()).unwrap()).await;
        assert_eq!(page.leads_to(), "/login", "{path}");
    }
    for Deed(path, form, _) in DEEDS {
        assert_eq!(ask(&house, posted(path, "", fields(form))).await.leads_to(), "/login", "{path}");
    }
}

#[tokio::test]
async fn the_cookie_is_kept_from_scripts_plain_http_and_other_sites() {
    let house = House::directly().await;
    let anna = Browser::first(&house).await;
    let form = || posted("/login", "", fields(&[("name", "anna"), ("password", PASSWORD)]));
    let welcome = ask(&house, form()).await;
    let cookie = welcome.headers[SET_COOKIE].to_str().unwrap();
    assert!(cookie.starts_with("__Host-certkeep="), "{cookie}");
    for flag in ["; Path=/", "; HttpOnly", "; SameSite=Strict", "; Secure"] {
        assert!(cookie.contains(flag), "{cookie}");
    }
    let plain = house.front().plain().answer(crate::call::HERE, form()).await;
    let cookie = plain.headers()[SET_COOKIE].to_str().unwrap();
    assert!(cookie.starts_with("certkeep=") && !cookie.contains("Secure"), "{cookie}");
    let out = anna.post("/logout", &[]).await;
    assert!(out.headers[SET_COOKIE].to_str().unwrap().contains("Max-Age=0"));
    assert_eq!(anna.get("/").await.leads_to(), "/login");
}

#[tokio::test]
async fn every_page_is_guarded_and_small() {
    let house = House::directly().await;
    house.uploaded("a.pem", &["a.example.com"], 90).await;
    let anna = Browser::first(&house).await;
    let pages = anna.crawl().await;
    assert!(pages.len() > 12, "{}", pages.len());
    for (path, page) in pages.iter().filter(|(path, _)| !path.starts_with("/ui/assets/")) {
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert_eq!(page.header("cache-control"), "no-store", "{path}");
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"), "{path}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(page.header("x-frame-options"), "DENY", "{path}");
        assert_eq!(page.header("x-content-type-options"), "nosniff", "{path}");
        assert!(page.text.len() <= 60 << 10, "{path}: {}", page.text.len());
        for inline in [" style=", " onclick=", "<style", "javascript:"] {
            assert!(!page.text.contains(inline), "{path} has {inline}");
        }
        assert!(!page.text.replace("<script src=\"/ui/assets/", "").contains("<script"), "{path}");
    }
    let assets: Vec<_> = pages.iter().filter(|(path, _)| path.starts_with("/ui/assets/")).collect();
    assert_eq!(assets.len(), 2, "style and sign are linked");
    for (path, asset) in assets {
        assert_eq!(asset.header("cache-control"), "public, max-age=31536000, immutable", "{path}");
    }
}

#[tokio::test]
async fn each_role_sees_and_does_what_it_may() {
    let house = House::directly().await;
    house.uploaded("a.pem", &["a.example.com"], 90).await;
    let anna = Browser::first(&house).await;
    let viewer = anna.with_role("vera", Role::Viewer).await;
    let operator = anna.with_role("otto", Role::Operator).await;
    for (who, role) in [(&viewer, Role::Viewer), (&operator, Role::Operator), (&anna, Role::Admin)] {
        for (path, least) in PAGES {
            let wanted = if role >= least { StatusCode::OK } else { StatusCode::FORBIDDEN };
            assert_eq!(who.get(path).await.status, wanted, "{path} for {role:?}");
        }
    }
    // The least first: what is done can be done once.
    for (who, role) in [(&viewer, Role::Viewer), (&operator, Role::Operator), (&anna, Role::Admin)] {
        for Deed(path, form, least) in DEEDS {
            let done = who.post(path, form).await.status;
            assert_eq!(done == StatusCode::FORBIDDEN, role < least, "{path} for {role:?}: {done}");
        }
    }
}

#[tokio::test]
async fn a_form_of_somebody_elses_is_refused() {
    let house = House::directly().await;
    let id = house.uploaded("a.pem", &["a.example.com"], 90).await;
    let anna = Browser::first(&house).await;
    let other = anna.with_role("otto", Role::Operator).await;
    let path = format!("/ui/certificates/{id}/delete");
    let with = |csrf: &str, header: Option<(&str, &str)>| {
        let mut request = posted(&path, &anna.cookie, fields(&[("csrf", csrf)]));
        if let Some((name, value)) = header {
            request.headers_mut().insert(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        request
    };
    let refused = [
        with("", None),
        with("nonsense", None),
        with(&other.csrf, None),
        with(&anna.csrf, Some(("origin", "https://evil.example"))),
        with(&anna.csrf, Some(("origin", "null"))),
        with(&anna.csrf, Some(("sec-fetch-site", "cross-site"))),
        with(&anna.csrf, Some(("sec-fetch-site", "same-site"))),
        with("", Some(("x-csrf-token", &other.csrf))),
    ];
    for request in refused {
        let told = format!("{:?}", request.headers());
        assert_eq!(ask(&house, request).await.status, StatusCode::FORBIDDEN, "{told}");
    }
    assert_eq!(house.count().await, 1);
    let ours = with(&anna.csrf, Some(("origin", "https://certkeep.example")));
    assert_eq!(ask(&house, ours).await.leads_to(), "/ui/certificates?done=deleted");
    assert_eq!(house.count().await, 0);
}

#[tokio::test]
async fn a_login_is_not_forged_from_elsewhere() {
    let house = House::directly().await;
    Browser::first(&house).await;
    let mut request = posted("/login", "", fields(&[("name", "anna"), ("password", PASSWORD)]));
    request.headers_mut().insert("origin", "https://evil.example".parse().unwrap());
    let page = ask(&house, request).await;
    assert_eq!((page.status, page.headers.get(SET_COOKIE)), (StatusCode::FORBIDDEN, None));
}

#[tokio::test]
async fn a_failed_login_is_counted_and_told_plainly() {
    let house = House::directly().await;
    Browser::first(&house).await;
    for _ in 0..5 {
        let page = ask(&house, posted("/login", "", fields(&[("name", "anna"), ("password", "wrong")]))).await;
        assert_eq!(page.status, StatusCode::UNAUTHORIZED);
        assert!(!page.text.contains("wrong\""), "a password is not sent back");
    }
    let page = ask(&house, posted("/login", "", fields(&[("name", "anna"), ("password", PASSWORD)]))).await;
    assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(page.text.contains("Too many failed attempts"));
}

#[tokio::test]
async fn the_viewer_sees_no_secret_anywhere() {
    let house = House::directly().await;
    let planted = ["planted-key-id-51", "planted-key-secret-52", "PRIVATE KEY"];
    let anna = Browser::first(&house).await;
    let form = [("names", "a.example.com"), ("go", "apply"), ("p.AccessKeyId", planted[0]), ("p.AccessKeySecret", planted[1])];
    let issued = anna.post("/ui/new/alidns", &form).await;
    assert!(issued.leads_to().starts_with("/ui/certificates/"), "{}", issued.text);
    house.uploaded("b.pem", &["b.example.com"], 90).await;
    let viewer = anna.with_role("vera", Role::Viewer).await;
    let pages = viewer.crawl().await;
    assert!(pages.iter().any(|(path, _)| path.starts_with("/ui/certificates/")));
    for (path, page) in pages {
        assert_ne!(page.status, StatusCode::INTERNAL_SERVER_ERROR, "{path}");
        for secret in &planted[1..] {
            assert!(!page.text.contains(secret), "{path} holds {secret}");
        }
    }
    let request = Request::builder().uri("/ui/certificates/1/key").header(COOKIE, &viewer.cookie);
    assert_eq!(ask(&house, request.body(Body::empty()).unwrap()).await.status, StatusCode::NOT_FOUND);
}
