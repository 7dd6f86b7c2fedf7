//! What rules are made from, kept beside those that stand: where they are gone and the
//! configuration is faulty, mail would pass unread otherwise.

use std::env;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::config::{Config, Source, Words};
use crate::front::{FrontError, read_configuration};

/// In the words of a configuration file.
#[must_use]
pub fn inputs(config: &Config) -> String {
    let hosts = config.rules.mail_hosts.iter().map(|host| format!("\"{host}\""));
    let (fail, backend) = (config.queue.fail.word(), config.rules.backend.word());
    format!(
        "ports = {:?}\n[queue]\nfirst = {}\nlast = {}\nfail = \"{fail}\"\n[rules]\n\
         backend = \"{backend}\"\nmail_hosts = [{}]\nlocal = {}\nmark = {}\n\
         offload_mark = {}\n",
        config.engine.ports,
        config.queue.first,
        config.queue.last,
        hosts.collect::<Vec<_>>().join(", "),
        config.rules.local,
        config.rules.mark,
        config.rules.offload_mark
    )
}

/// Keeps them, and of which file they are, if of one.
pub(super) fn keep(config: &Config, of: Option<&Path>) -> Result<(), FrontError> {
    let file = place();
    let head = of.map(head).unwrap_or_default();
    write(&file, &format!("{head}{}", inputs(config))).map_err(|error| {
        let context = format!("the rules stand, but cannot be kept in {}", file.display());
        FrontError::io(context, error)
    })
}

/// Those that were kept last.
pub(super) fn kept() -> Result<Config, FrontError> {
    let file = place();
    let text = read_configuration(&file)?;
    let name = &file.display().to_string();
    Ok(Config::build(Some(Source { name, text: &text }), &[])?)
}

/// Whether those that were kept last are of this configuration file: where it is gone now, nobody
/// has asked for the defaults.
#[must_use]
pub fn are_of(file: &Path) -> bool {
    read_configuration(&place()).is_ok_and(|text| text.starts_with(&head(file)))
}

/// Keeps none.
pub(super) fn forget() {
    let file = place();
    for file in [&file, &file.with_extension("new")] {
        let _ = fs::remove_file(file);
    }
    // Unless somebody else has something there.
    let _ = file.parent().map(fs::remove_dir);
}

/// All of it or nothing, whatever happens to the machine meanwhile.
fn write(file: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
    }
    let new = file.with_extension("new");
    let mut written = File::create(&new)?;
    // Whoever asks whether they are of a file may be another user, and no secret is in it.
    written.set_permissions(Permissions::from_mode(0o644))?;
    written.write_all(text.as_bytes())?;
    written.sync_all()?;
    fs::rename(new, file)
}

/// In the folder that a service manager has made for us, or where it would.
fn place() -> PathBuf {
    let folder = env::var_os("STATE_DIRECTORY").map_or_else(|| FOLDER.into(), PathBuf::from);
    folder.join("rules.toml")
}

/// How they begin that are of a file.
fn head(file: &Path) -> String {
    format!("# From {}\n", file.display().to_string().escape_debug())
}

const FOLDER: &str = "/var/lib/mailguard";
