//! The attacks on a filter in the path, played against the real kernel: raw packets through a TUN
//! device on the gateway, the real program on the real queue, a real server's socket behind it.
//!
//! [`Stand`] is the whole arrangement, [`Peer`] the crafted client, [`Wire`] the judge of every
//! packet that leaves towards the server. The cases are tables by the id of each attack; the matrix
//! of ids and outcomes is printed. `cargo test --test kernel -- WORD` runs the scenarios named so,
//! `CASE=B04` in front of it the cases whose id starts so.

#![allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "packets are crafted byte by byte, and a test stops where it is wrong"
)]

use std::env;
use std::process::ExitCode;

#[path = "../lab/mod.rs"]
mod lab;
#[path = "../support/mod.rs"]
mod support;

/// What the server must read of a client's stream, by the most naive means.
mod canonical;
/// D: flags, numbers and options within a flow.
mod control;
/// Packets as no honest TCP builds them.
mod craft;
/// L, and C13: the daemon stopped, killed, starved, told something else.
mod faults;
/// L01 and its kin: floods of SYNs and of dialogues that go nowhere, and their memory.
mod flood;
/// C: who is talking, and from which number on.
mod handshake;
/// E: fragments, chains of headers, lengths that lie.
mod ip;
/// B: other data at the same place.
mod overlap;
/// The crafted client.
mod peer;
/// Captures of what only a crafted client sends.
mod recorded;
/// A: one stream in many disguises.
mod segmentation;
/// The arrangement every case runs in, and the table that runs them.
mod stand;
/// H: the kernel's own clients, links that go down, Fast Open, resets.
mod time;
/// The judge of every packet on the server's wire.
mod wire;

use canonical::canonical;
use craft::{craft, fragment6, fragments, insert6, reseal, reseal_ip, tcp_start};
use lab::{Filter, Scenario};
use peer::Peer;
use stand::{BOTH, Case, EVIL, Stand, V4, V6, matrix, on_a_stand};
use wire::Wire;

#[expect(clippy::print_stdout, reason = "this is a test program's report")]
fn main() -> ExitCode {
    let wanted = env::var("CASE").unwrap_or_default();
    if TABLES.iter().copied().flatten().any(|case| case.id.starts_with(&wanted)) {
        return lab::main(&SCENARIOS);
    }
    println!("CASE={wanted}: no case's id starts so");
    ExitCode::FAILURE
}

/// The cases of all scenarios.
const TABLES: [&[Case]; 10] = [
    segmentation::CASES,
    overlap::CASES,
    handshake::CASES,
    control::CASES,
    ip::CASES,
    time::CASES,
    time::RESETTING,
    faults::CASES,
    faults::STARVED,
    faults::RELOADED,
];

const SCENARIOS: [Scenario; 14] = [
    scenario("a_segmentation", || matrix(Filter::DEFAULT, segmentation::CASES)),
    scenario("a_segmentation_over_nfq", || matrix(Filter::NFQ, segmentation::CASES)),
    scenario("b_other_data_at_the_same_place", || matrix(Filter::DEFAULT, overlap::CASES)),
    scenario("c_handshake_and_identity", || matrix(Filter::DEFAULT, handshake::CASES)),
    scenario("d_control_flags_and_options", || matrix(Filter::DEFAULT, control::CASES)),
    scenario("e_ip_layer", || matrix(Filter::DEFAULT, ip::CASES)),
    scenario("h_time_and_the_kernels_own_clients", || matrix(Filter::DEFAULT, time::CASES)),
    scenario("h_resets", || matrix(Filter::with(&RESETTING), time::RESETTING)),
    scenario("l_daemon_killed", || matrix(Filter::DEFAULT, faults::CASES)),
    scenario("l_daemon_starved", || matrix(Filter::with(&faults::STARVATION), faults::STARVED)),
    scenario("l_daemon_reloaded", faults::reloading),
    scenario("recorded_captures", recorded::captures),
    scenario("l_flood", flood::flood),
    scenario("l_idle_flows", flood::idle),
];

const RESETTING: [&str; 4] = ["--set", "split_terminator=bug", "--set", "split_action=reset"];

const fn scenario(name: &'static str, run: fn() -> lab::Outcome<String>) -> Scenario {
    Scenario { name, run }
}
