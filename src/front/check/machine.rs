//! How the machine forwards: what leads mail past the rules, and what lets a third party speak in
//! an end's name.
//!
//! The filter tells the two ends of a connection by the interfaces their packets come by. That is
//! worth as much as the kernel's own check of where a source address belongs.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;

use super::Report;
use crate::flow::Network;

/// Examines forwarding, bridges and interfaces. Whether local mail is to be filtered, and whether a
/// rule asks where a source of IPv6 belongs, is not known where the configuration is faulty.
pub(super) fn examine(
    is_local: Option<bool>,
    hosts: &[Network],
    has_source_check: Option<bool>,
    report: &mut Report,
) {
    let forwarded = Forwarded {
        v4: is_on("/proc/sys/net/ipv4/ip_forward"),
        v6: is_on("/proc/sys/net/ipv6/conf/all/forwarding"),
    };
    match forwarding(forwarded, is_local, hosts) {
        Ok(finding) => report.good(format!("forwarding: {finding}")),
        Err(finding) => report.wrong(format!("forwarding: {finding}")),
    }
    bridges(report);
    let count = |name| number(&format!("/proc/sys/net/netfilter/nf_conntrack_{name}"));
    if let (Some(now), Some(max)) = (count("count"), count("max")) {
        filling(now, max).into_iter().for_each(|one| report.wrong(one));
    }
    if forwarded.v4 || forwarded.v6 {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        // Each family has interfaces of its own: across one alone it is not forwarded.
        let routed_v4 = routed_v4(&read("/proc/net/route"));
        let routed_v6 = routed_v6(&read("/proc/net/ipv6_route"));
        if !is_one_armed(&(&routed_v4 | &routed_v6), report) {
            if forwarded.v4 {
                sources(&routed_v4, report);
            }
            if forwarded.v6 && routed_v6.len() > 1 {
                sources_of_ipv6(has_source_check, report);
            }
        }
    }
}

/// What the machine forwards, by family.
#[derive(Clone, Copy)]
struct Forwarded {
    v4: bool,
    v6: bool,
}

/// How the machine forwards; an error: not as it has to.
fn forwarding(
    forwarded: Forwarded,
    is_local: Option<bool>,
    hosts: &[Network],
) -> Result<&'static str, &'static str> {
    let has_hosts = |is_ipv6| hosts.iter().any(|host| host.is_ipv6() == is_ipv6);
    match (forwarded.v4, forwarded.v6, is_local) {
        (false, true, _) if has_hosts(false) => {
            Err("off for IPv4, though rules.mail_hosts has addresses of it (sysctl \
             net.ipv4.ip_forward)")
        }
        (true, false, _) if has_hosts(true) => {
            Err("off for IPv6, though rules.mail_hosts has addresses of it (sysctl \
             net.ipv6.conf.all.forwarding)")
        }
        (true, true, _) => Ok("on"),
        (true, false, _) => Ok("on for IPv4, off for IPv6"),
        (false, true, _) => Ok("on for IPv6, off for IPv4"),
        (false, false, Some(true) | None) => Ok("off; only local mail is filtered"),
        (false, false, Some(false)) => Err("off (sysctl net.ipv4.ip_forward)"),
    }
}

/// Examines whether mail servers of this machine can be reached where only forwarded mail is
/// filtered.
pub(super) fn local_servers(ports: &[u16], report: &mut Report) {
    let sockets = ["/proc/net/tcp", "/proc/net/tcp6"].map(fs::read_to_string);
    let open: BTreeSet<u16> = sockets.iter().flatten().flat_map(|list| listening(list)).collect();
    for port in ports.iter().filter(|port| open.contains(port)) {
        report.wrong(format!(
            "port {port}: a program of this machine listens on it, and what is said to it is not \
             filtered (rules.local = true, or an address of lo for it)"
        ));
    }
}

/// Examines whether hosts whose other ports are to be closed are this machine: what is said to it
/// is not forwarded, and no rule for hosts sees it.
pub(super) fn own_hosts(hosts: &[Network], report: &mut Report) {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let (v4, v6) = (read("/proc/net/fib_trie"), read("/proc/net/if_inet6"));
    let own: BTreeSet<IpAddr> = own_v4(&v4).chain(own_v6(&v6)).collect();
    let is_one = |host: &&Network| host.prefix() == if host.is_ipv6() { 128 } else { 32 };
    for host in hosts.iter().filter(is_one) {
        if let Some(address) = own.iter().find(|own| host.contains(**own)) {
            report.wrong(format!(
                "rules.mail_hosts: {address} is this machine: none of its ports is closed"
            ));
        }
    }
}

/// The machine's own addresses in the kernel's tree of routes.
fn own_v4(list: &str) -> impl Iterator<Item = IpAddr> {
    let mut address = None;
    list.lines().map(str::trim_start).filter_map(move |line| {
        if let Some(found) = line.strip_prefix("|-- ") {
            address = found.parse().ok();
        }
        address.filter(|_| line.starts_with("/32 host LOCAL"))
    })
}

/// The same in the kernel's list of addresses.
fn own_v6(list: &str) -> impl Iterator<Item = IpAddr> {
    let digits = list.lines().filter_map(|line| line.split(' ').next());
    let bits = digits.filter_map(|digits| u128::from_str_radix(digits, 16).ok());
    bits.map(|bits| Ipv6Addr::from_bits(bits).into())
}

/// The ports that one of the kernel's lists of TCP sockets has listening, but for addresses that
/// only the machine itself can reach.
fn listening(list: &str) -> impl Iterator<Item = u16> {
    list.lines().filter_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let (address, port) = fields.next()?.split_once(':')?;
        let is_listening = fields.nth(1)? == LISTEN;
        // Each 32 bits of an address are written as this machine has them.
        let v4 = address.strip_prefix(MAPPED).unwrap_or(address);
        let is_v4_loopback = v4.len() == 8 && v4.ends_with("7F");
        let is_own = is_v4_loopback || address == "00000000000000000000000001000000";
        (is_listening && !is_own).then(|| u16::from_str_radix(port, 16).ok())?
    })
}

/// How those lists begin an IPv4 address in IPv6 form.
const MAPPED: &str = "0000000000000000FFFF0000";

/// How those lists say that a socket listens.
const LISTEN: &str = "0A";

fn is_on(path: &str) -> bool {
    fs::read_to_string(path).is_ok_and(|value| value.trim_end() != "0")
}

fn number(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim_end().parse().ok()
}

/// Whether connection tracking has too little room left.
fn filling(now: u64, max: u64) -> Option<String> {
    let is_full = now.saturating_mul(10) >= max.saturating_mul(9);
    is_full.then(|| {
        format!(
            "connection tracking: {now} of {max} entries: when it is full, the kernel drops new \
             connections (sysctl net.netfilter.nf_conntrack_max)"
        )
    })
}

fn bridges(report: &mut Report) {
    let settings = [
        ("/proc/sys/net/bridge/bridge-nf-call-iptables", "IPv4"),
        ("/proc/sys/net/bridge/bridge-nf-call-ip6tables", "IPv6"),
    ];
    let unseen: Vec<&str> =
        settings.into_iter().filter(|(path, _)| !is_on(path)).map(|(_, family)| family).collect();
    // Named by the network namespace we are in; what is a bridge stands in sysfs alone.
    let names = fs::read_dir(CONF).into_iter().flatten().flatten().map(|entry| entry.file_name());
    for name in names.filter(|_| !unseen.is_empty()) {
        let ports = Path::new("/sys/class/net").join(&name).join("brif");
        // One port alone has nobody to bridge to.
        if fs::read_dir(ports).is_ok_and(|ports| ports.count() > 1) {
            report.wrong(format!(
                "bridge {}: what it forwards by itself ({}) does not come to the filter (modprobe \
                 br_netfilter, sysctl net.bridge.bridge-nf-call-iptables=1 and -ip6tables=1)",
                name.display(),
                unseen.join(", ")
            ));
        }
    }
}

fn is_one_armed(routed: &BTreeSet<String>, report: &mut Report) -> bool {
    let mut names = routed.iter();
    let (Some(only), None) = (names.next(), names.next()) else { return false };
    report.wrong(format!(
        "one-armed: both ends of every connection are behind {only}, and whoever is there with \
         them can speak in their names"
    ));
    true
}

/// Whether the kernel asks where a source address of IPv4 belongs.
fn sources(routed: &BTreeSet<String>, report: &mut Report) {
    let setting = |name: &str| {
        let text = fs::read_to_string(format!("{CONF}/{name}/rp_filter")).unwrap_or_default();
        text.trim_end().parse::<u8>().unwrap_or(0)
    };
    let all = setting("all");
    let lax: Vec<String> = routed
        .iter()
        .filter_map(|name| match all.max(setting(name)) {
            0 => Some(format!("off on {name}")),
            1 => None,
            _ => Some(format!("loose on {name}")),
        })
        .collect();
    if !lax.is_empty() {
        report.wrong(format!(
            "rp_filter: {} for IPv4: a third party can speak in a server's name (sysctl \
             net.ipv4.conf.all.rp_filter=1, and no interface at 2)",
            lax.join(", ")
        ));
    } else if routed.len() > 1 {
        report.good("rp_filter: strict for IPv4".to_owned());
    }
}

/// The kernel itself never asks where a source address of IPv6 belongs; a rule may.
fn sources_of_ipv6(has_check: Option<bool>, report: &mut Report) {
    match has_check {
        Some(true) => report.good("rp_filter: a rule stands for it for IPv6".to_owned()),
        Some(false) => report.wrong(
            "rp_filter: there is none for IPv6, and no rule in its place: a third party can speak \
             in a server's name (nft: `fib saddr . iif oif missing drop` at prerouting; ip6tables: \
             -t raw -A PREROUTING -m rpfilter --invert -j DROP)"
                .to_owned(),
        ),
        None => {}
    }
}

/// The interfaces that routes of IPv4 lead to, but for the machine itself.
fn routed_v4(list: &str) -> BTreeSet<String> {
    let names = list.lines().skip(1).filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "lo").map(str::to_owned).collect()
}

/// The same of IPv6, but also for what every interface has (link-local and multicast addresses,
/// across which nothing is forwarded).
fn routed_v6(list: &str) -> BTreeSet<String> {
    let is_forwarded = |line: &&str| !line.starts_with("fe8") && !line.starts_with("ff");
    let lines = list.lines().filter(is_forwarded);
    let names = lines.filter_map(|line| line.split_whitespace().next_back());
    names.filter(|name| *name != "lo").map(str::to_owned).collect()
}

/// Settings of IPv4, a folder for each interface of this network namespace.
const CONF: &str = "/proc/sys/net/ipv4/conf";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tracking_that_is_nearly_full_is_found() {
        assert_eq!(filling(89, 100), None);
        let said = filling(90, 100).unwrap();
        assert!(said.starts_with("connection tracking: 90 of 100 entries"), "{said}");
    }

    #[test]
    fn what_is_forwarded_has_to_have_the_families_of_the_mail_hosts() {
        let hosts = |text: &str| -> Vec<Network> {
            text.split_whitespace().map(|host| host.parse().unwrap()).collect()
        };
        let (ipv4, ipv6) = ("192.0.2.25", "2001:db8::/64");
        for ([v4, v6], named, is_right) in [
            ([true, false], ipv4, true),
            ([false, true], ipv6, true),
            ([true, false], ipv6, false),
            ([false, true], ipv4, false),
            ([false, true], "2001:db8::/64 192.0.2.0/24", false),
            ([true, true], "2001:db8::/64 192.0.2.0/24", true),
            ([false, true], "", true),
            ([false, false], "", false),
        ] {
            let found = forwarding(Forwarded { v4, v6 }, Some(false), &hosts(named));
            assert_eq!(found.is_ok(), is_right, "{v4} {v6} {named}: {found:?}");
        }
        let nothing = Forwarded { v4: false, v6: false };
        assert!(forwarding(nothing, Some(true), &[]).is_ok());
    }

    #[test]
    fn a_gateway_of_ipv6_needs_a_rule() {
        for (has_check, expected) in [
            (Some(true), "ok     rp_filter: a rule stands for it for IPv6\n"),
            (Some(false), "wrong  rp_filter: there is none for IPv6, and no rule in its place: "),
            (None, ""),
        ] {
            let mut report = Report::default();
            sources_of_ipv6(has_check, &mut report);
            assert!(report.text.starts_with(expected), "{}", report.text);
            assert_eq!(report.text.is_empty(), expected.is_empty());
        }
    }

    #[test]
    fn servers_of_this_machine_are_found() {
        let v4 = "  sl  local_address rem_address   st tx_queue\n   \
                  0: 00000000:0019 00000000:0000 0A 00000000\n   \
                  1: 0100007F:024B 00000000:0000 0A 00000000\n   \
                  2: 0A6433C6:0016 0200A8C0:8000 01 00000000\n   \
                  3: 0A6433C6:01D1 00000000:0000 0A 00000000\n";
        let addresses = [
            "00000000000000000000000001000000:0019",
            "0000000000000000FFFF00000100007F:0019",
            "00000000000000000000000000000000:024B",
            "B80D0120000000000000000000007F7F:0019",
        ];
        let v6 = addresses.map(|own| format!("   0: {own} {:032}:0000 0A\n", 0)).concat();
        assert_eq!(listening(v4).collect::<Vec<_>>(), [25, 465]);
        assert_eq!(listening(&v6).collect::<Vec<_>>(), [587, 25]);
    }

    #[test]
    fn addresses_of_this_machine_are_known() {
        let v4 = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 192.0.2.0\n        /24 link UNICAST\n     \
                  |-- 192.0.2.1\n        /32 host LOCAL\n     |-- 192.0.2.9\n        \
                  /32 link UNICAST\n     |-- 127.0.0.1\n        /32 host LOCAL\n";
        let v6 = "20010db8000000000000000000000001 02 40 00 80     eth0\n";
        let own: Vec<_> = own_v4(v4).chain(own_v6(v6)).map(|own| own.to_string()).collect();
        assert_eq!(own, ["192.0.2.1", "127.0.0.1", "2001:db8::1"]);
    }

    #[test]
    fn routes_name_the_interfaces() {
        let v4 = "Iface\tDestination\tGateway\neth0\t00000000\t0101A8C0\neth1\t0001A8C0\t0\n";
        let v6 =
            "fe80 40 00 00 eth7\nff00 08 00 00 eth8\n2001 40 00 00 eth2\n00 00 00 00       lo\n";
        assert_eq!(routed_v4(v4).into_iter().collect::<Vec<_>>(), ["eth0", "eth1"]);
        assert_eq!(routed_v6(v6).into_iter().collect::<Vec<_>>(), ["eth2"]);
        assert!(routed_v4("").is_empty() && routed_v6("").is_empty());
    }
}
