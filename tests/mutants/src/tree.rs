//! A copy of the tree, changed, and its tests built.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The tests that run in process, those of single modules first.
pub const TESTS: [&[&str]; 2] = [&["--lib"], &["--test", "core"]];

pub struct Tree {
    /// What it is called below target/mutants.
    pub name: &'static str,
    /// How much the compiler is to optimise.
    pub level: u8,
    /// What it is to let pass.
    pub flags: &'static str,
}

impl Tree {
    pub fn path(&self) -> PathBuf {
        Path::new("target/mutants").join(self.name)
    }

    pub fn clear(&self) -> std::io::Result<()> {
        if self.path().exists() { fs::remove_dir_all(self.path()) } else { Ok(()) }
    }

    /// Copies all files, each source of the program as it is to be changed.
    pub fn write(
        &self,
        mut change: impl FnMut(&str, String) -> Result<String, Box<dyn Error>>,
    ) -> Result<(), Box<dyn Error>> {
        let files = Command::new("git").args(["ls-files", "-z"]).output()?.stdout;
        for file in String::from_utf8(files)?.split_terminator('\0') {
            let mut bytes = match fs::read(file) {
                Ok(bytes) => bytes,
                // Removed, but not yet for git.
                Err(_) => continue,
            };
            if file.starts_with("src/") && file.ends_with(".rs") {
                bytes = change(file, String::from_utf8(bytes)?)?.into_bytes();
            }
            self.put(file, &bytes)?;
        }
        Ok(())
    }

    /// Writes one file, unless it is so already: nothing is to be built in vain.
    pub fn put(&self, file: &str, bytes: &[u8]) -> std::io::Result<()> {
        let path = self.path().join(file);
        if fs::read(&path).is_ok_and(|old| old == bytes) {
            return Ok(());
        }
        fs::create_dir_all(path.parent().unwrap_or(&path))?;
        fs::write(&path, bytes)
    }

    /// The program of some tests that run in process, unless it does not compile.
    pub fn build(&self, tests: &[&str]) -> Result<Option<PathBuf>, Box<dyn Error>> {
        let messages = self.cargo(&["test", "--no-run"], tests)?;
        let mut programs = messages.iter().filter(|m| m["profile"]["test"] == true);
        Ok(programs.find_map(|m| m["executable"].as_str()).map(PathBuf::from))
    }

    /// What cargo says about some tests.
    pub fn cargo(&self, command: &[&str], tests: &[&str]) -> Result<Vec<Value>, Box<dyn Error>> {
        let output = Command::new("cargo")
            .args(command)
            .args(tests)
            .args(["--locked", "--message-format", "json", "--target-dir"])
            .arg(fs::canonicalize(self.path())?.with_extension("build"))
            .current_dir(self.path())
            .env("RUSTFLAGS", self.flags)
            .env("CARGO_PROFILE_TEST_OPT_LEVEL", self.level.to_string())
            .env("CARGO_PROFILE_TEST_DEBUG", "none")
            .env("CARGO_PROFILE_DEV_DEBUG", "none")
            .output()?;
        let lines = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let messages: Vec<Value> = lines.map(serde_json::from_slice).collect::<Result<_, _>>()?;
        if !output.status.success() && !messages.iter().any(|m| m["message"]["level"] == "error") {
            return Err(String::from_utf8_lossy(&output.stderr).into());
        }
        Ok(messages)
    }
}
