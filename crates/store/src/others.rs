//! Other nodes on the same database: they are nudged when something changed, and all of them go by the database's time.
//!
//! A nudge may be lost, and an engine that speaks PostgreSQL's protocol may have none: whoever waits for one waits no
//! longer than a second.
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use certkeep_core::time::Clock;
use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret;
use sqlx::Executor;
use sqlx::postgres::PgListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::SqlStore;
use crate::epoch::EPOCH;
use crate::line::{Line, Pool, in_time};
use crate::open::ServerUrl;

/// The channel's name.
const CHANNEL: &str = "certkeep";
const NOTIFY: &str = "NOTIFY certkeep";
/// The longest wait for a nudge: with the look that follows it stays below a second.
const LONGEST: Duration = Duration::from_millis(850);
/// The shortest time between two looks, however many nudges come.
const SHORTEST: Duration = Duration::from_millis(50);
/// Pause before listening anew when that failed.
const LISTEN_AGAIN: Duration = Duration::from_secs(10);
/// How long a silent connection is trusted.
const SILENCE: Duration = Duration::from_secs(30);
/// How old a measurement of the time may become.
const MEASURE_AGAIN: Duration = Duration::from_secs(15);

/// What a node has to do with the others.
#[derive(Debug)]
pub(crate) struct Others {
    url: ServerUrl,
    pub(crate) clock: Arc<ServerClock>,
    /// Somebody has nudged us.
    told: Arc<Notify>,
    /// We have to nudge the others.
    telling: Arc<Telling>,
    /// What the epoch is read by, for as long as it works: of a connection that comes and goes the pool asks each time
    /// whether it does.
    looking: tokio::sync::Mutex<Option<Line>>,
    tasks: Mutex<JoinSet<()>>,
}

#[derive(Debug, Default)]
struct Telling {
    wake: Notify,
    pending: AtomicBool,
}

impl Others {
    pub(crate) fn new(url: ServerUrl, clock: ServerClock) -> Others {
        let (told, telling, looking, tasks) = Default::default();
        Others { url, clock: Arc::new(clock), told, telling, looking, tasks }
    }

    /// Has the others nudged. The connection that writes does it, hence after the transaction that it is in.
    pub(crate) fn tell(&self) {
        self.telling.pending.store(true, Ordering::SeqCst);
        self.telling.wake.notify_one();
    }

    /// Waits for a nudge, or for as long as the longest wait is; looks at the database's clock now and then.
    pub(crate) async fn nudged(&self, store: &SqlStore) {
        self.start(store.writer());
        tokio::select! {
            () = self.told.notified() => tokio::time::sleep(SHORTEST).await,
            () = tokio::time::sleep(LONGEST) => {}
        }
        if self.clock.is_old()
            && let Err(error) = self.clock.measure(store.readers()).await
        {
            tracing::debug!(error = &error as &dyn std::error::Error, "the database's time is not measured");
        }
    }

    /// Reads the epoch.
    pub(crate) async fn look(&self, readers: &Pool) -> Result<Vec<(i64, i64)>, sqlx::Error> {
        let mut looking = self.looking.lock().await;
        // What fails, or is given up on the way, is not used again unasked.
        let mut connection = match looking.take() {
            Some(connection) => connection,
            None => readers.acquire().await?,
        };
        let rows = in_time(sqlx::query_as(EPOCH).fetch_all(&mut *connection)).await?;
        *looking = Some(connection);
        Ok(rows)
    }

    /// Nudges whom a short command has to nudge, and ends.
    pub(crate) async fn close(&self, writer: &Pool) {
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.shutdown().await;
        drop(self.looking.lock().await.take());
        self.telling.tell(writer).await;
    }

    /// Only who waits for nudges listens for them.
    fn start(&self, writer: &Pool) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        if tasks.is_empty() {
            tasks.spawn(listen(self.url.clone(), Arc::clone(&self.told)));
            let (telling, writer) = (Arc::clone(&self.telling), writer.clone());
            tasks.spawn(async move {
                loop {
                    telling.wake.notified().await;
                    telling.tell(&writer).await;
                }
            });
        }
    }
}

impl Telling {
    async fn tell(&self, writer: &Pool) {
        if self.pending.swap(false, Ordering::SeqCst)
            && let Err(error) = sqlx::query(NOTIFY).execute(writer).await
        {
            tracing::debug!(error = &error as &dyn std::error::Error, "the other nodes are not nudged");
        }
    }
}

async fn listen(url: ServerUrl, told: Arc<Notify>) {
    loop {
        if let Err(error) = listen_once(&url, &told).await {
            tracing::debug!(error = &error as &dyn std::error::Error, "no nudges from other nodes");
        }
        tokio::time::sleep(LISTEN_AGAIN).await;
    }
}

async fn listen_once(url: &ServerUrl, told: &Notify) -> Result<(), sqlx::Error> {
    let mut listener = in_time(PgListener::connect(url.url.expose_secret())).await?;
    in_time(listener.listen(CHANNEL)).await?;
    loop {
        // A connection that was lost may have cost us a nudge.
        told.notify_one();
        // One that is silent may be lost, and nobody tells.
        loop {
            match timeout(SILENCE, listener.try_recv()).await {
                Ok(heard) => break drop(heard?),
                Err(_) => in_time(listener.execute("SELECT 1")).await?,
            };
        }
    }
}

/// The time of the database, carried on by our own monotonic clock: what the node's wall clock shows is of no account.
#[derive(Debug)]
pub(crate) struct ServerClock(Mutex<Measured>);

#[derive(Clone, Copy, Debug)]
struct Measured {
    shown: Timestamp,
    at: Instant,
}

impl ServerClock {
    /// A clock that shows the database's time.
    pub(crate) async fn new(pool: &Pool) -> Result<ServerClock, sqlx::Error> {
        Ok(ServerClock(Mutex::new(measured(pool).await?)))
    }

    fn is_old(&self) -> bool {
        self.last().at.elapsed() > MEASURE_AGAIN
    }

    async fn measure(&self, pool: &Pool) -> Result<(), sqlx::Error> {
        let measured = measured(pool).await?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = measured;
        Ok(())
    }

    fn last(&self) -> Measured {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ServerClock {
    fn now(&self) -> Timestamp {
        let Measured { shown, at } = self.last();
        let since = SignedDuration::try_from(at.elapsed()).unwrap_or(SignedDuration::MAX);
        shown.saturating_add(since).unwrap_or(shown)
    }
}

/// Half of the round trip is taken for the way of the answer.
async fn measured(pool: &Pool) -> Result<Measured, sqlx::Error> {
    // Not while a connection is made.
    let mut connection = pool.acquire().await?;
    let asked = Instant::now();
    let question = sqlx::query_scalar("SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)");
    let microseconds: i64 = in_time(question.fetch_one(&mut *connection)).await?;
    let at = asked + asked.elapsed() / 2;
    let shown = Timestamp::from_microsecond(microseconds).map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    Ok(Measured { shown, at })
}
