//! What several tests need.

#![allow(dead_code, reason = "each test uses a part")]

pub mod packet;
pub mod rig;
