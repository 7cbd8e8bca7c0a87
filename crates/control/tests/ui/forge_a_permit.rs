//! A permit cannot be made outside of `record`.
use quaymaster_control::Permit;

fn main() {
    let _ = Permit { facts: any() };
}

fn any<T>() -> T {
    loop {}
}
