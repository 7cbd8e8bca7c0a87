//! Nothing but the approvals gives the right to run what was agreed to, and nobody gives it twice.
use quaymaster_control::Authorized;
use quaymaster_control::approval::{Approvals, Grant};
use quaymaster_control::{Evidence, approve};

fn forge() {
    let _ = Grant { id: any(), digest: any(), call: any() };
}

async fn twice(grant: Grant, approvals: &Approvals, evidence: &Evidence, reply: &quaymaster_core::Reply) {
    let _ = approvals.finish(grant, reply, evidence).await;
    let authorized: Authorized = any();
    let _ = approve(authorized, Some(&grant), approvals, evidence).await;
}

fn main() {}

fn any<T>() -> T {
    loop {}
}
