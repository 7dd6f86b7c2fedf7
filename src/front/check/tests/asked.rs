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

#[test]
fn ports_that_a_rule_leaves_out_are_read() {
    for (rule, is_mail) in [
        // Each direction has the port of mail at one end.
        ("! --ports 25,587", false),
        ("! --ports 20:600", false),
        ("! --dports 25,587 -m multiport ! --sports 25,587", false),
        ("! --dports 25,587 -m tcp --sport 80", false),
        ("! --ports 25", true),
        ("! --dports 25,587", true),
        ("! --dports 25,587 -m multiport ! --sports 25", true),
        ("! --dports 80 -m multiport ! --sports 25,587", true),
    ] {
        let rule = format!("PREROUTING -p tcp -m multiport {rule} -j CT --notrack");
        assert_eq!(said("raw", &rule).is_some(), is_mail, "{rule}");
    }
    for (asked, is_mail) in [
        ("tcp sport != { 25, 587 } tcp dport != { 25, 587 }", false),
        ("tcp dport != @all_mail tcp sport != { 20-600 }", false),
        ("tcp dport @webs", false),
        ("tcp dport @webs tcp sport != { 25, 587 }", false),
        ("ip daddr . tcp dport @services", false),
        ("tcp dport . ip daddr @services", false),
        ("tcp dport vmap @webs", false),
        ("tcp dport != 25", true),
        ("tcp dport != 25 tcp sport != { 25, 587 }", true),
        ("tcp dport != @webs", true),
        ("tcp dport @all_mail", true),
        ("tcp dport @s", true),
        ("ip daddr . tcp dport != { 192.0.2.8 . 20-600 }", true),
        ("tcp dport . ip daddr != { 20-600 . 192.0.2.8 } tcp sport != @all_mail", true),
    ] {
        assert_eq!(untracked(asked).is_some(), is_mail, "{asked}");
    }
}

#[test]
fn loopback_is_left_in_peace_where_it_does_not_come_to_the_filter() {
    let listings = |device: &str, action: &str| {
        let way = if device.starts_with("-i") { "iifname" } else { "oifname" };
        let device_of_nft = device.split_once(' ').map(|(_, name)| name).unwrap();
        let (action, action_of_nft) = match action {
            "track" => ("CT --notrack", "notrack"),
            "mark" => ("CONNMARK --set-xmark 0x1/0xffffffff", "ct mark set 0x1"),
            other => panic!("{other}"),
        };
        [
            format!("*raw\n-A PREROUTING {device} -j {action}\nCOMMIT\n"),
            format!(
                "table inet fw {{\n\tchain c {{\n\t\ttype filter hook prerouting priority raw; \
                 policy accept;\n\t\t{way} \"{device_of_nft}\" {action_of_nft}\n\t}}\n}}\n"
            ),
        ]
    };
    for (device, action, is_local, expected) in [
        ("-i lo", "track", false, 0),
        ("-i lo", "track", true, 0),
        ("-o lo", "track", false, 0),
        ("-o lo", "track", true, 1),
        ("-i lo", "mark", false, 0),
        ("-i lo", "mark", true, 1),
        ("-i lo1", "track", false, 1),
    ] {
        let ours = ours(&[&format!("rules.local={is_local}")]);
        let [iptables, nft] = listings(device, action);
        assert_eq!(iptables::findings(&iptables, &ours).len(), expected, "{iptables}");
        assert_eq!(nft::findings(&nft, &[], &ours).len(), expected, "{nft}");
    }
    assert!(untracked("iifname != \"lo\"").is_some());
    assert!(untracked("iifname { \"lo\", \"eth0\" }").is_some());
    assert_eq!(untracked("iif { \"lo\" }"), None);
    assert!(said("raw", "PREROUTING ! -i lo -j NOTRACK").is_some());
}
