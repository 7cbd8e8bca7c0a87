//! A database for one test, in either dialect.

use std::path::PathBuf;

use quaymaster_store::{Store, StoreError, StoreTarget};
use tempfile::TempDir;
use tokio_postgres::NoTls;
use tokio_postgres::config::SslMode;

/// Makes `sqlite::name` and `postgres::name` of each test.
#[macro_export]
macro_rules! over_both {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(&$crate::database::Database::sqlite()).await;
            })+
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let database = $crate::database::Database::postgres().await;
                super::$test(&database).await;
                database.drop_schema().await;
            })+
        }
    };
}

/// An empty database that nobody else uses.
pub(crate) enum Database {
    Sqlite(TempDir),
    Postgres { server: String, schema: String },
}

impl Database {
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().expect("a folder"))
    }

    pub(crate) async fn postgres() -> Self {
        let server = server();
        let client = connect(&server, "").await;
        let row = client.query_one("SELECT 'test_' || replace(gen_random_uuid()::text, '-', '')", &[]).await;
        let schema: String = row.expect("a name").get(0);
        client.batch_execute(&format!("CREATE SCHEMA {schema}")).await.expect("a schema");
        Self::Postgres { server, schema }
    }

    pub(crate) fn target(&self) -> StoreTarget {
        match self {
            Self::Sqlite(folder) => StoreTarget::Sqlite { path: file(folder) },
            Self::Postgres { server, schema } => {
                StoreTarget::Postgres { url: with_schema(server, schema).into(), max_connections: 4 }
            }
        }
    }

    pub(crate) async fn open(&self) -> Result<Store, StoreError> {
        Store::open(self.target()).await
    }

    /// A handle of its own: what another process would have.
    pub(crate) async fn store(&self) -> Store {
        self.open().await.expect("a store")
    }

    /// Does what no store would.
    pub(crate) async fn tamper(&self, sql: &str) {
        match self {
            Self::Sqlite(folder) => {
                let connection = rusqlite::Connection::open(file(folder)).expect("the file");
                connection.execute_batch(sql).expect(sql);
            }
            Self::Postgres { server, schema } => {
                connect(server, schema).await.batch_execute(sql).await.expect(sql);
            }
        }
    }

    pub(crate) async fn drop_schema(&self) {
        if let Self::Postgres { server, schema } = self {
            let sql = format!("DROP SCHEMA {schema} CASCADE");
            connect(server, "").await.batch_execute(&sql).await.expect("no more schema");
        }
    }
}

pub(crate) fn file(folder: &TempDir) -> PathBuf {
    folder.path().join("quaymaster.db")
}

/// The connection string of the tests' server.
#[expect(
    clippy::disallowed_methods,
    reason = "the server's address is the one thing that a test is told from outside"
)]
pub(crate) fn server() -> String {
    std::env::var("QUAYMASTER_TEST_POSTGRES_URL")
        .unwrap_or_else(|_| "postgres://quaymaster@127.0.0.1:54329/postgres".into())
}

fn with_schema(server: &str, schema: &str) -> String {
    let joint = if server.contains('?') { '&' } else { '?' };
    format!("{server}{joint}options=-c%20search_path%3D{schema}")
}

async fn connect(server: &str, schema: &str) -> tokio_postgres::Client {
    let mut config: tokio_postgres::Config =
        with_schema(server, schema).parse().expect("QUAYMASTER_TEST_POSTGRES_URL is a connection string");
    config.ssl_mode(SslMode::Disable);
    let (client, connection) = config.connect(NoTls).await.unwrap_or_else(|error| {
        panic!("these tests need PostgreSQL, and none answers ({error}): run `scripts/postgres.sh start`")
    });
    tokio::spawn(connection);
    client
}
