//! What a running filter takes of a configuration, as one number: two processes of one build tell
//! by it whether they go by the same settings.

use std::fmt::{self, Write};
use std::hash::{DefaultHasher, Hasher};

use super::Config;
use crate::engine::{self, Exception, Treatment};
use crate::guard;

impl Config {
    /// A digest of all that is in force for new connections once a filter was told to read this
    /// anew, and of the marks by which filter and rules understand each other, 16 digits. Where
    /// patches are given, what their files say is part of it.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut digest = Digest(DefaultHasher::new());
        // A hasher takes whatever it is told.
        let _ = self.render(&mut digest);
        format!("{:016x}", digest.0.finish())
    }

    fn render(&self, to: &mut Digest) -> fmt::Result {
        // A start alone changes the limits.
        let engine::Settings { ports, monitor, unknown_flow, gaps, guard, exceptions, limits: _ } =
            &self.engine;
        writeln!(to, "{ports:?} {monitor} {unknown_flow:?} {gaps:?} {:?}", self.queue.fail)?;
        writeln!(to, "{} {}", self.profile, self.control.group_may_change)?;
        // The filter keeps its marks until it starts anew, while rules may take new ones at once.
        writeln!(to, "{:#x} {:#x}", self.rules.mark, self.rules.offload_mark)?;
        settings(guard, to)?;
        for Exception { client, server, treatment } in exceptions {
            write!(to, "{client:?} {server:?} ")?;
            match treatment {
                Treatment::HandsOff => writeln!(to, "hands off")?,
                Treatment::Monitor(guard) => {
                    writeln!(to, "monitor")?;
                    settings(guard, to)?;
                }
                Treatment::Enforce(guard) => {
                    writeln!(to, "enforce")?;
                    settings(guard, to)?;
                }
            }
        }
        // One catalogue is for all of them.
        writeln!(to, "{:?}", guard.patches.catalogue.patches())
    }
}

fn settings(guard: &guard::Settings, to: &mut Digest) -> fmt::Result {
    guard::Settings::TABLE
        .iter()
        .try_for_each(|setting| writeln!(to, "{}={}", setting.name, setting.print(guard)))
}

/// A hash that text is written to. Its key is always the same.
struct Digest(DefaultHasher);

impl Write for Digest {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}
