//! All SQL of Quaymaster's own state, in SQLite and PostgreSQL.
