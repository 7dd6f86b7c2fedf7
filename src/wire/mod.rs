//! Bytes and headers: reading one IP packet that carries TCP, editing a copy of it without changing
//! any position, and building the one packet we originate.
//!
//! Unusual headers are sliced by etherparse, and all are rewritten through smoltcp; nothing here
//! knows flows, streams or SMTP, and nothing here panics on any bytes.

mod checksum;
mod editor;
mod options;
mod packet;
mod reset;
mod seq;

pub use editor::Editor;
pub use options::{SCALE_MAX, WINDOW_MAX, maximum_segment_size, restrict_options, window_scale};
pub use packet::{Checksum, Flags, Malformed, Packet, Parsed};
pub use reset::{Reset, build_reset};
pub use seq::Seq;

#[cfg(test)]
mod tests;
