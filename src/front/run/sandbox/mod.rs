//! What a running filter gives up for good, once everything is open and before the first packet:
//! capabilities, files, and calls of the kernel.
//!
//! What is refused from then on fails as if permission was lacking; nothing is killed. What the
//! kernel cannot refuse is told to the log, since filtering matters more.

mod calls;
mod files;
#[cfg(test)]
mod tests;

use std::path::Path;

use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};

use crate::config::Config;

/// Enters it with the calling thread, and all threads that it will start. The file is that of the
/// configuration, which is read again and may be written.
pub(super) fn enter(config: &Config, file: Option<&Path>) {
    if !config.sandbox {
        return log::warn!("sandbox: none, as configured");
    }
    // In this order: each of them still needs what the next one takes away.
    let entered = [
        ("capabilities", keep_net_admin()),
        ("files", files::enter(&files::wanted(config, file))),
        ("system calls", calls::enter()),
    ];
    for (what, entered) in entered {
        match entered {
            Ok(done) => log::info!("sandbox: {what}: {done}"),
            Err(error) => log::warn!("sandbox: {what} are not limited: {error}"),
        }
    }
}

/// Every verdict needs one capability; the raw sockets, for which another was needed, are open.
fn keep_net_admin() -> Result<String, String> {
    let failed = |error| format!("{error}");
    let permitted = capabilities(None).map_err(failed)?.permitted;
    let (kept, none) = (permitted & CapabilitySet::NET_ADMIN, CapabilitySet::empty());
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: none };
    match set_capabilities(None, sets) {
        Ok(()) => Ok("CAP_NET_ADMIN alone".to_owned()),
        // A unit may refuse the call, having limited them itself. The second one opens no socket
        // any more, since the calls for it are refused.
        Err(_) if (kept | CapabilitySet::NET_RAW).contains(permitted) => {
            Ok("CAP_NET_ADMIN and CAP_NET_RAW alone".to_owned())
        }
        Err(error) => Err(failed(error)),
    }
}
