//! Live tests: real mail programs at both ends, a real kernel between, each scenario sealed in
//! namespaces of its own.
//!
//! Every delivery runs over plain forwarding, too: that control shows that the lab itself neither
//! loses nor changes anything. `cargo test --test live -- WORD` runs the scenarios named so.

use std::process::ExitCode;

#[path = "../lab/mod.rs"]
mod lab;

/// The shipped fail2ban filter finds whom the log names, and nobody else.
mod abusers;
/// A Postfix without patience that is made to cut the terminator.
mod cutting;
/// Whatever a real client sends, a real Postfix stores, byte for byte and once.
mod delivery;
/// `kill -9` in every phase of a session.
mod deaths;
/// The duplicates of Microsoft's article 295725, end to end.
mod duplicates;
/// The article's test of every generation; telnet in character mode.
mod eras;
/// What left the real queue is what `mailguard replay` says.
mod golden;
/// What a client sees of the server through the filter, and what the server never sees.
mod guarded;
/// What needs no filter no longer comes to it.
mod offload;
/// Postfix as a sender knows a PIX by its banner, and has workarounds for it.
mod postfix_sender;
/// `mailguard probe` through the real filter.
mod probing;
/// A life without loss: restarts, hand-over, crashes in the middle of deliveries.
mod life;
/// Servers that speak in clear beside TLS, odd sessions, and Exim as a sender.
mod starttls;
/// TLS: every version passes and is seen, and what is none reaches nobody.
mod tls;
/// SMTP smuggling against three real servers.
mod smuggling;

use lab::{Filter, Scenario};

fn main() -> ExitCode {
    lab::main(&SCENARIOS)
}

/// Four queues, balanced by address pair.
const FOUR_QUEUES: Filter<'_> = Filter::Mailguard { queue: "0:3", arguments: &[] };

/// The same, their packets coming by the nfq crate.
const FOUR_OVER_NFQ: Filter<'_> =
    Filter::Mailguard { queue: "0:3", arguments: &["--set", "queue.backend=nfq"] };

const SCENARIOS: [Scenario; 47] = [
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
    scenario("who_was_let_past_the_filter_is_told", guarded::let_past),
    scenario("the_article_sees_a_mailguard", guarded::article),
    scenario("the_probe_knows_every_profile", probing::every_profile),
    scenario("refused_commands_never_reach_the_server", guarded::refused_commands),
    scenario("mailguard_delivers_every_kind_of_message", || delivery::every_kind(Filter::DEFAULT)),
    scenario("mailguard_delivers_a_thousand_messages", || delivery::thousand(Filter::DEFAULT)),
    scenario("mailguard_delivers_a_thousand_messages_over_four_queues", || {
        delivery::thousand(FOUR_QUEUES)
    }),
    scenario("mailguard_delivers_without_offloads", || delivery::without_offloads(Filter::DEFAULT)),
    scenario("over_nfq_every_kind_of_message_is_delivered", || delivery::every_kind(Filter::NFQ)),
    scenario("over_nfq_a_thousand_messages_are_delivered_over_four_queues", || {
        delivery::thousand(FOUR_OVER_NFQ)
    }),
    scenario("over_nfq_messages_are_delivered_without_offloads", || {
        delivery::without_offloads(Filter::NFQ)
    }),
    scenario("over_nfq_a_new_filter_opens_what_was_closed", || guarded::restart(Filter::NFQ)),
    scenario("fixed_every_cut_of_the_terminator_passes", guarded::split_fixed),
    scenario("bug_a_cut_terminator_starves", guarded::split_bug),
    scenario("nothing_is_smuggled", guarded::smuggling),
    scenario("closed_without_a_filter_and_open_again_with_a_new_one", || {
        guarded::restart(Filter::DEFAULT)
    }),
    scenario("bug_each_try_adds_a_copy", duplicates::each_try_a_copy),
    scenario("postfix_knows_a_pix_by_its_banner", postfix_sender::knows_a_pix),
    scenario("postfix_loses_a_long_header_behind_asa", postfix_sender::loses_a_long_header),
    scenario("postfix_outwits_the_bug", postfix_sender::outwits_the_bug),
    scenario(
        "postfix_starves_without_its_workarounds",
        postfix_sender::starves_without_workarounds,
    ),
    scenario("every_generation_answers_the_article", eras::article),
    scenario("telnet_in_character_mode_is_refused", eras::telnet),
    scenario("no_server_is_smuggled_to", smuggling::nobody_is_fooled),
    scenario("what_needs_no_filter_does_not_come_to_it", offload::bulk),
    scenario("tls_of_every_version_passes_and_is_seen", tls::every_version),
    scenario("text_in_place_of_tls_reaches_nobody", tls::text_for_tls),
    scenario("servers_say_nothing_in_clear_around_tls", starttls::injecting),
    scenario("recorded_sessions_pass_over_real_connections", starttls::recorded),
    scenario("exim_goes_on_in_clear_only_where_it_may", starttls::exim_sends),
    scenario("what_left_is_what_replay_says", golden::agreement),
    scenario("fail2ban_knows_an_abuser", abusers::known_to_fail2ban),
    scenario("a_restart_each_second_breaks_no_delivery", life::restarts),
    scenario("another_process_takes_over_each_second", life::take_overs),
    scenario("a_start_that_fails_takes_nothing_away", life::failed_starts),
    scenario("ten_starts_leave_no_more_than_one", life::ten_starts),
    scenario("what_a_manager_keeps_is_lent_and_no_more", life::lent),
    scenario("killed_its_queue_and_flows_live_on", life::killed),
    scenario("an_image_of_another_format_is_refused_and_mail_goes_on", life::other_formats),
    scenario("a_packet_that_kills_does_not_kill_for_ever", life::deadly_packet),
    scenario("a_queue_that_fails_takes_no_flow_with_it", life::failed_queue),
    scenario("killed_in_each_phase_no_mail_is_lost", deaths::in_each_phase),
];

const fn scenario(name: &'static str, run: fn() -> lab::Outcome<String>) -> Scenario {
    Scenario { name, run }
}
