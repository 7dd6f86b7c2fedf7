//! The attacks on a filter in the path, played against the real kernel: raw packets on one side,
//! the real program on the real queue, a real server's socket behind it.
//!
//! Prints the matrix of their ids and outcomes. `cargo test --test kernel_suite -- WORD` runs the
//! scenarios named so, `CASE=B04` in front of it the cases whose id starts so.

use std::process::ExitCode;

mod kernel;
mod lab;
mod support;

use kernel::{
    control, faults, flood, handshake, ip, matrix, overlap, recorded, segmentation, time,
};
use lab::{Filter, Scenario};

fn main() -> ExitCode {
    lab::main(&SCENARIOS)
}

const SCENARIOS: [Scenario; 13] = [
    scenario("a_segmentation", || matrix(Filter::DEFAULT, segmentation::CASES)),
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
