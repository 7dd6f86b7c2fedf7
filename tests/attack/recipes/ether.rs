//! The third party's door: frames of our making on the wire between client and gateway.
//!
//! The socket belongs to the client's host and stays in the thread that opened it. Frames carry
//! the client's link address, as all that comes through one router does.

use std::time::Duration;

use smoltcp::phy::{Device, Medium, RawSocket, RxToken, TxToken};
use smoltcp::time::Instant;

use crate::lab::{Because, Outcome, Side, run};
use crate::support::segment::Segment;

/// The wire.
pub(crate) struct Ether {
    socket: RawSocket,
    ours: [u8; 6],
    theirs: [u8; 6],
}

impl Ether {
    /// Moves the calling thread to the client's host and opens the wire.
    pub(crate) fn open() -> Outcome<Self> {
        let (ours, theirs) =
            (link_address(Side::Client, "c0")?, link_address(Side::Gateway, "gc")?);
        Side::Client.enter()?;
        let socket = RawSocket::new("c0", Medium::Ethernet).because("a packet socket")?;
        let wire = Self { socket, ours, theirs };
        wire.own(ROUTER)?;
        let route = ["route", "replace", "10.0.0.0/8", "via", ROUTER];
        run(&mut Side::Gateway.command("ip", &route), STEP_TIME_MAX)?;
        Ok(wire)
    }

    /// Tells the gateway that this address is behind our link address.
    pub(crate) fn own(&self, address: &str) -> Outcome {
        let mac = self.ours.map(|octet| format!("{octet:02x}")).join(":");
        let words = ["neigh", "replace", address, "lladdr", &mac, "dev", "gc"];
        run(&mut Side::Gateway.command("ip", &words), STEP_TIME_MAX).map(drop)
    }

    /// One IPv4 packet towards the gateway.
    pub(crate) fn send(&mut self, packet: &[u8]) {
        let frame = [&self.theirs[..], &self.ours, &[8, 0], packet].concat();
        if let Some(token) = self.socket.transmit(Instant::ZERO) {
            token.consume(frame.len(), |buffer| buffer.copy_from_slice(&frame));
        }
    }

    /// The next segment on the wire, if there is one.
    pub(crate) fn receive(&mut self) -> Option<Segment> {
        loop {
            let (token, _) = self.socket.receive(Instant::ZERO)?;
            let frame = token.consume(<[u8]>::to_vec);
            if let (Some([8, 0]), Some(packet)) = (frame.get(12..14), frame.get(14..))
                && let Some(segment) = Segment::read(packet)
            {
                return Some(segment);
            }
        }
    }
}

fn link_address(side: Side, link: &str) -> Outcome<[u8; 6]> {
    let text = run(&mut side.command("ip", &["-o", "link", "show", "dev", link]), STEP_TIME_MAX)?;
    let word = text.split("link/ether ").nth(1).and_then(|rest| rest.get(..17)).because(&text)?;
    let octets = word.split(':').map(|pair| u8::from_str_radix(pair, 16).ok());
    octets.collect::<Option<Vec<u8>>>().and_then(|all| all.try_into().ok()).because(word)
}

/// Behind it are all crafted clients.
pub(crate) const ROUTER: &str = "192.0.2.77";

const STEP_TIME_MAX: Duration = Duration::from_secs(10);
