//! The files that are left, by Landlock: what is read again, what is written, what is listed.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd,
    Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};

use crate::config::{Config, Destination};

/// A path, and what may be done there and below.
type Wanted = (PathBuf, BitFlags<AccessFs>);

/// What a configuration needs while it is in force.
pub(super) fn wanted(config: &Config, file: Option<&Path>) -> Vec<Wanted> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let replace =
        AccessFs::WriteFile | AccessFs::MakeReg | AccessFs::RemoveFile | AccessFs::Truncate;
    let mut all = vec![
        // The kernel's counters, and our own.
        (PathBuf::from("/proc"), read),
        // Dates of the event log.
        (PathBuf::from("/etc/localtime"), read),
        (PathBuf::from("/usr/share/zoneinfo"), read),
    ];
    // An editor, and `write memory`, put a new file in the place of the old.
    if let Some(file) = file {
        all.push((folder(file), read | replace));
        all.extend(file.canonicalize().ok().map(|real| (folder(&real), read | replace)));
    }
    all.extend(config.patch_directory.iter().map(|path| (PathBuf::from(path), read)));
    // To send a daemon something takes no right to a file.
    if let Some(Destination::Stream(log)) = config.log.destination()
        && log != "-"
    {
        let log = Path::new(log);
        all.push((folder(log), AccessFs::WriteFile | AccessFs::MakeReg));
        // A FIFO is opened for reading too while nobody reads it.
        all.extend(is_fifo(log).then(|| (log.to_owned(), AccessFs::ReadFile.into())));
    }
    // The socket goes with us.
    all.push((folder(Path::new(&config.control.socket)), AccessFs::RemoveFile.into()));
    all
}

/// Leaves nothing else.
pub(super) fn enter(wanted: &[Wanted]) -> Result<String, String> {
    let failed = |error: RulesetError| error.to_string();
    let handled = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(LATEST))
        .and_then(|ruleset| ruleset.handle_access(AccessNet::from_all(LATEST)))
        .and_then(|ruleset| ruleset.scope(Scope::Signal))
        .and_then(Ruleset::create);
    let mut ruleset = handled.map_err(failed)?;
    for (path, access) in wanted {
        // What is not there needs no permission.
        let Ok(at) = PathFd::new(path) else { continue };
        let access = if path.is_dir() { *access } else { *access & AccessFs::from_file(LATEST) };
        ruleset = ruleset.add_rule(PathBeneath::new(at, access)).map_err(failed)?;
    }
    match ruleset.restrict_self().map_err(failed)?.ruleset {
        RulesetStatus::FullyEnforced => Ok("those of the configuration alone".to_owned()),
        RulesetStatus::PartiallyEnforced => {
            Ok("those of the configuration alone, as far as this kernel can tell".to_owned())
        }
        RulesetStatus::NotEnforced => Err("the kernel has no Landlock".to_owned()),
    }
}

fn folder(file: &Path) -> PathBuf {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or_else(|| Path::new(".")).to_owned()
}

fn is_fifo(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    path.metadata().is_ok_and(|found| found.file_type().is_fifo())
}

/// The last version of Landlock whose every right is thought of here.
const LATEST: ABI = ABI::V6;
