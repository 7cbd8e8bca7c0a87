//! Who may do what, and the evidence of it: identity, policy, release, audit.
