//! Where messages are kept: one port, SQLite behind it, and one conformance suite
