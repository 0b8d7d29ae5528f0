//! The plans of the statements that have to stay cheap among a million entries, in both databases.
mod postgres;
mod sqlite;

use certkeep_core::certificate::{Kind, ListQuery, SortBy};

use crate::certificates::list::{Cut, page_statement, picking};
use crate::dialect::Dialect;
use crate::issuances::NEXT_DUE;
use crate::issuances::journal::{DUE_REMOVALS, WANTED_ELSEWHERE};
use crate::issuances::leases::lease_of;
use crate::issuances::starting::{DUE_ENTRIES, by_turn, by_urgency, marking, without_turn};
use crate::renewals::QUESTIONS;

/// What the job loop looks for, each with the index that it is picked by, and with values: few are due, but
/// for what has become urgent, which after an outage is much.
fn due_work(dialect: Dialect) -> [(&'static str, &'static str, &'static str); 10] {
    [
        (by_urgency(dialect), "certificates_due", "(1, 100, 64)"),
        (by_turn(dialect), "certificates_by_turn", "(64)"),
        (without_turn(dialect), "certificates_due", "(100, 64)"),
        (marking(dialect), "certificates_urgent", "(20000, 64)"),
        (DUE_ENTRIES, "certificates_by_turn", "(100)"),
        (lease_of(dialect), "issuances_due", "(100, 200, 16)"),
        (DUE_REMOVALS, "challenge_records_due", "(100, 64)"),
        (NEXT_DUE, "challenge_records_due", ""),
        (QUESTIONS, "certificates_to_ask", "(100, 200, 16)"),
        (WANTED_ELSEWHERE, "challenge_records_wanted", "('a', 'b', 1, 1)"),
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
const HOT: [&str; 7] = [
    "SELECT * FROM certificates WHERE id = $1",
    "SELECT * FROM certificates WHERE name = $1",
    "SELECT * FROM sessions s JOIN clients c ON c.id = s.client_id WHERE s.access = $1",
    "SELECT * FROM versions WHERE id = $1",
    "SELECT * FROM browser_sessions s JOIN users u ON u.id = s.user_id WHERE s.token = $1",
    "SELECT * FROM api_tokens t LEFT JOIN users u ON u.id = t.owner_id WHERE t.token = $1",
    "SELECT * FROM audit WHERE sequence < $1 ORDER BY sequence DESC LIMIT 100",
];
