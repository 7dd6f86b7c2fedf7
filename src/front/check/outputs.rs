//! Whether a filter that is started now could open what the configuration names to it: its event
//! log and its control socket. Looks, and makes nothing.
//!
//! What may be written depends on who starts it. Under a service manager that is the user of our
//! unit, whoever asks; of what others may, mode and owner tell, and the unit has most of the file
//! system closed to it. Elsewhere it is who asks.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs::{self, FileType, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use nix::unistd::{User, getgrouplist};
use rustix::fs::{Access, access};

use super::{Report, succeeded};
use crate::config::{Config, Destination};
use crate::front::EXPECTED_LOG;

/// Examines them.
pub(super) fn examine(config: &Config, report: &mut Report) {
    let starter = Starter::find();
    let log = match config.log.destination() {
        None | Some(Destination::Stream("-")) => Ok(()),
        Some(Destination::Stream(path)) => starter.log(Path::new(path)),
        Some(Destination::Daemon(_, path)) => daemon(path),
    };
    if let Err(what) = log {
        report.wrong(format!("log.events: {what}"));
    }
    // Without one that nobody asked for a filter starts all the same.
    let socket = Path::new(&config.control.socket);
    if config.control.is_wanted
        && let Err(what) = starter.socket(socket)
    {
        report.wrong(format!("control.socket: {what}"));
    }
}

/// Who starts the filter.
#[derive(Debug)]
struct Starter {
    /// None: who asks.
    other: Option<Other>,
    /// Whether somebody makes the folders of our unit for it.
    has_manager: bool,
    /// The folders below which our unit lets it write; none: wherever it may.
    open: Option<Vec<PathBuf>>,
}

/// Another user than the one who asks.
#[derive(Debug)]
struct Other {
    user: u32,
    groups: Vec<u32>,
}

impl Starter {
    fn find() -> Self {
        let has_manager = Path::new("/run/systemd/system").exists();
        let other = if has_manager { Other::find() } else { None };
        let unit = has_manager.then(|| succeeded("systemctl", &UNIT)).flatten();
        Self { other, has_manager, open: unit.and_then(|unit| open_to(&unit)) }
    }

    fn log(&self, path: &Path) -> Result<(), String> {
        let said = |what: &str| Err(format!("{}: {what}", path.display()));
        self.closed(path)?;
        match path.symlink_metadata().map(|found| found.file_type()) {
            Ok(kind) if kind.is_symlink() => said(&format!("a symbolic link, {EXPECTED_LOG}")),
            Ok(kind) if kind.is_dir() => said(&format!("a directory, {EXPECTED_LOG}")),
            Ok(kind) if !kind.is_file() && !kind.is_fifo() => said(EXPECTED_LOG),
            Ok(_) if !self.may(path, Access::WRITE_OK) => said(&self.refused("write it")),
            Ok(_) => Ok(()),
            Err(error) => self.unseen(path, &error),
        }
    }

    /// Nothing may be there but a socket, whose place is taken.
    fn socket(&self, path: &Path) -> Result<(), String> {
        self.closed(path)?;
        let is_socket = |kind: FileType| kind.is_socket();
        match path.symlink_metadata().map(|found| found.file_type()) {
            Ok(kind) if !is_socket(kind) => {
                Err(format!("{}: expected a socket, or nothing", path.display()))
            }
            Ok(_) => self.folder(path),
            Err(error) => match path.parent() {
                // That one folder is made.
                Some(folder) if error.kind() == ErrorKind::NotFound && !folder.exists() => {
                    if self.is_made(folder) { Ok(()) } else { self.folder(folder) }
                }
                _ => self.unseen(path, &error),
            },
        }
    }

    /// Whether our unit lets nobody write there.
    fn closed(&self, path: &Path) -> Result<(), String> {
        let Some(open) = &self.open else { return Ok(()) };
        // /var/run is a link, and a folder may be one; what is not there yet is no link.
        let real = path.ancestors().skip(1).find_map(|folder| {
            let rest = path.strip_prefix(folder).ok()?;
            Some(fs::canonicalize(folder).ok()?.join(rest))
        });
        let is_below = |path: &Path| open.iter().any(|folder| path.starts_with(folder));
        if is_below(path) || real.is_some_and(|real| is_below(&real)) {
            return Ok(());
        }
        let shown: Vec<_> = open.iter().map(|folder| folder.display().to_string()).collect();
        Err(format!(
            "{}: mailguard.service may write below {} alone (systemctl edit mailguard: \
             ReadWritePaths=)",
            path.display(),
            shown.join(", ")
        ))
    }

    /// Whether it can be made where it is not.
    fn unseen(&self, path: &Path, error: &std::io::Error) -> Result<(), String> {
        let kind = error.kind();
        if kind == ErrorKind::NotFound {
            self.folder(path)
        } else if kind == ErrorKind::PermissionDenied && self.other.is_some() {
            // Who asks may see less than who starts.
            Ok(())
        } else {
            Err(format!("{}: {error}", path.display()))
        }
    }

    /// Whether something can be made in the folder it is in.
    fn folder(&self, path: &Path) -> Result<(), String> {
        let said = |what: &str| Err(format!("{}: {what}", path.display()));
        let Some(folder) = path.parent() else { return said("expected the path of a file") };
        // A name alone, as an option may give it.
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let shown = folder.display();
        match fs::metadata(folder) {
            Ok(found) if !found.is_dir() => said(&format!("{shown} is no folder")),
            Ok(_) if !self.may(folder, Access::WRITE_OK | Access::EXEC_OK) => {
                said(&self.refused(&format!("make anything in {shown}")))
            }
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound && self.is_made(folder) => Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                said(&format!("there is no folder {shown}"))
            }
            Err(error) => self.unseen(folder, &error),
        }
    }

    fn is_made(&self, folder: &Path) -> bool {
        self.has_manager && MADE.iter().any(|made| folder == Path::new(made))
    }

    fn may(&self, path: &Path, what: Access) -> bool {
        let Some(other) = &self.other else { return access(path, what).is_ok() };
        let has = |path: &Path, what| fs::metadata(path).is_ok_and(|found| other.has(&found, what));
        let mut folders = path.ancestors().skip(1);
        has(path, what) && folders.all(|folder| has(folder, Access::EXEC_OK))
    }

    fn refused(&self, what: &str) -> String {
        match self.other {
            Some(_) => format!("user {USER}, whom the filter runs as, may not {what}"),
            None => format!("who asks may not {what}"),
        }
    }
}

impl Other {
    /// The user of our unit; none where there is no such user, or it is who asks.
    fn find() -> Option<Self> {
        let user = User::from_name(USER).ok().flatten()?;
        let name = CString::new(USER).ok()?;
        let mut groups: Vec<u32> = getgrouplist(&name, user.gid)
            .map(|groups| groups.into_iter().map(nix::unistd::Gid::as_raw).collect())
            .unwrap_or_default();
        // As the unit has it.
        groups.extend([user.gid.as_raw(), 0]);
        let user = user.uid.as_raw();
        (rustix::process::geteuid().as_raw() != user).then_some(Self { user, groups })
    }

    fn has(&self, found: &Metadata, what: Access) -> bool {
        let shift = match (found.uid() == self.user, self.groups.contains(&found.gid())) {
            (true, _) => 6,
            (false, true) => 3,
            (false, false) => 0,
        };
        let wanted = what.bits();
        found.mode() >> shift & wanted == wanted
    }
}

/// The folders that a unit leaves open, by its properties; none where it closes nothing.
fn open_to(unit: &str) -> Option<Vec<PathBuf>> {
    let property = |name: &str| unit.lines().find_map(|line| line.strip_prefix(name));
    if property("ProtectSystem=") != Some("strict") {
        return None;
    }
    let more = property("ReadWritePaths=").unwrap_or_default().split_whitespace();
    // One that need not be there is marked, and so is one that is seen from within a root.
    let more = more.map(|path| PathBuf::from(path.trim_start_matches(['-', '+'])));
    let own = OWN_FOLDERS.into_iter().flat_map(|(name, above)| {
        let names = property(name).unwrap_or_default().split_whitespace();
        names.map(move |name| Path::new(above).join(name))
    });
    let made = MADE.into_iter().map(PathBuf::from);
    let mut open: Vec<PathBuf> = made.chain(own).chain(more).collect();
    let mut seen = BTreeSet::new();
    open.retain(|folder| seen.insert(folder.clone()));
    Some(open)
}

fn daemon(path: &Path) -> Result<(), String> {
    let asked = UnixDatagram::unbound().and_then(|socket| socket.connect(path));
    asked.map_err(|error| format!("no daemon listens at {}: {error}", path.display()))
}

/// Asks what our unit leaves open.
const UNIT: [&str; 3] = [
    "show",
    "--property=ProtectSystem,ReadWritePaths,RuntimeDirectory,StateDirectory,CacheDirectory,\
     LogsDirectory",
    "mailguard",
];

/// The folders that a service manager makes for a unit, and where.
const OWN_FOLDERS: [(&str, &str); 4] = [
    ("RuntimeDirectory=", "/run"),
    ("StateDirectory=", "/var/lib"),
    ("CacheDirectory=", "/var/cache"),
    ("LogsDirectory=", "/var/log"),
];

/// As whom our unit starts the filter.
const USER: &str = "mailguard";

/// The folders that our unit has made for it.
const MADE: [&str; 2] = ["/run/mailguard", "/var/log/mailguard"];

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;
    use std::path::PathBuf;

    use super::*;

    const OWN: Starter = Starter { other: None, has_manager: false, open: None };

    /// A folder that is gone when the test is over.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("mailguard-outputs-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn what_the_next_start_could_not_open_is_found() {
        let folder = Folder::new("kinds");
        let at = |name: &str| folder.0.join(name);
        fs::write(at("file"), "").unwrap();
        symlink(at("file"), at("link")).unwrap();
        let _listening = UnixListener::bind(at("socket")).unwrap();
        let both = |name: &str| {
            let (path, shown) = (at(name), format!("{}: ", at(name).display()));
            let end = |found: Result<(), String>| found.err().map(|it| it.replace(&shown, ""));
            (end(OWN.log(&path)), end(OWN.socket(&path)))
        };
        let no_socket = || Some("expected a socket, or nothing".to_owned());
        let no_file = |kind: &str| Some(format!("{kind}{EXPECTED_LOG}"));
        let missing = at("a/b");
        for (name, expected) in [
            ("new", (None, None)),
            ("file", (None, no_socket())),
            ("link", (no_file("a symbolic link, "), no_socket())),
            (".", (no_file("a directory, "), no_socket())),
            ("socket", (no_file(""), None)),
            ("a/new", (Some(format!("there is no folder {}", at("a").display())), None)),
        ] {
            assert_eq!(both(name), expected, "{name}");
        }
        // Of folders that are missing the last one alone is made.
        let (_, socket) = both("a/b/new");
        assert_eq!(
            socket.unwrap(),
            format!("{}: there is no folder {}", missing.display(), at("a").display())
        );
        assert!(both("file/new").0.unwrap().contains("Not a directory"));
        assert_eq!(OWN.log(Path::new("new")), Ok(()));
        assert!(daemon(&at("file")).unwrap_err().starts_with("no daemon listens at /"));
    }

    #[test]
    fn of_another_user_owner_and_mode_tell() {
        let folder = Folder::new("user");
        let file = folder.0.join("log");
        fs::write(&file, "").unwrap();
        let found = fs::metadata(&file).unwrap();
        let (owner, group) = (found.uid(), found.gid());
        for (user, groups, mode, is_allowed) in [
            (owner, vec![], 0o200, true),
            (owner, vec![group], 0o020, false),
            (owner + 1, vec![group], 0o020, true),
            (owner + 1, vec![group], 0o602, false),
            (owner + 1, vec![group + 1], 0o002, true),
            (owner + 1, vec![group + 1], 0o660, false),
        ] {
            fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
            let other = Some(Other { user, groups });
            let starter = Starter { other, has_manager: true, open: None };
            let said = format!(
                "{}: user mailguard, whom the filter runs as, may not write it",
                file.display()
            );
            let expected = if is_allowed { Ok(()) } else { Err(said) };
            assert_eq!(starter.log(&file), expected, "{mode:o}");
        }
        // A way that is closed to it leads nowhere.
        fs::set_permissions(&file, Permissions::from_mode(0o666)).unwrap();
        fs::set_permissions(&folder.0, Permissions::from_mode(0o700)).unwrap();
        let other = Some(Other { user: owner + 1, groups: vec![group + 1] });
        let starter = Starter { other, has_manager: true, open: None };
        assert!(starter.log(&file).is_err() && starter.socket(&folder.0.join("new")).is_err());
        // What the unit makes need not be there.
        assert!(
            starter.is_made(Path::new("/run/mailguard"))
                && !OWN.is_made(Path::new("/run/mailguard"))
        );
    }

    #[test]
    fn what_our_unit_closes_is_named() {
        let folder = Folder::new("unit");
        let path = folder.0.join("log");
        let starter = |unit: &str| Starter { open: open_to(unit), ..OWN };
        let more = format!("ReadWritePaths=-{}\nProtectSystem=strict\n", folder.0.display());
        for open in ["", "ProtectSystem=no\nReadWritePaths=/srv\n", "ProtectSystem=full\n", &more] {
            assert_eq!(starter(open).log(&path), Ok(()), "{open}");
            assert_eq!(starter(open).socket(&path), Ok(()), "{open}");
        }
        let link = folder.0.join("link");
        symlink("/run", &link).unwrap();
        let strict = starter("ProtectSystem=strict\nRuntimeDirectory=mailguard other\n");
        assert_eq!(strict.closed(&link.join("other/log")), Ok(()), "not there, or there");
        assert!(strict.closed(&link.join("another/log")).is_err());
        let closed = starter("ProtectSystem=strict\nReadWritePaths=/srv/a +/srv/b\n");
        let said = format!(
            "{}: mailguard.service may write below /run/mailguard, /var/log/mailguard, /srv/a, \
             /srv/b alone (systemctl edit mailguard: ReadWritePaths=)",
            path.display()
        );
        assert_eq!(closed.log(&path), Err(said.clone()));
        assert_eq!(closed.socket(&path), Err(said));
    }
}
