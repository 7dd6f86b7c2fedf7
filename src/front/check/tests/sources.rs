//! Rules that stand for `rp_filter` where there is none: they drop what has a strange source.

use super::*;

#[test]
fn rules_of_iptables_that_drop_strangers_are_found() {
    let asks = "-m rpfilter --invert -j DROP";
    let returning = |rules: &[&str]| {
        let rules = rules.iter().map(|rule| format!("own {rule}"));
        ["PREROUTING -j own".to_owned()].into_iter().chain(rules).collect::<Vec<_>>()
    };
    for (table, rules, expected) in [
        ("raw", vec![format!("PREROUTING {asks}")], true),
        ("mangle", vec![format!("PREROUTING {asks}")], true),
        ("raw", vec![format!("PREROUTING -m mark --mark 0x1 {asks}")], true),
        ("raw", vec!["PREROUTING -m rpfilter --validmark --invert -j DROP".to_owned()], true),
        ("raw", vec![format!("PREROUTING ! -i lo {asks}")], true),
        ("raw", vec!["PREROUTING -j own".to_owned(), format!("own {asks}")], true),
        ("mangle", returning(&["-m rpfilter --validmark -j RETURN", "-j LOG", "-j DROP"]), true),
        // For some alone, or where nothing comes.
        ("raw", vec![format!("PREROUTING -i eth1 {asks}")], false),
        ("raw", vec![format!("PREROUTING -s 2001:db8::/32 {asks}")], false),
        ("raw", vec![format!("PREROUTING -p udp {asks}")], false),
        ("raw", vec!["PREROUTING -i eth1 -j own".to_owned(), format!("own {asks}")], false),
        ("raw", vec![format!("own {asks}")], false),
        ("raw", vec![format!("OUTPUT {asks}")], false),
        ("filter", vec![format!("PREROUTING {asks}")], false),
        // For all, but to another end.
        ("raw", vec!["PREROUTING -m rpfilter --loose --invert -j DROP".to_owned()], false),
        ("raw", vec!["PREROUTING -m rpfilter -j DROP".to_owned()], false),
        ("raw", vec![format!("PREROUTING -m conntrack --ctstate NEW {asks}")], false),
        ("raw", vec![format!("PREROUTING -m physdev --physdev-in eth1 {asks}")], false),
        ("raw", vec![format!("PREROUTING -m pkttype --pkt-type multicast {asks}")], false),
        (
            "raw",
            vec![format!("PREROUTING -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN {asks}")],
            false,
        ),
        ("raw", vec!["PREROUTING -m rpfilter -j ACCEPT".to_owned()], false),
        ("raw", vec!["PREROUTING -m rpfilter --invert -j LOG".to_owned()], false),
        ("mangle", returning(&["-m rpfilter --loose -j RETURN", "-j DROP"]), false),
        ("mangle", returning(&["-m rpfilter -j RETURN", "-i eth1 -j DROP"]), false),
        ("mangle", returning(&["-m rpfilter -j RETURN", "-j RETURN", "-j DROP"]), false),
        ("mangle", returning(&["-m rpfilter --invert -j RETURN", "-j DROP"]), false),
        ("mangle", returning(&["-m rpfilter -j RETURN"]), false),
        ("raw", vec!["PREROUTING -m comment --comment \"-m rpfilter\" -j DROP".to_owned()], false),
        // Behind what takes every packet out of the chain.
        ("raw", vec!["PREROUTING -j ACCEPT".to_owned(), format!("PREROUTING {asks}")], false),
        ("raw", vec!["PREROUTING -i lo -j ACCEPT".to_owned(), format!("PREROUTING {asks}")], true),
        ("mangle", returning(&["-j RETURN", "-m rpfilter -j RETURN", "-j DROP"]), false),
    ] {
        let listing = format!("*{table}\n-A {}\nCOMMIT\n", rules.join("\n-A "));
        assert_eq!(iptables::has_source_check(&listing, &ours(&[])), expected, "{listing}");
    }
}

#[test]
fn rules_of_nft_that_drop_strangers_are_found() {
    let asks = "fib saddr . iif oif 0 drop";
    let prefixed = |prefix: &str| format!("{prefix} {asks}");
    for (family, hook, rule, expected) in [
        ("inet", "prerouting", asks, true),
        ("inet", "forward", asks, true),
        ("ip6", "prerouting", asks, true),
        ("inet", "prerouting", "fib saddr . iif oif missing counter reject", true),
        ("inet", "prerouting", "fib saddr . iif oif vmap { 0 : drop }", true),
        ("inet", "prerouting", "meta nfproto 10 fib saddr . mark . iif oif 0 drop", true),
        ("inet", "prerouting", &prefixed("iifname != \"wg0\""), true),
        ("inet", "prerouting", &prefixed("ip6 saddr != fe80::/10"), true),
        // For some alone, or where nothing comes.
        ("ip", "prerouting", asks, false),
        ("inet", "input", asks, false),
        ("inet", "prerouting", &prefixed("meta nfproto 2"), false),
        ("inet", "prerouting", &prefixed("ip saddr 192.0.2.0/24"), false),
        ("inet", "prerouting", &prefixed("iifname \"wan\""), false),
        ("inet", "prerouting", &prefixed("iif \"wan\""), false),
        ("inet", "forward", &prefixed("oif \"wan\""), false),
        ("inet", "prerouting", &prefixed("ip6 saddr fe80::/10"), false),
        ("inet", "prerouting", &prefixed("meta l4proto 17"), false),
        // For all, but to another end.
        ("inet", "prerouting", "fib saddr . iif oif 0 counter", false),
        ("inet", "prerouting", "fib saddr . iif oif 1 accept", false),
        ("inet", "prerouting", "fib saddr oif 0 drop", false),
        ("inet", "prerouting", "fib saddr . iif oif != 0 drop", false),
        ("inet", "prerouting", "ct state 0x8 fib saddr . iif oif 0 drop", false),
        ("inet", "prerouting", "tcp flags 0x2 fib saddr . iif oif 0 drop", false),
        ("inet", "prerouting", "meta pkttype 2 fib saddr . iif oif 0 drop", false),
        ("inet", "prerouting", "limit rate 5/second fib saddr . iif oif 0 drop", false),
        ("inet", "prerouting", "fib daddr . iif type 2 drop", false),
    ] {
        let chain = format!(
            "\tchain c {{\n\t\ttype filter hook {hook} priority raw; policy \
             accept;\n\t\t{rule}\n\t}}"
        );
        let listing = format!("table {family} fw {{\n{chain}\n}}\n");
        assert_eq!(nft::has_source_check(&listing, &ours(&[])), expected, "{listing}");
        let dormant = format!("table {family} fw {{\n\tflags dormant\n\n{chain}\n}}\n");
        assert!(!nft::has_source_check(&dormant, &ours(&[])), "{dormant}");
    }
    let jumping = |asked: &str| {
        format!(
            "table inet fw {{\n\tchain own {{\n\t\t{asks}\n\t}}\n\tchain c {{\n\t\ttype filter \
             hook prerouting priority raw; policy accept;\n\t\t{asked}jump own\n\t}}\n}}\n"
        )
    };
    assert!(nft::has_source_check(&jumping(""), &ours(&[])));
    assert!(!nft::has_source_check(&jumping("iifname \"wan\" "), &ours(&[])));
}

#[test]
fn tables_that_are_out_of_force_lead_nothing_past() {
    let listing = |flags: &str| {
        format!(
            "table inet fw {{\n\t{flags}\n\n\tchain c {{\n\t\ttype filter hook prerouting \
             priority raw; policy accept;\n\t\tnotrack\n\t}}\n}}\ntable ip other {{\n}}\n"
        )
    };
    assert_eq!(nft::findings(&listing("flags dormant"), &[], &ours(&[])).len(), 0);
    assert_eq!(nft::findings(&listing("flags owner"), &[], &ours(&[])).len(), 1);
}
