//! One end of a simulated connection: a smoltcp stack with one TCP socket and a device that is
//! nothing but two queues.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{self, Device, DeviceCapabilities, Medium};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{HardwareAddress, IpCidr};

/// Bytes of a packet at most.
const MTU: usize = 1_500;

#[derive(Default)]
struct Queues {
    incoming: VecDeque<Vec<u8>>,
    outgoing: Vec<Vec<u8>>,
}

struct Incoming(Vec<u8>);

struct Outgoing<'q>(&'q mut Vec<Vec<u8>>);

impl phy::RxToken for Incoming {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

impl phy::TxToken for Outgoing<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        let mut packet = vec![0; length];
        let result = write(&mut packet);
        self.0.push(packet);
        result
    }
}

impl Device for Queues {
    type RxToken<'a> = Incoming;
    type TxToken<'a> = Outgoing<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Incoming, Outgoing<'_>)> {
        let packet = self.incoming.pop_front()?;
        Some((Incoming(packet), Outgoing(&mut self.outgoing)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Outgoing<'_>> {
        Some(Outgoing(&mut self.outgoing))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = MTU;
        capabilities
    }
}

/// A host with one socket.
pub struct Endpoint {
    interface: Interface,
    sockets: SocketSet<'static>,
    handle: SocketHandle,
    queues: Queues,
    /// What its application has still to hand over.
    unsent: VecDeque<u8>,
    /// What its application has read.
    pub read: Vec<u8>,
    is_closing: bool,
}

impl Endpoint {
    pub fn new(address: IpAddr, seed: u64, buffer: usize) -> Self {
        let mut queues = Queues::default();
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = seed;
        let mut interface = Interface::new(config, &mut queues, Instant::ZERO);
        let prefix = if address.is_ipv4() { 24 } else { 64 };
        interface.update_ip_addrs(|all| all.push(IpCidr::new(address.into(), prefix)).unwrap());
        let buffers = || SocketBuffer::new(vec![0; buffer]);
        let mut sockets = SocketSet::new(Vec::new());
        let mut socket = Socket::new(buffers(), buffers());
        // smoltcp 0.14 may stop its retransmission timer while data is in flight (a window that
        // opens, a retransmission that did not fit in one); the keep-alive sets it going again.
        socket.set_keep_alive(Some(Duration::from_secs(5)));
        let handle = sockets.add(socket);
        let (unsent, read) = (VecDeque::new(), Vec::new());
        Self { interface, sockets, handle, queues, unsent, read, is_closing: false }
    }

    pub fn connect(&mut self, to: SocketAddr, port: u16) {
        let socket = self.sockets.get_mut::<Socket<'_>>(self.handle);
        socket.connect(self.interface.context(), to, port).unwrap();
    }

    pub fn listen(&mut self, port: u16) {
        self.sockets.get_mut::<Socket<'_>>(self.handle).listen(port).unwrap();
    }

    /// The application hands over more.
    pub fn say(&mut self, bytes: &[u8]) {
        self.unsent.extend(bytes);
    }

    /// The application has no more to say.
    pub fn close(&mut self) {
        self.is_closing = true;
    }

    pub fn is_closed(&self) -> bool {
        let state = self.sockets.get::<Socket<'_>>(self.handle).state();
        matches!(state, State::Closed | State::TimeWait)
    }

    pub fn receive(&mut self, packet: Vec<u8>) {
        self.queues.incoming.push_back(packet);
    }

    /// Lets stack and application do what they can; returns what leaves.
    pub fn poll(&mut self, now: Instant) -> Vec<Vec<u8>> {
        for _ in 0..2 {
            self.interface.poll(now, &mut self.queues, &mut self.sockets);
            let socket = self.sockets.get_mut::<Socket<'_>>(self.handle);
            let read = &mut self.read;
            while socket.can_recv() {
                let take = |bytes: &mut [u8]| {
                    read.extend_from_slice(bytes);
                    (bytes.len(), ())
                };
                socket.recv(take).unwrap();
            }
            while socket.can_send() && !self.unsent.is_empty() {
                let (front, _) = self.unsent.as_slices();
                let sent = socket.send_slice(front).unwrap();
                self.unsent.drain(..sent);
            }
            if self.is_closing && self.unsent.is_empty() {
                socket.close();
            }
        }
        std::mem::take(&mut self.queues.outgoing)
    }

    /// When it wants to be polled again at the latest.
    pub fn poll_at(&mut self, now: Instant) -> Option<Instant> {
        self.interface.poll_at(now, &self.sockets)
    }
}
