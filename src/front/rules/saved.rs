//! What a table holds of ours, read from `iptables-save`, and the scripts that change it.
//!
//! Every script is one transaction of `iptables-restore --noflush`: there is no moment without a
//! filter, and rules that are not ours are not named.

use super::template::{self, Expanded};
use super::words::{Printer, target as target_of, words};

/// What a table holds of ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Saved {
    /// Chains of ours that exist.
    pub(super) chains: Vec<String>,
    /// Their rules, as `-A` lines.
    pub(super) rules: Vec<String>,
    /// Rules in other chains that lead to ours.
    pub(super) jumps: Vec<Jump>,
}

/// A rule in another chain that leads to one of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Jump {
    /// The chain it stands in.
    pub(super) hook: String,
    /// What stands behind the chain's name.
    pub(super) rule: String,
    /// Where in that chain, counted from 1.
    pub(super) position: usize,
}

impl Jump {
    /// The chain it leads to, if it does so without a condition, as the ones we make.
    pub(super) fn plain_target(&self) -> Option<&str> {
        self.rule.strip_prefix("-j ")
    }

    fn removal(&self) -> String {
        format!("-D {} {}\n", self.hook, self.rule)
    }
}

impl Saved {
    /// Finds what is ours in a table's listing.
    pub(super) fn parse(table: &str, listing: &str) -> Self {
        let own = template::own_chains(table);
        let is_own = |name: &str| own.contains(&name);
        let mut saved = Self::default();
        let mut positions: Vec<(&str, usize)> = Vec::new();
        for line in listing.lines() {
            if let Some(declared) = line.strip_prefix(':') {
                let name = declared.split(' ').next().unwrap_or_default();
                saved.chains.extend(is_own(name).then(|| name.to_owned()));
            }
            let Some((chain, rule)) = line.strip_prefix("-A ").and_then(|l| l.split_once(' '))
            else {
                continue;
            };
            let position = match positions.iter_mut().find(|(name, _)| *name == chain) {
                Some((_, count)) => {
                    *count += 1;
                    *count
                }
                None => {
                    positions.push((chain, 1));
                    1
                }
            };
            if is_own(chain) {
                saved.rules.push(line.to_owned());
            } else if target(rule).is_some_and(is_own) {
                let (hook, rule) = (chain.to_owned(), rule.to_owned());
                saved.jumps.push(Jump { hook, rule, position });
            }
        }
        saved
    }

    /// The script that installs a rule file over what is there. Our own jumps are taken out and
    /// put back at the top; a jump with conditions is somebody else's and stays, unless its chain
    /// goes.
    pub(super) fn install(&self, expanded: &Expanded) -> String {
        let mut script = format!("*{}\n", expanded.table);
        let surplus: Vec<&str> = self.surplus(expanded).collect();
        let goes = |jump: &&Jump| {
            jump.plain_target().is_some()
                || target(&jump.rule).is_some_and(|to| surplus.contains(&to))
        };
        script.extend(self.jumps.iter().filter(goes).map(Jump::removal));
        script.extend(surplus.iter().map(|chain| format!("-F {chain}\n")));
        script.extend(surplus.iter().map(|chain| format!("-X {chain}\n")));
        for line in expanded.lines.iter().skip(1) {
            script.push_str(line);
            script.push('\n');
        }
        script
    }

    /// Chains that a rule file does not ask for.
    fn surplus(&self, expanded: &Expanded) -> impl Iterator<Item = &str> {
        let is_wanted = |name: &str| expanded.is_wanted() && expanded.chains().any(|c| c == name);
        self.chains.iter().map(String::as_str).filter(move |name| !is_wanted(name))
    }

    /// The script that removes everything; none if there is nothing.
    pub(super) fn remove(&self, table: &str) -> Option<String> {
        (*self != Self::default()).then(|| self.replace(table, &Self::default()))
    }

    /// The script that puts an earlier state in the place of this one.
    pub(super) fn replace(&self, table: &str, earlier: &Self) -> String {
        let mut script = format!("*{table}\n");
        script.extend(self.jumps.iter().map(Jump::removal));
        script.extend(earlier.chains.iter().map(|chain| format!(":{chain} - [0:0]\n")));
        let surplus = || self.chains.iter().filter(|chain| !earlier.chains.contains(chain));
        script.extend(surplus().map(|chain| format!("-F {chain}\n")));
        script.extend(surplus().map(|chain| format!("-X {chain}\n")));
        script.extend(earlier.rules.iter().map(|rule| format!("{rule}\n")));
        let insertion = |jump: &Jump| format!("-I {} {} {}\n", jump.hook, jump.position, jump.rule);
        script.extend(earlier.jumps.iter().map(insertion));
        script.push_str("COMMIT\n");
        script
    }

    /// How this differs from what a rule file asks for, one sentence each.
    pub(super) fn differences(&self, expanded: &Expanded) -> Vec<String> {
        let table = expanded.table;
        if expanded.is_wanted() && *self == Self::default() {
            return vec![format!("{table}: not installed (mailguard rules up)")];
        }
        let surplus = self.surplus(expanded);
        let mut found: Vec<String> =
            surplus.map(|chain| format!("{table}: chain {chain} should not exist")).collect();
        for (hook, chain) in expanded.jumps() {
            let is_it = |jump: &&Jump| jump.hook == hook && jump.plain_target() == Some(chain);
            match self.jumps.iter().find(is_it) {
                None => found.push(format!("{table}: {hook} does not lead to {chain}")),
                Some(jump) if jump.position > 1 => {
                    found.push(format!("{table}: other rules stand before {chain} in {hook}"));
                }
                Some(_) => {}
            }
        }
        let wanted: Vec<&str> = expanded.rules().collect();
        for chain in expanded.chains() {
            let of_chain = |line: &&str| line.split(' ').nth(1) == Some(chain);
            let wanted = wanted.iter().copied().filter(of_chain);
            if !wanted.eq(self.rules.iter().map(String::as_str).filter(of_chain)) {
                found.push(format!("{table}: the rules of {chain} are not those configured"));
            }
        }
        found
    }
}

fn target(rule: &str) -> Option<&str> {
    target_of(&words(rule, Printer::Iptables))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: &str = "*mangle\n:FORWARD ACCEPT [0:0]\n:MAILGUARD - [0:0]\n:OTHER - [0:0]\n\
        -A FORWARD -j OTHER\n-A FORWARD -j MAILGUARD\n-A FORWARD -i x -j MAILGUARD\n\
        -A MAILGUARD -p tcp -j NFQUEUE --queue-num 0\n-A OTHER -j DROP\nCOMMIT\n";

    #[test]
    fn a_listing_is_searched_for_what_is_ours() {
        let saved = Saved::parse("mangle", LISTING);
        assert_eq!(saved.chains, ["MAILGUARD"]);
        assert_eq!(saved.rules, ["-A MAILGUARD -p tcp -j NFQUEUE --queue-num 0"]);
        let jump =
            |rule: &str, position| Jump { hook: "FORWARD".into(), rule: rule.into(), position };
        assert_eq!(saved.jumps, [jump("-j MAILGUARD", 2), jump("-i x -j MAILGUARD", 3)]);
    }

    #[test]
    fn removal_names_only_what_is_ours() {
        let script = Saved::parse("mangle", LISTING).remove("mangle").unwrap();
        assert_eq!(
            script,
            "*mangle\n-D FORWARD -j MAILGUARD\n-D FORWARD -i x -j MAILGUARD\n-F MAILGUARD\n\
             -X MAILGUARD\nCOMMIT\n"
        );
        assert_eq!(Saved::parse("filter", LISTING).remove("filter"), None);
    }

    #[test]
    fn what_a_comment_says_is_no_jump() {
        let listing = "-A FORWARD -s 192.0.2.1/32 -m comment --comment \"was -j MAILGUARD once\" \
                       -j DROP\n\
                       -A FORWARD -m comment --comment \"say \\\"x -j DROP\" -j MAILGUARD\n";
        let saved = Saved::parse("mangle", listing);
        let rule = "-m comment --comment \"say \\\"x -j DROP\" -j MAILGUARD";
        assert_eq!(saved.jumps, [Jump { hook: "FORWARD".into(), rule: rule.into(), position: 2 }]);
        let script = saved.remove("mangle").unwrap();
        assert_eq!(script, format!("*mangle\n-D FORWARD {rule}\nCOMMIT\n"));
    }

    #[test]
    fn an_earlier_state_comes_back_where_it_was() {
        let earlier = Saved::parse("mangle", LISTING);
        let script = Saved::default().replace("mangle", &earlier);
        assert_eq!(
            script,
            "*mangle\n:MAILGUARD - [0:0]\n-A MAILGUARD -p tcp -j NFQUEUE --queue-num 0\n\
             -I FORWARD 2 -j MAILGUARD\n-I FORWARD 3 -i x -j MAILGUARD\nCOMMIT\n"
        );
    }
}
