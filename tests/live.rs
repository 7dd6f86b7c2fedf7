//! Live tests: real mail programs at both ends, a real kernel between, each scenario sealed in
//! namespaces of its own.
//!
//! Every delivery runs over plain forwarding, too: that control shows that the lab itself neither
//! loses nor changes anything. `cargo test --test live -- WORD` runs the scenarios named so.

use std::process::ExitCode;

mod lab;
#[path = "live/delivery.rs"]
mod delivery;

use lab::{Filter, Scenario};

fn main() -> ExitCode {
    lab::main(&SCENARIOS)
}

const SCENARIOS: [Scenario; 4] = [
    Scenario {
        name: "plain_forwarding_delivers_every_kind_of_message",
        run: || delivery::every_kind(Filter::None),
    },
    Scenario {
        name: "plain_forwarding_delivers_a_thousand_messages",
        run: || delivery::thousand(Filter::None),
    },
    Scenario {
        name: "plain_forwarding_delivers_without_offloads",
        run: || delivery::without_offloads(Filter::None),
    },
    Scenario {
        name: "a_bare_queue_delivers_every_kind_of_message",
        run: || delivery::every_kind(Filter::AcceptAll),
    },
];
