//! Attacks, live: recipes that have worked against a filter in the path, played against real mail
//! programs without it, and behind it in both default profiles.
//!
//! Each scenario prints a table: what the bare server did, what the guarded one did, and whether
//! that is as it must be. `cargo test --test attack` plays a small form; `make attack` all of it.
//! `cargo test --test attack -- WORD` runs the scenarios named so.

use std::process::ExitCode;

#[path = "../lab/mod.rs"]
mod lab;
#[path = "../support/mod.rs"]
mod support;

/// The recipes, by kind.
mod recipes;

use lab::Scenario;
use recipes::{blind, bypasses, chatter, crowd, dialogues, forged, hold, holes, pairing, written};

fn main() -> ExitCode {
    lab::main(&SCENARIOS)
}

/// Whether all of it was asked for.
fn is_full() -> bool {
    std::env::var("ATTACK").as_deref() == Ok("full")
}

const SCENARIOS: [Scenario; 12] = [
    scenario("evasions_in_dialogues", dialogues::every_recipe),
    scenario("evasions_by_forged_packets", forged::third_interface),
    scenario("evasions_on_one_arm", forged::one_arm),
    scenario("evasions_by_checksums_written_later", written::checksums),
    scenario("servers_with_bad_manners", pairing::bad_manners),
    scenario("bypasses_that_check_must_name", bypasses::every_bypass),
    scenario("harm_by_blind_injection", blind::injection),
    scenario("harm_by_held_bytes", hold::held_bytes),
    scenario("harm_by_a_crowd", crowd::full_table),
    scenario("harm_by_a_flood_of_handshakes", crowd::handshakes),
    scenario("harm_to_the_log", chatter::flooded_log),
    scenario("known_holes_of_servers", holes::every_patch),
];

const fn scenario(name: &'static str, run: fn() -> lab::Outcome<String>) -> Scenario {
    Scenario { name, run }
}
