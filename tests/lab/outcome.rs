//! How a step in the lab can end: well, wrong, or because this machine lacks something.
//!
//! What is lacking (a kernel option, a tool, an unpacked program) skips a scenario on a developer's
//! machine and fails it where `CI=true`; what is wrong always fails it.

use std::fmt::{self, Display};
use std::io;

/// The result of a step.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// Why a step did not end well.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The machine cannot do it.
    Lacking(String),
    /// It was done and came out wrong.
    Wrong(String),
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lacking(what) => write!(f, "this machine lacks something: {what}"),
            Self::Wrong(what) => f.write_str(what),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Wrong(error.to_string())
    }
}

/// Adds what was being done to an error.
pub(crate) trait Because<T> {
    /// Says what was being done.
    fn because(self, what: impl Display) -> Outcome<T>;
}

impl<T, E: Into<Failure>> Because<T> for Result<T, E> {
    fn because(self, what: impl Display) -> Outcome<T> {
        self.map_err(|error| match error.into() {
            Failure::Lacking(why) => Failure::Lacking(format!("{what}: {why}")),
            Failure::Wrong(why) => Failure::Wrong(format!("{what}: {why}")),
        })
    }
}

impl<T> Because<T> for Option<T> {
    fn because(self, what: impl Display) -> Outcome<T> {
        self.ok_or_else(|| Failure::Wrong(what.to_string()))
    }
}

/// A [`Failure::Wrong`].
pub(crate) fn wrong<T>(what: impl Display) -> Outcome<T> {
    Err(Failure::Wrong(what.to_string()))
}

/// A [`Failure::Lacking`].
pub(crate) fn lacking<T>(what: impl Display) -> Outcome<T> {
    Err(Failure::Lacking(what.to_string()))
}

/// Fails with the given words unless the fact holds.
pub(crate) fn ensure(fact: bool, otherwise: impl FnOnce() -> String) -> Outcome {
    if fact { Ok(()) } else { Err(Failure::Wrong(otherwise())) }
}
