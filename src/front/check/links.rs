//! Devices that make packets too large for the queue, or whose programs see them first: reads what
//! `ip -d -j link` prints.

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
}
