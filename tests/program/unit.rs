//! The units: what `systemd-analyze` thinks of it, and that the program takes its flags.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use clap::Parser;
use mailguard::cli::{Cli, Command as Word};

use crate::sealed::lacking;

const UNIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/dist/systemd/mailguard.service");

/// Tenths of systemd's own measure, by unit. The rules are made by root, who looks, too.
const EXPOSURE_MAX: [(&str, u32); 3] =
    [("mailguard", 17), ("mailguard-rules", 24), ("mailguard-check", 25)];

#[test]
fn the_units_expose_little() {
    for (name, exposure_max) in EXPOSURE_MAX {
        let threshold = format!("--threshold={exposure_max}");
        let unit = UNIT.replace("mailguard.service", &format!("{name}.service"));
        let words = ["security", "--offline=yes", "--no-pager", &threshold, &unit];
        let Ok(done) = Command::new("systemd-analyze").args(words).output() else {
            return lacking("there is no systemd-analyze");
        };
        let said = String::from_utf8_lossy(&done.stdout);
        assert!(said.contains("Overall exposure level"), "{said}");
        assert!(done.status.success(), "{said}");
    }
}

#[test]
fn the_unit_starts_the_program_as_it_wants_to_be_started() {
    let unit = fs::read_to_string(UNIT).unwrap();
    let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let cli = Cli::try_parse_from(start.split(' ')).unwrap();
    assert!(matches!(cli.command, Word::Run(ref run) if !run.take_over), "{start}");
    for line in ["FileDescriptorStoreMax=256", "Type=notify", "StartLimitIntervalSec=0"] {
        assert!(unit.lines().any(|one| one == line), "{line}");
    }
}

/// What refuses to start does so once a second, and what crashed is there again at once.
#[test]
fn a_start_that_was_refused_waits_and_one_behind_a_crash_does_not() {
    let unit = fs::read_to_string(UNIT).unwrap();
    assert!(unit.lines().any(|line| line == "RestartSec=100ms"));
    let line = unit.lines().find_map(|line| line.strip_prefix("ExecStopPost=/bin/sh -c '"));
    let script = line.and_then(|line| line.strip_suffix('\'')).unwrap().replace("$$", "$");
    for (status, expected) in [("2", "waits 1\n"), ("0", ""), ("1", ""), ("KILL", "")] {
        let output = Command::new("/bin/sh")
            .args(["-c", &format!("sleep() {{ echo waits \"$@\"; }}\n{script}")])
            .env("EXIT_STATUS", status)
            .output()
            .unwrap();
        assert!(output.status.success(), "{status}");
        assert_eq!(String::from_utf8(output.stdout).unwrap(), expected, "{status}");
    }
}

#[test]
fn the_rules_have_a_place_for_what_they_are_made_from() {
    let unit = fs::read_to_string(UNIT.replace("mailguard.service", "mailguard-rules.service"));
    // Everything else is read-only there.
    assert!(unit.unwrap().lines().any(|one| one == "StateDirectory=mailguard"));
}

/// Whoever starts one of these anew, and does not restart it, starts the rules with it.
#[test]
fn the_rules_come_again_with_whoever_loads_others() {
    let unit = fs::read_to_string(UNIT.replace("mailguard.service", "mailguard-rules.service"));
    let unit = unit.unwrap();
    let all = |key: &str| -> BTreeSet<&str> {
        let values = unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        values.flat_map(str::split_whitespace).collect()
    };
    let (after, started) = (all("After"), all("WantedBy"));
    assert!(after.len() > 5, "{after:?}");
    for other in after.iter().filter(|name| name.ends_with(".service")) {
        assert!(started.contains(other), "{other}");
    }
}
