//! What several tests need: packets, captures, randomness, and the engine between two ends.

#![allow(dead_code, reason = "each test program uses a part of this")]
#![allow(unreachable_pub, reason = "a module of each test program")]
#![allow(missing_docs, reason = "a test's names say what they are")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test stops where it is wrong"
)]

pub mod again;
pub mod capture;
pub mod crowd;
pub mod endpoint;
pub mod esmtp;
pub mod golden;
pub mod mailserver;
pub mod oracle;
pub mod packet;
pub mod quiet;
pub mod random;
pub mod receiver;
pub mod rig;
pub mod schedule;
pub mod script;
pub mod segment;
pub mod shift;
pub mod session;
pub mod talk;
pub mod tls;
