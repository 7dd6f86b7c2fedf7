//! What the PIX's words keep in the configuration file: written whole, or not at all.
//!
//! The filter writes it where it may. Where its unit keeps it from that, root's `mailguard ctl`
//! does, in its own file and with nothing of the filter's but these values.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};

use super::{CONFIGURATION_MAX, FrontError, is_there, read_configuration};
use crate::config::{Config, Override, Source, rewrite};
use crate::pix;

/// Writes the file; the old one stays beside it. What a PIX says of it. Where it is gone, what else
/// stood in it is lost: only whoever had none begins one.
///
/// # Errors
/// It cannot be read or written, or is no configuration, or would be none with these overrides.
pub fn write(
    file: &Path,
    had_file: bool,
    config: &Config,
    overrides: &[Override],
) -> Result<String, FrontError> {
    let is_begun = !had_file && !is_there(file);
    let old = if is_begun { None } else { Some(read_configuration(file)?) };
    let new = rewrite(old.as_deref().unwrap_or(BEGINNING), config)
        .map_err(|error| FrontError::file(file, error))?;
    examine(file, &new, overrides)?;
    replace(file, old.as_deref(), &new)
        .map_err(|error| FrontError::io(format!("cannot write {}", file.display()), error))?;
    let sum = pix::checksum(config);
    Ok(format!("Building configuration...\nCryptochecksum: {sum}\n[OK]"))
}

/// Whether the next start would take the file as it is to be written.
fn examine(file: &Path, new: &str, overrides: &[Override]) -> Result<(), FrontError> {
    const WHY: &str = "nothing is written, the next start would refuse it";
    if new.len() as u64 > CONFIGURATION_MAX {
        return Err(FrontError::file(file, format!("{WHY}: longer than 1 MiB")));
    }
    let name = file.display().to_string();
    let built = Config::build(Some(Source { name: &name, text: new }), overrides);
    built.map(drop).map_err(|refused| FrontError::new(format!("{WHY}: {}", refused.in_a_line())))
}

/// What is to be written, for somebody else to write: the file's path in a line, and the values.
pub(super) fn to_be_written(file: &Path, config: &Config) -> Result<String, String> {
    rewrite("", config).map(|values| format!("{}\n{values}", file.display()))
}

/// Writes what a filter has said is to be written, if our file is its own, as [`write()`] does.
/// Which overrides the filter has is not known here.
///
/// # Errors
/// It is another file; and as above.
pub fn write_for(said: &str, file: &Path, had_file: bool) -> Result<String, FrontError> {
    let (path, text) = said.split_once('\n').unwrap_or((said, ""));
    if Path::new(path) != file {
        let what = format!("the filter's configuration is {path}, expected --config {path}");
        return Err(FrontError::file(file, what));
    }
    let config = Config::build(Some(Source { name: "the filter's answer", text }), &[])?;
    write(file, had_file, &config, &[])
}

/// Whether it was somebody's decision that we may not.
pub(super) fn is_forbidden(error: &FrontError) -> bool {
    let forbidden = [ErrorKind::PermissionDenied, ErrorKind::ReadOnlyFilesystem];
    error.kind().is_some_and(|kind| forbidden.contains(&kind))
}

/// The old text goes beside the file, the new one takes its place: at no moment is there none. A
/// link stays one, and whose the file is stays so where that can be.
fn replace(file: &Path, old: Option<&str>, new: &str) -> io::Result<()> {
    let file = &file.canonicalize().unwrap_or_else(|_| file.to_owned());
    let beside = |end: &str| {
        let mut name = file.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    let found = fs::metadata(file);
    let write = |path: &Path, text: &str| -> io::Result<()> {
        let mut written = File::create(path)?;
        if let Ok(found) = &found {
            let made = written.metadata()?;
            if (made.uid(), made.gid()) != (found.uid(), found.gid()) {
                // Ahead of what could open it to others, and only root may.
                let _ = fchown(&written, Some(found.uid()), Some(found.gid()));
            }
            written.set_permissions(found.permissions())?;
        }
        written.write_all(text.as_bytes())?;
        written.sync_all()
    };
    // One that was kept before goes when all is written, and not on a full disk.
    let (kept, old_file, new_file) = (beside(".1"), beside(".1.new"), beside(".new"));
    let written =
        old.map_or(Ok(()), |old| write(&old_file, old)).and_then(|()| write(&new_file, new));
    if let Err(error) = written {
        for part in [&old_file, &new_file] {
            let _ = fs::remove_file(part);
        }
        return Err(error);
    }
    old.map_or(Ok(()), |_| fs::rename(&old_file, kept))?;
    fs::rename(&new_file, file)
}

/// What a file begins with that has nothing else: an empty one would be none.
const BEGINNING: &str = "# What the running filter was told.\n";

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_link_to_the_file_stays_one_and_so_do_owner_and_mode() {
        let folder = std::env::temp_dir().join(format!("mailguard-saved-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (file, link) = (folder.join("real.toml"), folder.join("link.toml"));
        fs::write(&file, "ports = [26]\n").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&file, Some(65_534), Some(65_534)).unwrap();
        }
        symlink(&file, &link).unwrap();
        let owner = |path: &Path| {
            let found = fs::metadata(path).unwrap();
            (found.uid(), found.gid(), found.permissions().mode() & 0o777)
        };
        let before = owner(&file);
        let config = Config::build(None, &[]).unwrap();
        write(&link, true, &config, &[]).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(owner(&file), before);
        assert_eq!(owner(&folder.join("real.toml.1")), before);
        assert_eq!(fs::read_to_string(&file).unwrap(), "ports = [25]\n");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn what_cannot_be_written_whole_replaces_nothing() {
        let name = format!("mailguard-memory-whole-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let (file, kept) = (folder.join("m.toml"), folder.join("m.toml.1"));
        // What cannot be removed cannot be written.
        fs::create_dir_all(folder.join("m.toml.new")).unwrap();
        fs::write(&file, "ports = [26]\n").unwrap();
        fs::write(&kept, "ports = [27]\n").unwrap();
        let config = Config::build(None, &[]).unwrap();
        write(&file, true, &config, &[]).unwrap_err();
        assert_eq!(fs::read_to_string(&file).unwrap(), "ports = [26]\n");
        assert_eq!(fs::read_to_string(&kept).unwrap(), "ports = [27]\n");
        assert!(!folder.join("m.toml.1.new").exists());
        fs::remove_dir(folder.join("m.toml.new")).unwrap();
        write(&file, true, &config, &[]).unwrap();
        assert_eq!(fs::read_to_string(&kept).unwrap(), "ports = [26]\n");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn what_the_next_start_would_refuse_does_not_replace_the_file() {
        let name = format!("mailguard-saved-refused-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("m.toml");
        let text = "monitor = true\n";
        fs::write(&file, text).unwrap();
        let mut config = Config::build(None, &[]).unwrap();
        config.engine.ports.clear();
        let refused = write(&file, true, &config, &[]).unwrap_err().to_string();
        assert!(refused.starts_with("nothing is written, the next start would refuse it: "));
        assert!(refused.ends_with("monitor: true found, but no ports: expected one or the other"));
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
        assert!(!folder.join("m.toml.1").exists());
        // The start is the one with the same options.
        let cure = [Override::parse("monitor=false").unwrap()];
        write(&file, true, &config, &cure).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "monitor = true\nports = []\n");
        config.pix = vec!["x".repeat(1 << 20)];
        assert!(write(&file, true, &config, &cure).unwrap_err().to_string().ends_with(" 1 MiB"));
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_file_is_begun_only_by_whoever_had_none() {
        let folder = std::env::temp_dir().join(format!("mailguard-begun-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (file, old) = (folder.join("m.toml"), folder.join("m.toml.1"));
        let mut config = Config::build(None, &[]).unwrap();
        fs::write(&old, "monitor = true\n").unwrap();
        let refused = |had_file| {
            let error = write(&file, had_file, &config, &[]).unwrap_err();
            assert_eq!(fs::read_to_string(&old).unwrap(), "monitor = true\n");
            error.to_string()
        };
        // Gone, a link to nothing, lost to the last byte.
        assert!(refused(true).starts_with("cannot read "));
        assert!(!file.exists());
        symlink(folder.join("nothing"), &file).unwrap();
        assert!([true, false].map(refused).iter().all(|why| why.starts_with("cannot read ")));
        assert!(fs::symlink_metadata(&file).unwrap().is_symlink());
        fs::remove_file(&file).unwrap();
        fs::write(&file, "").unwrap();
        assert!([true, false].map(refused).iter().all(|why| why.contains(": empty: ")));
        fs::remove_file(&file).unwrap();
        // What is begun can be read by the next start, whatever there is to say.
        write(&file, false, &config, &[]).unwrap();
        assert_eq!(read_configuration(&file).unwrap(), BEGINNING);
        assert_eq!(fs::read_to_string(&old).unwrap(), "monitor = true\n");
        config.engine.ports.push(587);
        write(&file, true, &config, &[]).unwrap();
        let written = read_configuration(&file).unwrap();
        let source = Source { name: "m.toml", text: &written };
        assert_eq!(Config::build(Some(source), &[]).unwrap(), config);
        assert_eq!(fs::read_to_string(&old).unwrap(), BEGINNING);
        fs::remove_dir_all(&folder).unwrap();
    }
}
