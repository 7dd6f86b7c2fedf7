//! What the server has yet to answer, oldest first.
//!
//! Most flows await one reply or none at any time, and there are many of them: only what a client
//! has pipelined behind its oldest command needs memory of its own.

use std::collections::VecDeque;

use super::Answers;

/// The queue. `rest` is not empty where it is there, and not there without an `oldest`.
#[derive(Debug, Default)]
#[expect(clippy::box_collection, reason = "one pointer where there is none, instead of four")]
pub(super) struct Outstanding {
    oldest: Option<Answers>,
    rest: Option<Box<VecDeque<Answers>>>,
}

impl Outstanding {
    pub(super) fn len(&self) -> usize {
        usize::from(self.oldest.is_some()) + self.rest.as_ref().map_or(0, |rest| rest.len())
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.oldest.is_none()
    }

    /// One more is asked.
    pub(super) fn push(&mut self, answers: Answers) {
        if self.oldest.is_none() {
            self.oldest = Some(answers);
        } else {
            self.rest.get_or_insert_default().push_back(answers);
        }
    }

    /// What the next reply answers.
    pub(super) const fn oldest(&self) -> Option<Answers> {
        self.oldest
    }

    /// What the replies behind the next one answer.
    pub(super) fn later(&self) -> impl Iterator<Item = Answers> {
        self.rest.iter().flat_map(|rest| rest.iter().copied())
    }

    /// The oldest is answered.
    pub(super) fn pop(&mut self) -> Option<Answers> {
        let next = self.rest.as_mut().and_then(|rest| rest.pop_front());
        if self.rest.as_ref().is_some_and(|rest| rest.is_empty()) {
            self.rest = None;
        }
        std::mem::replace(&mut self.oldest, next)
    }

    /// Drops what stands before the oldest of this kind; false, and nothing dropped, if there is
    /// none.
    pub(super) fn skip_to(&mut self, wanted: Answers) -> bool {
        let is_there = self
            .oldest
            .iter()
            .chain(self.rest.iter().flat_map(|rest| rest.iter()))
            .any(|&a| a == wanted);
        while is_there && self.oldest != Some(wanted) {
            self.pop();
        }
        is_there
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
