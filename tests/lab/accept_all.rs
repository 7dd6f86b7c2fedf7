//! A queue loop that accepts every packet unseen: what NFQUEUE itself costs, and a second control.
//!
//! Same crate and same settings as Mailguard's own front: whole packets, GSO on, a long queue and a
//! socket buffer to match. What is missing is the filter.

use std::io;

use nfq::{Queue, Verdict};
use rustix::net::sockopt::{
    set_socket_recv_buffer_size, set_socket_recv_buffer_size_force, socket_domain, socket_protocol,
};
use rustix::net::{AddressFamily, netlink};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

/// Serves a queue until killed. Says `filtering queue`, as Mailguard does, when it is ready.
#[expect(clippy::print_stderr, reason = "the line that the lab waits for")]
pub(crate) fn serve(number: u16) -> io::Result<()> {
    let mut queue = Queue::open()?;
    widen_buffers()?;
    queue.bind(number)?;
    queue.set_recv_gso(number, true)?;
    queue.set_queue_max_len(number, QUEUE_LENGTH_MAX)?;
    eprintln!("filtering queue {number}: accepting everything");
    loop {
        // Errors belong to single packets, as one that was flushed when a link went down.
        if let Ok(mut message) = queue.recv() {
            message.set_verdict(Verdict::Accept);
            let _ = queue.verdict(message);
        }
    }
}

/// The crate keeps its socket to itself: we find it among our descriptors by its protocol.
fn widen_buffers() -> io::Result<()> {
    let ourselves = pidfd_open(getpid(), PidfdFlags::empty())?;
    for number in 3..DESCRIPTORS_MAX {
        let Ok(socket) = pidfd_getfd(&ourselves, number, PidfdGetfdFlags::empty()) else {
            continue;
        };
        let is_netlink = socket_domain(&socket) == Ok(AddressFamily::NETLINK);
        if is_netlink && socket_protocol(&socket) == Ok(Some(netlink::NETFILTER)) {
            let forced = set_socket_recv_buffer_size_force(&socket, BUFFER_OCTETS);
            forced.or_else(|_| set_socket_recv_buffer_size(&socket, BUFFER_OCTETS))?;
        }
    }
    Ok(())
}

const QUEUE_LENGTH_MAX: u32 = 8192;

/// Room for a full queue of packets of the MTU, at about 3 kB each.
const BUFFER_OCTETS: usize = 32 << 20;

/// We have opened one socket and hold hardly anything else.
const DESCRIPTORS_MAX: i32 = 64;
