//! Packets: reading any bytes, and editing whatever could be read.
//!
//! Input: four bytes that choose the edits, then an IP packet.

use mailguard::wire::{Checksum, Editor, Packet, Parsed};

use super::input::Input;

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let [edits, at, length, keep] = [input.byte(), input.byte(), input.byte(), input.byte()];
    let bytes = input.rest();
    let Ok(Parsed::Tcp(packet)) = Packet::parse(bytes) else { return };
    let _ = (packet.verify(Checksum::Complete), packet.verify(Checksum::Unfinished));
    assert!(bytes.starts_with(packet.bytes()), "a packet is a prefix of what came");
    assert!(packet.bytes().ends_with(packet.payload()));
    assert!(packet.options().len() <= 40);

    let payload = packet.payload();
    let mut expected = payload.to_vec();
    let mut out = Vec::new();
    let mut editor = Editor::new(&packet, &mut out);
    if edits & 1 != 0 {
        editor.restrict_options();
    }
    if edits & 2 != 0 {
        editor.clear_urgent();
    }
    if edits & 4 != 0 {
        editor.clear_fin();
    }
    if edits & 8 != 0 {
        let length = usize::from(length).min(payload.len());
        editor.blank_payload(length);
        expected[..length].fill(b'X');
    }
    if edits & 16 != 0 {
        let at = usize::from(at).min(payload.len());
        let fill = vec![b'X'; usize::from(length).min(payload.len() - at)];
        editor.overwrite(at, &fill);
        expected[at..at + fill.len()].copy_from_slice(&fill);
    }
    if edits & 32 != 0 {
        editor.cut(usize::from(keep));
        expected.truncate(usize::from(keep));
    }
    if editor.finish() {
        check(&packet, edits, &out, &expected);
    } else {
        assert_eq!(payload, expected);
    }
}

/// What leaves is a whole packet with valid sums that differs only where it was edited.
fn check(before: &Packet<'_>, edits: u8, out: &[u8], payload: &[u8]) {
    let Ok(Parsed::Tcp(after)) = Packet::parse(out) else { panic!("unreadable: {out:x?}") };
    assert_eq!(after.bytes(), out, "nothing behind the packet");
    assert_eq!(after.payload(), payload);
    assert_eq!(after.options().len(), before.options().len());
    assert_eq!((after.source, after.destination), (before.source, before.destination));
    assert_eq!(
        (after.source_port, after.destination_port),
        (before.source_port, before.destination_port)
    );
    assert_eq!((after.seq, after.ack), (before.seq, before.ack));
    assert_eq!((after.flags.syn, after.flags.rst), (before.flags.syn, before.flags.rst));
    assert!(edits & 2 == 0 || !after.is_urgent);
    assert!(edits & 4 == 0 || !after.flags.fin);
    if before.verify(Checksum::Unfinished).is_ok() {
        assert_eq!(after.verify(Checksum::Complete), Ok(()), "{out:x?}");
    }
}
