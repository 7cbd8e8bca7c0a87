//! Nothing but the approvals gives the right to run what was agreed to.
use quaymaster_control::approval::Grant;

fn main() {
    let _ = Grant { id: any(), digest: any(), gates: any(), call: any() };
}

fn any<T>() -> T {
    loop {}
}
