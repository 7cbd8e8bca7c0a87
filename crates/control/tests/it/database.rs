//! A database for one test, in either dialect: a file, or a schema of its own on a real server.

use quaymaster_store::{Store, StoreTarget};
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

    pub(crate) async fn store(&self) -> Store {
        let target = match self {
            Self::Sqlite(folder) => StoreTarget::Sqlite { path: folder.path().join("quaymaster.db") },
            Self::Postgres { server, schema } => {
                StoreTarget::Postgres { url: with_schema(server, schema).into(), max_connections: 4 }
            }
        };
        Store::open(target).await.expect("a store")
    }

    /// Does what no store would.
    pub(crate) async fn tamper(&self, sql: &str) {
        match self {
            Self::Sqlite(folder) => {
                let file = folder.path().join("quaymaster.db");
                let connection = rusqlite::Connection::open(file).expect("the file");
                connection.execute_batch(sql).expect(sql);
            }
            Self::Postgres { server, schema } => {
                connect(server, schema).await.batch_execute(sql).await.expect(sql);
            }
        }
    }

    /// No record can be written from now on: the disk is full.
    pub(crate) async fn fill(&self) {
        let sql = match self {
            Self::Sqlite(_) => {
                "CREATE TRIGGER full_disk BEFORE INSERT ON audit_records
                 BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
            }
            Self::Postgres { .. } => {
                "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$;
                 CREATE TRIGGER full_disk BEFORE INSERT ON audit_records
                 FOR EACH ROW EXECUTE FUNCTION full_disk()"
            }
        };
        self.tamper(sql).await;
    }

    /// There is room again.
    pub(crate) async fn make_room(&self) {
        let sql = match self {
            Self::Sqlite(_) => "DROP TRIGGER full_disk",
            Self::Postgres { .. } => "DROP TRIGGER full_disk ON audit_records",
        };
        self.tamper(sql).await;
    }

    pub(crate) async fn drop_schema(&self) {
        if let Self::Postgres { server, schema } = self {
            let sql = format!("DROP SCHEMA {schema} CASCADE");
            connect(server, "").await.batch_execute(&sql).await.expect("no more schema");
        }
    }
}

/// The connection string of the tests' server.
#[expect(
    clippy::disallowed_methods,
    reason = "the server's address is the one thing that a test is told from outside"
)]
fn server() -> String {
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
