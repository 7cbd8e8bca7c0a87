//! Nothing but `authorize` says that a call is authorized.
use quaymaster_control::{Approved, Authorized};

fn main() {
    let _ = Authorized { facts: any() };
    let _ = Approved { facts: any() };
}

fn any<T>() -> T {
    loop {}
}
