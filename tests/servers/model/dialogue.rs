//! One dialogue from the handshake to the end: who is drawn, and who moves when.

use mailguard::engine::Settings;
use mailguard::guard;

use super::adversary::Adversary;
use super::choice::Choice;
use super::end::{CLIENT, End, SERVER};
use super::honest::Honest;
use super::server::{Mode, Server};
use super::trace::{Trace, shown};
use super::variant::{Breach, Variant};
use super::weather::Weather;
use super::wire::Wire;
use crate::support::rig;

/// Rounds of repetition without progress after which nobody will move any more.
const PATIENCE: usize = 6;
/// Of those, the ones after which the network does no harm.
const CLEARS_AFTER: usize = 2;
/// Times that a client may fall silent; more than any has turns.
const SILENCES_MAX: usize = 40;
/// Moves of one dialogue; far above what one needs.
const MOVES_MAX: usize = 200_000;

/// Who speaks to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Adversary,
    Honest,
}

/// The client of a dialogue.
pub enum Client {
    Adversary(Adversary),
    Honest(Box<Honest>),
}

/// The profile, and what of it is set otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    pub profile: &'static str,
    pub strips_tls: bool,
}

/// A dialogue, and in the end what has become of it.
pub struct Dialogue {
    pub policy: Policy,
    pub client: Client,
    pub server: Server,
    pub wire: Wire,
    /// Bytes that an end has said and that never arrived, though nobody reset the flow.
    pub has_stalled: bool,
    /// The client lost patience at least once.
    pub has_waited: bool,
    /// What the server has read was not all there was when a reply was in breach.
    pub is_ambiguous: bool,
    silences: usize,
    client_heard: usize,
    server_heard: usize,
    /// Whether the client reads on what the server has said.
    is_started: bool,
}

impl Client {
    fn said(&self) -> &[u8] {
        match self {
            Self::Adversary(client) => &client.said,
            Self::Honest(client) => &client.said,
        }
    }

    const fn is_closing(&self) -> bool {
        match self {
            Self::Adversary(client) => client.is_closing,
            Self::Honest(client) => client.is_closing,
        }
    }
}

impl Policy {
    fn choose(choice: &mut Choice<'_>) -> Self {
        let profile = choice.pick(&["esmtp", "mailguard"]);
        Self { profile, strips_tls: profile == "mailguard" || choice.one_in(4) }
    }

    fn settings(self) -> Settings {
        let mut settings = rig::settings(self.profile);
        settings.guard = guard::Settings::profile(self.profile).unwrap();
        if self.strips_tls {
            settings.guard.set("starttls", "strip").unwrap();
        }
        // A new engine for each dialogue: tables of the usual size take longer than the dialogue.
        settings.limits.handshakes_max = 16;
        settings.limits.flows_max = 16;
        settings
    }
}

/// Plays a dialogue to its end.
pub fn play(kind: Kind, choice: &mut Choice<'_>, trace: Trace) -> Dialogue {
    let policy = Policy::choose(choice);
    let variant = Variant::choose(choice);
    let weather = Weather::choose(choice);
    let client = match kind {
        Kind::Adversary => Client::Adversary(Adversary::choose(choice, &variant)),
        Kind::Honest => Client::Honest(Box::new(Honest::choose(choice))),
    };
    let isn = [0, 1].map(|_| choice.pick(&[7, u32::MAX - 100, (1 << 31) - 50]));
    let wire = Wire::new(policy.settings(), weather, isn, trace);
    wire.trace.note(|| format!("{policy:?}\n{variant:?}\n{weather:?}"));
    let mut dialogue = Dialogue {
        policy,
        client,
        server: Server::new(variant),
        wire,
        has_stalled: false,
        has_waited: false,
        is_ambiguous: false,
        silences: 0,
        client_heard: 0,
        server_heard: 0,
        is_started: false,
    };
    dialogue.run(choice);
    dialogue.wire.settle();
    dialogue
}

impl Dialogue {
    fn run(&mut self, choice: &mut Choice<'_>) {
        let (mut rounds, mut seen) = (0, 0);
        for moves in 0.. {
            assert!(moves < MOVES_MAX, "a dialogue without an end");
            if self.wire.is_reset {
                return;
            }
            if self.move_all(choice) {
                continue;
            }
            let progress = self.progress();
            if progress != seen {
                (rounds, seen) = (0, progress);
            }
            if self.wire.ends.iter().any(End::is_waiting) {
                rounds += 1;
                if rounds > PATIENCE {
                    self.wire.trace.note(|| "stalled".to_owned());
                    self.has_stalled = true;
                    return;
                }
                if rounds > CLEARS_AFTER {
                    self.wire.weather.clear_up();
                }
                self.wire.rewind();
            } else if !self.on_silence() {
                return;
            }
        }
    }

    /// How far everything has come.
    fn progress(&self) -> u64 {
        self.wire.ends.iter().map(|end| end.una + end.ack()).sum()
    }

    /// Everybody moves who can, or does not feel like it; false if nobody could.
    fn move_all(&mut self, choice: &mut Choice<'_>) -> bool {
        let mut has_moved = false;
        for who in 0..6 {
            if !self.can_move(who) {
                continue;
            }
            has_moved = true;
            if self.wire.weather.idles(choice) {
                continue;
            }
            match who {
                0 => self.move_client(),
                1 => self.move_server(choice),
                2 => self.wire.filter_one(choice),
                3 => self.wire.deliver_one(choice),
                _ => self.transmit(who - 4, choice),
            }
        }
        has_moved
    }

    fn can_move(&self, who: usize) -> bool {
        let ends = &self.wire.ends;
        match who {
            0 => {
                let has_eof = ends[CLIENT].is_eof && !ends[CLIENT].is_closing;
                !self.is_started || ends[CLIENT].heard.len() > self.client_heard || has_eof
            }
            1 => {
                let has_eof = ends[SERVER].is_eof && !ends[SERVER].is_closing;
                ends[SERVER].heard.len() > self.server_heard
                    || ends[SERVER].said.len() < self.server.said.len()
                    || has_eof
            }
            2 | 3 => !self.wire.is_empty(),
            _ => {
                let acks_now = self.wire.weather.acks_at_once || self.wire.is_empty();
                ends[who - 4].has_news() || (ends[who - 4].owes_ack && acks_now)
            }
        }
    }

    fn move_client(&mut self) {
        self.is_started = true;
        let end = &mut self.wire.ends[CLIENT];
        let news = &end.heard[self.client_heard..];
        if let Client::Honest(client) = &mut self.client {
            client.hear(news);
        }
        self.client_heard = end.heard.len();
        let is_eof = end.is_eof;
        self.client_speaks(is_eof);
    }

    /// What the client has said goes to its TCP.
    fn client_speaks(&mut self, is_eof: bool) {
        let end = &mut self.wire.ends[CLIENT];
        if !end.is_closing {
            end.said.extend_from_slice(&self.client.said()[end.said.len()..]);
            if let Client::Adversary(client) = &self.client {
                self.wire.other_text.clone_from(&client.lies);
            }
            end.is_closing = is_eof || self.client.is_closing();
        }
    }

    /// The server reads, all that is there or a part, and what it says goes to its TCP.
    fn move_server(&mut self, choice: &mut Choice<'_>) {
        let end = &mut self.wire.ends[SERVER];
        let there = end.heard.len() - self.server_heard;
        let is_in_part = self.wire.weather.idling > 0 && choice.one_in(2) && there > 1;
        let count = if is_in_part { 1 + choice.below(there) } else { there };
        let was_breached = self.server.breached_at.is_some();
        let (bytes, _) = end.heard[self.server_heard..].split_at(count);
        let stop = self.server_heard + count;
        for &byte in bytes {
            let was_data = self.server.mode == Mode::Data;
            self.server.hear(&[byte]);
            self.server_heard += 1;
            let is_data_end = was_data && self.server.mode == Mode::Command;
            if is_data_end && self.server.variant.breach == Breach::Forgets {
                self.server.forget(stop - self.server_heard);
                self.server_heard = stop;
                break;
            }
            if self.server.breached_at.is_some() && !was_breached {
                self.is_ambiguous = end.heard.len() > self.server_heard;
                break;
            }
            if self.server.mode == Mode::Tls {
                break;
            }
        }
        if !end.is_closing {
            end.said.extend_from_slice(&self.server.said[end.said.len()..]);
        }
        let is_over = self.server.mode == Mode::Closed;
        let has_read_all = self.server_heard == end.heard.len();
        end.is_closing |= is_over || (end.is_eof && has_read_all);
        if self.server.mode == Mode::Tls && self.wire.tls_from[CLIENT] == u64::MAX {
            self.wire.tls_from = [self.server_heard as u64, self.server.said.len() as u64];
        }
        let drops_data = self.server.variant.breach == Breach::DropsData;
        if drops_data && self.server.breached_at.is_some() && self.wire.watched.is_none() {
            self.wire.watched = Some(self.server.said.len() as u64);
        }
    }

    fn transmit(&mut self, from: usize, choice: &mut Choice<'_>) {
        if self.wire.ends[from].has_news() {
            self.wire.send(from, choice);
        } else {
            self.wire.send_ack(from, choice);
        }
    }

    /// Nothing is under way: the client goes on, or loses patience; false if all is over.
    fn on_silence(&mut self) -> bool {
        let ends = &self.wire.ends;
        self.silences += 1;
        if ends[CLIENT].is_closing || self.silences > SILENCES_MAX {
            return false;
        }
        match &mut self.client {
            Client::Adversary(client) => client.on_silence(),
            Client::Honest(client) => {
                self.has_waited = true;
                client.on_silence();
            }
        }
        self.client_speaks(false);
        true
    }

    /// What the server made of it, for the trace.
    pub fn summary(&self) -> String {
        let ran = self.server.ran.iter();
        let ran: Vec<_> = ran.map(|ran| format!("{:>6} {}", ran.at, shown(&ran.line))).collect();
        let stored = self.server.stored.iter();
        let stored: Vec<_> = stored.map(|message| format!("       {}", shown(message))).collect();
        format!("ran:\n{}\nstored:\n{}", ran.join("\n"), stored.join("\n"))
    }
}
