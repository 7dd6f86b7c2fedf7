//! While rules are changed nobody else changes them, and no signal ends us halfway: each family and
//! table is a transaction of its own, and one family alone would be left without them.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;

use crate::front::FrontError;

/// The right to change rules, until dropped.
#[derive(Debug)]
pub(super) struct Undisturbed {
    /// Held by whoever changes them.
    _lock: Option<File>,
    /// The signals that were blocked before.
    before: SigSet,
}

impl Undisturbed {
    /// Waits for whoever changes them now. A signal that comes later has its effect at the end. The
    /// programs that are started have the same signals blocked.
    ///
    /// # Errors
    /// That takes too long.
    pub(super) fn begin() -> Result<Self, FrontError> {
        // Who has to wait may still be ended.
        let lock = lock(PATH, LOOKS)?;
        let signals: SigSet =
            [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM].into_iter().collect();
        let before = signals
            .thread_swap_mask(SigmaskHow::SIG_BLOCK)
            .map_err(|error| FrontError::io("cannot block signals", error))?;
        Ok(Self { _lock: lock, before })
    }
}

impl Drop for Undisturbed {
    fn drop(&mut self) {
        let _ = self.before.thread_set_mask();
    }
}

/// None where there can be none: then nobody else has one either.
fn lock(path: &str, looks: u32) -> Result<Option<File>, FrontError> {
    let failed = |error: io::Error| FrontError::io(format!("cannot lock {path}"), error);
    let mut options = OpenOptions::new();
    // For root alone: whoever may open it may keep everybody waiting.
    options.write(true).create(true).truncate(false).mode(0o600);
    let file = match options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed()).open(path) {
        Ok(file) => file,
        Err(error) if CANNOT_BE.contains(&error.kind()) => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    for _ in 0..looks {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Some(file)),
            Err(Errno::WOULDBLOCK | Errno::INTR) => thread::sleep(BETWEEN_LOOKS),
            Err(error) => return Err(failed(error.into())),
        }
    }
    Err(FrontError::new(format!(
        "somebody else has been changing rules for {} seconds ({path} is locked): no rule was \
         changed",
        (looks * BETWEEN_LOOKS).as_secs()
    )))
}

/// Beside the lock of iptables, in a folder that is there before any of ours.
const PATH: &str = "/run/mailguard-rules.lock";

const CANNOT_BE: [ErrorKind; 3] =
    [ErrorKind::NotFound, ErrorKind::PermissionDenied, ErrorKind::ReadOnlyFilesystem];

/// Fifteen seconds, half of what our unit has for all of it.
const LOOKS: u32 = 300;
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_has_the_lock_and_nobody_waits_for_ever() {
        let path = std::env::temp_dir().join(format!("mailguard-lock-{}", std::process::id()));
        let path = path.to_str().unwrap();
        let held = lock(path, 1).unwrap();
        assert!(held.is_some());
        let said = lock(path, 2).unwrap_err().to_string();
        let expected =
            format!("somebody else has been changing rules for 0 seconds ({path} is locked): ");
        assert!(said.starts_with(&expected), "{said}");
        drop(held);
        assert!(lock(path, 1).unwrap().is_some());
        std::fs::remove_file(path).unwrap();
        assert!(lock("/nonexistent/lock", 1).unwrap().is_none());
    }
}
