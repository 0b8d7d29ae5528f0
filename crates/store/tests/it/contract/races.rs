use std::collections::HashSet;
use std::sync::Arc;

use certkeep_core::certificate::{Kind, ListQuery, SortBy};
use certkeep_core::client::{ClientRole, Digest, ROTATION_GRACE};
use certkeep_core::ports::{CreateError, NewCertificate, Opening, Rotation, Store, Upload, UsedUpload};
use secrecy::SecretSlice;
use tokio::task::JoinSet;

use super::clients::pair;
use crate::fixtures::{FAST, applied, at, trusted, uploaded};

/// Runs `count` tasks at once; answers what each said.
async fn at_once<T, F>(count: usize, task: impl Fn(usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for n in 0..count {
        tasks.spawn(task(n));
    }
    tasks.join_all().await
}

pub(crate) async fn no_issuance_is_leased_twice(store: Arc<dyn Store>) {
    for n in 0..40 {
        store.create(&applied(&format!("{n}.pem"), &format!("n{n}.example.com"), at(0))).await.unwrap();
    }
    let begun = at_once(4, |_| {
        let store = store.clone();
        async move { store.start_due(at(0), 40, FAST).await.unwrap() }
    });
    assert_eq!(begun.await.iter().sum::<u64>(), 40);
    let leased = at_once(16, |_| {
        let store = store.clone();
        async move {
            let mut ids = Vec::new();
            loop {
                let leases = store.lease(at(0), at(60), 3).await.unwrap();
                if leases.is_empty() {
                    return ids;
                }
                ids.extend(leases.iter().map(|lease| lease.issuance.id));
            }
        }
    });
    let ids: Vec<_> = leased.await.into_iter().flatten().collect();
    assert_eq!(ids.len(), 40);
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 40);
}

async fn create_at_once(store: &Arc<dyn Store>, count: usize, new: impl Fn(usize) -> NewCertificate) -> Vec<CreateError> {
    let results = at_once(count, |n| {
        let (store, new) = (store.clone(), new(n));
        async move { store.create(&new).await }
    });
    results.await.into_iter().filter_map(Result::err).collect()
}

pub(crate) async fn a_name_is_given_to_exactly_one(store: Arc<dyn Store>) {
    let refused = create_at_once(&store, 32, |_| trusted("a.pem")).await;
    assert_eq!(refused.len(), 31);
    assert!(refused.iter().all(|e| matches!(e, CreateError::NameTaken)));
}

pub(crate) async fn a_limit_holds(store: Arc<dyn Store>) {
    let refused = create_at_once(&store, 16, |n| NewCertificate { limit: Some(3), ..trusted(&format!("{n}.pem")) }).await;
    assert_eq!(refused.len(), 13);
    assert!(refused.iter().all(|e| matches!(e, CreateError::LimitReached(3))));
}

pub(crate) async fn an_upload_is_used_by_exactly_one(store: Arc<dyn Store>) {
    let content = SecretSlice::from(b"file".to_vec());
    let upload = Upload { kind: Kind::Trusted, name: "up.pem".into(), content, password: None, kept: at(0) };
    assert!(store.keep_upload(&upload, 10).await.unwrap());
    let upload = Some(UsedUpload { kind: Kind::Trusted, name: "up.pem".to_owned(), kept: at(0) });
    let refused = create_at_once(&store, 8, |n| NewCertificate { upload: upload.clone(), ..trusted(&format!("{n}.pem")) }).await;
    assert_eq!(refused.len(), 7);
    assert!(refused.iter().all(|e| matches!(e, CreateError::UploadGone)));
}

pub(crate) async fn live_sessions_never_exceed_the_limit(store: Arc<dyn Store>) {
    store.add_client("pbx", "id", Digest::of("s"), ClientRole::Admin, &[]).await.unwrap();
    let key = store.client("id").await.unwrap().unwrap().0.key;
    let opened = at_once(32, |n| {
        let store = store.clone();
        async move { store.open_session(key, &Digest::of("s"), &pair(&n.to_string(), 0), at(0), 8).await.unwrap() }
    });
    assert_eq!(opened.await.into_iter().filter(|opening| *opening == Opening::Opened).count(), 8);
}

pub(crate) async fn rotating_at_once_leaves_one_current_pair(store: Arc<dyn Store>) {
    store.add_client("pbx", "id", Digest::of("s"), ClientRole::Admin, &[]).await.unwrap();
    let key = store.client("id").await.unwrap().unwrap().0.key;
    let opening = store.open_session(key, &Digest::of("s"), &pair("first", 0), at(0), 8).await.unwrap();
    assert_eq!(opening, Opening::Opened);
    let rotated = at_once(8, |n| {
        let store = store.clone();
        async move {
            let new = pair(&n.to_string(), 10);
            let here = [192, 0, 2, 1].into();
            let rotation = store.rotate_session(&pair("first", 0).refresh, &new, here, at(10), ROTATION_GRACE, 8).await.unwrap();
            rotation == Rotation::Rotated(key)
        }
    });
    assert!(rotated.await.into_iter().all(|rotated| rotated));
    let mut live = 0;
    for n in 0..8 {
        let session = store.session(&pair(&n.to_string(), 10).access).await.unwrap().unwrap();
        live += usize::from(session.is_live(at(100)));
    }
    assert_eq!(live, 1);
}

/// A caller that goes away takes its future with it, at whatever point it had come to.
pub(crate) async fn an_aborted_call_leaves_nothing_half_done(store: Arc<dyn Store>) {
    for n in 0..200 {
        let mut call = {
            let store = store.clone();
            Box::pin(async move { store.create(&uploaded(&format!("{n}.pem"))).await })
        };
        // Polled a few times, with time for the database to answer in between, and then dropped.
        for _ in 0..n % 12 {
            if poll_once(&mut call).await {
                break;
            }
            store.epoch().await.unwrap();
        }
        drop(call);
        store.set_setting("after", &"value".into()).await.unwrap();
    }
    let query = ListQuery { page: 1, page_size: 1000, sort_by: SortBy::Id, descending: false, kind: None };
    let page = store.list(&query).await.unwrap();
    assert_eq!(page.total, page.rows.len() as u64);
    for row in page.rows {
        assert!(row.held.is_some());
        assert!(store.current_version(row.id).await.unwrap().is_some());
    }
    store.create(&uploaded("last.pem")).await.unwrap();
}

/// Polls once; answers whether the call has ended.
async fn poll_once<T>(call: &mut (impl Future<Output = T> + Unpin)) -> bool {
    std::future::poll_fn(|context| std::task::Poll::Ready(std::pin::Pin::new(&mut *call).poll(context).is_ready())).await
}
