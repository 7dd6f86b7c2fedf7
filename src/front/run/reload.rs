//! The configuration read anew, whoever asks for it. The log is told all of it each time.

use super::Reread;
use super::running::{Pending, Running};
use super::worker::Shared;
use crate::config::Config;
use crate::front::FrontError;

/// What is in force of a configuration that was read anew.
pub(super) struct Reloaded {
    /// Lines about it.
    pub(super) said: Vec<String>,
    /// What is not yet in force.
    pub(super) pending: Vec<Pending>,
}

/// Opens the event log anew, and takes what a running filter can take of the configuration: all of
/// it, or none.
///
/// # Errors
/// It cannot be read, or is faulty: the old one stays in force.
pub(super) fn reload(
    running: &Running<'_>,
    reread: &Reread<'_>,
    shared: &Shared<'_>,
) -> Result<Reloaded, FrontError> {
    shared.events.reopen();
    let read = running.change(|_| reread().map(|new| (new, ())));
    shared.reloads.note(shared.clock.now(), read.is_err());
    let (pending, ()) = read.inspect_err(|error| {
        for line in error.lines() {
            log::error!("the old configuration stays in force: {line}");
        }
    })?;
    running.remember(&pending);
    for one in &pending {
        log::warn!("{one}");
    }
    // What logs may wait for its reader, and nobody else is to wait for that.
    let (profile, monitors) = {
        let config = running.config();
        (format!("new connections: profile {}", config.profile), config.engine.monitor)
    };
    log::info!("{profile}");
    let monitoring = monitors.then(|| MONITORING_NEW.to_owned());
    if let Some(line) = &monitoring {
        log::warn!("{line}");
    }
    Ok(Reloaded { said: [profile].into_iter().chain(monitoring).collect(), pending })
}

/// Tells the log that nothing is filtered, where that is so.
pub(super) fn announce_monitoring(config: &Config) {
    if config.engine.monitor {
        log::warn!("{MONITORING}");
    }
}

const MONITORING: &str = "monitoring only: every packet passes unchanged";
const MONITORING_NEW: &str = "monitoring only from now on: every packet of new connections passes \
                              unchanged, and those under way go on as they began";
