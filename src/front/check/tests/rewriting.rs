//! Rules of nft that write ports into packets.

use super::*;

#[test]
fn a_port_of_mail_that_is_written_over_ahead_of_the_filter_is_found() {
    for hook in [
        "prerouting priority -400",
        "prerouting priority filter",
        "ingress device \"lo\" priority 0",
        "forward priority mangle",
    ] {
        for rule in [
            "tcp dport 25 tcp dport set 2525",
            "tcp sport 25 tcp sport set 2525",
            "tcp sport 587 counter packets 0 bytes 0 tcp sport set 2525 accept",
            "meta l4proto 6 th dport set 2525",
            "meta l4proto 6 @th,0,32 set 0x9dd09dd",
            "meta l4proto 6 @th,0,32 set 0x1909dd",
            "tcp dport 25 @th,8,16 set 0x5",
            "meta l4proto 6 @nh,176,16 set 0x9dd",
            "tcp dport 25 tcp dport set tcp dport | 256",
            "tcp dport set tcp dport map { 25 : 2525 }",
            "tcp dport 25 tcp dport set numgen inc mod 2 map { 0 : 2525, 1 : 25 }",
            "tcp dport set jhash ip saddr mod 2 offset 100",
            "ct mark set ct mark | 0x1 tcp dport set 2525",
            "tcp sport 80 tcp sport set 81 tcp dport 25 tcp dport set 2525",
        ] {
            is_found_in_nft(hook, rule, "passes unread");
        }
    }
}

#[test]
fn packets_that_become_mail_behind_the_filter_are_found() {
    for hook in
        ["postrouting priority 400", "egress device \"lo\" priority 0", "forward priority 0"]
    {
        for rule in [
            "tcp dport 2525 tcp dport set 25",
            "tcp sport 2525 tcp sport set 587",
            "meta l4proto 6 @th,0,32 set 0x9dd0019",
            "tcp dport set tcp dport map { 2525 : 25 }",
        ] {
            is_found_in_nft(hook, rule, "has not read");
        }
    }
    let own = "chain own {\n\t\ttcp dport set 25\n\t}";
    let base = "chain c {\n\t\ttype filter hook postrouting priority 400; policy accept;\n\t\t\
                tcp dport 2525 jump own\n\t}";
    let listing = format!("table inet fw {{\n\t{own}\n\t{base}\n}}\n");
    assert_eq!(nft::findings(&listing, &[], &ours(&[])).len(), 1);
}

#[test]
fn what_writes_no_other_port_of_mail_is_left_in_peace() {
    for (hook, rule) in [
        // A port of its own outside, and mail's where the filter is.
        ("prerouting priority -400", "tcp dport 2525 tcp dport set 25"),
        ("postrouting priority 400", "tcp sport 25 tcp sport set 2525"),
        ("prerouting priority -400", "tcp dport 25 tcp dport set 587"),
        ("prerouting priority -400", "tcp dport 80 tcp dport set 8080"),
        ("prerouting priority -400", "tcp sport 80 tcp dport set 8080"),
        ("prerouting priority -400", "tcp dport set tcp dport map { 80 : 8080, 25 : 25 }"),
        ("prerouting priority -400", "udp dport 25 udp dport set 2525"),
        ("postrouting priority 400", "udp dport 2525 udp dport set 25"),
        ("prerouting priority -400", "tcp dport 25 ip daddr set 192.0.2.9"),
        ("prerouting priority -400", "tcp dport 25 @nh,0,8 set 0x45"),
        ("prerouting priority -400", "tcp dport 25 @th,32,32 set 0x2525"),
        ("prerouting priority -400", "tcp dport 25 @ll,0,48 set 0x5"),
        ("prerouting priority -400", "tcp flags 0x2 tcp option maxseg size set 1200"),
        ("prerouting priority -400", "tcp dport 25 ip dscp set 0x01"),
        // Not ours, where the filter does not see what the machine itself says.
        ("output priority -400", "tcp dport 25 tcp dport set 2525"),
    ] {
        assert_eq!(said_of_nft(hook, rule), None);
    }
}

#[test]
fn mail_of_the_machine_itself_matters_where_it_is_filtered() {
    let ours = ours(&["rules.local=true"]);
    for (hook, rule, expected) in [
        ("output priority -400", "tcp dport 25 tcp dport set 2525", 1),
        ("output priority 0", "tcp dport 25 tcp dport set 2525", 0),
        ("input priority 0", "tcp dport 2525 tcp dport set 25", 1),
        ("input priority -400", "tcp dport 2525 tcp dport set 25", 0),
    ] {
        let chain = format!("type filter hook {hook}; policy accept;\n\t\t{rule}");
        let listing = format!("table inet fw {{\n\tchain c {{\n\t\t{chain}\n\t}}\n}}\n");
        assert_eq!(nft::findings(&listing, &[], &ours).len(), expected, "{hook}: {rule}");
    }
}
