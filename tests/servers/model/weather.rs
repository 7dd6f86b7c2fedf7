//! What a network does to packets, and how an end cuts what it says.

use std::collections::VecDeque;

use super::choice::Choice;
use super::wire::MSS;

/// Largest payload of a super-packet.
const SUPER_MAX: usize = 60_000;

/// Small pieces that a text is cut into, more or less.
const PIECES: usize = 60;

/// How an end cuts what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// As super-packets.
    Super,
    /// As segments.
    Mss,
    /// Up to so many bytes.
    Small(usize),
    /// Any of these.
    Mixed,
}

/// A network; all zero: the weather is calm.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// Of 64 packets, on each of the two networks.
    pub loss: usize,
    pub repetition: usize,
    pub disorder: usize,
    pub cut: Cut,
    /// One step in so many is put off; 0: none.
    pub idling: usize,
    /// Each segment is acknowledged when it comes, and not when all have come.
    pub acks_at_once: bool,
}

impl Weather {
    pub fn choose(choice: &mut Choice<'_>) -> Self {
        let cut = match choice.below(6) {
            0 => Cut::Mss,
            1 => Cut::Super,
            2 => Cut::Small(1 + choice.below(4)),
            3 => Cut::Small(1 + choice.below(100)),
            _ => Cut::Mixed,
        };
        let mut weather = Self::calm(cut);
        if choice.one_in(2) {
            weather.idling = 2 + choice.below(6);
            weather.acks_at_once = choice.one_in(2);
        }
        if choice.one_in(4) {
            weather.loss = choice.below(9);
            weather.repetition = choice.below(9);
            weather.disorder = choice.below(17);
        }
        weather
    }

    pub const fn calm(cut: Cut) -> Self {
        Self { loss: 0, repetition: 0, disorder: 0, cut, idling: 0, acks_at_once: false }
    }

    /// After some rounds in vain the network does no more harm.
    pub const fn clear_up(&mut self) {
        (self.loss, self.repetition, self.disorder) = (0, 0, 0);
        self.cut = Cut::Mss;
    }

    /// Whether a step is put off.
    pub fn idles(&self, choice: &mut Choice<'_>) -> bool {
        self.idling > 0 && choice.one_in(self.idling)
    }

    /// How many copies of a packet arrive.
    pub fn copies(&self, choice: &mut Choice<'_>) -> usize {
        let is_calm = self.loss == 0 && self.repetition == 0;
        if is_calm {
            return 1;
        }
        let fate = 63 - choice.below(64);
        if fate < self.loss { 0 } else { 1 + usize::from(fate < self.loss + self.repetition) }
    }

    /// The next packet out of those under way.
    pub fn take<T>(&self, queue: &mut VecDeque<T>, choice: &mut Choice<'_>) -> Option<T> {
        let is_odd = self.disorder > 0 && 63 - choice.below(64) < self.disorder;
        let index = if is_odd && queue.len() > 1 { choice.below(queue.len()) } else { 0 };
        queue.remove(index)
    }

    /// How much a segment carries, out of a text of this length.
    pub fn segment_size(&self, text: usize, choice: &mut Choice<'_>) -> usize {
        // Long texts in single bytes take long and show nothing new.
        let least = 1 + text / PIECES;
        let mixed = [Cut::Mss, Cut::Super, Cut::Small(8), Cut::Small(60), Cut::Small(1)];
        let cut = if self.cut == Cut::Mixed { choice.pick(&mixed) } else { self.cut };
        match cut {
            Cut::Super => SUPER_MAX,
            Cut::Mss | Cut::Mixed => MSS,
            Cut::Small(most) => (least + choice.below(most)).min(MSS),
        }
    }
}
