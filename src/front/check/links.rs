//! Devices that make packets too large for the queue, or whose programs see them first: reads what
//! `ip -d -j link` and `tc` print.

use serde::Deserialize;
use serde_json::Value;

/// What of a device matters here.
#[derive(Debug, Deserialize)]
struct Link {
    ifname: String,
    gso_max_size: Option<u64>,
    gro_max_size: Option<u64>,
    gso_ipv4_max_size: Option<u64>,
    gro_ipv4_max_size: Option<u64>,
    xdp: Option<Value>,
}

/// What is wrong, one sentence each; `is_gso` says whether packets come whole.
pub(super) fn findings(listing: &str, is_gso: bool) -> Vec<String> {
    let links: Vec<Link> = match serde_json::from_str(listing) {
        Ok(links) => links,
        Err(error) => return vec![format!("ip: what it prints is not understood: {error}")],
    };
    let mut found = Vec::new();
    for link in links {
        let name = &link.ifname;
        let sizes = [
            ("gso_max_size", link.gso_max_size),
            ("gro_max_size", link.gro_max_size),
            ("gso_ipv4_max_size", link.gso_ipv4_max_size),
            ("gro_ipv4_max_size", link.gro_ipv4_max_size),
        ];
        let large = sizes.iter().filter(|(_, size)| size.is_some_and(|size| size > SIZE_MAX));
        let large: Vec<_> = large.map(|(key, _)| format!("{key} {SIZE_MAX}")).collect();
        if is_gso && !large.is_empty() {
            found.push(format!(
                "{name}: makes packets that the queue cannot show, and drops (queue.gso = false, \
                 or ip link set {name} {})",
                large.join(" ")
            ));
        }
        if link.xdp.is_some() {
            found.push(format!(
                "{name}: an XDP program sees packets before the filter, and may forward them itself"
            ));
        }
    }
    found
}

/// The devices that have a place for filters of tc's, by what `tc qdisc show` prints.
pub(super) fn filtered(qdiscs: &str) -> Vec<&str> {
    let words = qdiscs.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    words.filter_map(|words| device(&words)).collect()
}

fn device<'a>(words: &[&'a str]) -> Option<&'a str> {
    match *words {
        ["qdisc", "clsact" | "ingress", _, "dev", name, ..] => Some(name),
        _ => None,
    }
}

/// What filters of tc's do with packets ahead of all rules, by what `tc filter show` prints of a
/// device.
pub(super) fn ahead(device: &str, filters: &str) -> Option<String> {
    let words = || filters.split_whitespace();
    let what = if words().any(|word| word == "bpf") {
        "a BPF program at tc sees packets before the filter, and may forward them itself"
    } else if words().any(|word| word == "mirred") && words().any(|word| word == "Redirect") {
        "a filter of tc's redirects packets past every rule, and past the filter"
    } else {
        return None;
    };
    Some(format!("{device}: {what}"))
}

/// The largest packet without BIG TCP.
const SIZE_MAX: u64 = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_packets_and_programs_are_found() {
        let listing = r#"[{"ifindex":1,"ifname":"lo","gso_max_size":65536,"gro_max_size":65536},
            {"ifname":"eth0","gso_max_size":131072,"gro_max_size":65536,"gso_ipv4_max_size":70000},
            {"ifname":"eth1","xdp":{"mode":1,"prog":{"id":7}}},{"ifname":"old"}]"#;
        let large = "eth0: makes packets that the queue cannot show, and drops (queue.gso = false, \
                     or ip link set eth0 gso_max_size 65536 gso_ipv4_max_size 65536)";
        let program = "eth1: an XDP program sees packets before the filter, and may forward them \
                       itself";
        assert_eq!(findings(listing, true), [large, program]);
        assert_eq!(findings(listing, false), [program]);
        assert!(findings("nonsense", true)[0].starts_with("ip: what it prints is not understood"));
    }

    #[test]
    fn filters_of_tc_that_may_forward_are_found() {
        let qdiscs = "qdisc noqueue 0: dev lo root refcnt 2\n\
                      qdisc clsact ffff: dev eth0 parent ffff:fff1\n\
                      qdisc ingress ffff: dev eth1 parent ffff:fff1 ----------------\n";
        assert_eq!(filtered(qdiscs), ["eth0", "eth1"]);
        let program = "filter protocol all pref 1 bpf chain 0\nfilter protocol all pref 1 bpf \
                       chain 0 handle 0x1 cil_from_netdev-eth0 direct-action not_in_hw id 7\n";
        let said = ahead("eth0", program).unwrap();
        assert_eq!(
            said,
            "eth0: a BPF program at tc sees packets before the filter, and may forward them itself"
        );
        let redirected = "filter parent ffff: protocol ip pref 1 u32\n\
                          \taction order 1: mirred (Egress Redirect to device eth1) stolen\n";
        assert!(ahead("eth1", redirected).unwrap().contains("redirects packets past every rule"));
        let mirrored = "filter u32\n\taction order 1: mirred (Egress Mirror to device eth1) pipe\n";
        assert_eq!((ahead("eth1", mirrored), ahead("eth1", "")), (None, None));
    }
}
