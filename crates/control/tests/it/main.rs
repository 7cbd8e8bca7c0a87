//! The control layer on a real store: stages, release, audit and identity.

mod audit;
mod identity;
mod release;
mod shapes;
mod stages;
mod world;
