//! Several processes at one store.

use quaymaster_store::{AppendError, Store};

use crate::database::Database;
use crate::record::{all_seqs, append, batch};

crate::over_both! {
    writers_that_retry_leave_no_gap_and_lose_nothing,
    a_reader_never_sees_part_of_a_batch,
    stores_that_are_opened_together_agree_on_the_tables,
}

const BATCHES: u64 = 25;

async fn writers_that_retry_leave_no_gap_and_lose_nothing(database: &Database) {
    let mut writers = Vec::new();
    for writer in ["one", "other"] {
        let store = database.store().await;
        writers.push(tokio::spawn(async move {
            for number in 0..BATCHES {
                append_with_retry(&store, writer, 1 + number % 3).await;
            }
        }));
    }
    for writer in writers {
        writer.await.expect("a writer");
    }
    let store = database.store().await;
    let expected: u64 = 2 * (0..BATCHES).map(|number| 1 + number % 3).sum::<u64>();
    assert_eq!(all_seqs(&store).await, (0..expected).collect::<Vec<_>>());
    let bodies: Vec<String> = store
        .audit_read(0, u32::MAX)
        .await
        .expect("records")
        .into_iter()
        .map(|record| String::from_utf8(record.body).expect("text"))
        .collect();
    let of_one = bodies.iter().filter(|body| *body == "one").count() as u64;
    assert_eq!(of_one * 2, expected);
}

async fn append_with_retry(store: &Store, writer: &str, count: u64) {
    let mut size = store.audit_tree().await.expect("a tree").size;
    loop {
        let mut records = batch(size, count);
        for record in &mut records {
            record.body = writer.into();
        }
        match append(store, records).await {
            Ok(()) => return,
            Err(AppendError::Conflict { actual }) => size = actual.size,
            Err(error) => panic!("{error}"),
        }
    }
}

async fn a_reader_never_sees_part_of_a_batch(database: &Database) {
    const COUNT: u64 = 7;
    let (writer, reader) = (database.store().await, database.store().await);
    let writing = tokio::spawn(async move {
        for number in 0..BATCHES {
            append(&writer, batch(number * COUNT, COUNT)).await.expect("a batch");
        }
    });
    let mut seen = 0;
    while seen < BATCHES * COUNT {
        let size = reader.audit_tree().await.expect("a tree").size;
        let stored = all_seqs(&reader).await.len() as u64;
        assert!(stored.is_multiple_of(COUNT) && stored >= size, "{stored} records after a tree of {size}");
        assert!(stored >= seen, "{stored} records after {seen}");
        seen = stored;
    }
    writing.await.expect("the writer");
}

async fn stores_that_are_opened_together_agree_on_the_tables(database: &Database) {
    let openings: Vec<_> = (0..6)
        .map(|_| {
            let target = database.target();
            tokio::spawn(async { Store::open(target).await })
        })
        .collect();
    for opening in openings {
        opening.await.expect("no panic").expect("a store").ping().await.expect("an answer");
    }
}
