//! The manual pages and the completions of shells, made from what the program itself is made from:
//! the flags, the table of keys and the table of settings.

use clap::builder::{Resettable, StyledStr};
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, italic, roman};

use super::Cli;
use crate::config::{EXCEPTION_KEYS, KEYS, Key, Preset};
use crate::guard::Settings;

/// A file: its path below a prefix such as `/usr`, and what stands in it.
pub type Page = (String, Vec<u8>);

/// Every page and every completion there is.
#[must_use]
pub fn pages() -> Vec<Page> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let mut all = Vec::new();
    command_pages(&command, &mut all);
    all.push((format!("share/man/man5/{CONFIGURATION}.5"), configuration_page()));
    for (shell, path) in COMPLETIONS {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "mailguard", &mut text);
        all.push((path.to_owned(), text));
    }
    all
}

fn command_pages(command: &Command, all: &mut Vec<Page>) {
    let visible = |one: &&Command| !one.is_hide_set();
    command.get_subcommands().filter(visible).for_each(|one| command_pages(one, all));
    let (extra, status) = without_status(command);
    let shown = command.clone().after_help(extra);
    let man = Man::new(shown).section("8").manual(MANUAL).source("Mailguard");
    let mut text = Vec::new();
    // Memory takes all that is written to it.
    let _ = man.render(&mut text).and_then(|()| further(command, &status).to_writer(&mut text));
    all.push((format!("share/man/man8/{}", man.get_filename()), text));
}

/// What stands behind a command's options, if anything, and apart from it the exit codes.
fn without_status(command: &Command) -> (Resettable<StyledStr>, String) {
    let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let (extra, status) = match text.split_once(STATUS) {
        Some((extra, status)) => (extra.trim(), status),
        None => (text.as_str(), USUAL_STATUS),
    };
    let extra = (!extra.is_empty()).then(|| StyledStr::from(extra.to_owned()));
    (extra.into(), status.to_owned())
}

/// What stands at the end of each command's page.
fn further(command: &Command, status: &str) -> Roff {
    let mut roff = Roff::new();
    if command.get_name() == "run" {
        roff.control("SH", ["SIGNALS"]);
        for (signals, what) in SIGNALS {
            roff.control("TP", []).text([bold(signals)]).text([roman(what)]);
        }
    }
    roff.control("SH", ["EXIT STATUS"]).text([roman(status)]);
    roff.control("SH", ["FILES"]);
    for (path, what) in FILES {
        roff.control("TP", []).text([italic(path)]).text([roman(what)]);
    }
    roff.control("SH", ["SEE ALSO"]);
    roff.text([bold("mailguard"), roman("(8), "), bold(CONFIGURATION), roman("(5)")]);
    roff
}

fn configuration_page() -> Vec<u8> {
    let mut roff = Roff::new();
    roff.control("TH", [CONFIGURATION, "5", "", "Mailguard", MANUAL]);
    roff.control("SH", ["NAME"]);
    roff.text([roman(format!("{CONFIGURATION} - the configuration of mailguard(8)"))]);
    roff.control("SH", ["DESCRIPTION"]);
    roff.text([roman(DESCRIPTION)]);
    let mut section = None;
    for key in KEYS {
        if section != Some(key.section) {
            section = Some(key.section);
            let title = if key.section.is_empty() { "at the top" } else { key.section };
            roff.control("SH", [title.to_uppercase().as_str()]);
        }
        key_entry(&mut roff, key);
    }
    roff.control("SH", ["SETTINGS"]);
    roff.text([roman(SETTINGS)]);
    for setting in Settings::TABLE {
        let expected = format!("Expected: {}.", setting.expected());
        roff.control("TP", []).text([bold(setting.name)]);
        roff.text([roman(setting.about)]).control("br", []).text([roman(expected)]);
    }
    roff.control("SH", ["EXCEPTIONS"]);
    roff.text([roman(EXCEPTIONS)]);
    for (name, about, example) in EXCEPTION_KEYS {
        roff.control("TP", []).text([bold(name)]);
        roff.text([roman(about)]).control("br", []).text([roman(format!("Example: {example}"))]);
    }
    roff.control("SH", ["SEE ALSO"]);
    roff.text([bold("mailguard"), roman("(8), "), bold("mailguard-check"), roman("(8)")]);
    roff.render().into_bytes()
}

fn key_entry(roff: &mut Roff, key: &Key) {
    let (kind, value) = match key.preset {
        Preset::Default(value) => ("Default", value),
        Preset::Example(value) => ("Example", value),
    };
    let expected = format!("Expected: {}. {kind}: {value}", key.expected());
    roff.control("TP", []).text([bold(key.path())]);
    roff.text([roman(key.about)]).control("br", []).text([roman(expected)]);
}

const MANUAL: &str = "Mailguard";
const CONFIGURATION: &str = "mailguard.toml";

const DESCRIPTION: &str = "A file of TOML, /etc/mailguard/mailguard.toml unless --config names \
    another. Every key has a default. A key of a section stands here behind the section's name \
    and a dot, as the option --set takes it. All faults of a file are told at once, and change \
    nothing.";

const SETTINGS: &str = "What is done with mail: keys of the section [settings], and of the \
    settings of an exception. Each has a preset in each profile, which mailguard-profiles(8) \
    prints.";

const EXCEPTIONS: &str = "Connections that are treated otherwise: the first table [[exceptions]] \
    that matches one counts.";

/// What the exit codes of a command stand behind.
const STATUS: &str = "Exit codes: ";

/// Those of a command that says nothing of them.
const USUAL_STATUS: &str = "0 done, 2 usage or input/output.";

const SIGNALS: [(&str, &str); 3] = [
    (
        "SIGTERM, SIGINT",
        "end it. Its event log is written out first, which is waited for 2 seconds at most. A \
         second one ends it at once, with status 2.",
    ),
    ("SIGHUP", "has the configuration read anew, and the event log opened anew."),
    ("SIGUSR1", "has the event log opened anew, for whoever has renamed it."),
];

const FILES: [(&str, &str); 5] = [
    ("/etc/mailguard/mailguard.toml", "the configuration"),
    ("/run/mailguard/control", "the socket that mailguard-ctl(8) talks to"),
    ("/run/mailguard-rules.lock", "locked while mailguard-rules(8) changes rules"),
    ("/var/lib/mailguard/rules.toml", "what the rules were made from last"),
    ("/var/log/mailguard/", "where the service may write its event log"),
];

const COMPLETIONS: [(Shell, &str); 3] = [
    (Shell::Bash, "share/bash-completion/completions/mailguard"),
    (Shell::Zsh, "share/zsh/site-functions/_mailguard"),
    (Shell::Fish, "share/fish/vendor_completions.d/mailguard.fish"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &str) -> String {
        let all = pages();
        let page = all.iter().find(|(name, _)| name == path).unwrap_or_else(|| panic!("{path}"));
        String::from_utf8(page.1.clone()).unwrap()
    }

    #[test]
    fn every_command_and_option_has_its_page_and_its_completions() {
        let completions = COMPLETIONS.map(|(_, path)| text(path));
        let commands = Cli::command();
        for command in commands.get_subcommands().filter(|one| !one.is_hide_set()) {
            let name = command.get_name();
            let page = text(&format!("share/man/man8/mailguard-{name}.8"));
            assert!(completions.iter().all(|all| all.contains(name)), "{name}");
            for option in command.get_arguments().filter_map(clap::Arg::get_long) {
                assert!(page.contains(&option.replace('-', "\\-")), "{option} of {name}: {page}");
                assert!(completions.iter().all(|all| all.contains(option)), "{option} of {name}");
            }
        }
        let hidden = commands.get_subcommands().find(|one| one.is_hide_set()).unwrap().get_name();
        assert!(!text("share/man/man8/mailguard.8").contains(hidden));
    }

    #[test]
    fn pages_tell_of_exit_codes_and_signals() {
        let commands = Cli::command();
        for command in commands.get_subcommands().filter(|one| !one.is_hide_set()) {
            let name = command.get_name();
            let page = text(&format!("share/man/man8/mailguard-{name}.8"));
            let (_, status) = page.split_once(".SH \"EXIT STATUS\"\n0 ").expect(name);
            assert!(
                status.starts_with(|c: char| c == ' ' || c.is_alphabetic()),
                "{name}: {status}"
            );
            assert!(!page.contains(STATUS.trim_end()), "{name}: {page}");
            assert_eq!(page.contains(".SH SIGNALS\n"), name == "run", "{page}");
        }
        assert!(text("share/man/man8/mailguard-check.8").contains("2 the configuration is faulty"));
        let run = text("share/man/man8/mailguard-run.8");
        assert!(SIGNALS.iter().all(|(signals, _)| run.contains(signals)), "{run}");
    }

    #[test]
    fn every_key_and_setting_is_in_the_page_of_the_configuration() {
        let page = text("share/man/man5/mailguard.toml.5").replace("\\-", "-");
        let settings = Settings::TABLE.iter().map(|setting| setting.name.to_owned());
        let exceptions = EXCEPTION_KEYS.map(|(name, ..)| name.to_owned());
        for name in KEYS.iter().map(Key::path).chain(settings).chain(exceptions) {
            assert!(page.contains(&format!("\\fB{name}\\fR\n")), "{name}");
        }
    }
}
