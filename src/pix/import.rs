//! A saved PIX or ASA configuration, read: what applies becomes a configuration of ours, and every
//! line that does not is accounted for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::SMTP_PORT;
use super::change::range;
use super::gather::{Addresses, Gathered, gather};
use super::table::{Command, Edit};
use super::words::{Mode, resolve};
use crate::guard::Profile;

mod esmtp;
mod masks;
mod policy;

/// What whoever imports wants besides.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// The release's own profile, bugs included.
    pub as_it_was: bool,
    /// Port 25, though the file does not guard mail.
    pub guard_anyway: bool,
}

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// A configuration file of ours.
    pub settings: String,
    /// What was used, what was not, and why.
    pub report: String,
    /// Whether a line about mail was not understood, none was used, or nothing is guarded.
    pub is_doubtful: bool,
}

/// The lines of a file and what became of each.
#[derive(Debug, Default)]
pub(super) struct Account {
    used: BTreeSet<usize>,
    idle: BTreeMap<usize, String>,
    unclear: BTreeMap<usize, String>,
    warnings: Vec<String>,
}

/// Which of the generations a file is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Generation {
    /// `mailhost`, which guards one host.
    Mailhost,
    /// `fixup`: the profile that does what it did.
    Pix(&'static str),
    /// `inspect esmtp`.
    Asa,
}

/// Reads a file.
#[must_use]
pub fn import(text: &str, options: Options) -> Imported {
    let lines: Vec<(usize, String)> =
        text.lines().enumerate().map(|(at, line)| (at + 1, line.trim_end().to_owned())).collect();
    let mut account = Account::default();
    let generation = generation(&lines, &mut account);
    let numbered = lines.iter().map(|(number, line)| (*number, line.trim()));
    let gathered = gather(numbered, addresses(&lines));
    let cure = if options.guard_anyway { "" } else { "; say --guard-anyway for ports = [25]" };
    let (mut ports, mut settings) = match generation {
        Generation::Mailhost => (mailhosts(&gathered, cure, &mut account), Vec::new()),
        Generation::Pix(_) => (fixups(&lines, cure, &mut account), Vec::new()),
        Generation::Asa => esmtp::read(&lines, cure, &mut account),
    };
    let is_off = ports.is_empty();
    if is_off && options.guard_anyway {
        ports.insert(SMTP_PORT);
    }
    ports.extend(&gathered.ports);
    if is_off && !options.guard_anyway {
        ports.clear();
    }
    let own = own_profile(&lines, &mut account);
    let profile = own.unwrap_or(match (generation, options.as_it_was) {
        (Generation::Mailhost, true) => "pix-4.1",
        (Generation::Pix(profile), true) => profile,
        (Generation::Mailhost | Generation::Pix(_), false) => "mailguard",
        (Generation::Asa, _) => "asa",
    });
    note(&gathered, &mut account);
    account.pass_over_nothing(&lines, &gathered);
    let is_used = !account.used.is_empty();
    if !is_used {
        account
            .warnings
            .push("no line was used: is it a configuration of a PIX or ASA?".to_owned());
    }
    settings.insert(0, format!("profile = \"{profile}\""));
    let mut settings = written(&settings, &ports, &gathered);
    if generation == Generation::Mailhost && !gathered.mailhosts.is_empty() {
        settings.push_str(&guarded_alone(&gathered));
    }
    let report = account.told(&lines);
    let is_doubtful = is_off || !is_used || !account.unclear.is_empty();
    Imported { settings, report, is_doubtful }
}

fn generation(lines: &[(usize, String)], account: &mut Account) -> Generation {
    let version = lines.iter().find_map(|(number, line)| {
        let rest = line.strip_prefix("PIX Version ").map(|rest| (true, rest));
        let rest = rest.or_else(|| Some((false, line.strip_prefix("ASA Version ")?)));
        rest.or_else(|| Some((false, line.strip_prefix("NGFW Version ")?)))
            .map(|(is_pix, rest)| (*number, is_pix, rest.trim()))
    });
    let Some((number, is_pix, version)) = version else {
        let has_inspect = lines.iter().any(|(_, line)| line.trim().starts_with("inspect "));
        return if has_inspect { Generation::Asa } else { Generation::Pix("pix-6.3") };
    };
    account.used.insert(number);
    if !is_pix || version.starts_with('7') || version.starts_with('8') {
        return Generation::Asa;
    }
    Generation::Pix(match version.get(..3).unwrap_or_default() {
        "4.0" | "4.1" => return Generation::Mailhost,
        "4.2" => "pix-4.1",
        "4.3" | "4.4" | "5.0" => "pix-4.4",
        "5.1" => "pix-5.1",
        "5.2" if matches!(version.get(4..5), Some("1" | "2" | "3")) => "pix-5.1",
        "5.2" if matches!(version.get(4..5), Some("4" | "5")) => "pix-5.2.4",
        "6.0" if version.starts_with("6.0(1)") => "pix-5.2.4",
        _ => "pix-6.3",
    })
}

/// Which addresses the lists name: release 8.3 of the ASA began with the hosts' own, and with
/// `object network`.
fn addresses(lines: &[(usize, String)]) -> Addresses {
    let is_new = lines.iter().any(|(_, line)| match line.strip_prefix("ASA Version ") {
        Some(version) => {
            let mut numbers = version.split(['.', '(']).map(|number| number.parse().unwrap_or(0));
            let release: [u32; 2] = [numbers.next(), numbers.next()].map(Option::unwrap_or_default);
            release >= [8, 3]
        }
        None => line.starts_with("NGFW Version ") || line.starts_with("object network "),
    });
    if is_new { Addresses::Own } else { Addresses::Outer }
}

/// The profile that a file of ours names, as `write terminal` prints it.
fn own_profile(lines: &[(usize, String)], account: &mut Account) -> Option<&'static str> {
    let (version, _) = lines.iter().find(|(_, line)| line.starts_with("Mailguard Version "))?;
    let (number, name) =
        lines.iter().find_map(|(number, line)| Some((number, line.strip_prefix(": profile ")?)))?;
    account.used.extend([version, number]);
    Profile::names().into_iter().find(|known| *known == name)
}

/// Whether a line begins something: what belongs to it is indented.
fn is_head(line: &str) -> bool {
    !line.starts_with([' ', '\t'])
}

/// The ports that `fixup` guards: 25, and what lines add and take away.
fn fixups(lines: &[(usize, String)], cure: &str, account: &mut Account) -> BTreeSet<u16> {
    let mut ports = BTreeSet::from([SMTP_PORT]);
    let mut off = None;
    for (number, line) in lines {
        let Ok(typed) = resolve(line, Mode::Configuring) else { continue };
        let value = typed.values.first().map_or("", String::as_str);
        match (typed.command, range(value)) {
            (Command::Edit(Edit::Fixup | Edit::NoFixup), Err(why)) => {
                account.unclear.insert(*number, why.trim_start_matches("ERROR: ").to_owned());
                continue;
            }
            (Command::Edit(Edit::Fixup), Ok(all)) => ports.extend(all),
            (Command::Edit(Edit::NoFixup), Ok(_)) if value.is_empty() => {
                ports = BTreeSet::from([SMTP_PORT]);
            }
            (Command::Edit(Edit::NoFixup), Ok(all)) => {
                ports.retain(|port| !all.contains(port));
                off = Some(number);
            }
            _ => continue,
        }
        account.used.insert(*number);
    }
    if let Some(number) = off.filter(|_| ports.is_empty()) {
        account.warnings.push(format!("line {number}: this PIX did not guard mail{cure}"));
    }
    ports
}

/// The ports of a release that guarded the hosts which `mailhost` names, and no other.
fn mailhosts(gathered: &Gathered, cure: &str, account: &mut Account) -> BTreeSet<u16> {
    if gathered.mailhosts.is_empty() {
        account.warnings.push(format!("no mailhost: this PIX did not guard mail{cure}"));
        return BTreeSet::new();
    }
    BTreeSet::from([SMTP_PORT])
}

/// Exceptions by which the hosts of `mailhost` are guarded, and no other is.
fn guarded_alone(gathered: &Gathered) -> String {
    let mut text = "\n# As `mailhost` has it: these are guarded, and no other.\n".to_owned();
    for host in &gathered.mailhosts {
        let _ = writeln!(text, "[[exceptions]]\nserver = \"{}\"\n", host.address);
    }
    // IPv6 by what hosts have for addresses (RFC 4291, 4193): all of it in one is refused.
    for rest in ["0.0.0.0/1", "128.0.0.0/1", "2000::/3", "fc00::/7", "fe80::/10"] {
        let _ = writeln!(text, "[[exceptions]]\nserver = \"{rest}\"\ntreatment = \"hands-off\"\n");
    }
    text.truncate(text.trim_end().len() + 1);
    text
}

/// Accounts for the lines that name hosts.
fn note(gathered: &Gathered, account: &mut Account) {
    for lines in gathered.hosts.values() {
        account.used.extend(lines);
    }
    for (host, lines) in &gathered.open {
        if gathered.hosts.contains_key(host) {
            let address = host.address;
            account.warnings.push(format!(
                "{address} is reached at other ports too (lines {}): it is guarded, but not put \
                 into rules.mail_hosts, which would close those",
                spans(lines)
            ));
        }
    }
    for (numbers, one, several) in [
        (
            &gathered.denied,
            "a deny before it may take its effect",
            "a deny before each may take its effect",
        ),
        (&gathered.limited, LIMITED, LIMITED),
    ] {
        match numbers.len() {
            0 => {}
            1 => account.warnings.push(format!("line {}: {one}", spans(numbers))),
            _ => account.warnings.push(format!("lines {}: {several}", spans(numbers))),
        }
    }
    account.unclear.extend(gathered.unclear.iter().cloned());
}

/// The file of ours.
fn written(settings: &[String], ports: &BTreeSet<u16>, gathered: &Gathered) -> String {
    let mut text = String::new();
    let mut settings = settings.iter();
    if let Some(profile) = settings.next() {
        let _ = writeln!(text, "{profile}");
    }
    let _ = writeln!(text, "ports = [{}]", listed(ports.iter()));
    let more: Vec<&String> = settings.collect();
    if !more.is_empty() {
        text.push_str("\n[settings]\n");
        for line in more {
            let _ = writeln!(text, "{line}");
        }
    }
    let closed = gathered.hosts.iter().filter(|(host, _)| !gathered.open.contains_key(host));
    let closed: Vec<_> = closed.collect();
    if !closed.is_empty() {
        text.push_str("\n[rules]\nmail_hosts = [\n");
        for (host, lines) in closed {
            let block = match host.prefix {
                32 => host.address.to_string(),
                _ => host.network().map_or_else(String::new, |block| block.to_string()),
            };
            let s = if lines.len() == 1 { "" } else { "s" };
            let _ = writeln!(text, "    \"{block}\", # line{s} {}", listed(lines.iter()));
        }
        text.push_str("]\n");
    }
    text
}

fn listed<T: ToString>(items: impl Iterator<Item = T>) -> String {
    items.map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

impl Account {
    fn knows(&self, number: usize) -> bool {
        self.used.contains(&number)
            || self.idle.contains_key(&number)
            || self.unclear.contains_key(&number)
    }

    /// Accounts for every other line that speaks of mail.
    fn pass_over_nothing(&mut self, lines: &[(usize, String)], gathered: &Gathered) {
        for (number, line) in lines {
            if self.knows(*number) {
                continue;
            }
            if let Some(why) = gathered.idle.get(number) {
                self.idle.insert(*number, (*why).to_owned());
                continue;
            }
            let words: Vec<&str> = line.split_whitespace().collect();
            // A port of a group counts where a rule names the group.
            let is_text = matches!(
                words.as_slice(),
                ["description" | "banner", ..]
                    | ["port-object" | "service" | "service-object", ..]
                    | [_, _, "remark", ..]
            );
            let is_of_mail = words.iter().any(|word| word.eq_ignore_ascii_case("smtp"));
            if is_of_mail && !is_text && !line.starts_with([':', '!']) {
                self.unclear.insert(*number, "lines of this kind are not read".to_owned());
            }
        }
    }

    /// The report: what was used, ignored, without effect, and not understood.
    fn told(&self, lines: &[(usize, String)]) -> String {
        let mut ignored: BTreeMap<String, usize> = BTreeMap::new();
        let mut count = 0;
        for (number, line) in lines {
            let line = line.trim();
            if self.knows(*number) || line.is_empty() || line.starts_with([':', '!']) {
                continue;
            }
            count += 1;
            // A checksum has a value that is nobody's word.
            let first = line.split([' ', '\t', ':']).next().unwrap_or_default();
            // Of whoever writes a file of many first words, so many are named.
            let is_room = ignored.len() < WORDS_MAX || ignored.contains_key(first);
            let first = if is_room { first } else { "..." };
            *ignored.entry(first.to_owned()).or_default() += 1;
        }
        let mut report = format!("used: {}\n", lines_of(&self.used));
        let ignored: Vec<String> =
            ignored.into_iter().map(|(word, count)| format!("{word} {count}")).collect();
        let s = if count == 1 { "" } else { "s" };
        let _ = match ignored.as_slice() {
            [] => writeln!(report, "ignored: no line"),
            words => writeln!(report, "ignored: {count} line{s} ({})", words.join(", ")),
        };
        for (number, why) in &self.idle {
            let _ = writeln!(report, "no effect here: line {number}: {why}");
        }
        for (number, why) in &self.unclear {
            let _ = writeln!(report, "about mail, and not understood: line {number}: {why}");
        }
        for warning in &self.warnings {
            let _ = writeln!(report, "WARNING: {warning}");
        }
        report
    }
}

fn lines_of(numbers: &BTreeSet<usize>) -> String {
    match numbers.len() {
        0 => "no line".to_owned(),
        1 => format!("line {}", spans(numbers)),
        count => format!("{count} lines: {}", spans(numbers)),
    }
}

/// Numbers, those that follow each other as `4-7`.
fn spans(numbers: &BTreeSet<usize>) -> String {
    let mut spans: Vec<(usize, usize)> = Vec::new();
    for &number in numbers {
        match spans.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => spans.push((number, number)),
        }
    }
    let shown = spans.into_iter().map(|(first, last)| match last - first {
        0 => first.to_string(),
        1 => format!("{first}, {last}"),
        _ => format!("{first}-{last}"),
    });
    listed(shown)
}

const LIMITED: &str = "only some clients may come there; the rules here let all of them";

/// First words that a report names.
const WORDS_MAX: usize = 100;
