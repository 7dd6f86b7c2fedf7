//! Marks of packets: what changes them, and where that does harm.

use super::*;

/// Chains with the priorities of ours, of which nobody knows whether they come first.
#[test]
fn what_keeps_our_rules_says_where_marks_matter() {
    let rule = "-j MARK --set-xmark 0x1/0xffffffff";
    for (table, chain, is_local, of_iptables, of_nft) in [
        ("mangle", "POSTROUTING", false, 0, 1),
        ("mangle", "POSTROUTING", true, 0, 1),
        ("filter", "INPUT", false, 0, 0),
        ("filter", "INPUT", true, 0, 1),
        ("mangle", "FORWARD", false, 1, 1),
        ("mangle", "PREROUTING", true, 0, 0),
    ] {
        let listing = format!("*{table}\n-A {chain} {rule}\nCOMMIT\n");
        let ours = ours(&[&format!("rules.local={is_local}")]);
        assert_eq!(iptables::findings(&listing, &ours).len(), of_iptables, "{table} {chain}");
        let ours = Ours { keeper: Keeper::Nft, ..ours };
        assert_eq!(iptables::findings(&listing, &ours).len(), of_nft, "{table} {chain}");
    }
    let queue = "*mangle\n-A FORWARD -p tcp -m tcp --dport 25 -j NFQUEUE --queue-num 7\n";
    let ours = ours(&[]);
    assert_eq!(iptables::findings(queue, &ours).len(), 0);
    assert_eq!(iptables::findings(queue, &Ours { keeper: Keeper::Nft, ..ours }).len(), 1);
}

#[test]
fn marks_that_are_looked_up_or_counted_are_read() {
    for expression in [
        "numgen inc mod 2 map { 0 : 0x00000001, 1 : 0x00000002 }",
        "ip saddr map { 192.0.2.5 : 0x00000010, 192.0.2.6 : 0x00000020 }",
        "tcp dport map { 25 : 0x00000001, 80 : 0x10000000 }",
        "ip saddr map @marks",
        "ip saddr map @unknown",
        "numgen random mod 16 offset 256",
        "jhash ip saddr mod 2 seed 0xdeadbeef offset 256",
        "jhash ip saddr mod 2 offset 256 map { 256 : 0x00000001, 257 : 0x00000003 }",
        "symhash mod 16",
        "meta cpu",
        "tcp dport",
        "meta mark | ct mark",
    ] {
        assert_eq!(
            said_of_nft("prerouting priority -150", &format!("meta mark set {expression}")),
            None
        );
        // Behind the verdict they take its place.
        let rule = format!("meta mark set {expression}");
        let found = said_of_nft("forward priority filter", &rule).unwrap_or_default();
        assert!(found.contains("by the mark"), "{rule}: {found}");
    }
    for expression in [
        "ip saddr map { 192.0.2.5 : 0x10000001, 192.0.2.6 : 0x00000020 }",
        "ip saddr map { 192.0.2.5 : 0x00000001 } | 0x10000000",
        "ip saddr map @marks | 0x10000000",
        "tcp dport map { 25 : 0x10000000 }",
        "numgen inc mod 2 offset 268435456",
        "numgen inc mod 536870912",
        "meta mark & 0xff ^ 0x20000000",
        "0x20000000",
    ] {
        let rule = format!("meta mark set {expression}");
        let found = said_of_nft("prerouting priority -150", &rule).unwrap_or_default();
        assert!(found.contains("the filter's own"), "{rule}: {found}");
    }
    let said = said_of_nft("prerouting priority raw", "ct mark set numgen inc mod 2 offset 1");
    assert!(said.unwrap_or_default().contains("overwrites"));
}
