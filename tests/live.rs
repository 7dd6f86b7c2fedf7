//! Live tests: real mail programs at both ends, a real kernel between, each scenario sealed in
//! namespaces of its own.
//!
//! Every delivery runs over plain forwarding, too: that control shows that the lab itself neither
//! loses nor changes anything. `cargo test --test live -- WORD` runs the scenarios named so.

use std::process::ExitCode;

mod lab;
#[path = "live/delivery.rs"]
mod delivery;
#[path = "live/golden.rs"]
mod golden;
#[path = "live/guarded.rs"]
mod guarded;
#[path = "live/probing.rs"]
mod probing;

use lab::{Filter, Scenario};

fn main() -> ExitCode {
    lab::main(&SCENARIOS)
}

/// Four queues, balanced by address pair.
const FOUR_QUEUES: Filter<'_> = Filter::Mailguard { queue: "0:3", arguments: &[] };

const SCENARIOS: [Scenario; 17] = [
    scenario("plain_forwarding_delivers_every_kind_of_message", || {
        delivery::every_kind(Filter::None)
    }),
    scenario("plain_forwarding_delivers_a_thousand_messages", || delivery::thousand(Filter::None)),
    scenario("plain_forwarding_delivers_without_offloads", || {
        delivery::without_offloads(Filter::None)
    }),
    scenario("a_bare_queue_delivers_every_kind_of_message", || {
        delivery::every_kind(Filter::AcceptAll)
    }),
    scenario("rules_come_and_go_without_a_trace", guarded::rules),
    scenario("the_article_sees_a_mailguard", guarded::article),
    scenario("the_probe_knows_every_profile", probing::every_profile),
    scenario("refused_commands_never_reach_the_server", guarded::refused_commands),
    scenario("mailguard_delivers_every_kind_of_message", || delivery::every_kind(Filter::DEFAULT)),
    scenario("mailguard_delivers_a_thousand_messages", || delivery::thousand(Filter::DEFAULT)),
    scenario("mailguard_delivers_a_thousand_messages_over_four_queues", || {
        delivery::thousand(FOUR_QUEUES)
    }),
    scenario("mailguard_delivers_without_offloads", || delivery::without_offloads(Filter::DEFAULT)),
    scenario("fixed_every_cut_of_the_terminator_passes", guarded::split_fixed),
    scenario("bug_a_cut_terminator_starves", guarded::split_bug),
    scenario("nothing_is_smuggled", guarded::smuggling),
    scenario("closed_without_a_filter_and_open_again_with_a_new_one", guarded::restart),
    scenario("what_left_is_what_replay_says", golden::agreement),
];

const fn scenario(name: &'static str, run: fn() -> lab::Outcome<String>) -> Scenario {
    Scenario { name, run }
}
