//! The `mailguard` program: parse the command line, build, choose a front, say how it ended.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{CommandFactory, FromArgMatches};
use mailguard::cli::{self, Cli, Command, PatchesAction, RulesAction};
use mailguard::config::{Config, Source};
use mailguard::front::{self, FrontError, Outcome};
use mailguard::pix;

fn main() -> ExitCode {
    let ended = command_line().and_then(|cli| {
        let config = configuration(&cli.command, false);
        match (&cli.command, config) {
            (Command::Ctl(_) | Command::Top(_), Err(faulty)) => talk_anyway(cli.command, faulty),
            (Command::Check(check), Err(faulty)) if !check.config_only => {
                // What the machine lacks is worth knowing all the same.
                front::check::machine_alone(check.brief).and(Err(faulty))
            }
            (Command::Rules(rules), Err(faulty)) if rules.action == RulesAction::Up => {
                let stood_in = front::rules::stand_in().map(str::to_owned);
                say(&stood_in.unwrap_or_else(|error| error.to_string()));
                Err(faulty)
            }
            (_, config) => perform(cli.command, &config?),
        }
    });
    match ended {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Found) => ExitCode::from(1),
        Err(error) => {
            say(&error.to_string());
            ExitCode::from(2)
        }
    }
}

fn say(what: &str) {
    // Nobody is left to tell if standard error is gone too.
    let _ = writeln!(std::io::stderr(), "mailguard: {what}");
}

fn command_line() -> Result<Cli, FrontError> {
    let words = Cli::command().version(VERSION).try_get_matches();
    let parsed = words.and_then(|mut words| Cli::from_arg_matches_mut(&mut words));
    parsed.map_err(|error| match cli::complaint(&error) {
        Some(line) => FrontError::new(line),
        None => error.exit(),
    })
}

/// What the Makefile says this is made from: the version, and the commit where it is known.
const VERSION: &str = match option_env!("MAILGUARD_VERSION") {
    Some(version) => version,
    None => env!("CARGO_PKG_VERSION"),
};

fn configuration(command: &Command, had_file: bool) -> Result<Config, FrontError> {
    // Rules can be removed whatever state the configuration is in.
    let is_read = !matches!(command, Command::Rules(rules) if rules.action == RulesAction::Down);
    let file = match command.config_file() {
        Some((path, is_wanted)) if is_read && (is_wanted || had_file || front::is_there(path)) => {
            Some((path.display().to_string(), front::read_configuration(path)?))
        }
        Some((path, _)) if is_read && is_of_rules(command) && front::rules::are_of(path) => {
            let gone = format!("the rules were made from {}, which is gone", path.display());
            return Err(FrontError::new(format!("{gone}; `mailguard rules down` forgets it")));
        }
        Some(_) | None => None,
    };
    let source = file.as_ref().map(|(name, text)| Source { name, text });
    let config = Config::build(source, &command.overrides())?;
    if matches!(command, Command::Rules(_)) {
        // They are made without patches, and a faulty one must not leave the gateway open.
        return Ok(config);
    }
    let directory = config.patch_directory.clone();
    let patches = directory.map_or(Ok(Vec::new()), |path| front::read_patches(Path::new(&path)))?;
    config.with_patches(&patches).map_err(FrontError::new)
}

/// Whether its configuration has to be the one that the rules are made from.
const fn is_of_rules(command: &Command) -> bool {
    matches!(command, Command::Run(_) | Command::Rules(_) | Command::Check(_))
}

/// The file that says what the configuration is, if one does.
fn file_of(command: &Command) -> Option<&Path> {
    command.config_file().map(|(path, _)| path).filter(|path| front::is_there(path))
}

/// Whoever is to repair a configuration has to get at the filter all the same. Where none answers,
/// it may be because of the file. The file of another filter leads to no other filter.
fn talk_anyway(command: Command, faulty: FrontError) -> Result<Outcome, FrontError> {
    let file = command.config_file().and_then(|(path, _)| front::read_configuration(path).ok());
    let is_usual = command.config_file().is_none_or(|(_, is_wanted)| !is_wanted);
    let mut config = Config::build(None, &[])?;
    match file.as_deref().and_then(Config::control_in) {
        Some(control) => config.control = control,
        None if is_usual || command.names_socket() => {}
        None => return Err(faulty),
    }
    let ended = perform(command, &config);
    ended.map_err(|error| {
        if error.kind().is_none() {
            return error;
        }
        say(&error.to_string());
        faulty
    })
}

fn perform(command: Command, config: &Config) -> Result<Outcome, FrontError> {
    match command {
        Command::Run(ref run) => {
            let start =
                if run.take_over { front::run::Start::TakeOver } else { front::run::Start::Fresh };
            let life = env_logger::Env::default().default_filter_or("info");
            env_logger::Builder::from_env(life).format_target(false).init();
            let file = command.config_file().map(|(path, _)| path);
            // One that is gone is no wish for the defaults, whenever it was there.
            let had_file = &AtomicBool::new(file_of(&command).is_some());
            let reread = || {
                let config = configuration(&command, had_file.load(Ordering::Relaxed))?;
                had_file.fetch_or(file_of(&command).is_some(), Ordering::Relaxed);
                Ok(config)
            };
            let overrides = &command.overrides();
            let origin = front::run::Origin { reread: &reread, file, had_file, overrides };
            front::run::run(config, start, origin).map(|()| Outcome::Done)
        }
        Command::Replay(replay) => replayed(replay, config),
        Command::Explain(explain) => {
            let (subject, flow, checksums) = (&explain.subject, explain.flow, explain.checksums);
            let options = front::explain::Options { subject, flow, checksums };
            let text = front::explain::run(options, &config.engine)?;
            front::print(&text).map(|()| Outcome::Done)
        }
        Command::Rules(ref rules) => match rules.action {
            RulesAction::Up => front::rules::up(config, file_of(&command)),
            RulesAction::Down => front::rules::down(),
            RulesAction::Show => front::print(&front::rules::show(config)),
        }
        .map(|()| Outcome::Done),
        Command::Check(ref check) => checked(check, file_of(&command).is_some(), config),
        Command::Profiles(profiles) => {
            let text = front::profiles::show(profiles.name.as_deref())?;
            front::print(&text).map(|()| Outcome::Done)
        }
        Command::Patches(patches) => {
            let guard = &config.engine.guard;
            let text = match &patches.action {
                Some(PatchesAction::Show { id }) => front::patches::show(&guard.patches, id)?,
                None => front::patches::list(&guard.patches, patches.product.as_deref())?,
            };
            front::print(&text).map(|()| Outcome::Done)
        }
        Command::Ctl(ref ctl) => control(ctl, &command, config),
        Command::Top(top) => {
            let usual = PathBuf::from(&config.control.socket);
            let (socket, interval) = (top.socket.as_ref().unwrap_or(&usual), top.interval());
            front::top::run(&front::top::Options { socket, interval })
        }
        Command::Import(import) => {
            let text = front::read_configuration(&import.file)?;
            let (as_it_was, guard_anyway) = (import.as_it_was, import.guard_anyway);
            let imported = pix::import(&text, pix::Options { as_it_was, guard_anyway });
            front::print(&imported.settings)?;
            // Whoever keeps only the settings has still seen the report.
            let _ = std::io::stderr().write_all(imported.report.as_bytes());
            Ok(if imported.is_doubtful { Outcome::Found } else { Outcome::Done })
        }
        Command::Pages(pages) => {
            front::write_below(&pages.directory, &cli::pages()).map(|()| Outcome::Done)
        }
        Command::Probe(probe) => {
            let (timeout, form) = (probe.timeout(), probe.form);
            front::probe::run(&front::probe::Options { target: probe.target, form, timeout })
        }
    }
}

fn replayed(replay: cli::Replay, config: &Config) -> Result<Outcome, FrontError> {
    let mut report = match &replay.report {
        Some(path) => Some(front::explain::Report::begin(path, &replay.input, &config.engine)?),
        None => None,
    };
    let options = front::replay::Options {
        input: replay.input,
        write: replay.write,
        events: replay.events,
        report: replay.report,
        format: config.log.format,
        checksums: replay.checksums,
    };
    let look = &mut |step: &front::replay::Step| {
        if let Some(report) = &mut report {
            report.look(step);
        }
    };
    let summary = front::replay::run(&options, config.engine.clone(), look)?;
    report.map_or(Ok(()), |report| report.finish(&summary))?;
    Ok(Outcome::Done)
}

fn checked(check: &cli::Check, has_file: bool, config: &Config) -> Result<Outcome, FrontError> {
    if check.config_only {
        return front::check::configuration_only(config, has_file);
    }
    front::check::run(config, front::check::Options { has_file, is_brief: check.brief })
}

fn control(ctl: &cli::Ctl, command: &Command, config: &Config) -> Result<Outcome, FrontError> {
    let usual = PathBuf::from(&config.control.socket);
    let file = command.config_file().map_or_else(|| Path::new(""), |(path, _)| path);
    let rules_up = |text: &str| {
        let source = Source { name: "the filter's answer", text };
        front::rules::follow(&Config::build(Some(source), &[])?, file)
    };
    front::control::run(&front::control::Options {
        socket: ctl.socket.as_ref().unwrap_or(&usual),
        words: &ctl.words,
        is_json: ctl.json,
        rules_up: &rules_up,
        write: &|said, had_file| front::saved_config::write_for(said, file, had_file),
    })
}
