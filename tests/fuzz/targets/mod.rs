//! What is fuzzed: one function a target, from bytes to an assertion that holds for all bytes.
//!
//! Included by the fuzz package and by `tests/core`, so that every input ever found is a test of
//! the main package. A target panics where its property fails.

#![allow(dead_code, reason = "the fuzz package names the targets one by one")]
#![allow(unreachable_pub, reason = "a module of two programs")]
#![allow(missing_docs, reason = "a target's name says what it is")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a target stops where it is wrong"
)]

pub mod capture;
pub mod config;
pub mod dialogue;
pub mod engine;
pub mod envelope;
pub mod header;
pub mod image;
mod input;
pub mod options;
pub mod packet;
pub mod patches;
pub mod servers;
pub mod stream;
pub mod tls;

/// A target: what it runs on each input.
pub type Target = fn(&[u8]);

/// Every target by its name, which is also that of its corpus.
pub const ALL: [(&str, Target); 13] = [
    ("capture", capture::run),
    ("config", config::run),
    ("dialogue", dialogue::run),
    ("engine", engine::run),
    ("envelope", envelope::run),
    ("header", header::run),
    ("image", image::run),
    ("options", options::run),
    ("packet", packet::run),
    ("patches", patches::run),
    ("servers", servers::run),
    ("stream", stream::run),
    ("tls", tls::run),
];
