//! The `mailguard` program: parse the command line, build, choose a front, say how it ended.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use mailguard::cli::{self, Cli, Command, RulesAction};
use mailguard::config::{Config, Source};
use mailguard::front::{self, FrontError, Outcome};

fn main() -> ExitCode {
    let ended = command_line().and_then(|cli| {
        let config = configuration(&cli.command, front::read_configuration)?;
        perform(cli.command, &config)
    });
    match ended {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Found) => ExitCode::from(1),
        Err(error) => {
            // Nobody is left to tell if standard error is gone too.
            let _ = writeln!(std::io::stderr(), "mailguard: {error}");
            ExitCode::from(2)
        }
    }
}

fn command_line() -> Result<Cli, FrontError> {
    Cli::try_parse().map_err(|error| match cli::complaint(&error) {
        Some(line) => FrontError::new(line),
        None => error.exit(),
    })
}

fn configuration(
    command: &Command,
    read: fn(&Path) -> Result<String, FrontError>,
) -> Result<Config, FrontError> {
    // Rules can be removed whatever state the configuration is in.
    let is_read = !matches!(command, Command::Rules(rules) if rules.action == RulesAction::Down);
    let file = match command.config_file() {
        Some((path, is_wanted)) if is_read && (is_wanted || path.exists()) => {
            Some((path.display().to_string(), read(path)?))
        }
        _ => None,
    };
    let source = file.as_ref().map(|(name, text)| Source { name, text });
    Ok(Config::build(source, &command.overrides())?)
}

fn perform(command: Command, config: &Config) -> Result<Outcome, FrontError> {
    match command {
        Command::Run(ref run) => {
            let start =
                if run.take_over { front::run::Start::TakeOver } else { front::run::Start::Fresh };
            let life = env_logger::Env::default().default_filter_or("info");
            env_logger::Builder::from_env(life).format_target(false).init();
            let reread = || configuration(&command, front::reread_configuration);
            front::run::run(config, start, &reread).map(|()| Outcome::Done)
        }
        Command::Replay(replay) => {
            let options = front::replay::Options {
                input: replay.input,
                write: replay.write,
                events: replay.events,
                format: config.log.format,
                checksums: replay.checksums,
            };
            front::replay::run(&options, config.engine.clone()).map(|()| Outcome::Done)
        }
        Command::Rules(rules) => match rules.action {
            RulesAction::Up => front::rules::up(config),
            RulesAction::Down => front::rules::down(),
            RulesAction::Show => front::print(&front::rules::show(config)),
        }
        .map(|()| Outcome::Done),
        Command::Check(check) if check.config_only => front::check::configuration_only(config),
        Command::Check(_) => front::check::run(config),
        Command::Profiles(profiles) => {
            let text = front::profiles::show(profiles.name.as_deref())?;
            front::print(&text).map(|()| Outcome::Done)
        }
        Command::Probe(probe) => {
            let (timeout, form) = (probe.timeout(), probe.form);
            front::probe::run(&front::probe::Options { target: probe.target, form, timeout })
        }
    }
}
