//! Suricata from its unpacked package, with what it has to do here and nothing else.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::lab::{Because, Outcome, Root, Side};

/// Suricata, mounted when it is first wanted.
#[derive(Default)]
pub(crate) struct Suricata(Option<Root>);

impl Suricata {
    /// It on the gateway, with a log of its events or without.
    pub(crate) fn command(&mut self, has_events: bool) -> Outcome<Command> {
        let root = self.root()?;
        let (file, word) = if has_events { ("events", "yes") } else { ("silent", "no") };
        let (yaml, log) = (format!("/etc/{file}.yaml"), format!("/var/log/{file}"));
        root.write(&yaml, YAML.replace("{EVENTS}", word))?;
        root.write("/etc/bench.rules", RULES)?;
        fs::create_dir_all(root.path(&log)).because(&log)?;
        let mut command = root.command(Side::Gateway, "/usr/bin/suricata", &["-c", &yaml]);
        command.args(["-S", "/etc/bench.rules", "-l", &log]);
        Ok(command)
    }

    /// The same to read a capture, which it is shown inside its root.
    pub(crate) fn reading(&mut self, capture: &Path, has_events: bool) -> Outcome<Command> {
        let root = self.root()?;
        let inside = root.path("/capture.pcap");
        // Both lie in the lab's memory, so this copies nothing.
        let _ = fs::remove_file(&inside);
        fs::hard_link(capture, &inside).because(inside.display())?;
        let _ = fs::remove_file(root.path("/var/log/events/eve.json"));
        let mut command = self.command(has_events)?;
        command.args(["-r", "/capture.pcap"]);
        Ok(command)
    }

    fn root(&mut self) -> Outcome<&Root> {
        if self.0.is_none() {
            self.0 = Some(Root::mount("suricata")?);
        }
        self.0.as_ref().because("Suricata's root")
    }
}

const YAML: &str = include_str!("suricata.yaml");

const RULES: &str = include_str!("suricata.rules");
