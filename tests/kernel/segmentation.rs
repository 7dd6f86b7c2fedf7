//! A: one stream in many disguises: cuts, orders, repetitions. Whatever the schedule, the server
//! reads the same bytes.

use super::{BOTH, Case, EVIL, Stand, V4};
use crate::lab::{Because, Outcome};

pub(crate) const CASES: &[Case] = &[
    Case { id: "A01", name: "all two-way cuts", run: two_way, families: V4 },
    Case { id: "A02", name: "all three-way cuts of a line", run: three_way, families: V4 },
    Case { id: "A03", name: "one byte per segment", run: bytewise, families: BOTH },
    Case { id: "A04", name: "one segment", run: whole, families: BOTH },
    Case { id: "A05", name: "orders of six segments", run: orders, families: V4 },
    Case { id: "A07", name: "every segment three times", run: thrice, families: V4 },
    Case { id: "A08", name: "last to first", run: reversed, families: BOTH },
    Case { id: "A09", name: "re-cut retransmission", run: recut, families: V4 },
    Case { id: "A10", name: "growing retransmission", run: growing, families: V4 },
    Case { id: "A11", name: "shrinking retransmission", run: shrinking, families: V4 },
];

/// Sends these pieces of a stream in this order, whatever comes back, and finishes fairly.
fn schedule(stand: &mut Stand, stream: &[u8], pieces: &[(usize, usize)]) -> Outcome<String> {
    let mut peer = stand.connected()?;
    for &(start, end) in pieces {
        stand.send(&peer, start as u64, &stream[start..end]);
    }
    stand.finish(&mut peer, stream).because(format!("{pieces:?}"))
}

/// The pieces between these edges.
fn pieces(edges: &[usize]) -> Vec<(usize, usize)> {
    edges.windows(2).map(|pair| (pair[0], pair[1])).collect()
}

fn two_way(stand: &mut Stand) -> Outcome<String> {
    for cut in 1..EVIL.len() {
        schedule(stand, EVIL, &pieces(&[0, cut, EVIL.len()]))?;
    }
    Ok(format!("{} cuts, one stream", EVIL.len() - 1))
}

fn three_way(stand: &mut Stand) -> Outcome<String> {
    let line = b"VRFY root\r\n";
    let mut count = 0;
    for first in 1..line.len() - 1 {
        for second in first + 1..line.len() {
            schedule(stand, line, &pieces(&[0, first, second, line.len()]))?;
            count += 1;
        }
    }
    Ok(format!("{count} cuts, one stream"))
}

fn bytewise(stand: &mut Stand) -> Outcome<String> {
    let edges: Vec<usize> = (0..=EVIL.len()).collect();
    schedule(stand, EVIL, &pieces(&edges))
}

fn whole(stand: &mut Stand) -> Outcome<String> {
    schedule(stand, EVIL, &[(0, EVIL.len())])
}

fn orders(stand: &mut Stand) -> Outcome<String> {
    let parts = pieces(&[0, 10, 13, 40, 66, 90, EVIL.len()]);
    for number in (0..720).step_by(STEP) {
        let (mut left, mut number, mut order) = (parts.clone(), number, Vec::new());
        while !left.is_empty() {
            let count = left.len();
            order.push(left.remove(number % count));
            number /= count;
        }
        schedule(stand, EVIL, &order)?;
    }
    Ok(format!("{} of 720 orders, one stream", 720_usize.div_ceil(STEP)))
}

fn thrice(stand: &mut Stand) -> Outcome<String> {
    let parts = pieces(&[0, 10, 13, 40, 66, 90, EVIL.len()]);
    let order: Vec<_> = parts.iter().flat_map(|&part| [part; 3]).collect();
    schedule(stand, EVIL, &order)
}

fn reversed(stand: &mut Stand) -> Outcome<String> {
    let mut order = pieces(&(0..=EVIL.len()).step_by(5).collect::<Vec<_>>());
    order.reverse();
    schedule(stand, EVIL, &order)
}

fn recut(stand: &mut Stand) -> Outcome<String> {
    let first = pieces(&[0, 9, 20, 31, 60]);
    let second = pieces(&[0, 4, 12, 25, 55, EVIL.len()]);
    schedule(stand, EVIL, &[first, second].concat())
}

fn growing(stand: &mut Stand) -> Outcome<String> {
    let order: Vec<_> = (1..=EVIL.len()).map(|end| (0, end)).collect();
    schedule(stand, EVIL, &order)
}

fn shrinking(stand: &mut Stand) -> Outcome<String> {
    let order: Vec<_> = (1..=EVIL.len()).rev().map(|end| (0, end)).collect();
    schedule(stand, EVIL, &order)
}

/// Every sixth order: all of them is a matter for a faster network than a kernel's.
const STEP: usize = 6;
