//! Lists and single certificates, over HTTP.
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::load::answers_per_second;
use crate::median;
use crate::service::Service;
use crate::throughput::Bare;

const PAGE_SIZE: usize = 100;
/// Pages of each place and order, each asked for once: an answer is remembered.
const PAGES: usize = 5;
const ORDERS: [&str; 5] = ["expiration", "id", "issue_to", "name", "type"];
/// How many entries are asked for where not all are.
const SOME: usize = 10_000;
/// Rounds of both sides, the first of which only warms up, and how long each is asked in a round.
const ROUNDS: usize = 5;
const TIME: Duration = Duration::from_secs(2);

/// The slowest middle time of an order of a list, in milliseconds.
#[derive(Default)]
pub(crate) struct Slowest {
    pub(crate) milliseconds: f64,
    order: String,
}

impl fmt::Display for Slowest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} ({})", self.milliseconds, self.order)
    }
}

impl Slowest {
    fn take(&mut self, milliseconds: f64, order: &str) {
        if milliseconds > self.milliseconds {
            *self = Slowest { milliseconds, order: order.to_owned() };
        }
    }
}

/// Pages of the list at the beginning of an order, in its middle, and at its end.
#[derive(Default)]
pub(crate) struct Lists {
    pub(crate) first: Slowest,
    pub(crate) middle: Slowest,
    pub(crate) last: Slowest,
    /// The slowest single answer.
    pub(crate) slowest: Slowest,
}

/// Asks for pages of every order; the last ones end with the last but one, which is page 9,999 of a million.
pub(crate) async fn lists(service: &Service, count: usize) -> Lists {
    let pages = count / PAGE_SIZE;
    let mut lists = Lists::default();
    for sort_by in ORDERS {
        for (order_by, kind) in [("asc", ""), ("desc", ""), ("asc", "&type=server"), ("desc", "&type=server")] {
            let order = format!("{sort_by} {order_by}{}", if kind.is_empty() { "" } else { ", one type" });
            for (slowest, from) in
                [(&mut lists.first, 1), (&mut lists.middle, pages / 2 + 1 - PAGES), (&mut lists.last, pages - PAGES)]
            {
                let mut times = Vec::new();
                for page in from..from + PAGES {
                    let query = format!("&page={page}&page_size={PAGE_SIZE}&sort_by={sort_by}&order_by={order_by}{kind}");
                    let began = Instant::now();
                    let answer = service.get("certificate/list", &query).await;
                    let took = began.elapsed().as_secs_f64() * 1000.0;
                    assert_eq!(answer.matches(r#""issue_to":"#).count(), PAGE_SIZE, "{query}");
                    lists.slowest.take(took, &order);
                    times.push(took);
                }
                slowest.take(median(times), &order);
            }
        }
    }
    lists
}

/// Answers of both sides in one run.
pub(crate) struct Rate {
    pub(crate) asked: String,
    pub(crate) ours: f64,
    pub(crate) bare: f64,
    pub(crate) ratio: f64,
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} | {:.0} | {:.0} | {:.2}", self.asked, self.ours, self.bare, self.ratio)
    }
}

/// `certificate/get` beside the bare handler: of some entries, and of all of them at random.
pub(crate) async fn gets(service: &Service, count: usize) -> Vec<Rate> {
    let bare = Bare::start(&service.get("certificate/get", "&id=1").await);
    let mut rates = Vec::new();
    let some = count.min(SOME);
    let mut sets = vec![(some, format!("{some} of them"))];
    if count > SOME {
        sets.push((count, "all of them".to_owned()));
    }
    for (asked_for, asked) in sets {
        let step = count / asked_for;
        let path = |n: usize| service.path("certificate/get", &format!("&id={}", n * step + 1));
        let paths: Arc<Vec<String>> = Arc::new((0..asked_for).map(path).collect());
        let mut rounds = Vec::new();
        for round in 0..ROUNDS {
            let ours = answers_per_second(service.address(), Arc::clone(&paths), TIME).await;
            let theirs = answers_per_second(bare.address, Arc::clone(&paths), TIME).await;
            if round > 0 {
                rounds.push((ours, theirs));
            }
        }
        let middle = |pick: fn(&(f64, f64)) -> f64| median(rounds.iter().map(pick).collect());
        let (ours, bare) = (middle(|round| round.0), middle(|round| round.1));
        rates.push(Rate { asked, ours, bare, ratio: middle(|round| round.0 / round.1) });
    }
    rates
}
