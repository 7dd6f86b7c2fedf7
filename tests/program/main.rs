//! The program itself: its flags, messages and exit codes, against a kernel where it needs one.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops where it is wrong")]
#![allow(clippy::disallowed_methods, reason = "how long the program takes is tested")]

#[path = "../support/again.rs"]
mod again;
/// The way into namespaces of a test's own.
#[path = "../support/sealed.rs"]
mod sealed;

/// A report's page in a real browser.
mod browser;
/// `mailguard ctl` on a running filter.
mod ctl;
/// Flags, exit codes, messages.
mod cli;
/// The event log in the journal and by syslog.
mod daemons;
/// What is installed and packed.
mod install;
/// The same rules as a table of nftables: what they mean, and who keeps them.
mod nft;
/// `mailguard probe` against scripted servers.
mod probe;
/// A real Prometheus collects the metrics, with the rules and the dashboard that are shipped.
mod prometheus;
/// `mailguard rules` against the real iptables.
mod rules;
/// `mailguard run` and `check` against the real kernel queue.
mod run;
/// `mailguard top` in a real terminal.
mod top;
/// What goes wrong around a filter, which goes on.
mod trouble;
/// The units of the service manager.
mod unit;
