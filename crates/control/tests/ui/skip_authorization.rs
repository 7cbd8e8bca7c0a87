//! A call that was not authorized cannot be approved or recorded.
use quaymaster_catalog::Call;
use quaymaster_control::{Evidence, approve, record};

async fn shortcut(call: Call, evidence: &Evidence) {
    let _ = approve(call);
}

async fn longer_shortcut(authorized: quaymaster_control::Authorized, evidence: &Evidence) {
    let _ = record(authorized, evidence).await;
}

fn main() {}
