//! How everything grows with the inventory, from a thousand certificates to a million, in both databases.
mod picture;
mod reading;

use std::num::NonZeroU32;
use std::path::Path;

use certkeep_core::schedule::Pace;
use jiff::SignedDuration;

use crate::home::Home;
use crate::inventory;
use crate::median;
use crate::service::Service;

/// Sizes of the inventory.
const SIZES: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];
/// Starts of which the middle one counts.
const STARTS: usize = 5;
/// Looks for due work, of each kind.
const LOOKS: usize = 51;
/// As the job loop asks.
const BATCH: u32 = 64;
const CONCURRENCY: u32 = 16;

/// What was measured of one inventory. Times are in milliseconds, memory is in MiB.
struct Measured {
    certificates: usize,
    database: &'static str,
    filled: f64,
    ready: f64,
    memory: f64,
    memory_used: f64,
    nothing_due: f64,
    one_due: f64,
    many_due: f64,
    list: reading::Lists,
    get: Vec<reading::Rate>,
}

/// Measures up to a size of the inventory; writes the picture when all sizes were measured.
pub(crate) async fn measure(certkeep: &Path, largest: usize) {
    let mut all = Vec::new();
    for count in SIZES.into_iter().filter(|count| *count <= largest) {
        for home in [Home::sqlite(), Home::postgres().await] {
            eprintln!("{count} certificates in {}", home.database());
            all.push(measure_one(certkeep, &home, count).await);
        }
    }
    print(&all);
    if largest >= *SIZES.last().expect("a size") {
        let path = Path::new("docs/pictures/growth.svg");
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("docs is there");
        std::fs::write(path, picture::draw(&all)).expect("written");
    }
}

async fn measure_one(certkeep: &Path, home: &Home, count: usize) -> Measured {
    let client = home.add_client(certkeep);
    let store = home.store().await;
    let (filled, dates) = inventory::fill(&store, count, 0).await;
    store.close().await;
    home.settle();

    let mut ready = Vec::new();
    for _ in 0..STARTS {
        ready.push(Service::start(certkeep, &home.folder(), None).ready_after.as_secs_f64() * 1000.0);
    }
    let mut service = Service::start(certkeep, &home.folder(), None);
    // Memory is read when the start has settled.
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let memory = service.memory();
    service.login(&client).await;
    let list = reading::lists(&service, count).await;
    let get = reading::gets(&service, count).await;
    let memory_used = service.memory();
    drop(service);

    let [nothing_due, one_due, many_due] = picking(home, count, dates).await;
    Measured {
        certificates: count,
        database: home.database(),
        filled: filled.as_secs_f64() * 1000.0,
        ready: median(ready),
        memory,
        memory_used,
        nothing_due,
        one_due,
        many_due,
        list,
        get,
    }
}

/// Picks due work as the job loop does, through the store, when nothing is due, when one renewal is, and when all are.
async fn picking(home: &Home, count: usize, dates: jiff::Timestamp) -> [f64; 3] {
    use certkeep_core::ports::Issuances as _;
    let store = home.store().await;
    // So fast that a look may begin a batch.
    let pace = Pace { per_minute: NonZeroU32::new(60_000).expect("some") };
    let look = async |now: jiff::Timestamp, due: bool| {
        let began = std::time::Instant::now();
        let begun = store.start_due(now, BATCH, pace).await.expect("the store answers");
        let leases = store.lease(now, now + SignedDuration::from_hours(24 * 100), CONCURRENCY).await.expect("the store answers");
        let took = began.elapsed().as_secs_f64() * 1000.0;
        assert_eq!(due, begun > 0, "{begun} began at {now}");
        assert_eq!(due, !leases.is_empty(), "what began is leased");
        took
    };
    let due_at =
        |place| dates + inventory::FIRST_DUE + SignedDuration::try_from(inventory::due_after(place, count)).expect("a span");
    // In the first minutes of an hour no renewal begins.
    let quiet = |at: &jiff::Timestamp| at.as_second() % 3600 >= 120;
    let (mut nothing, mut one, mut many) = (Vec::new(), Vec::new(), Vec::new());
    for due in (0..).map(due_at).filter(quiet).take(LOOKS) {
        // What is leased is not due again meanwhile.
        nothing.push(look(dates, false).await);
        one.push(look(due, true).await);
    }
    let last = due_at(count - 1) + if quiet(&due_at(count - 1)) { SignedDuration::ZERO } else { SignedDuration::from_mins(2) };
    for second in 0..7 {
        many.push(look(last + SignedDuration::from_secs(second), true).await);
    }
    store.close().await;
    [median(nothing), median(one), median(many)]
}

fn print(all: &[Measured]) {
    println!(
        "\n| certificates | database | ready, ms | MiB after the start | MiB after use | nothing due, ms | one due, ms | {BATCH} due, ms |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for row in all {
        println!(
            "| {} | {} | {:.0} | {:.1} | {:.1} | {:.2} | {:.2} | {:.1} |",
            row.certificates, row.database, row.ready, row.memory, row.memory_used, row.nothing_due, row.one_due, row.many_due
        );
    }
    println!(
        "\n| certificates | database | list: first pages, ms | middle pages, ms | last pages, ms | the slowest of all, ms | filled, s |"
    );
    println!("|---|---|---|---|---|---|---|");
    for row in all {
        let list = &row.list;
        println!(
            "| {} | {} | {} | {} | {} | {} | {:.0} |",
            row.certificates,
            row.database,
            list.first,
            list.middle,
            list.last,
            list.slowest,
            row.filled / 1000.0
        );
    }
    println!("\n| certificates | database | asked for | certkeep, answers/s | bare axum handler, answers/s | ratio |");
    println!("|---|---|---|---|---|---|");
    for row in all {
        for rate in &row.get {
            println!("| {} | {} | {} |", row.certificates, row.database, rate);
        }
    }
}
