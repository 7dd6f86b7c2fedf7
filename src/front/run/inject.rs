//! Sends the packets we originate, RSTs, through raw sockets whose mark the rules let pass.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::front::FrontError;

/// Raw sockets for both address families.
#[derive(Debug)]
pub(super) struct Injector {
    v4: Socket,
    /// None where the kernel has no IPv6.
    v6: Option<Socket>,
    sent: AtomicU64,
    failures: AtomicU64,
}

impl Injector {
    /// Opens the sockets.
    pub(super) fn open(mark: u32) -> Result<Self, FrontError> {
        let refused =
            |error| FrontError::io("cannot open a raw socket (needs root or CAP_NET_RAW)", error);
        let v4 = open(Domain::IPV4, mark).map_err(refused)?;
        let v6 = match open(Domain::IPV6, mark) {
            Ok(socket) => Some(socket),
            Err(error) if error.raw_os_error() == Some(NO_SUCH_FAMILY) => None,
            Err(error) => return Err(refused(error)),
        };
        Ok(Self { v4, v6, sent: AtomicU64::new(0), failures: AtomicU64::new(0) })
    }

    /// Sends a complete IP packet towards its destination; never waits.
    pub(super) fn send(&self, packet: &[u8]) {
        let sent = destination(packet).and_then(|address| {
            let socket = if address.is_ipv4() { Some(&self.v4) } else { self.v6.as_ref() };
            let to = SockAddr::from(SocketAddr::new(address, 0));
            socket.map(|socket| socket.send_to(packet, &to))
        });
        let is_sent = matches!(sent, Some(Ok(_)));
        let counter = if is_sent { &self.sent } else { &self.failures };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Packets sent.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Packets that could not be sent.
    pub(super) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }
}

fn open(domain: Domain, mark: u32) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(HEADER_INCLUDED)))?;
    socket.set_mark(mark)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn destination(packet: &[u8]) -> Option<IpAddr> {
    match packet.first()? >> 4 {
        4 => <[u8; 4]>::try_from(packet.get(16..20)?).ok().map(|a| Ipv4Addr::from(a).into()),
        6 => <[u8; 16]>::try_from(packet.get(24..40)?).ok().map(|a| Ipv6Addr::from(a).into()),
        _ => None,
    }
}

/// `IPPROTO_RAW`: what we send begins with its own IP header.
const HEADER_INCLUDED: i32 = 255;

/// `EAFNOSUPPORT`.
const NO_SUCH_FAMILY: i32 = 97;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_destination_is_read_from_the_header() {
        let mut v4 = [0; 20];
        v4[0] = 0x45;
        v4[16..].copy_from_slice(&[192, 0, 2, 1]);
        assert_eq!(destination(&v4), Some("192.0.2.1".parse().unwrap()));
        let mut v6 = [0; 40];
        v6[0] = 0x60;
        v6[39] = 1;
        assert_eq!(destination(&v6), Some("::1".parse().unwrap()));
        assert_eq!(destination(&v4[..19]), None);
        assert_eq!(destination(&[]), None);
    }
}
