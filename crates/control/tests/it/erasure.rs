//! Erasing a person: what is left says nothing of them, and the log still verifies.
