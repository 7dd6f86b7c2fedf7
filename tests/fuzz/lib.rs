//! The functions that are fuzzed, for the programs in `fuzz_targets`.

#[path = "../support/mod.rs"]
mod support;
pub mod targets;
