//! Connections of a pool, whose every use ends.
//!
//! A network that swallows everything tells nobody, and sqlx waits for an answer for ever: after a statement, and when a
//! connection goes back to its pool. The only connection that writes would be held for as long. Here an answer that does not
//! come in time is given up, and its connection with it; the pool makes a new one.
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use sqlx::any::{AnyQueryResult, AnyRow, AnyStatement, AnyTypeInfo};
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection, AnyPool, Either, Error, Execute, Executor, SqlStr};
use tokio::runtime::Handle;
use tokio::time::timeout;

/// How long a statement may take. Where the server can, it ends it before that (`open/server.rs`), and the connection stays.
pub(crate) const ANSWER: Duration = Duration::from_secs(12);
/// How long a connection may take to come to rest.
const REST: Duration = Duration::from_secs(3);

/// Connections to one database. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Pool(AnyPool);

impl Pool {
    pub(crate) fn new(connections: AnyPool) -> Pool {
        Pool(connections)
    }

    /// The pool itself, for the migrations.
    pub(crate) fn inner(&self) -> &AnyPool {
        &self.0
    }

    pub(crate) async fn acquire(&self) -> Result<Line, Error> {
        Ok(Line { connection: Some(self.0.acquire().await?), in_transaction: false })
    }

    /// Begins a transaction by this statement.
    pub(crate) async fn begin(&self, statement: &'static str) -> Result<Tx, Error> {
        let mut line = self.acquire().await?;
        line.in_transaction = true;
        line.execute(statement).await?;
        Ok(Tx(line))
    }

    pub(crate) async fn close(&self) {
        self.0.close().await;
    }
}

/// What an answer becomes that does not come.
pub(crate) async fn in_time<T>(answer: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let late = |_| Err(Error::AnyDriverError(format!("the database did not answer within {} s", ANSWER.as_secs()).into()));
    timeout(ANSWER, answer).await.unwrap_or_else(late)
}

/// A connection in use. When dropped it goes back to its pool, after the end of its transaction, or is closed.
#[derive(Debug)]
pub(crate) struct Line {
    /// Present until it is dropped.
    connection: Option<PoolConnection<Any>>,
    in_transaction: bool,
}

/// A transaction. When dropped without having been committed it is rolled back.
#[derive(Debug)]
pub(crate) struct Tx(Line);

impl Tx {
    pub(crate) async fn commit(mut self) -> Result<(), Error> {
        self.execute("COMMIT").await?;
        self.0.in_transaction = false;
        Ok(())
    }
}

impl Deref for Line {
    type Target = AnyConnection;

    #[expect(clippy::expect_used, reason = "nobody takes the connection before the end of the line")]
    fn deref(&self) -> &AnyConnection {
        self.connection.as_ref().expect("a connection")
    }
}

impl DerefMut for Line {
    #[expect(clippy::expect_used, reason = "nobody takes the connection before the end of the line")]
    fn deref_mut(&mut self) -> &mut AnyConnection {
        self.connection.as_mut().expect("a connection")
    }
}

impl Deref for Tx {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        &self.0
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        &mut self.0
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        let Ok(runtime) = Handle::try_current() else {
            drop(connection.leak());
            return;
        };
        let in_transaction = self.in_transaction;
        // Unless it comes to rest.
        connection.close_on_drop();
        runtime.spawn(timeout(REST, async move {
            // A full disk has ended a transaction of SQLite already; such a connection is not used again.
            if !in_transaction || connection.execute("ROLLBACK").await.is_ok() {
                connection.return_to_pool().await;
            }
        }));
    }
}

/// Single statements, each over a connection of the pool.
impl<'c> Executor<'c> for &'_ Pool {
    type Database = Any;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Either<AnyQueryResult, AnyRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        let pool = self.clone();
        let answer = async move {
            let mut line = pool.acquire().await?;
            let answer: Vec<_> = in_time(line.fetch_many(query).try_collect()).await?;
            Ok::<_, Error>(stream::iter(answer.into_iter().map(Ok)))
        };
        stream::once(answer).try_flatten().boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<AnyRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        let pool = self.clone();
        async move {
            let mut line = pool.acquire().await?;
            in_time(line.fetch_optional(query)).await
        }
        .boxed()
    }

    fn prepare_with<'e>(self, statement: SqlStr, parameters: &'e [AnyTypeInfo]) -> BoxFuture<'e, Result<AnyStatement, Error>>
    where
        'c: 'e,
    {
        let pool = self.clone();
        async move {
            let mut line = pool.acquire().await?;
            in_time(line.prepare_with(statement, parameters)).await
        }
        .boxed()
    }
}
