//! The module `mutants` of the changed tree: which change holds in this process, and which were
//! reached. `MUTANT` is the number of the change. Where `MUTANTS_REACHED` names a file, the number
//! of each change is appended to it once the place is reached where it would hold.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// What [`pick`] says where no change holds.
pub(crate) const NONE: u32 = u32::MAX;

/// Nobody has looked for `MUTANT` yet, or what is reached is written down.
const UNKNOWN: u32 = u32::MAX - 1;

static ACTIVE: AtomicU32 = AtomicU32::new(UNKNOWN);

type Reached = (File, Vec<AtomicBool>);

static REACHED: LazyLock<Option<Reached>> = LazyLock::new(|| {
    let path = std::env::var("MUTANTS_REACHED").ok()?;
    let file = OpenOptions::new().append(true).create(true).open(path).unwrap();
    Some((file, (0..1 << 16).map(|_| AtomicBool::new(false)).collect()))
});

/// The one of these changes that holds, or [`NONE`]. They stand in order.
#[inline(always)]
pub(crate) fn pick<const N: usize>(numbers: &'static [u32; N]) -> u32 {
    let active = ACTIVE.load(Ordering::Relaxed);
    if active == UNKNOWN || (numbers[0] <= active && active <= numbers[N - 1]) {
        find(numbers)
    } else {
        NONE
    }
}

#[cold]
fn find(numbers: &'static [u32]) -> u32 {
    if let Some((file, seen)) = &*REACHED {
        let mut file: &File = file;
        for number in numbers {
            let seen = &seen[*number as usize];
            if !seen.load(Ordering::Relaxed) && !seen.swap(true, Ordering::Relaxed) {
                file.write_all(&number.to_le_bytes()).unwrap();
            }
        }
        return NONE;
    }
    if ACTIVE.load(Ordering::Relaxed) == UNKNOWN {
        let active = std::env::var("MUTANT").map_or(NONE, |number| number.parse().unwrap());
        ACTIVE.store(active, Ordering::Relaxed);
    }
    let active = ACTIVE.load(Ordering::Relaxed);
    if numbers.contains(&active) { active } else { NONE }
}

/// One of two iterators, for a function that returns `impl Iterator`.
pub(crate) enum Either<A, B> {
    Left(A),
    Right(B),
}

impl<A: Iterator, B: Iterator<Item = A::Item>> Iterator for Either<A, B> {
    type Item = A::Item;

    fn next(&mut self) -> Option<A::Item> {
        match self {
            Self::Left(left) => left.next(),
            Self::Right(right) => right.next(),
        }
    }
}
