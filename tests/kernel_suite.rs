//! The attacks on a filter in the path, played against the real kernel: raw packets on one side,
//! the real program on the real queue, a real server's socket behind it.
//!
//! Prints the matrix of their ids and outcomes. `cargo test --test kernel_suite -- WORD` runs the
//! scenarios named so, `CASE=B04` in front of it the cases whose id starts so.

use std::process::ExitCode;

mod kernel;
mod lab;
mod support;

use kernel::matrix;
use lab::{Filter, Scenario};

fn main() -> ExitCode {
    lab::main(&SCENARIOS)
}

const SCENARIOS: [Scenario; 5] = [
    scenario("a_segmentation", || matrix(Filter::DEFAULT, kernel::segmentation::CASES)),
    scenario("b_other_data_at_the_same_place", || matrix(Filter::DEFAULT, kernel::overlap::CASES)),
    scenario("c_handshake_and_identity", || matrix(Filter::DEFAULT, kernel::handshake::CASES)),
    scenario("d_control_flags_and_options", || matrix(Filter::DEFAULT, kernel::control::CASES)),
    scenario("e_ip_layer", || matrix(Filter::DEFAULT, kernel::ip::CASES)),
];

const fn scenario(name: &'static str, run: fn() -> lab::Outcome<String>) -> Scenario {
    Scenario { name, run }
}
