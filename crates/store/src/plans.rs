//! The plans of the statements that have to stay cheap among a million entries, in both databases.
mod postgres;
mod sqlite;

use certkeep_core::certificate::{Kind, ListQuery, SortBy};

use crate::certificates::list::{Cut, page_statement, picking};
use crate::dialect::Dialect;
use crate::issuances::NEXT_DUE;
use crate::issuances::journal::{DUE_REMOVALS, WANTED_ELSEWHERE};
use crate::issuances::leases::{DUE, lease_of};
use crate::renewals::QUESTIONS;

/// What the job loop looks for, each with the index that it is picked by.
fn due_work(dialect: Dialect) -> [(&'static str, &'static str); 6] {
    [
        (DUE, "certificates_due"),
        (lease_of(dialect), "issuances_due"),
        (DUE_REMOVALS, "challenge_records_due"),
        (NEXT_DUE, "challenge_records_due"),
        (QUESTIONS, "certificates_to_ask"),
        (WANTED_ELSEWHERE, "challenge_records_wanted"),
    ]
}

/// A page of every order, both ways, from either end, of all entries and of one kind that is most of them.
struct Walked {
    query: ListQuery,
    picking: String,
    page: String,
}

fn walked(total: u32) -> Vec<Walked> {
    let mut all = Vec::new();
    for sort_by in [SortBy::Expiration, SortBy::Id, SortBy::IssueTo, SortBy::Name, SortBy::Type] {
        for descending in [false, true] {
            for (kind, total) in [(None, total), (Some(Kind::Server), total - total / 1000)] {
                for page in [1, total / 100] {
                    let query = ListQuery { page, page_size: 100, sort_by, descending, kind };
                    let total = i64::from(total);
                    let cut = Cut::of(&query, total).unwrap();
                    all.push(Walked { query, picking: picking(&query, cut, total), page: page_statement(&query, cut, total) });
                }
            }
        }
    }
    all
}

/// The same of a kind of which there are few.
fn few() -> Vec<(ListQuery, String)> {
    let orders = [SortBy::Expiration, SortBy::Id, SortBy::IssueTo, SortBy::Name, SortBy::Type];
    let statement = |sort_by| {
        let query = ListQuery { page: 1, page_size: 100, sort_by, descending: false, kind: Some(Kind::Trusted) };
        (query, picking(&query, Cut::of(&query, 20).unwrap(), 20))
    };
    orders.into_iter().map(statement).collect()
}

/// What every request looks for.
const HOT: [&str; 4] = [
    "SELECT * FROM certificates WHERE id = $1",
    "SELECT * FROM certificates WHERE name = $1",
    "SELECT * FROM sessions s JOIN clients c ON c.id = s.client_id WHERE s.access = $1",
    "SELECT * FROM versions WHERE id = $1",
];
