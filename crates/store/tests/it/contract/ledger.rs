use std::sync::Arc;

use certkeep_core::issuance::Lease;
use certkeep_core::ledger::{Act, Asked, Counted, Event, Limit, Standing};
use certkeep_core::name::DnsName;
use certkeep_core::ports::{Outcome, Question, RenewalState, Store, Told, Version};
use certkeep_core::renewal_info::{Choice, Window};

use crate::fixtures::{FAST, at, leased, minutes, version};

const CA: &str = "https://ca.test/directory";
const FIVE_AN_HOUR: &[Limit] = &[Limit::per_hours(Counted::Orders, 5, 1)];

fn names() -> Vec<DnsName> {
    vec!["a.example.com".parse().unwrap()]
}

async fn order(store: &Arc<dyn Store>, ca: &str) -> bool {
    let (names, account, standing) = (names(), "account", Standing::NEW);
    let asked = Asked { act: Act::Order { account, names: &names, standing }, overridden: false };
    let event = Event::Ordered { account, standing };
    store.spend_if_free(ca, FIVE_AN_HOUR, &asked, &event, at(0)).await.unwrap().is_none()
}

pub(crate) async fn no_more_is_spent_than_there_is(store: Arc<dyn Store>) {
    let orders = futures::future::join_all((0..9).map(|_| order(&store, CA))).await;
    // Each CA counts for itself.
    let mut one_by_one = 0;
    for _ in 0..9 {
        one_by_one += usize::from(order(&store, "https://other.test/directory").await);
    }
    assert!((1..=5).contains(&one_by_one));
    assert_eq!(orders.iter().filter(|placed| **placed).count(), one_by_one);
    let spent = store.spendings(CA).await.unwrap();
    assert_eq!((spent.len(), spent[0].bucket.counted, spent[0].bucket.key.as_str()), (1, Counted::Orders, "account"));
}

pub(crate) async fn what_says_nothing_any_more_is_swept(store: Arc<dyn Store>) {
    assert!(order(&store, CA).await);
    assert_eq!(store.sweep_spendings(at(0)).await.unwrap(), 0);
    let full = store.spendings(CA).await.unwrap()[0].full_at;
    assert_eq!(store.sweep_spendings(full + minutes(1)).await.unwrap(), 1);
    assert!(store.spendings(CA).await.unwrap().is_empty());
}

pub(crate) async fn a_wait_is_kept_until_it_ends(store: Arc<dyn Store>) {
    let (names, until) = (names(), at(7200));
    let told = Event::ToldToWait { account: "account", name: Some(&names[0]), until };
    store.spend(CA, &[], &[told], at(0)).await.unwrap();
    assert!(!order(&store, CA).await);
    assert_eq!(store.spendings(CA).await.unwrap()[0].full_at, until);
}

pub(crate) async fn what_happened_together_is_counted_together(store: Arc<dyn Store>) {
    const LIMITS: &[Limit] = &[Limit::per_hours(Counted::FailedAuthorizations, 5, 1)];
    let (a, b): (DnsName, DnsName) = ("a.example.com".parse().unwrap(), "b.example.com".parse().unwrap());
    let failed = |name| Event::AuthorizationFailed { account: "account", name };
    store.spend(CA, LIMITS, &[failed(&a), failed(&b), failed(&a)], at(0)).await.unwrap();
    let spent = store.spendings(CA).await.unwrap();
    // Of the same name the second is counted on top of the first.
    let full: Vec<_> = spent.iter().map(|spending| spending.full_at).collect();
    assert_eq!(full, [at(0).saturating_add(minutes(24)).unwrap(), at(0).saturating_add(minutes(12)).unwrap()], "{spent:?}");
}

fn issued_by(directory: Option<&str>) -> Outcome {
    let version = Version { directory: directory.map(str::to_owned), ..version("a.example.com", at(9000)) };
    Outcome::Issued(Box::new(version), at(6000))
}

async fn finish(store: &Arc<dyn Store>, lease: &Lease, outcome: &Outcome) {
    store.finish(&lease.issuance, lease.fence, outcome).await.unwrap();
}

async fn question(store: &Arc<dyn Store>) -> Question {
    let mut questions = store.questions(at(1), at(600), 10).await.unwrap();
    assert_eq!(questions.len(), 1);
    questions.remove(0)
}

fn told(start: i64, end: i64, renew: i64) -> Told {
    let window = Window::new(at(start), at(end)).unwrap();
    Told { choice: Some(Choice { window, at: at(renew) }), explanation_url: None, ask_at: at(4000) }
}

pub(crate) async fn the_ca_that_issued_is_asked_and_nobody_else(store: Arc<dyn Store>) {
    let (nobody, lease) = leased(&store, "a.pem").await;
    finish(&store, &lease, &issued_by(None)).await;
    assert!(store.questions(at(1), at(600), 10).await.unwrap().is_empty());
    assert_eq!(store.renewal_state(nobody).await.unwrap().ask_at, None);
    let (id, lease) = leased(&store, "b.pem").await;
    finish(&store, &lease, &issued_by(Some(CA))).await;
    let asked = question(&store).await;
    assert_eq!((asked.certificate, asked.directory.as_str(), asked.kept), (id, CA, None));
    assert_eq!(asked.validity.not_after, at(9000));
    assert_eq!(store.current_version(id).await.unwrap().unwrap().directory.as_deref(), Some(CA));
    assert!(store.questions(at(599), at(600), 10).await.unwrap().is_empty(), "somebody is asking");
    assert_eq!(store.questions(at(600), at(900), 10).await.unwrap().len(), 1);
}

pub(crate) async fn the_instant_that_was_chosen_begins_the_next_issuance(store: Arc<dyn Store>) {
    let (id, lease) = leased(&store, "a.pem").await;
    finish(&store, &lease, &issued_by(Some(CA))).await;
    let asked = question(&store).await;
    let why = Some("https://ca.example/why".to_owned());
    store.answered(&asked, &Told { explanation_url: why.clone(), ..told(5000, 5500, 5200) }).await.unwrap();
    assert_eq!(store.next_due().await.unwrap(), Some(at(4000)), "asked again before");
    let kept = RenewalState {
        next_issuance: Some(at(5200)),
        choice: told(5000, 5500, 5200).choice,
        explanation_url: why,
        ask_at: Some(at(4000)),
    };
    assert_eq!(store.renewal_state(id).await.unwrap(), kept);
    let again = store.questions(at(4000), at(8000), 10).await.unwrap().remove(0);
    assert_eq!(again.kept, told(5000, 5500, 5200).choice);
    let nothing = Told { choice: None, explanation_url: None, ask_at: at(8000) };
    store.answered(&again, &nothing).await.unwrap();
    assert_eq!(store.renewal_state(id).await.unwrap(), RenewalState { ask_at: Some(at(8000)), ..kept });
    assert_eq!(store.start_due(at(5199), 10, FAST).await.unwrap(), 0);
    assert_eq!(store.start_due(at(5200), 10, FAST).await.unwrap(), 1, "an answer without a window leaves what was chosen");
}

pub(crate) async fn an_answer_about_what_is_no_longer_held_is_dropped(store: Arc<dyn Store>) {
    let (_, lease) = leased(&store, "a.pem").await;
    finish(&store, &lease, &issued_by(Some(CA))).await;
    let asked = Question { version: question(&store).await.version + 1, ..question_again(&store).await };
    store.answered(&asked, &told(10, 20, 15)).await.unwrap();
    assert_eq!(store.start_due(at(5999), 10, FAST).await.unwrap(), 0);
}

async fn question_again(store: &Arc<dyn Store>) -> Question {
    store.questions(at(600), at(900), 10).await.unwrap().remove(0)
}

pub(crate) async fn an_answer_does_not_put_off_what_was_asked_for(store: Arc<dyn Store>) {
    let (id, lease) = leased(&store, "a.pem").await;
    finish(&store, &lease, &issued_by(Some(CA))).await;
    let asked = question(&store).await;
    let change = certkeep_core::ports::Change { next_issuance: Some(Some(at(2))), ..Default::default() };
    store.change(id, &change, at(2)).await.unwrap();
    store.answered(&asked, &told(5000, 5500, 5200)).await.unwrap();
    assert_eq!(store.start_due(at(2), 10, FAST).await.unwrap(), 1);
}
