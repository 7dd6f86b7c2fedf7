//! Who holds a queue: a socket has a netlink port id, an inode, and processes that have it open.
//!
//! A port id alone tells little: only a process's first socket has its number, and who was first
//! may be gone, while a service manager keeps what it left.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A process that has a socket open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) process: u32,
    /// What the kernel calls it.
    pub(super) name: String,
}

/// Those that have the sockets of these port ids open, as far as we may see what others have open.
pub(super) fn holders(ports: impl Iterator<Item = u32>) -> BTreeMap<u32, Vec<Holder>> {
    let listing = fs::read_to_string(LISTING).unwrap_or_default();
    let named = |port| Some((format!("socket:[{}]", inode(&listing, port)?).into(), port));
    let sockets: Sockets = ports.filter_map(named).collect();
    let mut found: BTreeMap<u32, Vec<Holder>> = BTreeMap::new();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    for entry in processes.filter(|_| !sockets.is_empty()) {
        let Some(process) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        for port in open(&entry.path(), &sockets) {
            let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            let holder = Holder { process, name: name.trim_end().to_owned() };
            found.entry(port).or_default().push(holder);
        }
    }
    found
}

/// What the kernel calls a socket, and its port id.
type Sockets = BTreeMap<PathBuf, u32>;

fn open(process: &Path, sockets: &Sockets) -> BTreeSet<u32> {
    let files = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
    files.filter_map(|file| sockets.get(&fs::read_link(file.path()).ok()?).copied()).collect()
}

/// Those of these port ids whose sockets hold something that nobody has read.
pub(super) fn unread(ports: impl Iterator<Item = u32>) -> BTreeSet<u32> {
    let listing = fs::read_to_string(LISTING).unwrap_or_default();
    let is_unread = |port: &u32| entry(&listing, *port).is_some_and(|(unread, _)| unread > 0);
    ports.filter(is_unread).collect()
}

/// The inode that the kernel lists for a socket of netfilter's with this port id.
fn inode(listing: &str, port: u32) -> Option<u64> {
    entry(listing, port).map(|(_, inode)| inode)
}

/// The bytes that nobody has read, and the inode.
fn entry(listing: &str, port: u32) -> Option<(u64, u64)> {
    listing.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, NETFILTER, id, _groups, unread, .., inode] = *words.as_slice() else {
            return None;
        };
        (id.parse() == Ok(port)).then_some(())?;
        Some((unread.parse().ok()?, inode.parse().ok()?))
    })
}

/// Where the kernel lists sockets of netlink.
const LISTING: &str = "/proc/net/netlink";

/// The number of netfilter's protocol among those of netlink.
const NETFILTER: &str = "12";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_found_by_protocol_and_port_id() {
        let listing = "sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode\n\
                       0000000000000000 0 77 00000000 0 0 0 2 0 5001\n\
                       0000000000000000 12  77 00000000 960 0 0 2 0 5002   \n";
        assert_eq!(inode(listing, 77), Some(5_002));
        assert_eq!(entry(listing, 77), Some((960, 5_002)));
        assert_eq!(inode(listing, 7), None);
        assert_eq!(inode("12 77", 77), None);
    }
}
