//! A queue loop that accepts every packet unseen, as cheaply as the kernel's interface allows:
//! several packets a system call, and one verdict for all of them.
//!
//! Same settings as Mailguard's own front: whole packets, GSO on, a long queue and a socket buffer
//! to match. What is missing is the filter.

use std::array;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::process::ExitCode;
use std::thread;

use netlink_sys::protocols::NETLINK_NETFILTER;
use netlink_sys::{Socket, SocketAddr};
use nix::sys::socket::{MsgFlags, MultiHeaders, NetlinkAddr, recvmmsg};
use rustix::net::SendFlags;
use rustix::net::sockopt::set_socket_recv_buffer_size_force;

/// The flag that makes this program such a loop.
pub(crate) const FLAG: &str = "--accept-batches";

/// Serves a range of queues, `FIRST:LAST`, until killed, if that is what is asked for.
pub(crate) fn serve_if_asked(arguments: &[String]) -> Option<ExitCode> {
    let [flag, range] = arguments else { return None };
    let (first, last) = range.split_once(':').filter(|_| flag == FLAG)?;
    let range = first.parse::<u16>().ok()?..=last.parse().ok()?;
    let threads: Vec<_> = range.map(|queue| thread::spawn(move || serve(queue))).collect();
    let all_well = threads.into_iter().all(|one| one.join().is_ok_and(|done| done.is_ok()));
    Some(if all_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn serve(queue: u16) -> io::Result<()> {
    let mut socket = Socket::new(NETLINK_NETFILTER)?;
    socket.bind(&SocketAddr::new(0, 0))?;
    socket.set_no_enobufs(true)?;
    let _ = set_socket_recv_buffer_size_force(socket.as_fd(), BUFFER_BYTES);
    configure(socket.as_fd(), queue)?;
    let mut headers = MultiHeaders::<NetlinkAddr>::preallocate(AT_ONCE_MAX, None);
    let mut slots = vec![0; AT_ONCE_MAX * SLOT_BYTES];
    let mut asked = ASKED_MIN;
    loop {
        let (count, last) = receive(&socket, &mut headers, &mut slots, asked)?;
        // Twice as many as came: several a call under load, and a cache that stays warm.
        asked = (2 * count).clamp(ASKED_MIN, AT_ONCE_MAX);
        if let Some(packet) = last {
            let verdict = [[0, 0, 0, 1], packet].concat();
            send(socket.as_fd(), VERDICT_BATCH, queue, &attribute(2, &verdict))?;
        }
    }
}

/// Waits for datagrams; how many came, and the number of the last packet among them.
fn receive(
    socket: &Socket,
    headers: &mut MultiHeaders<NetlinkAddr>,
    slots: &mut [u8],
    asked: usize,
) -> io::Result<(usize, Option<[u8; 4]>)> {
    let mut lengths = [0; AT_ONCE_MAX];
    let mut rest = slots.chunks_exact_mut(SLOT_BYTES);
    let mut vectors: [_; AT_ONCE_MAX] =
        array::from_fn(|_| [IoSliceMut::new(rest.next().unwrap_or_default())]);
    let vectors = vectors.iter_mut().take(asked);
    let flags = MsgFlags::MSG_WAITFORONE;
    let received = recvmmsg(socket.as_raw_fd(), headers, vectors, flags, None)?;
    let mut count = 0;
    for (length, message) in lengths.iter_mut().zip(received) {
        (*length, count) = (message.bytes, count + 1);
    }
    let datagrams = slots.chunks(SLOT_BYTES).zip(lengths).take(count);
    let mut numbers = datagrams.filter_map(|(slot, length)| number_of(slot.get(..length)?));
    Ok((count, numbers.next_back()))
}

/// The number of the packet that a datagram shows: the kernel puts it in front.
fn number_of(datagram: &[u8]) -> Option<[u8; 4]> {
    let is_packet = datagram.get(4..6)? == SHOWN.to_ne_bytes();
    let is_number = datagram.get(22..24)? == 1_u16.to_ne_bytes();
    datagram.get(24..28)?.try_into().ok().filter(|_| is_packet && is_number)
}

/// Binds a queue with whole packets, GSO and a long queue, all in one message.
fn configure(socket: BorrowedFd<'_>, queue: u16) -> io::Result<()> {
    let parameters = [0, 0, 0xff, 0xff, 2];
    let attributes = [
        attribute(1, &[1, 0, 0, 0]),
        attribute(2, &parameters),
        attribute(3, &QUEUE_LENGTH.to_be_bytes()),
        attribute(4, &GSO.to_be_bytes()),
        attribute(5, &GSO.to_be_bytes()),
    ];
    send(socket, CONFIG, queue, &attributes.concat())
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
    let mut bytes = [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), value].concat();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn send(socket: BorrowedFd<'_>, kind: u16, queue: u16, attributes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(20 + attributes.len()).unwrap_or(u32::MAX);
    let request = 1_u16;
    let message = [
        &length.to_ne_bytes()[..],
        &kind.to_ne_bytes(),
        &request.to_ne_bytes(),
        &[0; 10],
        &queue.to_be_bytes(),
        attributes,
    ];
    rustix::net::send(socket, &message.concat(), SendFlags::empty())?;
    Ok(())
}

const SHOWN: u16 = 3 << 8;
const CONFIG: u16 = 3 << 8 | 2;
const VERDICT_BATCH: u16 = 3 << 8 | 3;
const GSO: u32 = 4;
const QUEUE_LENGTH: u32 = 8192;
const BUFFER_BYTES: usize = 24 << 20;
const AT_ONCE_MAX: usize = 32;
const ASKED_MIN: usize = 4;
const SLOT_BYTES: usize = (64 << 10) + 4_096;
