//! The PIX's words, and ours beside them: what is typed at the control socket, and what a saved
//! configuration says.
//!
//! Pure: a line and a configuration go in, a configuration and a text come out. Nothing here runs,
//! asks or writes anything. What each word did on the original, and how sure that is, says the
//! paper on its language; where it has no counterpart here, a line is ignored and said so.

mod change;
mod gather;
mod import;
mod line;
mod names;
mod table;
mod terminal;
mod words;
#[cfg(test)]
mod tests;

pub use change::{Changed, change};
pub use import::{Imported, Options, import};
pub use table::{Command, Edit, lines_of};
pub use terminal::{checksum, erased, fixups, lines_named, running, running_of, written};
pub use words::{Mistake, Mode, Typed, resolve};

/// RFC 5321 2.3.
const SMTP_PORT: u16 = 25;
