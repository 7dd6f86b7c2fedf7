//! `mailguard check`: to follow.

use super::{FrontError, Outcome};
use crate::config::Config;

/// Examines the machine.
///
/// # Errors
/// None yet.
pub fn run(_config: &Config) -> Result<Outcome, FrontError> {
    Ok(Outcome::Done)
}
