//! A dialogue as text, for whoever plays one seed again: what was said, what became of it, what
//! the server made of it.

use std::cell::RefCell;
use std::rc::Rc;

use mailguard::engine::Verdict;

use super::end::{CLIENT, Segment};

/// Bytes of a payload that are shown at each end of it.
const SHOWN: usize = 90;

/// Lines of text, if anybody wants them: whoever keeps a copy has them after a panic too.
#[derive(Clone, Default)]
pub struct Trace(Option<Rc<RefCell<String>>>);

impl Trace {
    pub fn on() -> Self {
        Self(Some(Rc::default()))
    }

    pub fn text(&self) -> String {
        self.0.as_ref().map_or_else(String::new, |text| text.borrow().clone())
    }

    pub fn note(&self, line: impl FnOnce() -> String) {
        if let Some(text) = &self.0 {
            text.borrow_mut().push_str(&line());
            text.borrow_mut().push('\n');
        }
    }

    /// A packet that came to the filter, and what left.
    pub fn packet(
        &self,
        came: &Segment,
        verdict: Verdict,
        left: Option<&Segment>,
        resets: &[Vec<u8>],
    ) {
        self.note(|| {
            let who = if came.from == CLIENT { "C" } else { "S" };
            let fin = if came.has_fin { " FIN" } else { "" };
            let Segment { offset, ack, .. } = came;
            let reset = if resets.is_empty() { "" } else { "\n           RESET" };
            let fate = match left {
                Some(left) if left.payload == came.payload => String::new(),
                Some(left) => format!("\n{:>16} {}", "leaves", shown(&left.payload)),
                None => format!("\n{:>16} {verdict:?}", "stays"),
            };
            format!("{who} {offset:>5} ack {ack:<5}{fin} {}{fate}{reset}", shown(&came.payload))
        });
    }
}

/// Bytes as text, in quotes, the middle left out where it is long.
pub fn shown(bytes: &[u8]) -> String {
    if bytes.len() <= 2 * SHOWN {
        return format!("\"{}\"", bytes.escape_ascii());
    }
    let (head, tail) = (&bytes[..SHOWN], &bytes[bytes.len() - SHOWN..]);
    let left_out = bytes.len() - 2 * SHOWN;
    format!("\"{}\" …{left_out}… \"{}\"", head.escape_ascii(), tail.escape_ascii())
}
