//! What rules ask of packets: those of mail may be among them, or not.

use super::*;

/// What wg-quick makes, as nft prints it.
#[test]
fn marks_of_other_protocols_are_left_in_peace() {
    let listing = "table ip wg-quick-wg0 {
	chain preraw {
		type filter hook prerouting priority -300; policy accept;
		iifname != \"wg0\" ip daddr 10.9.0.2 fib saddr type != 2 drop
	}

	chain premangle {
		type filter hook prerouting priority -150; policy accept;
		meta l4proto 17 meta mark set ct mark
	}

	chain postmangle {
		type filter hook postrouting priority -150; policy accept;
		meta l4proto 17 meta mark 0x0000ca6c ct mark set meta mark
	}
}
";
    assert_eq!(nft::findings(listing, &[], &ours(&[])), Vec::<String>::new());
}

/// What is said of one rule that takes packets out of connection tracking.
fn untracked(asked: &str) -> Option<String> {
    said_of_nft("prerouting priority raw", &format!("{asked} notrack"))
}

#[test]
fn protocols_are_read_by_number() {
    for asked in [
        "meta l4proto 17",
        "meta l4proto { 1, 17 }",
        "meta l4proto @protocols",
        "meta l4proto != 6",
        "meta l4proto != { 6, 17 }",
        "meta l4proto 50",
        "ip protocol 47",
        "ip protocol 1-5",
        "ip protocol != tcp",
        "ip6 nexthdr 17",
        "ct protocol 17",
        "icmp type 8",
        "icmpv6 type 128",
        "udp length 9",
        "sctp dport 25",
        "dccp dport 25",
        "esp spi 1",
    ] {
        assert_eq!(untracked(asked), None);
    }
    for asked in [
        "meta l4proto 6",
        "meta l4proto { 6, 17 }",
        "meta l4proto { tcp, udp }",
        "meta l4proto != 17",
        "meta l4proto != { 1, 17 }",
        "meta l4proto != @protocols",
        "meta l4proto @unknown",
        "meta protocol 0x0800",
        "ip protocol 1-17",
        "ip protocol != udp",
        // Behind the header of a fragment there may be mail.
        "ip6 nexthdr 44",
        "meta l4proto . th dport { 6 . 25, 17 . 53 }",
    ] {
        assert!(untracked(asked).is_some(), "{asked}");
    }
    let named = "table inet fw {\n\tchain udp {\n\t\tnotrack\n\t}\n\tchain c {\n\t\ttype filter \
                 hook prerouting priority raw; policy accept;\n\t\tjump udp\n\t}\n}\n";
    assert_eq!(nft::findings(named, &[], &ours(&[])).len(), 1);
}
