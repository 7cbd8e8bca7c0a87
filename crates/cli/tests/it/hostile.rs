//! Bad servers behind the gateway and bad clients in front of it.
//!
//! The servers are one program, `examples/hostile_server`, whose table `behaviour` says what each
//! does wrong; `servers` says what comes of it. The clients are in `clients` and `pipes`. In every
//! case others are served meanwhile, and after each nothing is left: descriptors, threads, tasks,
//! processes and memory (`footprint`). Many bad ones at once are a case of their own.

#[path = "../../examples/hostile_server/behaviour.rs"]
mod behaviour;
mod caller;
mod clients;
mod footprint;
mod handles;
mod installation;
mod one_by_one;
mod pipes;
mod rug_pull;
mod servers;
mod session;
