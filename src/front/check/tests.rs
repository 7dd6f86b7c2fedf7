//! Rules that lead mail past the filter, each as its tool prints it, beside some that do not.

mod asked;
mod marks;
mod rewriting;
mod sources;

use super::*;
use crate::config::{Fail, Override};

fn ours(sets: &[&str]) -> Ours {
    let overrides: Vec<_> = sets.iter().map(|set| Override::parse(set).unwrap()).collect();
    Ours::new(&Config::build(None, &overrides).unwrap(), Keeper::Iptables)
}

/// What is said of one iptables rule.
fn said(table: &str, rule: &str) -> Option<String> {
    let listing = format!(
        "# Generated\n*{table}\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j dpi\n\
         -A PREROUTING -p tcp -m tcp --dport 80 -j web\n-A {rule}\nCOMMIT\n"
    );
    let mut found = iptables::findings(&listing, &ours(&["ports=[25, 587]"]));
    assert!(found.len() <= 1, "{found:?}");
    found.pop()
}

/// The same of one nft rule, in a chain of this hook and priority.
fn said_of_nft(hook: &str, rule: &str) -> Option<String> {
    let listing = format!(
        "table inet fw {{\n\tset s {{\n\t\ttype inet_service\n\t}}\n{MAPS}\tchain c {{\n\t\ttype \
         filter hook {hook}; policy accept;\n\t\t{rule}\n\t}}\n}}\n"
    );
    let mut found = nft::findings(&listing, &[], &ours(&["ports=[25, 587]"]));
    assert!(found.len() <= 1, "{found:?}");
    found.pop()
}

/// Maps with a name, as nft lists them.
const MAPS: &str = r#"
	map d {
		type ipv4_addr . inet_service : ipv4_addr . inet_service
		flags interval
		elements = { 192.0.2.8 . 80 : 192.0.2.9 . 8080,
			     192.0.2.8 . 20-30 comment "a : b, c" : 192.0.2.9 . 2525 }
	}
	map web {
		type inet_service : ipv4_addr . inet_service
		elements = { 25 : 192.0.2.9 . 25, 80 : 192.0.2.9 . 8080 }
	}
	map empty {
		type inet_service : inet_service
	}
	map marks {
		type ipv4_addr : mark
		elements = { 192.0.2.5 : 0x00000010, 192.0.2.6 : 0x00000020 }
	}
	set webs {
		type inet_service
		elements = { 80, 443 timeout 25s counter packets 25 bytes 587 }
	}
	set all_mail {
		type inet_service
		flags interval
		elements = { 20-30,
			     587 }
	}
	set services {
		type ipv4_addr . inet_service
		elements = { 192.0.2.8 . 80 }
	}
	set protocols {
		type inet_proto
		elements = { 1, 17 }
	}
"#;

fn is_found(table: &str, rule: &str, expected: &str) {
    let found = said(table, rule).unwrap_or_default();
    assert!(found.contains(expected), "{rule}: {found:?} does not contain {expected:?}");
    let (chain, text) = rule.split_once(' ').unwrap();
    assert!(found.starts_with(&format!("{table} {chain}: `{text}` ")), "{found}");
}

fn is_found_in_nft(hook: &str, rule: &str, expected: &str) {
    let found = said_of_nft(hook, rule).unwrap_or_default();
    assert!(found.contains(expected), "{rule}: {found:?} does not contain {expected:?}");
    assert!(found.starts_with(&format!("nft inet fw c: `{rule}` ")), "{found}");
}

#[test]
fn rules_that_send_mail_to_another_port_are_found() {
    for rule in [
        "PREROUTING -p tcp -m tcp --dport 25 -j DNAT --to-destination 192.0.2.9:2525",
        "PREROUTING -p tcp -m multiport --dports 9,25 -j DNAT --to-destination [::9]:2525-2530",
        "PREROUTING -p tcp -m tcp --dport 20:30 -j REDIRECT --to-ports 2525",
        "PREROUTING -d 192.0.2.8/32 -j DNAT --to-destination 192.0.2.8:2525",
        "PREROUTING -m u32 --u32 0x0>>0x16&0x3c@0x0&0xffff=0x19 -j DNAT --to-destination :2525",
        "dpi -p tcp -j REDIRECT --to-ports 15006",
        "PREROUTING -p tcp -m comment --comment \"not -j ACCEPT\" -j REDIRECT --to-ports 2525",
        "PREROUTING -p tcp -m comment --comment \"all ! -p tcp\" -j REDIRECT --to-ports 2525",
        "PREROUTING -m comment --comment \"a \\\" --dport 80 \" -j REDIRECT --to-ports 2525",
    ] {
        is_found("nat", rule, "passes unread");
    }
    for rule in [
        "tcp dport 25 dnat to 192.0.2.9:2525",
        "tcp dport 20-30 redirect to :2525",
        "log prefix \"tcp dport 80 \" redirect to :2525",
        "meta l4proto tcp dnat to 192.0.2.9:2525",
        "ip protocol tcp dnat ip to [::9]:2525",
        "tcp dport 25 dnat to numgen inc mod 1 map { 0 : 192.0.2.9 . 2525 }",
        "dnat ip to tcp dport map { 25 : 192.0.2.9 . 2525, 80 : 192.0.2.9 . 80 }",
        "redirect to :tcp dport map { 25 : 2525 } comment \"to 80\"",
        "dnat ip to ip daddr . tcp dport map @d",
    ] {
        is_found_in_nft("prerouting priority dstnat", rule, "passes unread");
    }
}

#[test]
fn iptables_rules_that_lead_mail_past_are_found() {
    for (table, rule, expected) in [
        (
            "mangle",
            "PREROUTING -p tcp -j CONNMARK --set-xmark 0x20000000/0x20000000",
            "sets the mark",
        ),
        ("mangle", "FORWARD -j CONNMARK --set-xmark 0xffffffff/0xffffffff", "sets the mark"),
        (
            "mangle",
            "FORWARD ! -p udp -j CONNMARK --set-xmark 0xffffffff/0xffffffff",
            "sets the mark",
        ),
        (
            "mangle",
            "PREROUTING -p tcp -m tcp --dport 25 -j TPROXY --on-port 2525",
            "another program",
        ),
        ("mangle", "PREROUTING -j TEE --gateway 192.0.2.9", "copies"),
        (
            "mangle",
            "POSTROUTING -j CONNMARK --save-mark --nfmask 0xffffffff --ctmask 0xffffffff",
            "overwrites",
        ),
        ("mangle", "FORWARD -j CONNMARK --set-xmark 0x1/0xffffffff", "overwrites"),
        (
            "mangle",
            "OUTPUT -p tcp -m tcp --dport 25 -j MARK --set-xmark 0x10000000/0x10000000",
            "the filter's own",
        ),
        ("mangle", "FORWARD -s 192.0.2.0/24 -j MARK --set-xmark 0x7/0xffffffff", "by the mark"),
        (
            "filter",
            "FORWARD -j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff",
            "by the mark",
        ),
        ("raw", "PREROUTING -p tcp -m tcp --dport 25 -j CT --notrack", "from connection tracking"),
        ("raw", "PREROUTING -j NOTRACK", "from connection tracking"),
        (
            "filter",
            "FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j FLOWOFFLOAD --hw",
            "past every rule",
        ),
        (
            "raw",
            "PREROUTING -p tcp -m tcp --dport 587 -j NFQUEUE --queue-num 7",
            "another program first",
        ),
        (
            "mangle",
            "dpi -p tcp -m tcp ! --dport 80 -j NFQUEUE --queue-balance 4:7",
            "another program first",
        ),
        (
            "filter",
            "FORWARD -p tcp -m tcp --dport 25 -j NFQUEUE --queue-num 0 --queue-bypass",
            "queue of ours",
        ),
        (
            "mangle",
            "MAILGUARD -p tcp -m tcp --dport 25 -j NFQUEUE --queue-num 0 --queue-bypass",
            "lets mail pass",
        ),
    ] {
        is_found(table, rule, expected);
    }
}

#[test]
fn iptables_rules_that_do_not_are_left_in_peace() {
    for (table, rule) in [
        ("mangle", "PREROUTING -j CONNMARK --set-xmark 0x1/0xff"),
        ("mangle", "POSTROUTING -j CONNMARK --save-mark --nfmask 0xff --ctmask 0xff"),
        ("mangle", "PREROUTING -j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff"),
        ("mangle", "FORWARD -p tcp -m tcp --dport 80 -j CONNMARK --set-xmark 0x1/0xffffffff"),
        ("mangle", "FORWARD -p udp -j CONNMARK --set-xmark 0x1/0xffffffff"),
        ("mangle", "FORWARD ! -p tcp -j CONNMARK --set-xmark 0x1/0xffffffff"),
        ("mangle", "FORWARD -j MARK --set-xmark 0x1/0xff"),
        ("mangle", "FORWARD -j CONNMARK --restore-mark --nfmask 0xff --ctmask 0xff"),
        // Before the filter, or where none is.
        ("mangle", "PREROUTING -j MARK --set-xmark 0x1/0xffffffff"),
        ("mangle", "INPUT -j MARK --set-xmark 0x1/0xffffffff"),
        ("mangle", "OUTPUT -j MARK --set-xmark 0x1/0xffffffff"),
        ("mangle", "POSTROUTING -j MARK --set-xmark 0x1/0xffffffff"),
        ("raw", "PREROUTING -p udp -m udp --dport 53 -j CT --notrack"),
        ("raw", "PREROUTING -p tcp -m tcp --dport 21 -j CT --helper ftp"),
        ("nat", "PREROUTING -p tcp -m tcp --dport 25 -j DNAT --to-destination 192.0.2.9"),
        ("nat", "PREROUTING -p tcp -m tcp --dport 25 -j DNAT --to-destination [2001:db8::25]:587"),
        ("nat", "PREROUTING -p tcp -m tcp --dport 2525 -j DNAT --to-destination 192.0.2.9:25"),
        ("nat", "PREROUTING -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 8080"),
        ("nat", "PREROUTING -p tcp -m comment --comment \"or -j REDIRECT\" -j ACCEPT"),
        ("nat", "PREROUTING -d 192.0.2.8/32 -j DNAT --to-destination 2001:db8::1"),
        // Only the web's requests come there, and nothing at all.
        ("nat", "web -p tcp -j DNAT --to-destination 192.0.2.9:8080"),
        ("nat", "nobody -p tcp -j DNAT --to-destination 192.0.2.9:8080"),
        ("filter", "FORWARD -p tcp -m tcp --dport 25 -j NFQUEUE --queue-num 9"),
        ("mangle", "FORWARD -j MAILGUARD"),
        ("mangle", "MAILGUARD -p tcp -m tcp --dport 25 -j NFQUEUE --queue-num 0"),
    ] {
        assert_eq!(said(table, rule), None);
    }
    let open = "*mangle\n-A MAILGUARD -j NFQUEUE --queue-num 0 --queue-bypass\n";
    let ours = ours(&["queue.fail=open"]);
    assert_eq!((ours.fail, iptables::findings(open, &ours)), (Fail::Open, vec![]));
}

#[test]
fn nft_rules_that_lead_mail_past_are_found() {
    for (hook, rule, expected) in [
        ("forward priority filter", "ct mark set 0x20000000", "sets the mark"),
        ("forward priority filter", "ct mark set ct mark or 0x30000000", "sets the mark"),
        ("forward priority filter", "tcp dport 25 ct mark set 0x00000001", "overwrites"),
        ("forward priority filter", "ct mark set ct mark & 0xdfffffff ^ 0x1", "overwrites"),
        ("forward priority filter", "ct mark set meta mark", "overwrites"),
        ("output priority -200", "meta mark set 0x10000000 accept", "the filter's own"),
        ("output priority -200", "meta mark set meta mark | 0x10000000", "the filter's own"),
        ("forward priority -140", "meta mark set 0x00000001", "by the mark"),
        ("forward priority mangle", "tcp dport 25 meta mark set ct mark", "by the mark"),
        ("postrouting priority -200", "meta mark set meta mark and 0xff", "by the mark"),
        ("prerouting priority raw", "tcp dport { 25, 80 } notrack", "from connection tracking"),
        ("forward priority filter", "ip protocol tcp flow add @f", "past every rule"),
        ("forward priority filter", "ct state established flow offload @f", "past every rule"),
        (
            "ingress device a priority 0",
            "tcp dport 25 fwd ip to 192.0.2.9 device b",
            "another device",
        ),
        ("forward priority mangle - 1", "tcp dport 25 queue num 5", "another program first"),
        (
            "prerouting priority filter",
            "tcp dport @s queue flags bypass to 5-6",
            "another program first",
        ),
        ("forward priority filter", "queue num 0-3", "queue of ours"),
        (
            "prerouting priority mangle",
            "tcp dport 25 tproxy to :2525 accept",
            "another program first",
        ),
        ("prerouting priority mangle", "tcp dport 25 dup to 192.0.2.9", "copies"),
    ] {
        is_found_in_nft(hook, rule, expected);
    }
}

#[test]
fn nft_rules_that_do_not_are_left_in_peace() {
    for (hook, rule) in [
        ("forward priority filter", "ct mark set ct mark or 0x00000001"),
        ("forward priority filter", "ct mark set ct mark and 0xffffff00 or 0x00000001"),
        ("forward priority filter", "tcp dport 80 ct mark set 0x00000001"),
        ("prerouting priority filter", "meta mark set ct mark"),
        ("forward priority -151", "meta mark set 0x00000001"),
        ("forward priority filter", "meta mark set meta mark or 0x00000001"),
        ("output priority filter", "meta mark set 0x00000001"),
        ("postrouting priority filter", "meta mark set 0x00000001"),
        ("forward priority filter", "ct mark 0x20000000 accept"),
        ("prerouting priority raw", "udp dport 53 notrack"),
        ("forward priority filter", "tcp dport 443 flow add @f"),
        ("prerouting priority raw", "accept comment \"no notrack here\""),
        ("prerouting priority dstnat", "tcp dport 25 dnat to 192.0.2.9"),
        ("prerouting priority dstnat", "tcp dport 25 dnat to 192.0.2.9:25"),
        ("prerouting priority dstnat", "meta l4proto tcp dnat to 2001:db8::1"),
        (
            "prerouting priority dstnat",
            "tcp dport 25 dnat to numgen inc mod 1 map { 0 : 192.0.2.9 . 25 }",
        ),
        ("prerouting priority dstnat", "tcp dport map { 80 : 192.0.2.9 . 8080 } dnat to x"),
        ("prerouting priority dstnat", "dnat ip to tcp dport map @web"),
        ("prerouting priority dstnat", "dnat ip to ip daddr map { 192.0.2.8 : 192.0.2.9 }"),
        ("prerouting priority dstnat", "redirect to :tcp dport map @empty"),
        ("forward priority filter + 10", "tcp dport 25 queue num 5"),
    ] {
        assert_eq!(said_of_nft(hook, rule), None);
    }
    let kept = "table ip mangle {\n\tchain FORWARD {\n\t\ttype filter hook forward priority \
                mangle; policy accept;\n\t\tct mark set 0x20000000\n\t}\n}\n";
    assert_eq!(nft::findings(kept, &[("ip", "mangle")], &ours(&[])), Vec::<String>::new());
    assert_eq!(nft::findings(kept, &[("ip6", "mangle")], &ours(&[])).len(), 1);
}

#[test]
fn marks_of_local_mail_matter_where_it_is_filtered() {
    let ours = ours(&["rules.local=true"]);
    for (table, chain, expected) in [
        ("mangle", "INPUT", 1),
        ("mangle", "OUTPUT", 1),
        ("nat", "OUTPUT", 1),
        ("raw", "OUTPUT", 0),
        ("filter", "INPUT", 0),
    ] {
        // Also where a chain of somebody's own does it.
        let listing = format!(
            "*{table}\n:own - [0:0]\n-A {chain} -p tcp -j own\n-A own -j MARK --set-xmark \
             0x7/0xffffffff\nCOMMIT\n"
        );
        assert_eq!(iptables::findings(&listing, &ours).len(), expected, "{table} {chain}");
    }
    for (hook, expected) in [
        ("input priority -200", 0),
        ("input priority -10", 1),
        ("input priority 10", 0),
        ("output priority -200", 0),
        ("output priority filter", 1),
    ] {
        let own = "chain own {\n\t\tmeta mark set 0x00000007\n\t}";
        let base =
            format!("chain c {{\n\t\ttype filter hook {hook}; policy accept;\n\t\tjump own\n\t}}");
        let listing = format!("table inet fw {{\n\t{own}\n\t{base}\n}}\n");
        assert_eq!(nft::findings(&listing, &[], &ours).len(), expected, "{hook}");
    }
}

/// What load balancers make: a chain for each service, to which a map of verdicts leads.
#[test]
fn nft_chains_that_mail_comes_to_are_told_from_others() {
    let entries = "192.0.2.8 . 25 : goto mail, 192.0.2.8 . 80 : goto web";
    let written = (String::new(), format!("{{ {entries} }}"));
    let lines = entries.replace(", ", ",\n\t\t\t     ");
    let kind = "type ipv4_addr . inet_service : verdict";
    let named = format!("\tmap m {{\n\t\t{kind}\n\t\telements = {{ {lines} }}\n\t}}\n");
    for (map, name) in [written, (named, "@m".to_owned())] {
        let listing = format!(
            "table ip lb {{\n{map}\tchain p {{\n\t\ttype nat hook prerouting priority dstnat; \
             policy accept;\n\t\tip daddr . tcp dport vmap {name}\n\t}}\n\tchain mail \
             {{\n\t\tmeta l4proto tcp dnat to 192.0.2.9:2525\n\t}}\n\tchain web {{\n\t\tmeta \
             l4proto tcp dnat to 192.0.2.9:8080\n\t}}\n}}\n"
        );
        let found = nft::findings(&listing, &[], &ours(&[]));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("nft ip lb mail: "), "{found:?}");
    }
}

/// What is looked up is a protocol, and its number no port.
#[test]
fn nft_maps_of_other_things_than_ports_lead_mail_too() {
    let listing = "table inet fw {
	map m {
		type inet_proto : verdict
		elements = { 6 : jump all }
	}
	chain all {
		notrack
	}
	chain p {
		type filter hook prerouting priority raw; policy accept;
		meta l4proto vmap @m
	}
}
";
    let found = nft::findings(listing, &[], &ours(&[]));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("nft inet fw all: `notrack` "), "{found:?}");
}

#[test]
fn a_filter_that_runs_otherwise_than_configured_is_found() {
    let config = Config::build(None, &[Override::parse("profile=esmtp").unwrap()]).unwrap();
    for (status, expected) in [
        (r#"{"profile":"esmtp","ports":[25],"monitor":false,"flows":1}"#, ""),
        (r#"{"profile":"esmtp","ports":[25],"monitor":true}"#, "it only monitors"),
        (r#"{"profile":"asa","ports":[25],"monitor":false}"#, "its profile is asa"),
        (r#"{"profile":"esmtp","ports":[587],"monitor":false}"#, "its ports are [587]"),
    ] {
        let found = serde_json::from_str::<Status>(status).unwrap().differences(&config);
        assert_eq!(found.len(), usize::from(!expected.is_empty()), "{status}: {found:?}");
        assert!(found.concat().starts_with(expected), "{found:?}");
    }
}

/// What is told of by name is not told of again, and of another version nothing is known.
#[test]
fn settings_that_no_line_names_are_compared_by_their_digest() {
    let build = |set: &str| Config::build(None, &[Override::parse(set).unwrap()]).unwrap();
    let said = |running: &Config, version: &str| {
        let status = serde_json::json!({
            "profile": running.profile, "ports": running.engine.ports,
            "monitor": running.engine.monitor, "version": version,
            "settings": running.digest(),
        });
        let status: Status = serde_json::from_value(status).unwrap();
        status.differences(&build("profile=mailguard")).join("\n")
    };
    let own = env!("CARGO_PKG_VERSION");
    let differ = "its settings differ from the configuration (mailguard ctl reload, or a \
                  restart without options)";
    assert_eq!(said(&build("ports=[25]"), own), "");
    assert_eq!(said(&build("unknown_flow=pass"), own), differ);
    assert_eq!(said(&build("rules.mark=4"), own), differ);
    assert_eq!(said(&build("verbs=[\"HELO\", \"QUIT\"]"), own), differ);
    assert_eq!(said(&build("unknown_flow=pass"), "0.0"), "");
    assert!(said(&build("monitor=true"), own).starts_with("it only monitors"));
    assert_eq!(said(&build("monitor=true"), own).lines().count(), 1);
}

#[test]
fn rules_of_the_older_iptables_are_found() {
    let chains = ":FORWARD ACCEPT [0:0]\n:own - [0:0]\n";
    let empty = format!("*nat\n{chains}COMMIT\n*filter\n{chains}COMMIT\n");
    let policy = format!("*nat\n{chains}COMMIT\n*filter\n:INPUT ACCEPT\n:FORWARD DROP\nCOMMIT\n");
    let both = format!(
        "*nat\n{chains}-A own -j own\n-A own -j own\nCOMMIT\n*mangle\n{chains}\
                        COMMIT\n*filter\n{chains}-A FORWARD -p tcp\nCOMMIT\n"
    );
    for program in ["iptables", "ip6tables"] {
        let said = |listing: Option<&str>| two_rule_sets(program, listing, "nat\nfilter\n");
        for (listing, tables) in
            [(None, "nat, filter"), (Some(&*both), "nat, filter"), (Some(&*policy), "filter")]
        {
            let expected = format!("not looked at: {tables} ({program}-legacy-save)");
            assert!(said(listing).unwrap().ends_with(&expected), "{listing:?}");
        }
        assert_eq!(said(Some(&empty)), None);
    }
    assert_eq!(two_rule_sets("iptables", None, ""), None);
}

#[test]
fn a_queue_that_no_filter_reads_is_found() {
    let entry = listing::Entry { number: 3, port: u32::MAX, waiting: 7, ..Default::default() };
    let holder = |process, name: &str| Holder { process, name: name.to_owned() };
    let (manager, ours) = (holder(1, "systemd"), holder(9, OUR_NAME));
    for (holders, expected) in [
        (
            vec![holder(1, "systemd")],
            "wrong  queue 3: no filter reads it; systemd keeps it, 7 packets waiting\n",
        ),
        (
            vec![holder(8, "suricata")],
            "wrong  queue 3: held by suricata (process 8), 7 packets waiting\n",
        ),
        (vec![manager, ours], SERVED),
        // Who may not see what others have open says no more than it knows.
        (vec![], "wrong  queue 3: who holds it cannot be seen, 7 packets waiting\n"),
    ] {
        let mut report = Report::default();
        served(&entry, holder_of(entry.port, &holders, false), false, &mut report);
        assert_eq!(report.text, expected);
    }
    let mut report = Report::default();
    served(&entry, holder_of(entry.port, &[], true), false, &mut report);
    assert_eq!(report.text, SERVED);
    let mut report = Report::default();
    served(&entry, Some(holder(9, OUR_NAME)), true, &mut report);
    let stalled = "wrong  queue 3: its filter answers no packet, 7 packets waiting (netlink port \
                   id 4294967295)\n";
    assert_eq!(report.text, stalled);
}

const SERVED: &str = "ok     queue 3: served by netlink port id 4294967295, 7 packets waiting\n";
