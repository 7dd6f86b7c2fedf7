//! Both back ends against a kernel, in a network of the test's own: datagrams that the machine
//! sends to itself, through a queue.

#[path = "../../../tests/support/again.rs"]
mod again;
#[path = "../../../tests/support/sealed.rs"]
mod sealed;

use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use rustix::net::RecvFlags;

use self::sealed::sealed;
use super::*;
use crate::config::{Backend, Config};

/// Without which nothing can be tested: rules, and the kernel's list of queues.
const NEEDS: [&str; 3] =
    ["sh", "-c", "iptables -w -t mangle -S && cat /proc/net/netfilter/nfnetlink_queue"];

const NUMBER: u16 = 7;

/// A network in which what goes to a receiver passes the queue.
struct Bench {
    settings: crate::config::Queue,
    faults: Faults,
    sender: UdpSocket,
    receiver: UdpSocket,
}

impl Bench {
    fn build(backend: Backend) -> Self {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        receiver.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = receiver.local_addr().unwrap();
        sender.connect(address).unwrap();
        let (queue, port) = (NUMBER, address.port());
        shell(&format!(
            "iptables -w -t mangle -F && iptables -w -t mangle -A OUTPUT -p udp --dport {port} -j \
             NFQUEUE --queue-num {queue} && iptables -w -t mangle -A POSTROUTING -m mark --mark \
             0x30/0x3f"
        ));
        let settings = crate::config::Queue { backend, ..Config::build(None, &[]).unwrap().queue };
        Self { settings, faults: Faults::default(), sender, receiver }
    }

    fn open(&self) -> OpenQueue {
        OpenQueue::open(NUMBER, &self.settings).unwrap()
    }

    fn send(&self, texts: &[&[u8]]) {
        texts.iter().for_each(|text| assert_eq!(self.sender.send(text).unwrap(), text.len()));
    }

    /// What comes until nothing more does.
    fn received(&self) -> Vec<Vec<u8>> {
        let mut buffer = vec![0; 1 << 16];
        let mut all = Vec::new();
        while let Ok(length) = self.receiver.recv(&mut buffer) {
            all.push(buffer[..length].to_vec());
        }
        all
    }

    fn waiting(&self) -> u64 {
        listing::of(NUMBER).unwrap().unwrap().waiting
    }
}

fn shell(script: &str) {
    assert!(Command::new("sh").args(["-c", script]).status().unwrap().success(), "{script}");
}

/// Has each packet answered, in order, until so many have been.
fn answer<'c>(
    queue: &mut KernelQueue<'c>,
    count: usize,
    mut judge: impl FnMut(usize, Held<'_, 'c>),
) {
    let mut answered = 0;
    while answered < count {
        let is_idle = match queue.receive() {
            Received::Packet(held) => {
                judge(answered, held);
                answered += 1;
                false
            }
            Received::Counted => false,
            Received::Nothing => true,
            Received::Broken(error) => panic!("{error}"),
        };
        if is_idle {
            queue.wait().unwrap();
        }
    }
    queue.finish();
}

/// Reads what the kernel has to say yet: all answers were given before.
fn settle(queue: &mut KernelQueue<'_>, waker: &Waker) {
    waker.wake();
    queue.wait().unwrap();
    while !matches!(queue.receive(), Received::Nothing) {}
}

/// Lets the datagram go on with the letter in place of each byte, and no UDP checksum.
fn fill(held: Held<'_, '_>, letter: u8, marking: Option<Marking>) {
    let mut bytes = held.arrival().bytes.to_vec();
    bytes[26..28].fill(0);
    bytes[28..].fill(letter);
    held.rewrite(&bytes, marking);
}

fn all(fault: &AtomicU64) -> u64 {
    fault.load(Ordering::Relaxed)
}

#[test]
fn each_packet_gets_the_answer_meant_for_it() {
    sealed(&NEEDS, || {
        for backend in BACKENDS {
            let bench = Bench::build(backend);
            let open = bench.open();
            let waker = open.waker().unwrap();
            let mut queue = open.serve(&bench.faults);
            let long = vec![b'l'; 60_000];
            bench.send(&[b"first", b"second", b"third", b"fourth", b"fifth", &long, b"seventh"]);
            answer(&mut queue, 7, |index, held| match index {
                0 | 6 => held.accept(None),
                1 => drop(held),
                2 => fill(held, b'X', None),
                3 => {
                    let marking = Marking { set: 0x30, clear: 0x0f };
                    fill(held, b'Y', Some(marking));
                }
                4 => held.accept(Some(Marking { set: 0x30, clear: 0x0f })),
                5 => fill(held, b'Z', None),
                _ => panic!("{index}"),
            });
            let expected: [&[u8]; 6] =
                [b"first", b"XXXXX", b"YYYYYY", b"fifth", &vec![b'Z'; 60_000], b"seventh"];
            assert_eq!(bench.received(), expected, "{backend:?}");
            settle(&mut queue, &waker);
            assert_eq!((all(&bench.faults.late), bench.waiting()), (0, 0), "{backend:?}");
            shell(
                "iptables -w -t mangle -nvxL POSTROUTING | awk '/mark match/ { if ($1 == 2) ok = 1 \
                 } END { exit !ok }'",
            );
        }
    });
}

#[test]
fn a_burst_passes_in_order_and_whole() {
    sealed(&NEEDS, || {
        for backend in BACKENDS {
            let bench = Bench::build(backend);
            let mut queue = bench.open().serve(&bench.faults);
            let texts: Vec<Vec<u8>> = (0..100_u32).map(|n| n.to_string().into_bytes()).collect();
            bench.send(&texts.iter().map(Vec::as_slice).collect::<Vec<_>>());
            answer(&mut queue, 100, |index, held| {
                assert_eq!(&held.arrival().bytes[28..], texts[index]);
                let is_rewritten = index % 7 == 3;
                if is_rewritten { fill(held, b'X', None) } else { held.accept(None) }
            });
            let expected = texts.iter().enumerate().map(|(index, text)| {
                if index % 7 == 3 { vec![b'X'; text.len()] } else { text.clone() }
            });
            assert_eq!(bench.received(), expected.collect::<Vec<_>>(), "{backend:?}");
            assert_eq!(bench.waiting(), 0, "{backend:?}");
        }
    });
}

#[test]
fn an_answer_that_comes_too_late_is_counted_and_harms_nothing() {
    sealed(&NEEDS, || {
        for backend in BACKENDS {
            let bench = Bench::build(backend);
            let open = bench.open();
            let waker = open.waker().unwrap();
            let mut queue = open.serve(&bench.faults);
            bench.send(&[b"one", b"two"]);
            answer(&mut queue, 2, |index, held| {
                if index == 1 {
                    shell("ip link set lo down && ip link set lo up");
                }
                held.accept(None);
            });
            settle(&mut queue, &waker);
            assert_eq!((all(&bench.faults.late), all(&bench.faults.unanswered)), (1, 0));
            bench.send(&[b"three"]);
            answer(&mut queue, 1, |_, held| held.accept(None));
            assert_eq!(bench.received(), [b"three"], "{backend:?}");
        }
    });
}

#[test]
fn whoever_waits_can_be_woken() {
    sealed(&NEEDS, || {
        for backend in BACKENDS {
            let bench = Bench::build(backend);
            let open = bench.open();
            let waker = open.waker().unwrap();
            thread::scope(|scope| {
                let waiting = scope.spawn(|| {
                    let mut queue = open.serve(&bench.faults);
                    assert!(matches!(queue.receive(), Received::Nothing));
                    queue.wait().unwrap();
                });
                thread::sleep(Duration::from_millis(50));
                assert!(!waiting.is_finished());
                waker.wake();
            });
        }
    });
}

#[test]
fn a_queue_is_taken_over_with_what_waits_in_it() {
    sealed(&NEEDS, || {
        let bench = Bench::build(Backend::Netlink);
        let predecessor = bench.open();
        let adopt = |number, socket| OpenQueue::adopt(number, &bench.settings, socket);
        let socket = || predecessor.duplicate().unwrap();
        bench.send(&[b"read and not answered", b"not read"]);
        rustix::net::recv(socket(), &mut [0; 4_096], RecvFlags::empty()).unwrap();
        let refusal = |number, socket| adopt(number, socket).err().unwrap().to_string();
        assert_eq!(refusal(8, socket()), "queue 8 is not served by the socket handed over");
        let other: OwnedFd = UdpSocket::bind("127.0.0.1:0").unwrap().into();
        let expected = "cannot take over the socket of queue 7: not a netfilter socket";
        assert_eq!(refusal(NUMBER, other), expected);

        let adopted = adopt(NUMBER, socket()).unwrap();
        drop(predecessor);
        let waker = adopted.waker().unwrap();
        let mut queue = adopted.serve(&bench.faults);
        assert_eq!(bench.waiting(), 2);
        bench.send(&[b"sent since"]);
        answer(&mut queue, 2, |_, held| held.accept(None));
        assert_eq!(bench.received(), [&b"not read"[..], b"sent since"]);
        settle(&mut queue, &waker);
        assert_eq!((bench.waiting(), all(&bench.faults.late)), (0, 0));
    });
}

#[test]
fn at_the_end_what_was_read_is_answered_and_no_more_is_read() {
    sealed(&NEEDS, || {
        for backend in BACKENDS {
            let bench = Bench::build(backend);
            let open = bench.open();
            let socket = open.duplicate().unwrap();
            let mut queue = open.serve(&bench.faults);
            let texts: Vec<Vec<u8>> = (0..40_u32).map(|n| n.to_string().into_bytes()).collect();
            bench.send(&texts.iter().map(Vec::as_slice).collect::<Vec<_>>());
            // The fifth is the first of several that are read at once.
            answer(&mut queue, 5, |_, held| held.accept(None));
            queue.read_no_more();
            let mut answered = 5;
            while let Received::Packet(held) = queue.receive() {
                held.accept(None);
                answered += 1;
            }
            drop(queue);
            assert!(answered < texts.len(), "{backend:?}: {answered}");
            let successor = OpenQueue::adopt(NUMBER, &bench.settings, socket).unwrap();
            let mut queue = successor.serve(&bench.faults);
            answer(&mut queue, texts.len() - answered, |_, held| held.accept(None));
            assert_eq!(bench.received(), texts, "{backend:?}");
            assert_eq!(bench.waiting(), 0, "{backend:?}");
        }
    });
}

const BACKENDS: [Backend; 2] = [Backend::Netlink, Backend::Nfq];
