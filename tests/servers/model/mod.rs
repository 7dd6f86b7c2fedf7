//! A model of SMTP servers: machines that read as real servers do, strict and lenient, behind the
//! engine, with clients that want something of them; and what must hold for every dialogue.
//!
//! | module | owns |
//! |---|---|
//! | `variant` | what servers do differently, as data |
//! | `server`, `verbs` | a server: bytes in, replies out, what it ran and stored |
//! | `honest`, `replies`, `text` | a client that wants its messages delivered |
//! | `tls` | what both say once TLS has begun |
//! | `adversary` | a client that wants a refused verb run |
//! | `end`, `weather`, `wire` | both ends' TCP, the networks, the engine between them |
//! | `dialogue` | one dialogue from handshake to end |
//! | `properties`, `limits` | what must hold, and what is left out, with the reason |
//! | `seeds`, `choice`, `trace` | many dialogues, one again, and as text |

#![allow(dead_code, reason = "the fuzz target uses a part of this")]
#![allow(unreachable_pub, reason = "a module of each test program")]
#![allow(missing_docs, reason = "a test's names say what they are")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test stops where it is wrong"
)]

pub mod adversary;
pub mod choice;
pub mod dialogue;
pub mod end;
pub mod honest;
pub mod limits;
pub mod properties;
pub mod replies;
pub mod seeds;
pub mod server;
pub mod text;
pub mod tls;
pub mod trace;
pub mod variant;
pub mod verbs;
pub mod weather;
pub mod wire;
