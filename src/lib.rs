//! Mailguard, an inline SMTP filter for Linux gateways.
//!
//! Four laws hold everywhere below:
//!
//! 1. **Nothing changes length.** Every edit replaces bytes by as many bytes, so sequence numbers,
//!    ACKs, SACK, MTU and conntrack are never touched. The only packet we originate is a RST.
//! 2. **Each stream position has one value, for ever.** The first copy let through fixes it; it is
//!    judged once; every later copy that leaves carries the judged value.
//! 3. **The network is the buffer.** No packet is held: what may not pass yet is dropped and TCP
//!    sends it again.
//! 4. **The server decides the state, and only about what it has received.** Message data begins
//!    only on its 354, TLS only on its 220, an AUTH exchange only on its 334, each only where the
//!    ACK of the segment in which the reply begins covers the line it answers.
//!
//! The life of a packet: a `front` receives it, [`engine::Engine::handle`] parses it (`wire`),
//! finds its flow (`flow`), turns sequence numbers into stream offsets and enforces law 2 (`tcp`),
//! reads the dialogue (`smtp`), asks the profile what to do (`guard`) and answers with one verdict.
//!
//! The modules are listed in the order of the layers: each names only modules listed before it.

pub mod time;
pub mod offset;
pub mod speaker;
pub mod wire;
pub mod flow;
pub mod tcp;
pub mod smtp;
pub mod tls;
pub mod patch;
pub mod guard;
pub mod engine;
pub mod event;
pub mod config;
pub mod pix;
pub mod front;
pub mod cli;
