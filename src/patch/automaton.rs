//! All texts as one automaton (Aho and Corasick, 1975), written out as a table: a byte costs one
//! look into it, whatever is looked for and whatever comes.

use std::collections::{BTreeMap, VecDeque};

/// A value for each byte.
#[derive(Clone, Debug, Hash)]
pub(super) struct ByByte([u8; 256]);

impl ByByte {
    /// The value of one.
    #[inline]
    pub(super) fn of(&self, byte: u8) -> u8 {
        self.0.get(usize::from(byte)).copied().unwrap_or_default()
    }

    /// The same, to be changed.
    pub(super) fn of_mut(&mut self, byte: u8) -> Option<&mut u8> {
        self.0.get_mut(usize::from(byte))
    }
}

impl Default for ByByte {
    fn default() -> Self {
        Self([0; 256])
    }
}

/// The automaton. States are numbers; 0 is where nothing has been read.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Automaton {
    /// Bytes that no text tells apart are one column.
    column: ByByte,
    columns: usize,
    /// The next state, by state and column, with its [`Marks`].
    next: Vec<u16>,
    /// By state: where in `found` its texts stand.
    spans: Vec<(u16, u16)>,
    /// Texts that end at a state: number and length.
    found: Vec<(u16, u16)>,
}

/// States there may be: all built in take some 500.
const STATES_MAX: u16 = 16_384;

/// What stands beside a state's number.
const MARKS: u16 = !(STATES_MAX - 1);

/// States that bytes are not to be passed over to without a look, of one sort or the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marks(u16);

impl Marks {
    pub(super) const ORDINARY: Self = Self(1 << 15);
    pub(super) const OTHER: Self = Self(1 << 14);
    pub(super) const BOTH: Self = Self(MARKS);
}

/// A tree of texts as it grows.
#[derive(Default)]
struct Node {
    next: BTreeMap<u8, usize>,
    /// Texts that end here.
    found: Vec<(u16, u16)>,
    fallback: usize,
}

impl Automaton {
    /// The automaton for these texts, each with its number; none if they are too many. Letters
    /// match in any case.
    pub(super) fn new(texts: &[(u16, Vec<u8>)]) -> Option<Self> {
        let mut nodes = vec![Node::default()];
        for (number, text) in texts {
            let mut at = 0;
            for byte in text.iter().map(u8::to_ascii_lowercase) {
                let fresh = nodes.len();
                let next = *nodes.get_mut(at)?.next.entry(byte).or_insert(fresh);
                if next == fresh {
                    nodes.push(Node::default());
                }
                at = next;
            }
            nodes.get_mut(at)?.found.push((*number, u16::try_from(text.len()).ok()?));
        }
        if nodes.len() > usize::from(STATES_MAX) {
            return None;
        }
        Self::from_tree(nodes)
    }

    fn from_tree(mut nodes: Vec<Node>) -> Option<Self> {
        let mut known: Vec<u8> = nodes.iter().flat_map(|node| node.next.keys().copied()).collect();
        known.sort_unstable();
        known.dedup();
        // Column 0 is every byte that stands in no text; texts of all 256 bytes leave it no room.
        let columns = known.len() + 1;
        let column_of = |byte: u8| {
            let at = known.binary_search(&byte.to_ascii_lowercase()).map_or(0, |at| at + 1);
            u8::try_from(at).ok()
        };
        let mut column = ByByte::default();
        for byte in 0..=u8::MAX {
            *column.of_mut(byte)? = column_of(byte)?;
        }
        let mut next = vec![0_u16; nodes.len() * columns];
        let mut queue = VecDeque::from([0]);
        while let Some(at) = queue.pop_front() {
            let fallback = nodes.get(at)?.fallback;
            let inherited = nodes.get(fallback)?.found.clone();
            if at != fallback {
                nodes.get_mut(at)?.found.extend(inherited);
            }
            for (index, byte) in known.iter().enumerate() {
                let otherwise = next.get(fallback * columns + index + 1).copied().unwrap_or(0);
                // The root's own row falls back to the root.
                let otherwise = if at == 0 { 0 } else { otherwise };
                let to = match nodes.get(at)?.next.get(byte).copied() {
                    Some(child) => {
                        nodes.get_mut(child)?.fallback = otherwise.into();
                        queue.push_back(child);
                        u16::try_from(child).ok()?
                    }
                    None => otherwise,
                };
                *next.get_mut(at * columns + index + 1)? = to;
            }
        }
        let (mut spans, mut found) = (Vec::new(), Vec::new());
        for node in nodes {
            let start = u16::try_from(found.len()).ok()?;
            found.extend(node.found);
            spans.push((start, u16::try_from(found.len()).ok()?));
        }
        Some(Self { column, columns, next, spans, found })
    }

    /// Marks states.
    pub(super) fn mark(&mut self, marks: Marks, is_marked: impl Fn(u16) -> bool) {
        let marked = self.next.iter_mut().filter(|next| is_marked(**next & !MARKS));
        marked.for_each(|next| *next |= marks.0);
    }

    /// The state behind this byte.
    #[inline]
    pub(super) fn step(&self, state: u16, byte: u8) -> u16 {
        self.next(state, byte) & !MARKS
    }

    /// The same, with its marks.
    #[inline]
    fn next(&self, state: u16, byte: u8) -> u16 {
        let at = usize::from(state) * self.columns + usize::from(self.column.of(byte));
        self.next.get(at).copied().unwrap_or(0)
    }

    /// How many bytes lead to states without such marks, or with them that are none of these; and
    /// to which the last of them led.
    #[inline]
    pub(super) fn pass(
        &self,
        mut state: u16,
        bytes: &[u8],
        Marks(marks): Marks,
        is_stop: impl Fn(u16) -> bool,
    ) -> (usize, u16) {
        let mut used = 0;
        let (fours, _) = bytes.as_chunks();
        for &[a, b, c, d] in fours {
            let first = self.next(state, a);
            let second = self.next(first & !MARKS, b);
            let third = self.next(second & !MARKS, c);
            let last = self.next(third & !MARKS, d);
            if (first | second | third | last) & marks != 0 {
                break;
            }
            (state, used) = (last & !MARKS, used + 4);
        }
        for &byte in bytes.get(used..).unwrap_or_default() {
            let next = self.step(state, byte);
            if is_stop(next) {
                break;
            }
            (state, used) = (next, used + 1);
        }
        (used, state)
    }

    /// How many states there are.
    pub(super) fn states(&self) -> u16 {
        u16::try_from(self.spans.len()).unwrap_or(u16::MAX)
    }

    /// The texts that end at a state: number and length.
    pub(super) fn found(&self, state: u16) -> &[(u16, u16)] {
        let Some(&(start, end)) = self.spans.get(usize::from(state)) else { return &[] };
        self.found.get(start.into()..end.into()).unwrap_or_default()
    }

    /// Bytes of its tables.
    pub(super) fn size(&self) -> usize {
        self.column.0.len() + 2 * self.next.len() + 4 * (self.spans.len() + self.found.len())
    }
}
