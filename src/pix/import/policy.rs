//! Where `inspect esmtp` is in force: by which map, and at which ports.

use std::collections::BTreeSet;

use super::{Account, is_head};
use crate::pix::change::{plain, range};

/// A line `inspect esmtp`.
pub(super) struct Inspection {
    pub(super) line: usize,
    /// Its map.
    pub(super) map: String,
    policy: String,
    class: String,
}

/// Those in force. Where no policy is, they are taken to be, which is said.
pub(super) fn in_force(lines: &[(usize, String)], account: &mut Account) -> Vec<Inspection> {
    let mut policies: BTreeSet<String> = BTreeSet::new();
    let mut all = Vec::new();
    let (mut policy, mut class) = (String::new(), String::new());
    for (number, line) in lines {
        let line = plain(line);
        if let Some(name) = behind(&line, "policy-map ") {
            (policy, class) = (name.to_owned(), String::new());
        } else if let Some(name) = behind(&line, "class ") {
            name.clone_into(&mut class);
        } else if let Some(rest) = behind(&line, "service-policy ") {
            policies.extend(rest.split(' ').next().map(str::to_owned));
        } else if let Some(map) = behind(&line, "inspect esmtp") {
            let map = if map.trim().is_empty() { DEFAULT_MAP } else { map.trim() };
            let (policy, class) = (policy.clone(), class.clone());
            all.push(Inspection { line: *number, map: map.to_owned(), policy, class });
        }
    }
    let (served, idle): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|one| policies.contains(&one.policy));
    let why = |one: &Inspection| (one.line, "no service-policy names its policy-map".to_owned());
    if served.is_empty() {
        account.unclear.extend(idle.iter().map(why));
        return idle;
    }
    account.idle.extend(idle.iter().map(why));
    served
}

/// The ports of their classes: that of mail, where one is not by ports.
pub(super) fn ports(
    inspections: &[Inspection],
    lines: &[(usize, String)],
    account: &mut Account,
) -> BTreeSet<u16> {
    let classes: BTreeSet<&str> = inspections.iter().map(|one| one.class.as_str()).collect();
    let (mut ports, mut known) = (BTreeSet::new(), BTreeSet::new());
    let mut class = None;
    for (number, line) in lines {
        let is_head = is_head(line);
        let line = plain(line);
        if is_head {
            let name = behind(&line, "class-map ").and_then(|head| head.rsplit(' ').next());
            class = name.and_then(|name| classes.get(name).copied());
        }
        let (Some(class), Some(condition)) = (class, behind(&line, "match ")) else { continue };
        let condition = condition.to_ascii_lowercase();
        known.insert(class);
        if let Some(found) = matched(&condition) {
            ports.extend(found);
            account.used.extend(condition.starts_with("port ").then_some(*number));
        } else {
            ports.insert(25);
            let why = "which connections these are is not read: expected \
                       default-inspection-traffic or port tcp";
            account.unclear.insert(*number, why.to_owned());
        }
    }
    for Inspection { line, class, .. } in inspections {
        if known.contains(class.as_str()) {
            continue;
        }
        ports.insert(25);
        if class != DEFAULT_CLASS {
            account.unclear.insert(*line, format!("there is no class-map `{class}`"));
        }
    }
    ports
}

/// What stands behind these words at the beginning of a line, written in whatever case.
pub(super) fn behind<'l>(line: &'l str, words: &str) -> Option<&'l str> {
    let (head, rest) = line.split_at_checked(words.len())?;
    head.eq_ignore_ascii_case(words).then_some(rest)
}

/// The ports of a condition of a class.
fn matched(condition: &str) -> Option<Vec<u16>> {
    match condition.split(' ').collect::<Vec<_>>().as_slice() {
        ["default-inspection-traffic"] => range("").ok(),
        ["port", "tcp", "eq", port] => range(port).ok(),
        ["port", "tcp", "range", low, high] => range(&format!("{low}-{high}")).ok(),
        _ => None,
    }
}

/// The map of `inspect esmtp` without a name, which is what the profile `asa` presets but for TLS:
/// that passes from 9.4 on.
pub(super) const DEFAULT_MAP: &str = "_default_esmtp_map";

/// The class that needs no `class-map`.
const DEFAULT_CLASS: &str = "inspection_default";
