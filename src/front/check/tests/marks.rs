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
