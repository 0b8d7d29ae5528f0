use std::sync::Arc;

use certkeep_core::certificate::Kind;
use certkeep_core::ports::{Store, Upload};
use secrecy::{ExposeSecret, SecretSlice};

use crate::fixtures::at;

fn upload(kind: Kind, content: &[u8], password: Option<&str>, second: i64) -> Upload {
    Upload {
        kind,
        name: "a.pem".into(),
        content: SecretSlice::from(content.to_vec()),
        password: password.map(Into::into),
        kept: at(second),
    }
}

async fn content(store: &Arc<dyn Store>, kind: Kind, since: i64) -> Option<Vec<u8>> {
    let found = store.upload(kind, "a.pem", at(since)).await.unwrap()?;
    Some(found.content.expose_secret().to_vec())
}

pub(crate) async fn an_upload_is_read_back(store: Arc<dyn Store>) {
    assert!(store.keep_upload(&upload(Kind::Server, &[0, 255, 7], Some("pä ss"), 10), 10).await.unwrap());
    let found = store.upload(Kind::Server, "a.pem", at(0)).await.unwrap().unwrap();
    assert_eq!((found.kind, found.name.as_str(), found.kept), (Kind::Server, "a.pem", at(10)));
    assert_eq!(found.content.expose_secret(), [0, 255, 7]);
    assert_eq!(found.password.unwrap().expose_secret(), "pä ss");
    assert!(store.upload(Kind::Server, "b.pem", at(0)).await.unwrap().is_none());
}

pub(crate) async fn a_later_upload_of_the_name_replaces_the_earlier(store: Arc<dyn Store>) {
    assert!(store.keep_upload(&upload(Kind::Server, b"first", Some("password"), 10), 10).await.unwrap());
    assert!(store.keep_upload(&upload(Kind::Server, b"second", None, 20), 10).await.unwrap());
    let found = store.upload(Kind::Server, "a.pem", at(15)).await.unwrap().unwrap();
    assert_eq!(found.content.expose_secret(), b"second");
    assert!(found.password.is_none());
}

pub(crate) async fn kinds_are_apart(store: Arc<dyn Store>) {
    assert!(store.keep_upload(&upload(Kind::Server, b"server", None, 10), 10).await.unwrap());
    assert!(store.keep_upload(&upload(Kind::Trusted, b"trusted", None, 10), 10).await.unwrap());
    assert_eq!(content(&store, Kind::Server, 0).await.unwrap(), b"server");
    assert_eq!(content(&store, Kind::Trusted, 0).await.unwrap(), b"trusted");
}

pub(crate) async fn an_upload_is_there_only_after_since(store: Arc<dyn Store>) {
    assert!(store.keep_upload(&upload(Kind::Server, b"x", None, 10), 10).await.unwrap());
    assert!(content(&store, Kind::Server, 9).await.is_some());
    assert!(content(&store, Kind::Server, 10).await.is_none());
}

pub(crate) async fn old_uploads_are_swept(store: Arc<dyn Store>) {
    assert!(store.keep_upload(&upload(Kind::Server, b"old", None, 10), 10).await.unwrap());
    assert!(store.keep_upload(&upload(Kind::Trusted, b"new", None, 20), 10).await.unwrap());
    assert_eq!(store.sweep_uploads(at(10)).await.unwrap(), 0);
    assert_eq!(store.sweep_uploads(at(20)).await.unwrap(), 1);
    assert!(content(&store, Kind::Server, 0).await.is_none());
    assert!(content(&store, Kind::Trusted, 0).await.is_some());
}

pub(crate) async fn no_more_are_kept_than_asked_for(store: Arc<dyn Store>) {
    assert!(store.keep_upload(&upload(Kind::Server, b"first", None, 10), 1).await.unwrap());
    assert!(!store.keep_upload(&upload(Kind::Trusted, b"second", None, 10), 1).await.unwrap());
    assert!(content(&store, Kind::Trusted, 0).await.is_none());
    assert!(store.keep_upload(&upload(Kind::Server, b"replaced", None, 20), 1).await.unwrap());
    assert_eq!(content(&store, Kind::Server, 0).await.unwrap(), b"replaced");
}
