//! What is true of the server alone.

use quaymaster_store::{Store, StoreTarget};
use secrecy::ExposeSecret;

use crate::database::{Database, server};
use crate::record::{append, batch};

async fn refusal(url: &str) -> quaymaster_store::StoreError {
    let target = StoreTarget::Postgres { url: url.into(), max_connections: 1 };
    Store::open(target).await.expect_err("no store")
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable_and_its_url_is_not_shown() {
    let error = refusal("postgres://ada:hunter2@127.0.0.1:1/quay").await;
    assert!(error.is_unavailable(), "{error}");
    insta::assert_snapshot!(error, @"the store could not connect: error connecting to server: Connection refused (os error 111)");
}

#[tokio::test]
async fn a_url_that_does_not_parse_is_not_shown() {
    insta::assert_snapshot!(refusal("postgres://ada:hunter2@db:seaport/quay").await, @"the store cannot be opened: its url: it is not a connection string of PostgreSQL; expected postgres://user:password@host/database?sslmode=require");
}

#[tokio::test]
async fn a_database_that_does_not_exist_is_named_by_the_server() {
    let server = server();
    let (server, _) = server.rsplit_once('/').expect("a path");
    let error = refusal(&format!("{server}/nowhere")).await;
    insta::assert_snapshot!(error, @r#"the store could not connect: database "nowhere" does not exist (SQLSTATE 3D000)"#);
}

#[tokio::test]
async fn tls_that_is_required_is_not_given_up() {
    let server = server();
    let (server, _) = server.split_once('?').unwrap_or((&server, ""));
    let error = refusal(&format!("{server}?sslmode=require")).await.to_string();
    let is_about_tls = error.contains("the server has no TLS") || error.contains("trusts no certificates");
    assert!(is_about_tls, "{error}");
}

#[tokio::test]
async fn a_commit_is_on_disk_even_where_the_server_would_not_wait() {
    let database = Database::postgres().await;
    database.store().await.close().await.expect("closed");
    database
        .tamper(
            "CREATE FUNCTION refuse_unless_durable() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN
                 IF current_setting('synchronous_commit') <> 'on' THEN RAISE 'would not wait'; END IF;
                 RETURN NEW;
             END $$;
             CREATE TRIGGER durable BEFORE UPDATE ON audit_tree
             FOR EACH ROW EXECUTE FUNCTION refuse_unless_durable()",
        )
        .await;
    let StoreTarget::Postgres { url, max_connections } = database.target() else { unreachable!("a server") };
    let url = format!("{}%20-c%20synchronous_commit%3Doff", url.expose_secret()).into();
    let store = Store::open(StoreTarget::Postgres { url, max_connections }).await.expect("a store");
    append(&store, batch(0, 1)).await.expect("a durable batch");
    database.drop_schema().await;
}
