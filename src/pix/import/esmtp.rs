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
    let mut said = Said { is_tls_allowed: is_new(lines), ..Said::default() };
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
            let action = match line.strip_prefix("drop") {
                Some(rest) if !rest.starts_with('-') => {
                    let why = format!("line {number}: `{line}` is read as drop-connection");
                    account.warnings.push(why);
                    if rest.ends_with(" log") { "drop-connection log" } else { "drop-connection" }
                }
                Some(_) | None => &line,
            };
            said.action(&condition, action, &[at, *number], account);
        } else {
            said.parameter(*number, &line, account);
        }
    }
    account.warnings.push(format!("{map}: the default map's rows are no part of it"));
    if said.is_tls_allowed {
        let blind = "its rows see nothing of a session that starts TLS";
        account.warnings.push(format!("{map}: allow-tls: {blind}"));
    }
    said.settings()
}

/// Whether the release is one that lets TLS pass where a map says nothing of it.
fn is_new(lines: &[(usize, String)]) -> bool {
    let version = lines.iter().find_map(|(_, line)| line.strip_prefix("ASA Version "));
    let mut numbers = version.unwrap_or_default().split(['.', '(', ')']).map(str::parse::<u32>);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else { return false };
    (major, minor) >= (9, 4)
}

/// What rows say, as far as settings can.
#[derive(Debug, Default)]
struct Said {
    is_banner_masked: bool,
    is_tls_allowed: bool,
    is_tls_logged: bool,
    are_others_masked: bool,
    are_characters_logged: bool,
    /// What [`LIMITS`] lists, each with whether it is only logged.
    limits: [Option<(u32, bool)>; LIMITS.len()],
    /// The rows in their order: what of them may be logged under its place.
    rows: Vec<String>,
}

impl Said {
    fn parameter(&mut self, number: usize, line: &str, account: &mut Account) {
        match line {
            "mask-banner" => self.is_banner_masked = true,
            "no mask-banner" => self.is_banner_masked = false,
            "no allow-tls" => self.is_tls_allowed = false,
            "special-character action log" => self.are_characters_logged = true,
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
        let is_logged = action == "log";
        let limits = LIMITS.iter().zip(&mut self.limits);
        let mut limits = limits.filter(|((start, ..), _)| condition.starts_with(start));
        if let Some(((.., highest), limit)) = limits.next().filter(|_| ends || is_logged) {
            *limit = number().map(|number| (number.min(*highest), is_logged));
        } else if condition == OTHERS && action.starts_with("mask") {
            self.are_others_masked = true;
        } else {
            let why = format!("`match {condition}` with `{action}`: no setting here does this");
            account.idle.extend(at.iter().map(|number| (*number, why.clone())));
            return;
        }
        account.used.extend(at);
        self.name_row(condition, action);
    }

    /// The last row is one here too. One that does not log writes nothing.
    fn name_row(&mut self, condition: &str, action: &str) {
        let Some(row) = self.rows.last_mut().filter(|_| action.ends_with("log")) else { return };
        let name = condition.split(" gt").next().unwrap_or_default().trim().replace(' ', "-");
        *row = if action.starts_with("reset") { name + "=reset" } else { name };
    }

    fn settings(&self) -> Vec<String> {
        let banner = if self.is_banner_masked { "star-text" } else { "pass" };
        let starttls = match (self.is_tls_allowed, self.is_tls_logged) {
            (false, _) => "strip",
            (true, false) => "allow",
            (true, true) => "allow log",
        };
        let ehlo = if self.are_others_masked { "letters" } else { "pass" };
        let scan = if self.are_characters_logged { "log" } else { "off" };
        let mut settings = vec![
            format!("banner = \"{banner}\""),
            format!("starttls = \"{starttls}\""),
            format!("ehlo = \"{ehlo}\""),
            format!("address_scan = \"{scan}\""),
        ];
        for ((_, names, _), limit) in LIMITS.iter().zip(self.limits) {
            settings.extend(names.iter().map(|name| match limit {
                Some((number, true)) => format!("{name} = \"{number} log\""),
                Some((number, false)) => format!("{name} = {number}"),
                None => format!("{name} = 0"),
            }));
        }
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

/// Conditions that are limits, the settings that say the same, and the highest that these take.
const LIMITS: [(&str, &[&str], u32); 7] = [
    ("cmd line length gt", &["line_max", "envelope_line_max", "auth_line_max"], LINE_HIGHEST),
    ("cmd rcpt count gt", &["recipients_max"], 1_000_000),
    ("sender-address length gt", &["sender_max"], LINE_HIGHEST),
    ("header length gt", &["header_bytes_max"], BYTES_HIGHEST),
    ("header line length gt", &["header_line_max"], LINE_HIGHEST),
    ("body length gt", &["body_bytes_max"], BYTES_HIGHEST),
    ("body line length gt", &["body_line_max"], LINE_HIGHEST),
];

/// The condition on keywords that are not listed.
const OTHERS: &str = "ehlo-reply-parameter others";
