//! The two doors into the lab's wires: a TUN device, whose other end is the test itself, and a
//! packet socket that sees what passes an interface.
//!
//! Both belong to the namespace of the thread that opens them and stay in that thread.

use std::os::fd::AsRawFd;
use std::thread;
use std::time::Duration;

use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_recv_buffer_size_force};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use smoltcp::phy::{Device, Medium, RawSocket, RxToken, TunTapInterface, TxToken};
use smoltcp::time::Instant;

use super::network::Side;
use super::outcome::{Because, Outcome, lacking};
use super::process::{PATIENCE, now, run};

/// A network of hosts that are nothing but packets of ours.
pub(crate) struct Tun(TunTapInterface);

impl Tun {
    /// Makes the device on a host, on which the calling thread must be, and gives it the
    /// addresses (with prefix lengths) of its end of the network.
    pub(crate) fn open(side: Side, name: &str, addresses: &[&str]) -> Outcome<Self> {
        let device = match TunTapInterface::new(name, Medium::Ip) {
            Ok(device) => device,
            Err(error) => return lacking(format!("a TUN device: {error}")),
        };
        for address in addresses {
            let mut words = vec!["address", "add", address, "dev", name];
            if address.contains(':') {
                words.push("nodad");
            }
            run(&mut side.command("ip", &words), PATIENCE)?;
        }
        let up = ["link", "set", name, "up", "txqueuelen", "20000"];
        run(&mut side.command("ip", &up), PATIENCE)?;
        let unchecked = format!("net.ipv4.conf.{name}.rp_filter=0");
        let words = ["-qw", "net.ipv4.conf.all.rp_filter=0", &unchecked];
        run(&mut side.command("sysctl", &words), PATIENCE).because("rp_filter")?;
        Ok(Self(device))
    }

    /// One packet into the host.
    pub(crate) fn send(&mut self, packet: &[u8]) {
        if let Some(token) = self.0.transmit(Instant::ZERO) {
            token.consume(packet.len(), |buffer| buffer.copy_from_slice(packet));
        }
    }

    /// One packet out of the host, if there is one.
    pub(crate) fn receive(&mut self) -> Option<Vec<u8>> {
        let (token, _) = self.0.receive(Instant::ZERO)?;
        Some(token.consume(<[u8]>::to_vec))
    }

    /// Takes so many packets that are wanted, or those that come before it grows quiet.
    pub(crate) fn collect<T>(
        &mut self,
        count: usize,
        wanted: impl Fn(&[u8]) -> Option<T>,
    ) -> Vec<T> {
        let (mut collected, mut last) = (Vec::new(), now());
        while collected.len() < count && last.elapsed() < QUIET {
            match self.receive().as_deref().map(&wanted) {
                Some(Some(seen)) => {
                    last = now();
                    collected.push(seen);
                }
                Some(None) => {}
                None => thread::sleep(Duration::from_micros(50)),
            }
        }
        collected
    }
}

/// After so long without a packet none will come.
const QUIET: Duration = Duration::from_millis(300);

/// Everything that passes an interface, both ways.
pub(crate) struct Sniffer(RawSocket);

impl Sniffer {
    /// Listens on an Ethernet interface of the host that the calling thread is on.
    pub(crate) fn open(name: &str) -> Outcome<Self> {
        let socket = RawSocket::new(name, Medium::Ethernet).because("a packet socket")?;
        widen(socket.as_raw_fd()).map_err(std::io::Error::from).because("its buffer")?;
        Ok(Self(socket))
    }

    /// The next IP packet, if there is one.
    pub(crate) fn receive(&mut self) -> Option<Vec<u8>> {
        loop {
            let (token, _) = self.0.receive(Instant::ZERO)?;
            let frame = token.consume(<[u8]>::to_vec);
            if let [0x08, 0x00] | [0x86, 0xdd] = frame.get(12..14)? {
                return frame.get(14..).map(<[u8]>::to_vec);
            }
        }
    }
}

/// Makes room for what comes while nobody looks. The crate lends its socket as a number only: we
/// ask the kernel for a descriptor of our own.
fn widen(number: i32) -> rustix::io::Result<()> {
    let ourselves = pidfd_open(getpid(), PidfdFlags::empty())?;
    let socket = pidfd_getfd(&ourselves, number, PidfdGetfdFlags::empty())?;
    set_socket_recv_buffer_size_force(&socket, BUFFER_OCTETS)
        .or_else(|_| set_socket_recv_buffer_size(&socket, BUFFER_OCTETS))
}

const BUFFER_OCTETS: usize = 128 << 20;
