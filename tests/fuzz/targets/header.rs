//! The reader of headers: what patches see in one does not depend on how it was cut, and is what a
//! reader sees that unfolds whole fields first and searches them byte by byte.
//!
//! Input: a header as it comes to the receiver, lines ended by LF. A `#` is the opening of the text
//! that the next byte chooses, so that inputs come near the rules.

use std::sync::OnceLock;

use mailguard::patch::{Catalogue, Header, Plan, Sign, State, Strike, Zone};

const OPENINGS: [&[u8]; 8] = [
    b"() {",
    b"${jndi:",
    b"<><><><><><><><>",
    b"charset=\"\"",
    b"service status change:",
    b"\nMessage-ID:",
    b"\nDKIM-Signature:",
    b"\nContent-Type:",
];

pub fn run(data: &[u8]) {
    let mut text = Vec::new();
    let mut bytes = data.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'#' => {
                let choice = usize::from(*bytes.next().unwrap_or(&0)) % OPENINGS.len();
                text.extend(OPENINGS[choice]);
            }
            b'\r' => {}
            _ => text.push(byte),
        }
    }
    // A header ends at its first empty line.
    let end = text.windows(2).position(|pair| pair == b"\n\n").unwrap_or(text.len());
    text.truncate(end);
    if text.first().is_none_or(|first| *first == b'\n') {
        return;
    }
    static PLAN: OnceLock<(Catalogue, Plan)> = OnceLock::new();
    let (catalogue, plan) = PLAN.get_or_init(|| {
        let catalogue = Catalogue::with(&[]).expect("the files are good");
        let plan = Plan::new(&catalogue, |_| State::Log).expect("patches");
        (catalogue, plan)
    });
    let found = read(plan, &text, text.len().max(1));
    for size in [1, 2, 3, 7, 20] {
        assert_eq!(read(plan, &text, size), found, "in pieces of {size}");
    }
    let mut ids: Vec<String> =
        found.iter().filter_map(|strike| plan.name(*strike)).map(|id| id.to_string()).collect();
    let mut expected = simple(catalogue, &text);
    ids.sort();
    expected.sort();
    assert_eq!(ids, expected);
}

/// What strikes in a header that comes in pieces of this size.
fn read(plan: &Plan, text: &[u8], size: usize) -> Vec<Strike> {
    let (mut header, mut strikes) = (Header::default(), Vec::new());
    for piece in text.chunks(size) {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            let line = part.strip_suffix(b"\n");
            let more = line.unwrap_or(part);
            if !more.is_empty() {
                plan.read_header(&mut header, more, &mut strikes);
            }
            if line.is_some() {
                header.end_line();
            }
        }
    }
    strikes
}

/// The same by whole fields: the patches that strike.
fn simple(catalogue: &Catalogue, text: &[u8]) -> Vec<String> {
    let mut fields: Vec<Vec<u8>> = Vec::new();
    for line in text.split(|byte| *byte == b'\n') {
        match (line.first(), fields.last_mut()) {
            (Some(b' ' | b'\t'), Some(field)) => {
                // Its colon may stand behind the fold: all of that is read as the value.
                if !b" \t".contains(&field[0]) && !field.contains(&b':') {
                    field.push(b':');
                }
                field.extend(line);
            }
            _ => fields.push(line.to_vec()),
        }
    }
    fields.iter().flat_map(|field| in_field(catalogue, field)).collect()
}

fn in_field(catalogue: &Catalogue, field: &[u8]) -> Vec<String> {
    let is_folded = matches!(field.first(), Some(b' ' | b'\t'));
    let colon = field.iter().position(|byte| *byte == b':');
    let (name, value) = match colon {
        _ if is_folded => (Vec::new(), field),
        Some(colon) => (field[..colon].to_ascii_lowercase(), &field[colon + 1..]),
        None => return Vec::new(),
    };
    let name: Vec<u8> = name.into_iter().filter(|byte| !b" \t".contains(byte)).collect();
    let value = value.to_ascii_lowercase();
    let mut struck = Vec::new();
    for patch in catalogue.patches() {
        for rule in &patch.rules {
            let is_here = rule.zones.iter().any(|zone| {
                let Zone::Header(own) = zone else { return false };
                own.is_none_or(|field| field.name().as_bytes() == name)
            });
            let Sign::Texts(texts) = &rule.sign else { continue };
            let count: usize = texts
                .iter()
                .map(|sign| {
                    let sign = sign.to_ascii_lowercase();
                    value.windows(sign.len()).filter(|window| *window == sign).count()
                })
                .sum();
            let times = match usize::from(rule.nth) {
                0 | 1 => count,
                nth => usize::from(count >= nth),
            };
            if is_here {
                struck.extend(std::iter::repeat_n(patch.id.to_string(), times));
            }
        }
    }
    struck
}
