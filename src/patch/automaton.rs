//! All texts as one automaton (Aho and Corasick, 1975), written out as a table: a byte costs one
//! look into it, whatever is looked for and whatever comes.

use std::collections::{BTreeMap, VecDeque};

use super::by_byte::ByByte;

/// The automaton. States are numbers; 0 is where nothing has been read.
///
/// States at which more ends have higher numbers. So the table's first rows are those of the states
/// that may be passed over, and whoever leaves them finds no row there: no byte costs more than one
/// look that says both.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Automaton {
    /// Bytes that no text tells apart are one column.
    column: ByByte,
    /// A row has so many columns, as a power of two.
    width: u32,
    /// Where the next state's row begins, by row and column.
    next: Vec<u32>,
    /// Where the rows end of states at which nothing ends, and of those where no more does than
    /// what has to stand first.
    ends: [usize; 2],
    /// By state: where in `found` its texts stand.
    spans: Vec<(u16, u16)>,
    /// Texts that end at a state: number and length.
    found: Vec<(u16, u16)>,
}

/// States there may be: all built in take some 500.
const STATES_MAX: u16 = 16_384;

/// What ends at a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ends {
    /// Nothing.
    Nothing,
    /// What has to stand first.
    Firsts,
    /// Other texts too.
    Others,
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
    /// match in any case. `ends` says of the texts that end at a state what they are.
    pub(super) fn new(
        texts: &[(u16, Vec<u8>)],
        ends: impl Fn(&[(u16, u16)]) -> Ends,
    ) -> Option<Self> {
        let likes = likes(texts);
        let mut nodes = vec![Node::default()];
        for (number, text) in texts {
            if let [byte] = **text
                && likes.of(byte) != byte.to_ascii_lowercase()
            {
                continue;
            }
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
        Self::from_tree(nodes, &likes, ends)
    }

    fn from_tree(
        mut nodes: Vec<Node>,
        likes: &ByByte,
        ends: impl Fn(&[(u16, u16)]) -> Ends,
    ) -> Option<Self> {
        let mut known: Vec<u8> = nodes.iter().flat_map(|node| node.next.keys().copied()).collect();
        known.sort_unstable();
        known.dedup();
        // Column 0 is every byte that stands in no text; texts of all 256 bytes leave it no room.
        let columns = known.len() + 1;
        let column_of = |byte: u8| {
            let at = known.binary_search(&likes.of(byte)).map_or(0, |at| at + 1);
            u8::try_from(at).ok()
        };
        let mut column = ByByte::default();
        for byte in 0..=u8::MAX {
            *column.of_mut(byte)? = column_of(byte)?;
        }
        let mut next = vec![0; nodes.len() * columns];
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
                        nodes.get_mut(child)?.fallback = otherwise;
                        queue.push_back(child);
                        child
                    }
                    None => otherwise,
                };
                *next.get_mut(at * columns + index + 1)? = to;
            }
        }
        let mut order: Vec<usize> = (0..nodes.len()).collect();
        let ends_at = |node: usize| nodes.get(node).map(|node| ends(&node.found));
        // The root stays the first.
        order.sort_by_key(|node| (*node > 0, ends_at(*node)));
        let mut row_of = vec![0; order.len()];
        let width = columns.next_power_of_two().trailing_zeros();
        let mut table = vec![0; order.len() << width];
        for (state, node) in order.iter().enumerate() {
            *row_of.get_mut(*node)? = u32::try_from(state << width).ok()?;
        }
        let mut sorted = Self { column, width, ..Self::default() };
        for (state, node) in order.iter().enumerate() {
            let row = table.iter_mut().skip(state << width);
            for (to, node) in row.zip(next.iter().skip(node * columns).take(columns)) {
                *to = *row_of.get(*node)?;
            }
            let start = u16::try_from(sorted.found.len()).ok()?;
            sorted.found.extend_from_slice(&nodes.get(*node)?.found);
            sorted.spans.push((start, u16::try_from(sorted.found.len()).ok()?));
        }
        sorted.ends = [Ends::Nothing, Ends::Firsts].map(|most| {
            let states = order.iter().take_while(|node| ends_at(**node) <= Some(most));
            states.count() << width
        });
        Some(Self { next: table, ..sorted })
    }

    /// The state behind this byte.
    #[inline]
    pub(super) fn step(&self, state: u16, byte: u8) -> u16 {
        self.state(self.next(self.row(state), byte))
    }

    #[inline]
    fn next(&self, row: usize, byte: u8) -> usize {
        let next = self.next.get(row + usize::from(self.column.of(byte)));
        next.map_or(0, |next| *next as usize)
    }

    #[inline]
    fn row(&self, state: u16) -> usize {
        usize::from(state) << self.width
    }

    #[inline]
    fn state(&self, row: usize) -> u16 {
        u16::try_from(row >> self.width).unwrap_or(0)
    }

    /// How many bytes lead to states at which no more ends than `most`, or something that is no
    /// stop; and to which the last of them led.
    #[inline]
    pub(super) fn pass(
        &self,
        state: u16,
        bytes: &[u8],
        most: Ends,
        is_stop: impl Fn(u16) -> bool,
    ) -> (usize, u16) {
        let end = match most {
            Ends::Nothing => self.ends[0],
            Ends::Firsts => self.ends[1],
            Ends::Others => self.next.len(),
        };
        let rows = self.next.get(..end).unwrap_or_default();
        let look = |row: usize, byte: u8| {
            let next = rows.get(row + usize::from(self.column.of(byte)));
            next.map(|next| *next as usize)
        };
        let through = |row: usize, &[a, b, c, d, e, f, g, h]: &[u8; 8]| {
            let row = look(look(look(look(row, a)?, b)?, c)?, d)?;
            look(look(look(look(row, e)?, f)?, g)?, h).filter(|row| *row < end)
        };
        let (mut row, mut used) = (self.row(state), 0);
        loop {
            let rest = bytes.get(used..).unwrap_or_default();
            let (eights, _) = rest.as_chunks();
            for eight in eights {
                let Some(next) = through(row, eight) else { break };
                (row, used) = (next, used + 8);
            }
            // What is no stop here may be one elsewhere.
            let rest = bytes.get(used..).unwrap_or_default();
            if rest.is_empty() {
                return (used, self.state(row));
            }
            for &byte in rest.iter().take(8) {
                let next = self.next(row, byte);
                if next >= end && is_stop(self.state(next)) {
                    return (used, self.state(row));
                }
                (row, used) = (next, used + 1);
            }
        }
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
        size_of_val(&self.column) + 4 * (self.next.len() + self.spans.len() + self.found.len())
    }
}

/// By byte: the first of those that no text tells from it. Many a rule looks for half of all bytes,
/// which makes one column of them, and one state.
fn likes(texts: &[(u16, Vec<u8>)]) -> ByByte {
    let of = |byte: u8| {
        let is_it = |own: &u8| own.eq_ignore_ascii_case(&byte);
        let is_in_longer = texts.iter().any(|(_, text)| text.len() > 1 && text.iter().any(is_it));
        let alone = texts.iter().filter(|(_, text)| text.len() == 1 && text.iter().any(is_it));
        (is_in_longer, alone.map(|(number, _)| *number).collect::<Vec<_>>())
    };
    let mut seen = BTreeMap::new();
    let mut likes = ByByte::default();
    for byte in 0..=u8::MAX {
        let own = byte.to_ascii_lowercase();
        let (is_in_longer, alone) = of(own);
        let like = if is_in_longer { own } else { *seen.entry(alone).or_insert(own) };
        likes.of_mut(byte).into_iter().for_each(|entry| *entry = like);
    }
    likes
}
