//! The recipes, by kind, and what they share.
//!
//! `table` says what came of them; `trial` and `talk` are what a dialogue needs, `ether` and
//! `puppet` what crafted packets need; the other files hold recipes.

#![allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "packets are crafted byte by byte, and a test stops where it is wrong"
)]

pub(crate) mod blind;
pub(crate) mod bypasses;
pub(crate) mod chatter;
mod chunks;
pub(crate) mod crowd;
pub(crate) mod dialogues;
mod ether;
pub(crate) mod forged;
pub(crate) mod hold;
pub(crate) mod holes;
mod lines;
pub(crate) mod pairing;
mod puppet;
mod sizes;
mod standin;
mod table;
mod talk;
mod trial;
mod trust;
pub(crate) mod written;
