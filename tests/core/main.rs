//! Everything that is tested in process: the library alone, without a kernel or another program.
//!
//! `cargo test --test core NAME` runs what has NAME in its path: `random`, `tcp_suite::ip`.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test stops where it is wrong"
)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "what a run has tried, and its seed")]

#[path = "../support/mod.rs"]
mod support;
#[path = "../fuzz/targets/mod.rs"]
mod targets;

/// ACKs of a third party: whoever guesses one number of a connection has guessed nothing.
mod acknowledgements;
/// What comes again asks the allocator for nothing.
mod allocations;
/// The messages of an ASA: each row of its default map, and that nobody else has them.
mod asa;
/// Prefixes and 100,000 mutations of captures: no panic, bounded memory.
mod bad_input;
/// What a packet, a flow, a client and all together can cost: each bound, and what crosses it.
mod bounds;
/// The bugs of the original: what leaks and what starves in which profile, as a table.
mod bugs;
/// Captures under the default profiles: each edit and each reset by its name.
mod captures;
/// BDAT: octets are counted where the server counts them, and are lines where it reads lines.
mod chunks;
/// The configuration: what is said about a wrong file; the file that is shipped.
mod config;
/// Replies out of step: no command passes as text, no text as a command.
mod desync;
/// Today's SMTP through `esmtp` and `asa`.
mod esmtp;
/// What `explain` says of captures, held against their bytes.
mod explain;
/// Every input of every fuzz target, through that target again.
mod fuzz_regression;
/// ClientHellos, read by two readers that know nothing of each other.
mod hellos;
/// An engine's image: its successor answers as it would have, and damage is seen.
mod image;
/// Saved configurations of PIX and ASA: what becomes of each line.
mod import;
/// How a flow begins, what keeps it, and how it ends.
mod lifetimes;
/// What flows cost in memory.
mod memory;
/// The structures of law 2, held against models too simple to be wrong.
mod model;
/// Fifty clients deliver beside one that attacks at random.
mod neighbours;
/// The patches for known holes: every test of each, through every cut, and captures of the worst.
mod patches;
/// Every command of every profile, greetings, answers to EHLO, as tables.
mod profiles;
/// Monitoring changes nothing, and says what enforcing would.
mod monitoring;
/// The header of the PROXY protocol: from named clients, and from nobody else.
mod proxies;
/// Seeded schedules of cuts, loss, repetition, reordering and contradiction.
mod random;
/// Every reason to drop a packet and every rule that changes bytes, brought about once.
mod reasons;
/// Captures through the engine, byte for byte.
mod replay;
/// Who is client and who is server, whatever packets claim.
mod roles;
/// What others are shown of flows, and which of them they can have reset.
mod sight;
/// Two real TCP stacks with the engine between them, over a lossy wire.
mod sim;
/// Every cut of representative dialogues gives the same streams.
mod split;
/// A lost server that answers another SYN: text of a message is never its commands.
mod successors;
/// The symptoms of Microsoft's article, each from its cause and without it.
mod symptoms;
/// The adversarial cases of a filter in the path, by id.
mod tcp_suite;
/// Style that is executed: what ARCHITECTURE.md promises about the sources.
mod tidy;
/// STARTTLS and what follows it: records, hellos, what nobody may say there.
mod tls;
/// Nobody reads the records: none are made, and all else is the same.
mod unheard;
/// Packets at their edges: fields, edits, options, the RST.
mod wire;
