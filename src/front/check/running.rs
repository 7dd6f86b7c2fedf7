//! What a running filter says of itself, beside what is configured.

use std::io::ErrorKind;
use std::path::Path;

use serde::Deserialize;

use super::Report;
use crate::config::Config;
use crate::front::{FrontError, control};

/// Whether the filter that runs is what the configuration says: options may have told it otherwise,
/// and the file may have changed since. Where we may not ask, its queues have told enough.
pub(super) fn examine(
    config: &Config,
    status: Result<Option<Status>, FrontError>,
    report: &mut Report,
) {
    let status = match status {
        Ok(Some(status)) => status,
        Ok(None) => return,
        Err(error) => return report.wrong(format!("running filter: {error}")),
    };
    let found = status.differences(config);
    if found.is_empty() {
        report.good("running filter: as configured".to_owned());
    }
    found.into_iter().for_each(|one| report.wrong(format!("running filter: {one}")));
}

/// What a running filter says of itself.
#[derive(Deserialize)]
pub(super) struct Status {
    profile: String,
    ports: Vec<u16>,
    monitor: bool,
    version: Option<String>,
    /// A digest of all its settings, which says something to the same build alone.
    settings: Option<String>,
    /// What it was told, and what it takes another start to do.
    #[serde(default)]
    pending: Vec<String>,
    /// What is wrong with its event log.
    events_trouble: Option<String>,
}

/// No filter runs, or it lets us not ask.
const UNASKED: [ErrorKind; 3] =
    [ErrorKind::NotFound, ErrorKind::ConnectionRefused, ErrorKind::PermissionDenied];

impl Status {
    /// None: no filter runs, or it lets us not ask. An error: it runs and does not answer.
    pub(super) fn asked(config: &Config) -> Result<Option<Self>, FrontError> {
        match control::ask(Path::new(&config.control.socket), "status") {
            Ok(status) => Ok(serde_json::from_str(&status).ok()),
            Err(error) if error.kind().is_some_and(|kind| UNASKED.contains(&kind)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn differences(&self, config: &Config) -> Vec<String> {
        let cure = "mailguard ctl reload, or a restart without options";
        let mut found = Vec::new();
        if self.monitor && !config.engine.monitor {
            found.push(format!("it only monitors, which is not configured ({cure})"));
        }
        if !self.monitor && config.engine.monitor {
            found.push(format!("it filters, though monitor is configured ({cure})"));
        }
        if self.profile != config.profile {
            let (own, other) = (&self.profile, &config.profile);
            found.push(format!("its profile is {own}, configured is {other} ({cure})"));
        }
        if self.ports != config.engine.ports {
            let (own, other) = (&self.ports, &config.engine.ports);
            found.push(format!("its ports are {own:?}, configured are {other:?} ({cure})"));
        }
        let is_alike = self.version.as_deref() == Some(env!("CARGO_PKG_VERSION"));
        let settings = self.settings.as_deref().filter(|_| is_alike && found.is_empty());
        if settings.is_some_and(|own| own != config.digest()) {
            found.push(format!("its settings differ from the configuration ({cure})"));
        }
        found.extend(self.pending.iter().cloned());
        found.extend(self.events_trouble.iter().map(|what| format!("event log: {what}")));
        found
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn who_answers_and_does_not_say_what_it_does_is_not_passed_over() {
        let name = format!("mailguard-running-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let mut config = Config::build(None, &[]).unwrap();
        config.control.socket = path.display().to_string();
        assert!(matches!(Status::asked(&config), Ok(None)), "nobody is there");
        let listener = UnixListener::bind(&path).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (mut stream, _) = listener.accept().unwrap();
                let _ = stream.read(&mut [0; 64]);
                stream.write_all(b"error user \ntoo many connections: try again\n").unwrap();
            });
            let mut report = Report::default();
            examine(&config, Status::asked(&config), &mut report);
            let said = "wrong  running filter: too many connections: try again\n";
            assert_eq!(report.text, said);
        });
        drop(listener);
        assert!(matches!(Status::asked(&config), Ok(None)), "nobody is there any more");
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn what_waits_for_another_start_and_a_log_in_trouble_are_no_filter_as_configured() {
        let config = Config::build(None, &[]).unwrap();
        let said = |more: &str| {
            let own =
                "\"profile\":\"mailguard\",\"ports\":[25],\"monitor\":false,\"version\":\"0\"";
            let text = format!("{{{own}{more}}}");
            let status: Status = serde_json::from_str(&text).unwrap();
            let mut report = Report::default();
            examine(&config, Ok(Some(status)), &mut report);
            report.text
        };
        assert_eq!(said(""), "ok     running filter: as configured\n");
        assert_eq!(
            said(",\"pending\":[\"a\",\"b\"],\"events_trouble\":\"c\""),
            "wrong  running filter: a\nwrong  running filter: b\nwrong  running filter: event log: \
             c\n"
        );
        assert_eq!(said(",\"pending\":[],\"events_trouble\":null"), said(""));
    }
}
