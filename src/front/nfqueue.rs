//! `mailguard run`: to follow.

use super::FrontError;
use crate::config::Config;

/// Filters.
///
/// # Errors
/// None yet.
pub fn run(_config: &Config) -> Result<(), FrontError> {
    Err(FrontError::new("run is to be written"))
}
