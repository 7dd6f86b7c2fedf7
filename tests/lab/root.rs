//! A private root for a mail program: the host's /usr with the program's unpacked package laid over
//! it, a copy of the host's /etc, and all else its own. Everything it writes goes to memory.
//!
//! So Postfix, Exim, sendmail and OpenSMTPD run side by side without being installed anywhere.
//! Fetching and unpacking is `lab/setup.sh`; configuring is each program's own module.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::network::Side;
use super::outcome::{Because, Failure, Outcome, lacking};
use super::process::{PATIENCE, run, tool};

/// Where everything lives inside the lab: on a tmpfs of its own.
pub(crate) const DIRECTORY: &str = "/run/lab";

/// A mounted root.
pub(crate) struct Root {
    path: PathBuf,
}

impl Root {
    /// Mounts the root of a program that `lab/setup.sh` has unpacked.
    pub(crate) fn mount(program: &str) -> Outcome<Self> {
        Self::mount_as(program, program)
    }

    /// The same under a name of its own, for a program that runs more than once.
    pub(crate) fn mount_as(program: &str, name: &str) -> Outcome<Self> {
        let package = target()?.join("lab/roots").join(program);
        if !package.with_added_extension("ready").exists() {
            return lacking(format!("{program} is not unpacked: tests/lab/setup.sh {program}"));
        }
        let place = Path::new(DIRECTORY).join("roots").join(name);
        let (work, path) = (place.join("work"), place.join("tree"));
        fs::create_dir_all(&work).because(work.display())?;
        run(tool("mkdir", &["-p"]).args(SKELETON.map(|name| path.join(name))), PATIENCE)?;
        // Some of /etc is for root's eyes only, and no mail program needs it.
        let _ = run(tool("cp", &["-a", "/etc"]).arg(&path), PATIENCE);
        let copied = format!("{}/.", package.display());
        run(tool("cp", &["-a", &copied]).arg(&path), PATIENCE)?;
        // Only /usr is shared: within a user namespace, overlayfs refuses a layer that has other
        // mounts below it, as / has.
        let usr = path.join("usr");
        fs::rename(&usr, place.join("usr"))?;
        fs::create_dir(&usr)?;
        let upper = place.join("usr");
        let layers =
            format!("lowerdir=/usr,upperdir={},workdir={}", upper.display(), work.display());
        run(tool("mount", &["-t", "overlay", "overlay", "-o", &layers]).arg(&usr), PATIENCE)
            .map_err(|failure| Failure::Lacking(format!("overlayfs: {failure}")))?;
        run(tool("mount", &["--rbind", "/dev"]).arg(path.join("dev")), PATIENCE)?;
        run(tool("mount", &["-t", "proc", "proc"]).arg(path.join("proc")), PATIENCE)?;
        Ok(Self { path })
    }

    /// The host path of a path inside the root.
    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        self.path.join(inside.trim_start_matches('/'))
    }

    /// Writes a file inside the root, with its directories.
    pub(crate) fn write(&self, inside: &str, content: impl AsRef<[u8]>) -> Outcome {
        let path = self.path(inside);
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).because(directory.display())?;
        }
        fs::write(&path, content).because(path.display())
    }

    /// Adds a user and a group of the same name and number, unless the host has them.
    pub(crate) fn add_user(&self, name: &str, number: u32) -> Outcome {
        let user = format!("{name}:x:{number}:{number}::/:/usr/sbin/nologin\n");
        self.add_account("etc/passwd", name, &user)?;
        self.add_account("etc/group", name, &format!("{name}:x:{number}:\n"))
    }

    /// A command in this root, on one of the three hosts.
    pub(crate) fn command(&self, side: Side, program: &str, arguments: &[&str]) -> Command {
        let mut command = side.command("chroot", &[]);
        command.arg(&self.path).arg(program).args(arguments);
        command
    }

    fn add_account(&self, file: &str, name: &str, line: &str) -> Outcome {
        let path = self.path(file);
        let mut content = fs::read_to_string(&path).because(path.display())?;
        if !content.lines().any(|known| known.split(':').next() == Some(name)) {
            content.push_str(line);
            self.write(file, content)?;
        }
        Ok(())
    }
}

/// The build directory this program was built in.
pub(crate) fn target() -> Outcome<PathBuf> {
    // target/<profile>/{deps,examples}/<this program>
    let program = env::current_exe()?;
    program.ancestors().nth(3).map(Path::to_path_buf).because("a build directory")
}

/// Directories that a package may or may not bring along.
const SKELETON: [&str; 8] = ["dev", "etc", "proc", "run", "tmp", "usr", "var/log", "var/tmp"];
