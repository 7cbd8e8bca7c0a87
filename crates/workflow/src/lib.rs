//! Multi-step work that survives: definitions, interpreter, drivers.
