//! A call cannot be made outside of `View::resolve`.
use quaymaster_catalog::Call;

fn main() {
    let _ = Call { request: any(), tool: any() };
}

fn any<T>() -> T {
    loop {}
}
