//! The right to run what was agreed to cannot be copied.
use quaymaster_control::approval::Grant;

fn copy(grant: &Grant) -> Grant {
    grant.clone()
}

fn main() {}
