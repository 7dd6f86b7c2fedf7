//! What fails within a process that has entered the sandbox, and what does not.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use super::*;
use crate::config::Override;

/// A folder that is gone when the test is over.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("mailguard-{name}-{}", std::process::id()));
        for part in ["etc", "log", "run", "other"] {
            fs::create_dir_all(path.join(part)).unwrap();
        }
        fs::write(path.join("etc/mailguard.toml"), "monitor = false\n").unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn config(&self, sandbox: bool) -> Config {
        let set = |key: &str, name: &str| format!("{key}={}", self.path(name).display());
        let sets = [
            set("log.events", "log/events"),
            set("control.socket", "run/control"),
            format!("sandbox={sandbox}"),
        ];
        let sets = sets.map(|set| Override::parse(&set).unwrap());
        Config::build(None, &sets).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Plays in a thread of its own, which is the only one that enters.
fn inside(folder: &Folder, sandbox: bool, play: impl FnOnce(&Folder) + Send) {
    let config = folder.config(sandbox);
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            enter(&config, Some(&folder.path("etc/mailguard.toml")));
            play(folder);
        });
        thread.join().unwrap();
    });
}

/// Each act that nobody does here, by name, and whether it was refused.
fn forbidden(folder: &Folder) -> Vec<(&'static str, bool)> {
    let denied = |error: std::io::Error| error.kind() == ErrorKind::PermissionDenied;
    let acts: Vec<(&str, Option<std::io::Error>)> = vec![
        ("execve", Command::new("/bin/true").status().err()),
        ("read a file", File::open("/etc/passwd").err()),
        ("read the log", File::open(folder.path("log/events")).err()),
        ("list a folder", fs::read_dir(folder.path("other")).err()),
        ("make a file", File::create(folder.path("other/file")).err()),
        ("make a folder", fs::create_dir(folder.path("log/folder")).err()),
        ("make a link", std::os::unix::fs::symlink("/", folder.path("log/link")).err()),
        ("remove a log", fs::remove_file(folder.path("log/events")).err()),
        ("make a socket", UnixListener::bind(folder.path("run/second")).err()),
        ("open a door", open_door().err()),
        ("change an owner", std::os::unix::fs::chown(folder.path("log"), Some(1), None).err()),
        ("listen", TcpListener::bind("127.0.0.1:0").err()),
        ("connect", TcpStream::connect("127.0.0.1:1").err()),
        ("send a datagram", UdpSocket::bind("127.0.0.1:0").err()),
        ("open a raw socket", raw().err()),
        ("signal another process", signal().err()),
    ];
    acts.into_iter().map(|(name, error)| (name, error.is_some_and(denied))).collect()
}

fn raw() -> std::io::Result<socket2::Socket> {
    socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::RAW, Some(6.into()))
}

fn open_door() -> std::io::Result<UnixListener> {
    let name = format!("mailguard-sandbox-{}", std::process::id());
    UnixListener::bind_addr(&SocketAddr::from_abstract_name(name)?)
}

fn signal() -> std::io::Result<()> {
    Ok(rustix::process::test_kill_process(rustix::process::Pid::INIT)?)
}

#[test]
fn what_nobody_does_here_fails() {
    let folder = Folder::new("forbidden");
    fs::write(folder.path("log/events"), "").unwrap();
    inside(&folder, true, |folder| {
        for (act, is_refused) in forbidden(folder) {
            assert!(is_refused, "{act} was not refused");
        }
    });
    // Outside, and as root, none of it is: it is the sandbox that refuses.
    if rustix::process::geteuid().is_root() {
        inside(&folder, false, |folder| {
            for (act, is_refused) in forbidden(folder) {
                assert!(!is_refused, "{act} was refused");
            }
        });
    }
}

#[test]
fn what_a_filter_does_while_it_runs_goes_on() {
    let folder = Folder::new("permitted");
    fs::write(folder.path("log/events"), "").unwrap();
    let control = UnixListener::bind(folder.path("run/control")).unwrap();
    // Daemons of the log that came after, where the filter has no right to anything.
    let (syslog, sender) = (folder.path("other/syslog"), UnixDatagram::unbound().unwrap());
    let daemon = UnixDatagram::bind(&syslog).unwrap();
    inside(&folder, true, |folder| {
        sender.send_to(b"an entry", &syslog).unwrap();
        // The configuration is read again, and replaced.
        let file = folder.path("etc/mailguard.toml");
        fs::read_to_string(&file).unwrap();
        let new = folder.path("etc/mailguard.toml.new");
        fs::write(&new, "monitor = true\n").unwrap();
        fs::rename(&new, &file).unwrap();
        // The log is opened anew, where it was and where it is no more.
        for _ in 0..2 {
            let log = folder.path("log/events");
            File::options().append(true).create(true).open(&log).unwrap();
            let _ = fs::metadata(&log).unwrap();
        }
        // The kernel's counters and our own, threads, the time of day.
        fs::read_to_string("/proc/self/statm").unwrap();
        assert!(fs::read_dir("/proc/self/fd").unwrap().count() > 2);
        let named = thread::Builder::new().name("named".to_owned());
        let big = named.spawn(|| vec![1_u8; 64 << 20].iter().map(|&b| u64::from(b)).sum::<u64>());
        assert_eq!(big.unwrap().join().unwrap(), 64 << 20);
        jiff::tz::TimeZone::get("Europe/Berlin").unwrap();
        fs::remove_file(folder.path("run/control")).unwrap();
    });
    drop((control, daemon));
}
