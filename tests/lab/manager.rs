//! A stand-in for a service manager: listens as systemd does to what a daemon tells
//! (`sd_notify(3)`), keeps the descriptors it is given, and passes them to the next start
//! (`sd_listen_fds(3)`).

use std::fs::{self, File, Permissions};
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use super::network::Side;
use super::outcome::{Because, Outcome};
use super::process::wait_until;
use super::root::DIRECTORY;

/// The manager of one daemon, whichever process that is at a time.
pub(crate) struct Manager {
    address: String,
    /// What it has the daemon know besides.
    environment: Vec<(String, String)>,
    shared: Arc<Mutex<Heard>>,
}

/// What the daemon has said.
#[derive(Default)]
struct Heard {
    /// By name; what came last is first.
    kept: Vec<(String, OwnedFd)>,
    said: Vec<String>,
    /// Copies of them for the start under way.
    passed: Vec<OwnedFd>,
}

impl Manager {
    /// One that keeps nothing yet.
    pub(crate) fn new(name: &str) -> Outcome<Self> {
        let address = format!("{DIRECTORY}/{name}.notify");
        // One before may have had it.
        let _ = fs::remove_file(&address);
        let socket = UnixDatagram::bind(&address).because(&address)?;
        fs::set_permissions(&address, Permissions::from_mode(0o666))?;
        let shared = Arc::new(Mutex::new(Heard::default()));
        let listener = Arc::clone(&shared);
        // It ends with the lab.
        thread::spawn(move || while hear(&socket, &listener).is_some() {});
        Ok(Self { address, environment: Vec::new(), shared })
    }

    /// One that sets this for the daemon.
    pub(crate) fn with_environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Waits until the daemon has said this so many times in all.
    pub(crate) fn await_said(&self, text: &str, times: usize, limit: Duration) -> Outcome {
        wait_until(&format!("{text}, {times} times"), limit, || {
            Ok((self.said(text) >= times).then_some(()))
        })
    }

    /// How often the daemon has said this.
    pub(crate) fn said(&self, text: &str) -> usize {
        let heard = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        heard.said.iter().filter(|said| said.lines().any(|line| line == text)).count()
    }

    /// Waits until it keeps these, in order of names: it may not have heard all that was said.
    pub(crate) fn await_names(&self, names: &[&str], limit: Duration) -> Outcome {
        wait_until(&format!("{names:?} are kept"), limit, || {
            Ok((self.names() == names).then_some(()))
        })
    }

    /// What it keeps, in order of names.
    pub(crate) fn names(&self) -> Vec<String> {
        let heard = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let mut names: Vec<_> = heard.kept.iter().map(|(name, _)| name.clone()).collect();
        names.sort();
        names
    }

    /// One of these, if it is a file.
    pub(crate) fn file(&self, name: &str) -> Outcome<File> {
        let heard = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let found = heard.kept.iter().find(|(kept, _)| kept == name);
        Ok(File::from(found.because(name)?.1.try_clone()?))
    }

    /// The daemon on the gateway, as the manager starts it.
    pub(crate) fn command(&self, program: &str) -> Outcome<Command> {
        let mut heard = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let heard = &mut *heard;
        heard.passed.clear();
        let mut redirections = String::new();
        for (index, (_, socket)) in heard.kept.iter().enumerate() {
            // Far above what a shell uses itself; a number too many in the child harms nobody.
            let passed = fcntl_dupfd_cloexec(socket, 100).map_err(std::io::Error::from)?;
            fcntl_setfd(&passed, FdFlags::empty()).map_err(std::io::Error::from)?;
            let number = passed.as_raw_fd();
            redirections += &format!("exec {}<&{number} {number}<&-; ", FIRST + index);
            heard.passed.push(passed);
        }
        let names: Vec<&str> = heard.kept.iter().map(|(name, _)| name.as_str()).collect();
        let mut command = Self::launch(&format!("{redirections} export LISTEN_PID=$$;"), program)?;
        command.env("NOTIFY_SOCKET", &self.address);
        command.env("LISTEN_FDS", names.len().to_string());
        command.env("LISTEN_FDNAMES", names.join(":"));
        command.env("WATCHDOG_USEC", "10000000");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        Ok(command)
    }

    /// The same as the daemon's user starts it by hand, of which the manager knows nothing.
    pub(crate) fn by_hand(program: &str) -> Outcome<Command> {
        Self::launch("", program)
    }

    fn launch(prepare: &str, program: &str) -> Outcome<Command> {
        let script = format!("{prepare} exec {} {program} \"$@\"", privileges()?);
        Ok(Side::Gateway.command("bash", &["-c", &script, "mailguard"]))
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        // The listener lives on, and what it keeps would.
        let mut heard = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        *heard = Heard::default();
    }
}

fn hear(socket: &UnixDatagram, shared: &Mutex<Heard>) -> Option<()> {
    let mut text = [0; 1_024];
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut vectors = [IoSliceMut::new(&mut text)];
    let received =
        recvmsg(socket, &mut vectors, &mut ancillary, RecvFlags::CMSG_CLOEXEC).ok()?.bytes;
    let mut descriptor = None;
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(mut descriptors) = message {
            descriptor = descriptors.next();
        }
    }
    let said = String::from_utf8_lossy(text.get(..received)?).into_owned();
    let value = |key: &str| said.lines().find_map(|line| line.strip_prefix(key));
    let mut heard = shared.lock().unwrap_or_else(PoisonError::into_inner);
    if let (Some(name), Some(descriptor)) = (value("FDNAME="), descriptor) {
        if !heard.kept.iter().any(|(_, kept)| is_same(kept, &descriptor)) {
            heard.kept.insert(0, (name.to_owned(), descriptor));
        }
    } else if let (Some(name), Some(_)) = (value("FDNAME="), value("FDSTOREREMOVE=")) {
        heard.kept.retain(|(kept, _)| kept != name);
    }
    heard.said.push(said);
    Some(())
}

/// Whether two descriptors are of one opened file, as `kcmp(2)` would say: then they share a flag
/// that matters to none of those that are kept.
fn is_same(one: &OwnedFd, other: &OwnedFd) -> bool {
    let flag = |descriptor| fcntl_getfl(descriptor).map(|flags| flags.contains(OFlags::NOATIME));
    let Ok(flags) = fcntl_getfl(one) else { return false };
    let before = flag(other);
    if fcntl_setfl(one, flags ^ OFlags::NOATIME).is_err() {
        return false;
    }
    let after = flag(other);
    fcntl_setfl(one, flags).is_ok() && before != after
}

/// What the unit of the packages grants: a user of its own, two capabilities and nothing to gain.
/// Where we are not the real root there is no other user to become.
fn privileges() -> Outcome<&'static str> {
    let users = fs::read_to_string("/proc/self/uid_map")?;
    let has_users = users.split_whitespace().nth(2) == Some("4294967295");
    // Its logs are to be written by whoever it is.
    fs::set_permissions(format!("{DIRECTORY}/logs"), Permissions::from_mode(0o777))?;
    Ok(if has_users {
        "setpriv --reuid=65534 --regid=65534 --groups=0 --inh-caps=-all,+net_admin,+net_raw \
         --ambient-caps=-all,+net_admin,+net_raw --bounding-set=-all,+net_admin,+net_raw \
         --no-new-privs"
    } else {
        "setpriv --no-new-privs"
    })
}

/// The first descriptor that is passed on (`SD_LISTEN_FDS_START`).
const FIRST: usize = 3;
