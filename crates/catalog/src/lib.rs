//! The tools that agents are told of: names, schemas, versions, validation.
