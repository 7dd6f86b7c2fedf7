//! Moves the sequence numbers of a connection, so that a stack that chooses its own begins where
//! a test wants it to.

use super::packet::patched;

/// Adds to every number that counts the sender's bytes, and to every one that counts the other
/// end's (acknowledgment and SACK).
pub fn shifted(packet: &[u8], own: u32, other: u32) -> Vec<u8> {
    patched(packet, |tcp| {
        add(&mut tcp[4..8], own);
        if tcp[13] & 16 != 0 {
            add(&mut tcp[8..12], other);
        }
        let end = usize::from(tcp[12] >> 4) * 4;
        let mut at = 20;
        while at + 1 < end {
            match (tcp[at], tcp[at + 1]) {
                (0, _) => return,
                (1, _) => at += 1,
                (5, length) => {
                    for edge in (at + 2..at + usize::from(length)).step_by(4) {
                        add(&mut tcp[edge..edge + 4], other);
                    }
                    at += usize::from(length);
                }
                (_, length) => at += usize::from(length.max(1)),
            }
        }
    })
}

fn add(field: &mut [u8], amount: u32) {
    let value = u32::from_be_bytes([field[0], field[1], field[2], field[3]]);
    field.copy_from_slice(&value.wrapping_add(amount).to_be_bytes());
}
