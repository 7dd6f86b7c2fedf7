//! Programs that make all rules anew now and then, and so remove ours.
//!
//! `mailguard-rules.service` follows those that are units when they start or reload. What it cannot
//! follow is a command of theirs that no unit knows of.

use std::fs;
use std::process::{Command, Stdio};

use crate::front::rules::Keeper;

/// What of a machine says who makes rules.
#[derive(Debug, Default)]
pub(super) struct Managers {
    /// Units that are active, without `.service`.
    active: Vec<&'static str>,
    /// `/etc/nftables.conf`, as far as there is one.
    nftables: String,
    /// `/etc/default/ufw`, likewise.
    ufw: String,
}

impl Managers {
    /// Those of this machine.
    pub(super) fn look() -> Self {
        let mut systemctl = Command::new("systemctl");
        let asked = systemctl.arg("is-active").args(UNITS).stdin(Stdio::null());
        // One line each, in the order asked for; no such program: no units.
        let said = asked.output().map(|output| output.stdout).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        let active = UNITS.into_iter().zip(said.lines()).filter(|(_, state)| *state == "active");
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        Self {
            active: active.map(|(unit, _)| unit).collect(),
            nftables: read("/etc/nftables.conf"),
            ufw: read("/etc/default/ufw"),
        }
    }

    /// Who removes rules that this keeps, one sentence each.
    pub(super) fn findings(&self, keeper: Keeper) -> Vec<String> {
        let is_followed = self.is_active(OURS);
        let is_in_iptables = keeper == Keeper::Iptables;
        let mut found = Vec::new();
        for unit in self.active.iter().filter(|_| !is_followed) {
            let what = match *unit {
                "nftables" if has_line(&self.nftables, "flush ruleset") => "removes all rules",
                "netfilter-persistent" | "iptables" | "ip6tables" if is_in_iptables => {
                    "removes all rules of iptables"
                }
                "ufw" if is_in_iptables && has_line(&self.ufw, "MANAGE_BUILTINS=yes") => {
                    "removes all rules of iptables"
                }
                _ => continue,
            };
            found.push(format!(
                "{unit}.service: {what} when it starts or reloads, ours too (systemctl enable \
                 --now {OURS}, which follows it)"
            ));
        }
        if is_in_iptables && self.is_active("firewalld") {
            found.push(
                "firewalld: `firewall-cmd --reload` removes all rules of iptables, ours too, and \
                 no unit follows it (rules.backend = \"nft\", or `mailguard rules up` behind it)"
                    .to_owned(),
            );
        }
        found
    }

    fn is_active(&self, unit: &str) -> bool {
        self.active.contains(&unit)
    }
}

/// Whether these words stand in a line of their own; quotes and blanks do not count.
fn has_line(text: &str, words: &str) -> bool {
    let bare = |line: &str| line.replace(['"', ';'], "").trim().to_owned();
    text.lines().any(|line| bare(line) == words)
}

/// Who makes ours.
const OURS: &str = "mailguard-rules";

const UNITS: [&str; 7] =
    [OURS, "nftables", "netfilter-persistent", "iptables", "ip6tables", "ufw", "firewalld"];

#[cfg(test)]
mod tests {
    use super::*;

    fn said(active: &[&'static str], nftables: &str, ufw: &str, keeper: Keeper) -> String {
        let (nftables, ufw) = (nftables.to_owned(), ufw.to_owned());
        Managers { active: active.to_vec(), nftables, ufw }.findings(keeper).join("\n")
    }

    #[test]
    fn who_removes_our_rules_is_found() {
        let flushes = "#!/usr/sbin/nft -f\nflush ruleset;\n";
        let builtins = "IPV6=yes\nMANAGE_BUILTINS=\"yes\"\n";
        for (active, keeper, expected) in [
            (&["nftables"][..], Keeper::Nft, "nftables.service: removes all rules when it starts"),
            (&["nftables"], Keeper::Iptables, "nftables.service: removes all rules when it starts"),
            (&["ip6tables"], Keeper::Iptables, "ip6tables.service: removes all rules of iptables"),
            (&["ufw"], Keeper::Iptables, "ufw.service: removes all rules of iptables"),
            (&["firewalld"], Keeper::Iptables, "firewalld: `firewall-cmd --reload` removes"),
            (&[OURS, "firewalld"], Keeper::Iptables, "firewalld: `firewall-cmd --reload` removes"),
        ] {
            let said = said(active, flushes, builtins, keeper);
            assert!(said.starts_with(expected) && said.lines().count() == 1, "{active:?}: {said}");
        }
        for (active, keeper) in [
            // They are followed.
            (&[OURS, "nftables", "netfilter-persistent", "ufw"][..], Keeper::Iptables),
            // They know only tables of their own, or of iptables.
            (&["netfilter-persistent", "iptables", "ufw", "firewalld"], Keeper::Nft),
            (&[], Keeper::Iptables),
        ] {
            assert_eq!(said(active, flushes, builtins, keeper), "", "{active:?}");
        }
        let own = "# flush ruleset\ntable inet filter {\n";
        assert_eq!(said(&["nftables", "ufw"], own, "MANAGE_BUILTINS=no", Keeper::Iptables), "");
    }
}
