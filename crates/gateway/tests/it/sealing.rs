//! A store and the key that it was sealed with belong together.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use quaymaster_gateway::{Office, StartError};

use crate::installation::{folder, options, start};

/// An installation that ran once, and its key.
async fn sealed() -> (tempfile::TempDir, PathBuf) {
    let folder = folder();
    let gateway = start(folder.path()).await.expect("the first start");
    let key = gateway.data_folder().join("seal.key");
    gateway.shutdown().await;
    (folder, key)
}

#[tokio::test]
async fn a_store_whose_key_is_missing_is_not_opened_with_a_new_one() {
    let (folder, key) = sealed().await;
    let aside = folder.path().join("aside");
    fs::rename(&key, &aside).expect("moved");
    for _ in 0..2 {
        let error = start(folder.path()).await.expect_err("no key");
        assert!(matches!(error, StartError::KeyMissing { .. }), "{error}");
        assert_eq!(
            error.to_string(),
            format!(
                "the sealing key {} is missing, and the store at hand was sealed with it: restore the file from \
                 a backup; processes that share a store share the key file",
                key.display()
            )
        );
        assert!(!key.exists(), "nothing was put in its place");
    }
    let records = Office::open_records(options(folder.path())).await.expect("a log is read without keys");
    assert!(records.audit_tree().await.expect("a tree").size > 0);
    fs::rename(&aside, &key).expect("restored");
    start(folder.path()).await.expect("as before").shutdown().await;
}

#[tokio::test]
async fn a_store_is_not_opened_with_another_key() {
    let (folder, key) = sealed().await;
    fs::write(&key, [7; 32]).expect("written");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("permissions");
    let error = start(folder.path()).await.expect_err("another key");
    assert!(matches!(error, StartError::KeyForeign { .. }), "{error}");
    assert_eq!(
        error.to_string(),
        format!(
            "the sealing key {} is not the one that the store at hand was sealed with: restore that one from a \
             backup; processes that share a store share the key file",
            key.display()
        )
    );
}

#[tokio::test]
async fn gateways_that_share_a_folder_start_together() {
    let folder = folder();
    let (one, other) = tokio::join!(start(folder.path()), start(folder.path()));
    let (one, other) = (one.expect("one"), other.expect("the other"));
    let third = start(folder.path()).await.expect("a third, later");
    for gateway in [one, other, third] {
        gateway.shutdown().await;
    }
}
