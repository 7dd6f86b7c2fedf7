//! `inspect esmtp` of a PIX 7 or an ASA: the rows of its policy map that a setting here can say.

use std::collections::BTreeSet;

use super::masks::Masks;
use super::policy::{self, DEFAULT_MAP, behind};
use super::{Account, is_head};
use crate::guard::{PolicyMap, Settings};
use crate::pix::change::plain;

/// What a map says, as settings; the first is left for the profile.
pub(super) fn read(
    lines: &[(usize, String)],
    cure: &str,
    account: &mut Account,
) -> (BTreeSet<u16>, Vec<String>) {
    for (number, line) in lines {
        if is_head(line) && (line == "parameters" || line.starts_with("match ")) {
            let why = "it is not indented: which map it belongs to is not known";
            account.unclear.insert(*number, why.to_owned());
        }
    }
    let inspections = policy::in_force(lines, account);
    let ports = policy::ports(&inspections, lines, account);
    let maps: BTreeSet<&str> = inspections.iter().map(|one| one.map.as_str()).collect();
    let mut settings = Vec::new();
    let mut unclear = None;
    match maps.iter().copied().collect::<Vec<_>>().as_slice() {
        [] => account.warnings.push(format!("no inspect esmtp: mail was not guarded{cure}")),
        [map] => match self::settings(map, lines, account) {
            Some(found) => settings = found,
            // It is printed by `show running-config all` alone.
            None if *map == DEFAULT_MAP && is_new(lines) => {
                account.warnings.push(format!("the default map: allow-tls: {BLIND}"));
                settings.push("starttls = \"allow\"".to_owned());
            }
            None if *map == DEFAULT_MAP => {}
            None => unclear = Some(format!("its map `{map}` says nothing here")),
        },
        several => {
            let name = |map| if map == DEFAULT_MAP { "the default" } else { map };
            let names = several.iter().map(|map| name(*map)).collect::<Vec<_>>().join(", ");
            unclear = Some(format!("several maps are in use: {names}; the default is taken"));
        }
    }
    if let Some(why) = unclear {
        account.unclear.extend(inspections.iter().map(|one| (one.line, why.clone())));
    }
    let clear = inspections.iter().map(|one| one.line);
    account.used.extend(clear.filter(|line| !account.unclear.contains_key(line)));
    (ports, settings)
}

/// The rows of a map. What it does not say holds no more: the default map's limits are no part of
/// one of somebody's own. None where there is nothing that it says.
fn settings(map: &str, lines: &[(usize, String)], account: &mut Account) -> Option<Vec<String>> {
    let mut said = Said { is_tls_allowed: is_new(lines), ..Said::default() };
    let (mut is_inside, mut is_empty) = (false, true);
    let mut row: Option<(usize, String)> = None;
    for (number, line) in lines {
        let is_head = is_head(line);
        let line = plain(line);
        if is_head {
            is_inside = behind(&line, "policy-map type inspect esmtp ") == Some(map);
            row = None;
        }
        if !is_inside {
            continue;
        }
        let line = line.to_ascii_lowercase();
        if is_head || line == "parameters" || line.starts_with("description") {
            account.used.insert(*number);
            continue;
        }
        is_empty = false;
        if let Some(condition) = line.strip_prefix("match ") {
            said.rows.push(PolicyMap::NO_ROW.to_owned());
            row = Some((*number, condition.to_owned()));
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
    if is_empty {
        return None;
    }
    if map != DEFAULT_MAP {
        account.warnings.push(format!("{map}: the default map's rows are no part of it"));
    }
    if said.is_tls_allowed && said.masks.bar_tls() {
        account.warnings.push(format!("{map}: a row masks what begins TLS: nobody can"));
    } else if said.is_tls_allowed {
        account.warnings.push(format!("{map}: allow-tls: {BLIND}"));
    }
    if said.masks.spare_others() {
        let what = "keywords that are not known here are masked as well: see ehlo_keywords";
        account.warnings.push(format!("{map}: {what}"));
    }
    Some(said.settings())
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
    are_characters_logged: bool,
    masks: Masks,
    /// What [`LIMITS`] lists.
    limits: [Option<Limit>; LIMITS.len()],
    /// The rows in their order: what of them may be logged under its place.
    rows: Vec<String>,
}

/// A row that is a limit.
#[derive(Clone, Copy, Debug)]
struct Limit {
    /// Whether it only logs: a setting has one number, and what ends connections counts.
    is_logged: bool,
    number: u32,
    /// The lines it stands in, and its place among the rows.
    at: [usize; 2],
    place: usize,
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
        let number = condition.rsplit(' ').next().and_then(|word| word.parse::<u32>().ok());
        let number = number.filter(|number| *number > 0);
        let ends = action.starts_with("drop-connection") || action.starts_with("reset");
        let is_logged = action == "log";
        let limits = LIMITS.iter().zip(&mut self.limits);
        let mut limits = limits.filter(|((start, _), _)| condition.starts_with(start));
        if let Some(((_, names), limit)) = limits.next().filter(|_| ends || is_logged) {
            let Some(number) = number else {
                let why = format!("`match {condition}`: expected a number from 1");
                account.unclear.extend(at.iter().map(|line| (*line, why.clone())));
                return;
            };
            let (number, place) = (number.min(highest(names)), self.rows.len());
            let new = Limit { is_logged, number, at: *at, place };
            let rank = |one: &Limit| (one.is_logged, one.number);
            let lost = match limit {
                Some(old) if rank(old) <= rank(&new) => Some(new),
                Some(_) | None => limit.replace(new),
            };
            if let Some(Limit { at: lines, place: lost, .. }) = lost {
                let why = "a setting here takes one row of a kind, and another does more";
                account.idle.extend(lines.iter().map(|line| (*line, why.to_owned())));
                lines.iter().for_each(|line| _ = account.used.remove(line));
                if lost == place {
                    return;
                }
                if let Some(row) = self.rows.get_mut(lost - 1) {
                    PolicyMap::NO_ROW.clone_into(row);
                }
            }
        } else if let Some(taken) =
            action.strip_prefix("mask").and_then(|_| self.masks.take(condition))
        {
            if let Err(word) = taken {
                let why = format!("`match {condition}`: `{word}` is no word of its list");
                account.unclear.extend(at.iter().map(|line| (*line, why.clone())));
                return;
            }
            if condition != OTHERS {
                if let (true, [_, line]) = (action.ends_with(" log"), at) {
                    let why = format!("line {line}: what it masks is not logged");
                    account.warnings.push(why);
                }
                account.used.extend(at);
                return;
            }
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
        let is_tls_allowed = self.is_tls_allowed && !self.masks.bar_tls();
        let starttls = match (is_tls_allowed, self.is_tls_logged) {
            (false, _) => "strip",
            (true, false) => "allow",
            (true, true) => "allow log",
        };
        let scan = if self.are_characters_logged { "log" } else { "off" };
        let mut settings =
            vec![format!("banner = \"{banner}\""), format!("starttls = \"{starttls}\"")];
        settings.extend(self.masks.settings());
        settings.push(format!("address_scan = \"{scan}\""));
        for ((_, names), limit) in LIMITS.iter().zip(self.limits) {
            settings.extend(names.iter().map(|name| match limit {
                Some(Limit { is_logged: true, number, .. }) => {
                    format!("{name} = \"{number} log\"")
                }
                Some(Limit { is_logged: false, number, .. }) => format!("{name} = {number}"),
                None => format!("{name} = 0"),
            }));
        }
        let rows: Vec<String> = self.rows.iter().map(|row| format!("\"{row}\"")).collect();
        settings.push(format!("asa_map = [{}]", rows.join(", ")));
        settings
    }
}

/// The highest number that settings take.
fn highest(names: &[&str]) -> u32 {
    let of_these = Settings::TABLE.iter().filter(|setting| names.contains(&setting.name));
    of_these.filter_map(|setting| setting.highest).min().unwrap_or(u32::MAX)
}

/// Conditions that are limits, and the settings that say the same.
const LIMITS: [(&str, &[&str]); 7] = [
    ("cmd line length gt", &["line_max", "envelope_line_max", "auth_line_max"]),
    ("cmd rcpt count gt", &["recipients_max"]),
    ("sender-address length gt", &["sender_max"]),
    ("header length gt", &["header_bytes_max"]),
    ("header line length gt", &["header_line_max"]),
    ("body length gt", &["body_bytes_max"]),
    ("body line length gt", &["body_line_max"]),
];

/// What is said where TLS passes.
const BLIND: &str = "its rows see nothing of a session that starts TLS";

/// The condition on keywords that are not listed.
const OTHERS: &str = "ehlo-reply-parameter others";
