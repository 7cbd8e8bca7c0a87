//! A call that was not authorized cannot be approved or recorded.
use quaymaster_catalog::Call;
use quaymaster_control::approval::Approvals;
use quaymaster_control::{Evidence, approve, record};

async fn shortcut(call: Call, approvals: &Approvals, evidence: &Evidence) {
    let _ = approve(call, None, approvals, evidence).await;
}

async fn longer_shortcut(authorized: quaymaster_control::Authorized, evidence: &Evidence) {
    let _ = record(authorized, evidence).await;
}

async fn without_the_ledger(approved: quaymaster_control::Approved, evidence: &Evidence) {
    let _ = record(approved, evidence).await;
}

fn main() {}
