//! How systems are reached: SQL databases and MCP servers.
