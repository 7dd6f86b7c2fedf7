//! The rule files in `iptables/`, filled in from the configuration.
//!
//! One rule of expansion: a line that names a variable stands once for each of its values, and
//! with none not at all. What the rules do is said beside them, in the files.

use super::Family;
use crate::config::{Config, Fail};

/// A rule file, filled in.
pub(super) struct Expanded {
    /// The table it belongs to.
    pub(super) table: &'static str,
    /// Its lines, from `*table` to `COMMIT`.
    pub(super) lines: Vec<String>,
}

impl Expanded {
    /// Whether there is anything to install.
    pub(super) fn is_wanted(&self) -> bool {
        self.rules().next().is_some()
    }

    /// Our chains.
    pub(super) fn chains(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().filter_map(|line| line.strip_prefix(':')?.split(' ').next())
    }

    /// The rules of our chains.
    pub(super) fn rules(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str).filter(|line| line.starts_with("-A "))
    }

    /// The jumps to our chains, as `(chain they stand in, chain they lead to)`.
    pub(super) fn jumps(&self) -> impl Iterator<Item = (&str, &str)> {
        self.lines.iter().filter_map(|line| line.strip_prefix("-I ")?.split_once(" 1 -j "))
    }
}

/// The files of iptables, filled in for one address family.
pub(super) fn expand(config: &Config, family: Family) -> [Expanded; 2] {
    let hosts = hosts(config, family);
    let has_hosts = !hosts.is_empty();
    let mut variables = vec![("{HOST}", hosts)];
    variables.extend(common(config, has_hosts));
    let queue = &config.queue;
    let numbers = if queue.first == queue.last {
        format!("--queue-num {}", queue.first)
    } else {
        format!("--queue-balance {}:{}", queue.first, queue.last)
    };
    let bypass = bypass(queue.fail, " --queue-bypass");
    variables.push(("{QUEUE}", vec![numbers + bypass]));
    [MANGLE, FILTER].map(|(table, text)| Expanded { table, lines: fill(text, &variables) })
}

/// The file of nft, filled in for both families.
pub(super) fn expand_nft(config: &Config) -> Vec<String> {
    let [v4, v6] = Family::BOTH.map(|family| hosts(config, family));
    let has_hosts = !v4.is_empty() || !v6.is_empty();
    let mut variables = vec![("{HOST4}", v4), ("{HOST6}", v6)];
    variables.extend(common(config, has_hosts));
    let (queue, rules) = (&config.queue, &config.rules);
    let numbers = if queue.first == queue.last {
        queue.first.to_string()
    } else {
        format!("{}-{}", queue.first, queue.last)
    };
    let other_bits = |bits: u32| vec![format!("{:#x}", !bits)];
    variables.extend([
        ("{NOT_BOTH}", other_bits(rules.mark | rules.offload_mark)),
        ("{NOT_MARK}", other_bits(rules.mark)),
        ("{NOT_OFFLOAD}", other_bits(rules.offload_mark)),
        ("{QUEUE}", vec![numbers + bypass(queue.fail, " bypass")]),
    ]);
    // Hooks have the same names, in small letters.
    for value in variables.iter_mut().flat_map(|(_, values)| values) {
        *value = value.to_lowercase();
    }
    fill(NFT, &variables)
}

/// The chains of ours in a table.
pub(super) const fn own_chains(table: &str) -> &'static [&'static str] {
    match table.as_bytes() {
        b"mangle" => &["MAILGUARD", "MAILGUARD-OUTPUT", "MAILGUARD-OFFLOAD"],
        b"filter" => &["MAILGUARD-HOSTS", "MAILGUARD-INPUT"],
        _ => &[],
    }
}

/// The tables with rules of ours.
pub(super) const TABLES: [&str; 2] = [MANGLE.0, FILTER.0];

const MANGLE: (&str, &str) = ("mangle", include_str!("../../../iptables/mangle.rules"));
const FILTER: (&str, &str) = ("filter", include_str!("../../../iptables/filter.rules"));

const NFT: &str = include_str!("../../../iptables/mailguard.nft");

type Variables = Vec<(&'static str, Vec<String>)>;

/// What stands in all files.
fn common(config: &Config, has_hosts: bool) -> Variables {
    let rules = &config.rules;
    let hooks: &[&str] = if rules.local { &["FORWARD", "INPUT"] } else { &["FORWARD"] };
    let only = |is_wanted: bool, value| strings(is_wanted.then_some(value));
    vec![
        ("{BOTH}", vec![format!("{:#x}", rules.mark | rules.offload_mark)]),
        ("{HOOK}", strings(hooks)),
        ("{HOSTS}", only(has_hosts, "HOSTS")),
        ("{INPUT}", only(rules.local, "INPUT")),
        ("{LOOPBACK}", only(rules.local, "lo")),
        ("{MARK}", vec![format!("{:#x}", rules.mark)]),
        ("{OFFLOAD}", vec![format!("{:#x}", rules.offload_mark)]),
        ("{OUTPUT}", only(rules.local, "OUTPUT")),
        ("{PORT}", strings(&config.engine.ports)),
    ]
}

/// The mail hosts of a family.
fn hosts(config: &Config, family: Family) -> Vec<String> {
    let hosts = config.rules.mail_hosts.iter();
    let hosts = hosts.filter(|host| host.is_ipv6() == (family == Family::V6));
    // Where no port is mail's, "but for mail" would be "but for nothing".
    strings(hosts.filter(|_| !config.engine.ports.is_empty()))
}

const fn bypass(fail: Fail, words: &str) -> &str {
    match fail {
        Fail::Closed => "",
        Fail::Open => words,
    }
}

fn strings<T: ToString>(values: impl IntoIterator<Item = T>) -> Vec<String> {
    values.into_iter().map(|value| value.to_string()).collect()
}

/// Fills in a file; its head, up to the first empty line, is for readers of the file only.
fn fill(text: &str, variables: &Variables) -> Vec<String> {
    let mut filled = Vec::new();
    let mut comments = Vec::new();
    for line in text.lines().skip_while(|line| !line.is_empty()).skip(1) {
        if line.starts_with('#') {
            comments.push(line.to_owned());
            continue;
        }
        let lines = each_value(line, variables);
        if !lines.is_empty() {
            filled.append(&mut comments);
        }
        comments.clear();
        filled.extend(lines);
    }
    filled
}

fn each_value(line: &str, variables: &Variables) -> Vec<String> {
    let mut lines = vec![line.to_owned()];
    for (name, values) in variables.iter().filter(|(name, _)| line.contains(name)) {
        let one = |line: &String| {
            values.iter().map(|value| line.replace(name, value)).collect::<Vec<_>>()
        };
        lines = lines.iter().flat_map(one).collect();
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Override;

    fn rules(sets: &[&str], family: Family) -> Vec<String> {
        let overrides: Vec<_> = sets.iter().map(|set| Override::parse(set).unwrap()).collect();
        let config = Config::build(None, &overrides).unwrap();
        let wanted = expand(&config, family);
        let wanted = wanted.iter().filter(|expanded| expanded.is_wanted());
        let lines = wanted.flat_map(|expanded| expanded.lines.iter());
        lines.filter(|line| line.starts_with('-')).cloned().collect()
    }

    #[test]
    fn a_variable_with_several_values_repeats_its_line_and_with_none_removes_it() {
        let variables =
            vec![("{A}", strings(["1", "2"])), ("{B}", strings(["x", "y"])), ("{C}", vec![])];
        let text = "# head {A}\n\n# one\n{A}{B}\n# two\n# three\n-{C}\n# four\nplain\n";
        let expected = ["# one", "1x", "1y", "2x", "2y", "# four", "plain"];
        let mut filled = fill(text, &variables);
        filled.sort_by_key(|line| expected.iter().position(|&one| one == line));
        assert_eq!(filled, expected);
    }

    #[test]
    fn the_default_takes_both_directions_of_forwarded_port_25() {
        let said = "-m mark --mark 0x10000000/0x10000000";
        let expected = [
            "-I FORWARD 1 -j MAILGUARD",
            "-I POSTROUTING 1 -j MAILGUARD-OFFLOAD",
            "-A MAILGUARD -j MARK --set-xmark 0x0/0x10000000",
            "-A MAILGUARD -p tcp -m tcp ! --tcp-flags SYN SYN -m connmark \
             --mark 0x20000000/0x20000000 -j RETURN",
            "-A MAILGUARD -p tcp -m tcp --dport 25 -j NFQUEUE --queue-num 0",
            "-A MAILGUARD -p tcp -m tcp --sport 25 -j NFQUEUE --queue-num 0",
            &format!(
                "-A MAILGUARD-OFFLOAD {said} -j CONNMARK --save-mark --nfmask 0x20000000 \
                 --ctmask 0x20000000"
            ),
            &format!("-A MAILGUARD-OFFLOAD {said} -j MARK --set-xmark 0x0/0x30000000"),
        ];
        assert_eq!(rules(&[], Family::V4), expected);
        assert_eq!(rules(&[], Family::V6), expected);
    }

    #[test]
    fn mail_hosts_stand_in_the_table_of_their_family() {
        let sets = ["rules.mail_hosts=[\"192.0.2.25\", \"2001:db8::25\"]", "ports=[25, 587]"];
        let hosts = |family| -> Vec<String> {
            let all = rules(&sets, family);
            all.into_iter().filter(|line| line.contains(" -d ")).collect()
        };
        assert_eq!(
            hosts(Family::V4),
            [
                "-A MAILGUARD-HOSTS -d 192.0.2.25/32 -p tcp -m tcp --dport 25 -j RETURN",
                "-A MAILGUARD-HOSTS -d 192.0.2.25/32 -p tcp -m tcp --dport 587 -j RETURN",
                "-A MAILGUARD-HOSTS -d 192.0.2.25/32 -j DROP",
            ]
        );
        assert!(hosts(Family::V6).iter().all(|line| line.contains("2001:db8::25/128")));
    }

    #[test]
    fn a_range_balances_and_bypasses_only_when_told_to() {
        let queue = |sets: &[&str]| rules(sets, Family::V4).concat();
        assert!(queue(&["queue.last=3"]).contains("--dport 25 -j NFQUEUE --queue-balance 0:3-A"));
        assert!(!queue(&["queue.last=3"]).contains("--queue-bypass"));
        assert!(queue(&["queue.fail=open"]).contains("--queue-num 0 --queue-bypass"));
        let local = rules(&["rules.local=true"], Family::V4);
        assert!(local.contains(&"-I INPUT 1 -j MAILGUARD".to_owned()), "{local:?}");
        assert!(local.contains(&"-A MAILGUARD -i lo -j RETURN".to_owned()), "{local:?}");
    }

    #[test]
    fn our_own_mark_is_believed_only_of_what_this_machine_sends() {
        let believes = "-m mark --mark 0x10000000/0x10000000 -j RETURN";
        let local = rules(&["rules.local=true"], Family::V4);
        let believing: Vec<_> = local.iter().filter(|line| line.contains(believes)).collect();
        assert_eq!(believing, [&format!("-A MAILGUARD-OUTPUT {believes}")]);
        let leading: Vec<_> = local.iter().filter(|line| line.contains("-OUTPUT")).collect();
        assert_eq!(leading[0], "-I OUTPUT 1 -j MAILGUARD-OUTPUT");
        assert_eq!(leading.len(), 3, "{leading:?}");
        assert!(!rules(&[], Family::V4).concat().contains(believes));
    }
}
