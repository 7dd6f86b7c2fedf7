//! The functions that are fuzzed, for the programs in `fuzz_targets`.

mod support;
pub mod targets;
