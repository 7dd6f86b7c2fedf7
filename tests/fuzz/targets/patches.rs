//! The machine of the patches: what it says of a line does not depend on how the line was cut, and
//! no file of a patch that is read is more than it has room for.
//!
//! Input: one byte that chooses the verb, and the bytes of its argument; or 0xFF and the text of a
//! patch's file.

use std::sync::OnceLock;

use mailguard::patch::{Act, Catalogue, Line, Patch, Plan, State, Strike};
use mailguard::smtp::Verb;

const FILE: u8 = 0xff;

pub fn run(data: &[u8]) {
    let Some((&choice, bytes)) = data.split_first() else { return };
    if choice == FILE {
        return read_file(bytes);
    }
    static PLAN: OnceLock<Plan> = OnceLock::new();
    let plan = PLAN.get_or_init(|| {
        let catalogue = Catalogue::with(&[]).expect("the files are good");
        Plan::new(&catalogue, |_| State::On).expect("patches")
    });
    let verb = Verb::ALL[usize::from(choice) % Verb::ALL.len()];
    let whole = read(plan, verb, bytes, bytes.len().max(1));
    for size in [1, 2, 3, 7] {
        assert_eq!(read(plan, verb, bytes, size), whole, "in pieces of {size}");
    }
}

fn read_file(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Patch::parse("fuzz.toml", text) {
        Ok(patch) => {
            if let Ok(catalogue) = Catalogue::of(vec![patch]) {
                assert!(catalogue.size() < 8 << 20);
            }
        }
        Err(fault) => assert!(fault.to_string().starts_with("fuzz.toml:")),
    }
}

type Said = (Vec<(usize, Act)>, Vec<Strike>, Option<Act>, Line);

/// All that is said of a line that comes in pieces of this size.
fn read(plan: &Plan, verb: Verb, bytes: &[u8], size: usize) -> Said {
    let (mut line, mut strikes, mut acts) = (Line::default(), Vec::new(), Vec::new());
    line.begin_argument(Some(verb));
    let mut start = 0;
    for piece in bytes.chunks(size) {
        let mut at = 0;
        while let Some((used, act)) = plan.read(&mut line, &piece[at..], &mut strikes) {
            at += used;
            acts.push((start + at, act));
        }
        start += piece.len();
    }
    let end = plan.end(&line, &mut strikes);
    (acts, strikes, end, line)
}
