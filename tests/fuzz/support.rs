//! Those helpers of the main package's tests that the targets need.

#![allow(dead_code, reason = "the targets use a part of each")]

#[path = "../support/oracle.rs"]
pub mod oracle;
#[path = "../support/packet.rs"]
pub mod packet;
#[path = "../support/random.rs"]
pub mod random;
#[path = "../support/receiver.rs"]
pub mod receiver;
#[path = "../support/rig.rs"]
pub mod rig;
#[path = "../support/tls.rs"]
pub mod tls;
