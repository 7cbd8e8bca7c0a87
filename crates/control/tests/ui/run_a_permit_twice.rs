//! A permit is taken by value: it runs once.
use quaymaster_control::Permit;

fn twice(permit: Permit) {
    let _ = permit.redeem();
    let _ = permit.redeem();
}

fn clone(permit: &Permit) -> Permit {
    permit.clone()
}

fn main() {}
