//! Reading an image: all of it, or nothing.

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::super::conversation::ConversationState;
use super::super::policy::Terms;
use super::super::servers::Entry;
use super::super::{Effects, Engine, Settings};
use super::before::{FlowBefore, FlowWithoutPresence, TermsBefore};
use super::counts::Counts;
use super::{
    COMPLETE, FORMAT, FORMAT_MIN, FlowState, HASH, HEAD, LAST_WITH_WATCH_BEFORE,
    LAST_WITHOUT_CATALOGUE, LAST_WITHOUT_PRESENCE, LAST_WITHOUT_SINCE, MAGIC, Preamble, TermsState,
    hash,
};
use crate::flow::{FlowKey, Handshake, HashedKey, Newcomer};
use crate::guard::{self, Watch, WatchBefore};
use crate::patch::Catalogue;
use crate::time::Instant;

/// An image that is whole.
#[derive(Debug)]
pub struct Image<'a> {
    format: u32,
    preamble: Preamble,
    records: Records<'a>,
}

/// Why bytes are no image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// Nothing was written, or not to its end.
    Incomplete,
    /// A format that is not read here.
    Format(u32),
    /// A byte of it differs from what was written.
    Damaged,
}

/// What came of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Flows that go on.
    pub flows: u64,
    /// Handshakes that go on.
    pub handshakes: u64,
    /// Records that could not be read: their flows are unknown.
    pub undecodable: u64,
}

/// Records yet to be read.
#[derive(Clone, Copy, Debug)]
struct Records<'a>(&'a [u8]);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Incomplete => f.write_str("it is not complete"),
            Self::Format(format) => {
                write!(f, "its format is {format}, expected {FORMAT_MIN} to {FORMAT}")
            }
            Self::Damaged => f.write_str("it is damaged"),
        }
    }
}

impl<'a> Image<'a> {
    /// Looks at an image.
    ///
    /// # Errors
    /// It is not one that was written to its end, in a format that is known, and not changed since.
    pub fn open(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        let (head, rest) = bytes.split_at_checked(HEAD).ok_or(Unreadable::Incomplete)?;
        let (magic, numbers) = head.split_at(MAGIC.len());
        let (format, length) = numbers.split_at(4);
        let length = u64::from_le_bytes(length.try_into().unwrap_or_default());
        let format = u32::from_le_bytes(format.try_into().unwrap_or_default());
        let is_whole = rest.len() as u64 == length.saturating_add((HASH + COMPLETE.len()) as u64);
        if magic != MAGIC || !is_whole || !bytes.ends_with(&COMPLETE) {
            return Err(Unreadable::Incomplete);
        }
        let hashed = bytes.len() - HASH - COMPLETE.len();
        let (content, tail) = bytes.split_at(hashed);
        if tail.get(..HASH) != Some(&hash(content)) {
            return Err(Unreadable::Damaged);
        }
        if !(FORMAT_MIN..=FORMAT).contains(&format) {
            return Err(Unreadable::Format(format));
        }
        let mut records = Records(content.get(HEAD..).unwrap_or_default());
        let preamble = if format > LAST_WITHOUT_CATALOGUE {
            records.next::<Preamble>().flatten()
        } else {
            records.next::<Preamble<TermsBefore>>().flatten().map(Preamble::from)
        };
        let preamble = preamble.ok_or(Unreadable::Damaged)?;
        Ok(Self { format, preamble, records })
    }

    /// The engine's time when it was written.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.preamble.now
    }

    /// What the front said of its own clock at that time.
    #[must_use]
    pub const fn clock(&self) -> u64 {
        self.preamble.clock
    }

    /// The version of the program that wrote it.
    #[must_use]
    pub fn program(&self) -> &str {
        &self.preamble.program
    }
}

impl Engine {
    /// An engine with these settings that goes on where another stopped. Flows keep what they are
    /// judged by; those that have no room any more are reset.
    #[must_use]
    pub fn restored(
        settings: Settings,
        image: &Image<'_>,
        now: Instant,
        effects: &mut Effects,
    ) -> (Self, Restored) {
        effects.clear();
        let catalogue = settings.guard.patches.catalogue.clone();
        let engine = Self::new(settings, image.preamble.seed);
        engine.flows.count_from(image.preamble.last_flow);
        let terms = image.preamble.terms.iter().map(|terms| terms.restore(&catalogue));
        let terms: Vec<_> = terms.collect();
        let (mut records, mut restored) = (image.records, Restored::default());
        for _ in 0..image.preamble.handshakes {
            match records.next::<Handshake>().flatten() {
                Some(handshake) => {
                    let key = HashedKey::new(handshake.key, &engine.keyed);
                    engine.handshakes.put(&key, &handshake);
                    restored.handshakes += 1;
                }
                None => restored.undecodable += 1,
            }
        }
        for _ in 0..image.preamble.flows {
            let take_in = match image.format {
                format if format <= LAST_WITH_WATCH_BEFORE => {
                    Self::take_in::<FlowBefore<_>, WatchBefore>
                }
                format if format <= LAST_WITHOUT_SINCE => Self::take_in::<FlowBefore<_>, Watch>,
                format if format <= LAST_WITHOUT_PRESENCE => {
                    Self::take_in::<FlowWithoutPresence<_>, Watch>
                }
                _ => Self::take_in::<FlowState<_>, Watch>,
            };
            let is_known = take_in(&engine, &mut records, &terms, now, effects);
            let counter = if is_known { &mut restored.flows } else { &mut restored.undecodable };
            *counter += 1;
        }
        engine.tally(effects);
        restored.undecodable += engine.count_on(&mut records, image.format);
        (engine, restored)
    }

    /// Goes on with what was counted, with the memory of servers, and with what is known of lost
    /// handshakes. A diary has none of it, and an image of before lacks the last. How many records
    /// could not be read.
    fn count_on(&self, records: &mut Records<'_>, format: u32) -> u64 {
        let (counts, servers) = (records.next::<Counts>(), records.next::<Vec<Entry>>());
        let undecodable = u64::from(matches!(counts, Some(None)));
        if let (Some(Some(counts)), Some(tally)) = (counts, self.tallies.first()) {
            tally.take(&mut counts.into_counted(format));
        }
        let evicted = records.next::<Option<u32>>();
        let undecodable = undecodable
            + u64::from(matches!(servers, Some(None)))
            + u64::from(matches!(evicted, Some(None)));
        if let Some(servers) = servers.flatten() {
            self.servers.restore(servers);
        }
        if let Some(seconds) = evicted.flatten().flatten() {
            self.handshakes.note_evicted(seconds);
        }
        undecodable
    }

    /// Goes on with the flow of the next record. `F` is what its format has for [`FlowState`], and
    /// `W` for [`Watch`].
    fn take_in<F, W>(
        &self,
        records: &mut Records<'_>,
        terms: &[Option<(Arc<Terms>, bool)>],
        now: Instant,
        effects: &mut Effects,
    ) -> bool
    where
        F: DeserializeOwned + Into<FlowState<ConversationState<W>>>,
        W: Into<Watch>,
    {
        let Some(flow) = records.next::<F>().flatten() else { return false };
        let flow = flow.into();
        let FlowState { id, ends, since, seen, .. } = flow;
        let place = usize::try_from(flow.terms).unwrap_or(usize::MAX);
        let Some(Some((terms, has_same_patches))) = terms.get(place) else { return false };
        let mut conversation = flow.conversation.restore(terms, flow.presence, &self.memory);
        if !has_same_patches {
            conversation.watch.change_catalogue();
        }
        let due = conversation.deadline(seen, &self.limits);
        let (held, is_over) = (conversation.held(), conversation.is_over());
        // A diary does not know of all flows that came after its beginning.
        self.flows.count_from(self.flows.last_id().max(id));
        let key = HashedKey::new(FlowKey::of(ends.originator, ends.responder), &self.keyed);
        let is_originator_low = key.plain().is_low(ends.originator);
        let newcomer = Newcomer { key, is_originator_low, since, seen, due };
        let inserted = self.flows.restore(id, newcomer, conversation);
        inserted.flow.hold(held);
        inserted.flow.set_over(is_over);
        self.displace(&inserted.displaced, now, effects);
        true
    }
}

impl<'a> Records<'a> {
    /// The next record, none behind the last; inside, none where it cannot be read.
    fn next<T: DeserializeOwned>(&mut self) -> Option<Option<T>> {
        let (length, rest) = self.0.split_first_chunk()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let (record, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(postcard::from_bytes(record).ok())
    }
}

impl TermsState {
    /// None where the settings are not ours any more. The patches themselves are those of today;
    /// beside, whether they are those of before.
    fn restore(&self, catalogue: &Catalogue) -> Option<(Arc<Terms>, bool)> {
        let mut settings = guard::Settings::preset(guard::Profile::Mailguard);
        self.settings.iter().try_for_each(|(key, value)| settings.set(key, value)).ok()?;
        settings.patches.catalogue = catalogue.clone();
        let terms = Terms::new(settings, self.mode, self.chatter);
        Some((Arc::new(terms), self.catalogue == catalogue.fingerprint()))
    }
}
