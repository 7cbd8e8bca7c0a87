//! The data plane: MCP on both sides around the path of one call.
