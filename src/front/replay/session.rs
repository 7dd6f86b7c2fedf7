//! A capture going through the engine, record by record; no files, no clock.
//!
//! The time is the records' own and never goes back, the engine's seed is fixed: a capture gives
//! the same verdicts and the same bytes everywhere.

use std::io::Read;

use crate::engine::{Engine, Gaps, Settings};
use crate::front::capture::{Entry, Fault, Reader};

use super::gateway::Gateway;
use super::offload::Checksums;
use super::step::Step;
use super::summary::Summary;

/// The engine's seed in every replay.
const SEED: u64 = 0;

/// A replay under way.
#[derive(Debug)]
pub struct Session<R> {
    reader: Reader<R>,
    gateway: Gateway<Engine>,
    idle_seconds: u64,
}

impl<R: Read> Session<R> {
    /// A replay of a capture that has not been read yet.
    #[must_use]
    pub fn new(source: R, settings: Settings, checksums: Checksums) -> Self {
        let ports = settings.ports.clone();
        let is_monitored = settings.monitor;
        let idle_seconds = settings.limits.idle_seconds;
        // What a capture lacks was received all the same.
        let engine = Engine::new(Settings { gaps: Gaps::Skip, ..settings }, SEED);
        let gateway = Gateway::new(engine, ports, checksums, is_monitored);
        Self { reader: Reader::new(source), gateway, idle_seconds }
    }

    /// Goes one record further; false at the end.
    ///
    /// # Errors
    /// The capture cannot be read on.
    pub fn step(&mut self, step: &mut Step) -> Result<bool, Fault> {
        step.written.clear();
        step.fates.clear();
        step.left.clear();
        step.resets.clear();
        step.records.clear();
        match self.reader.read()? {
            None => return Ok(false),
            Some(Entry::Other(bytes)) => step.written.extend_from_slice(bytes),
            Some(Entry::Section(bytes)) => self.gateway.begin_section(bytes, step),
            Some(Entry::Packet(packet)) => self.gateway.receive(&packet, step),
        }
        Ok(true)
    }

    /// Byte offset of the record read last.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.reader.offset()
    }

    /// The counters so far.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let mut summary = self.gateway.summary();
        summary.engine = self.gateway.judge().stats();
        summary.idle_seconds = self.idle_seconds;
        summary.is_cut = self.reader.is_cut();
        summary
    }
}
