//! `inspect esmtp` of a PIX 7 or an ASA: the rows of its policy map that a setting here can say.

use std::collections::BTreeSet;

use super::Account;
use crate::pix::change::plain;

/// What a map says, as settings; the first is left for the profile.
pub(super) fn read(
    lines: &[(usize, String)],
    account: &mut Account,
) -> (BTreeSet<u16>, Vec<String>) {
    let mut maps: BTreeSet<String> = BTreeSet::new();
    for (number, line) in lines {
        let line = plain(line);
        if let Some(map) = line.strip_prefix("inspect esmtp") {
            account.used.insert(*number);
            maps.insert(map.trim().to_owned());
        }
    }
    let maps: Vec<String> = maps.into_iter().collect();
    match maps.as_slice() {
        [] => {
            account.warnings.push(
                "no inspect esmtp: mail was not guarded; say --guard-anyway for ports = [25]"
                    .to_owned(),
            );
            (BTreeSet::new(), Vec::new())
        }
        [default] if default.is_empty() || default == DEFAULT => (BTreeSet::from([25]), Vec::new()),
        [map] => (BTreeSet::from([25]), settings(map, lines, account)),
        _ => {
            let names = maps.join(", ");
            account
                .warnings
                .push(format!("several maps are in use ({names}): the default is taken"));
            (BTreeSet::from([25]), Vec::new())
        }
    }
}

/// The rows of a map of somebody's own. What it does not say holds no more: the default map's
/// limits are no part of it.
fn settings(map: &str, lines: &[(usize, String)], account: &mut Account) -> Vec<String> {
    let mut said = Said::default();
    let mut is_inside = false;
    let mut row: Option<(usize, String)> = None;
    for (number, line) in lines {
        let is_head = !line.starts_with(' ');
        let line = plain(line);
        if is_head {
            is_inside = line.strip_prefix("policy-map type inspect esmtp ") == Some(map);
            row = None;
        }
        if !is_inside {
            continue;
        }
        if is_head || line == "parameters" || line.starts_with("description") {
            account.used.insert(*number);
        } else if let Some(condition) = line.strip_prefix("match ") {
            said.rows.push(NO_ROW.to_owned());
            row = Some((*number, condition.to_ascii_lowercase()));
        } else if let Some((at, condition)) = row.take() {
            said.action(&condition, &line, &[at, *number], account);
        } else {
            said.parameter(*number, &line, account);
        }
    }
    said.settings()
}

/// What rows say, as far as settings can.
#[derive(Debug, Default)]
struct Said {
    is_banner_masked: bool,
    is_tls_allowed: bool,
    is_tls_logged: bool,
    line_max: Option<u32>,
    recipients_max: Option<u32>,
    sender_max: Option<u32>,
    are_others_masked: bool,
    /// What [`MESSAGE`] lists, each with whether it is only logged.
    message: [Option<(u32, bool)>; MESSAGE.len()],
    /// The rows in their order: what of them may be logged under its place.
    rows: Vec<String>,
}

impl Said {
    fn parameter(&mut self, number: usize, line: &str, account: &mut Account) {
        match line {
            "mask-banner" => self.is_banner_masked = true,
            "no mask-banner" => self.is_banner_masked = false,
            "no allow-tls" => self.is_tls_allowed = false,
            _ if line.starts_with("allow-tls") => {
                (self.is_tls_allowed, self.is_tls_logged) = (true, line.ends_with(" log"));
            }
            _ if line.starts_with("no ") => {}
            _ => {
                account.idle.insert(number, format!("`{line}`: no setting here does this"));
                return;
            }
        }
        account.used.insert(number);
    }

    fn action(&mut self, condition: &str, action: &str, at: &[usize; 2], account: &mut Account) {
        let number = || condition.rsplit(' ').next().and_then(|word| word.parse::<u32>().ok());
        let ends = action.starts_with("drop-connection") || action.starts_with("reset");
        let is_masked = action.starts_with("mask");
        let is_logged = action == "log";
        let of_message = MESSAGE.iter().zip(&mut self.message);
        let of_message = of_message.filter(|((start, _), _)| condition.starts_with(start));
        if let Some((_, limit)) = of_message.last().filter(|_| ends || is_logged) {
            let highest = if condition.contains("line") { LINE_HIGHEST } else { BYTES_HIGHEST };
            *limit = number().map(|number| (number.min(highest), is_logged));
            account.used.extend(at);
            self.name_row(condition, action);
            return;
        }
        match condition {
            _ if condition.starts_with("cmd line length gt") && ends => {
                self.line_max = number();
                self.name_row(condition, action);
            }
            _ if condition.starts_with("cmd rcpt count gt") && ends => {
                self.recipients_max = number();
                self.name_row(condition, action);
            }
            _ if condition.starts_with("sender-address length gt") && ends => {
                self.sender_max = number();
                self.name_row(condition, action);
            }
            "ehlo-reply-parameter others" if is_masked => {
                self.are_others_masked = true;
                self.name_row(condition, action);
            }
            _ => {
                let why = format!("`match {condition}` with `{action}`: no setting here does this");
                account.idle.extend(at.iter().map(|number| (*number, why.clone())));
                return;
            }
        }
        account.used.extend(at);
    }

    /// The last row is one here too. One that does not log writes nothing.
    fn name_row(&mut self, condition: &str, action: &str) {
        let Some(row) = self.rows.last_mut().filter(|_| action.ends_with("log")) else { return };
        let name = condition.split(" gt").next().unwrap_or_default().trim().replace(' ', "-");
        *row = if action.starts_with("reset") { name + "=reset" } else { name };
    }

    fn settings(&self) -> Vec<String> {
        let limit = |limit: Option<u32>| limit.unwrap_or(0).min(LINE_HIGHEST);
        let line_max = limit(self.line_max);
        let banner = if self.is_banner_masked { "star-text" } else { "pass" };
        let starttls = match (self.is_tls_allowed, self.is_tls_logged) {
            (false, _) => "strip",
            (true, false) => "allow",
            (true, true) => "allow log",
        };
        let ehlo = if self.are_others_masked { "letters" } else { "pass" };
        let mut settings = vec![
            format!("banner = \"{banner}\""),
            format!("starttls = \"{starttls}\""),
            format!("ehlo = \"{ehlo}\""),
            format!("line_max = {line_max}"),
            format!("envelope_line_max = {line_max}"),
            format!("auth_line_max = {line_max}"),
            format!("recipients_max = {}", self.recipients_max.unwrap_or(0).min(1_000_000)),
            format!("sender_max = {}", limit(self.sender_max)),
        ];
        let of_message = MESSAGE.iter().zip(self.message).map(|((_, name), limit)| match limit {
            Some((number, true)) => format!("{name} = \"{number} log\""),
            Some((number, false)) => format!("{name} = {number}"),
            None => format!("{name} = 0"),
        });
        settings.extend(of_message);
        let rows: Vec<String> = self.rows.iter().map(|row| format!("\"{row}\"")).collect();
        settings.push(format!("asa_map = [{}]", rows.join(", ")));
        settings
    }
}

/// The map of `inspect esmtp` without a name, which is what the profile `asa` presets.
const DEFAULT: &str = "_default_esmtp_map";

/// The place of a row that writes nothing.
const NO_ROW: &str = "-";

/// The highest limit that a setting takes, on a line and on a message.
const LINE_HIGHEST: u32 = 65_534;
const BYTES_HIGHEST: u32 = u32::MAX - 1;

/// Conditions on a message, and the settings that say the same.
const MESSAGE: [(&str, &str); 4] = [
    ("header length gt", "header_bytes_max"),
    ("header line length gt", "header_line_max"),
    ("body length gt", "body_bytes_max"),
    ("body line length gt", "body_line_max"),
];
