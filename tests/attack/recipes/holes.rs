//! Known holes: what shows each patch that is on by default, played against the four servers bare
//! and guarded. The lines are those of the patches' own files (harmless, whatever reads them), and
//! what counts is what was on the wire in front of the server.
//!
//! Bare, every line arrives as it was said: otherwise nothing would be shown (those that end a
//! connection behind the filter are left out). Guarded, a line that shows a hole arrives changed or
//! not to its end, and every server refuses it; its legal neighbours arrive as they were said, and
//! are answered as on the bare server.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs::File;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;

use mailguard::front::capture::{Entry, Reader, link};
use mailguard::patch::{Arrives, Catalogue, Patch, PatchTest, State};
use mailguard::wire::{Packet, Parsed};

use super::dialogues::Servers;
use super::talk::{Talk, code};
use super::trial::Before;
use crate::lab::{
    Because, Capture, Failure, Network, Outcome, PATIENCE, Program, Side, Tap, Way, ensure, run,
};

/// A test of a patch's, and where it was played.
struct Play<'a> {
    name: String,
    test: &'a PatchTest,
    program: Program,
    client: SocketAddr,
    /// Where its lines begin among the bytes of the connection.
    at: usize,
    answer: String,
}

/// A connection's client, and its server.
type Ends = (SocketAddr, IpAddr);

/// What each connection's client said, as it was on the wire before the server.
type Streams = BTreeMap<Ends, Vec<u8>>;

/// Plays all of them.
pub(crate) fn every_patch() -> Outcome<String> {
    let network = Network::build()?;
    network.set_offloads(false)?;
    let _servers = Servers::start(&Program::ALL)?;
    let catalogue = Catalogue::with(&[]).map_err(|fault| Failure::Wrong(fault.to_string()))?;
    let tests = Tests::of(&catalogue);
    tests.add_addresses()?;
    let (bare, bare_streams) = played(&tests, Before::Nothing)?;
    let (guarded, streams) = played(&tests, Before::Esmtp)?;
    let mut faults: Vec<String> =
        bare.iter().filter_map(|one| unseen(one, &bare_streams)).collect();
    faults.extend(guarded.iter().filter_map(|one| let_through(one, &streams)));
    let key = |play: &Play<'_>| (play.name.clone(), play.program.name());
    let answers: BTreeMap<_, &str> = bare.iter().map(|one| (key(one), &*one.answer)).collect();
    for one in guarded.iter().filter(|one| passes(one.test)) {
        let before = answers.get(&key(one)).copied().unwrap_or(NO_ANSWER);
        // Exim hangs up behind three lines that it cannot read, and bare it reads more of them.
        if before != NO_ANSWER && before != one.answer {
            let Play { name, answer, .. } = one;
            faults.push(format!("{name}, {}: {before} bare, {answer}", one.program.name()));
        }
    }
    let shown: BTreeSet<&str> = guarded.iter().map(|one| &*one.name).collect();
    let left: Vec<&str> =
        tests.all.iter().map(|(name, _)| &**name).filter(|name| !shown.contains(name)).collect();
    faults.extend((left != UNPLAYED).then(|| format!("no server let these be played: {left:?}")));
    ensure(faults.is_empty(), || faults.join("\n"))?;
    let neighbours = guarded.iter().filter(|one| passes(one.test)).count();
    Ok(format!(
        "{} lines on {} servers: {} that show a hole, none arrived; {neighbours} neighbours did",
        guarded.len(),
        Program::ALL.len(),
        guarded.len() - neighbours
    ))
}

/// The tests of all patches that are on by default, with their names.
struct Tests<'a> {
    all: Vec<(String, &'a PatchTest)>,
    /// What tests want otherwise than it is by default; each has a client's address of its own.
    settings: Vec<&'a [String]>,
}

impl<'a> Tests<'a> {
    fn of(catalogue: &'a Catalogue) -> Self {
        let on = catalogue.patches().iter().filter(|patch| patch.default == State::On);
        let named = |patch: &'a Patch| {
            let tests = (1..).zip(&patch.tests).filter(|(_, test)| !test.is_reply);
            tests.map(|(number, test)| (format!("{} {number}", patch.id), test))
        };
        let all: Vec<_> = on.flat_map(named).collect();
        let with: BTreeSet<&[String]> = all.iter().map(|(_, test)| &*test.settings).collect();
        let settings = with.into_iter().filter(|settings| !settings.is_empty()).collect();
        Self { all, settings }
    }

    /// The client that a test is played from.
    fn client(&self, test: &PatchTest) -> IpAddr {
        let own = self.settings.iter().position(|settings| *settings == test.settings);
        IpAddr::from([192, 0, 2, own.map_or(2, |at| OWN_ADDRESSES + at as u8)])
    }

    fn add_addresses(&self) -> Outcome {
        for at in 0..self.settings.len() {
            let address = format!("192.0.2.{}/24", usize::from(OWN_ADDRESSES) + at);
            let add = ["address", "add", &address, "dev", "c0"];
            run(&mut Side::Client.command("ip", &add), PATIENCE)?;
        }
        Ok(())
    }

    /// What the filter's file says of those clients.
    fn exceptions(&self) -> String {
        let mut text = String::new();
        for (at, settings) in self.settings.iter().enumerate() {
            let address = usize::from(OWN_ADDRESSES) + at;
            let pairs: Vec<String> = settings.iter().map(|pair| pair.replace('=', " = ")).collect();
            // Writing to a string cannot fail.
            let _ = write!(
                text,
                "[[exceptions]]\nclient = \"192.0.2.{address}\"\nsettings = {{ {} }}\n",
                pairs.join(", ")
            );
        }
        text
    }
}

/// All of them on all servers behind this filter, and what was on the wire.
fn played<'a>(tests: &Tests<'a>, before: Before) -> Outcome<(Vec<Play<'a>>, Streams)> {
    let guard = before.start(&tests.exceptions())?;
    let capture = Capture::start(Tap::Server)?;
    let mut plays = Vec::new();
    thread::scope(|scope| {
        let places =
            Program::ALL.into_iter().flat_map(|to| (0..SIDE_BY_SIDE).map(move |at| (to, at)));
        let playing: Vec<_> = places
            .map(|(program, first)| {
                // Without a filter, what ends a connection behind one only takes time.
                let is_played =
                    |test: &PatchTest| before != Before::Nothing || test.arrives != Arrives::Reset;
                let every = tests.all.iter().filter(move |(_, test)| is_played(test));
                let own = every.skip(first).step_by(SIDE_BY_SIDE);
                scope.spawn(move || on_one(tests, own, program).because(program.name()))
            })
            .collect();
        for one in playing {
            plays.extend(one.join().map_err(|_| Failure::Wrong("a panic".to_owned()))??);
        }
        Ok::<_, Failure>(())
    })
    .because(guard.events_end())?;
    let streams = read(&capture.stop()?)?;
    Ok((plays, streams))
}

/// These of them on one server, as many on a connection as servers take.
fn on_one<'a, 't>(
    tests: &Tests<'a>,
    own: impl Iterator<Item = &'t (String, &'a PatchTest)>,
    program: Program,
) -> Outcome<Vec<Play<'a>>>
where
    'a: 't,
{
    let (mut plays, mut open) = (Vec::new(), None);
    for (name, test) in own {
        let client = tests.client(test);
        let mut visit = match open.take() {
            Some(visit) if test.settings.is_empty() => Visit::go_on(visit, program)?,
            _ => Visit::begin(client, program)?,
        };
        if let Some((at, answer)) = visit.play(test, program) {
            let (name, client) = (name.clone(), visit.client);
            plays.push(Play { name, test, program, client, at, answer });
        } else {
            visit.is_spent = true;
        }
        if visit.is_spent || !test.settings.is_empty() {
            visit.talk.finish();
        } else {
            open = Some(visit);
        }
    }
    Ok(plays)
}

/// A connection on which tests are played.
struct Visit {
    talk: Talk,
    client: SocketAddr,
    count: usize,
    /// Nothing more can be played on it.
    is_spent: bool,
}

impl Visit {
    fn begin(client: IpAddr, program: Program) -> Outcome<Self> {
        let server = program.address(Way::Plain);
        // A port that the kernel chooses may have been another connection's.
        let port = NEXT_PORT.fetch_add(1, Ordering::Relaxed);
        let mut talk = Talk::open_within(SocketAddr::new(client, port), server, PATIENCE)?;
        let client = talk.local()?;
        talk.ask("EHLO mail.domain1.com");
        ensure(talk.last().starts_with("250"), || format!("{:?}", talk.heard))?;
        Ok(Self { talk, client, count: 0, is_spent: false })
    }

    /// The same one, if the server still likes it.
    fn go_on(mut self, program: Program) -> Outcome<Self> {
        self.count += 1;
        if self.count < ON_A_CONNECTION && self.talk.ask("RSET").starts_with("250") {
            return Ok(self);
        }
        Self::begin(self.client.ip(), program)
    }

    /// Plays a test: where its lines begin, and the first answer. None if the server does not say
    /// what the test has it say.
    fn play(&mut self, test: &PatchTest, program: Program) -> Option<(usize, String)> {
        if !has_offered(&self.talk, test) {
            return None;
        }
        let mut before: Vec<_> = test.talk().collect();
        if before.is_empty() && test.said.first()?.starts_with(b"RCPT") {
            before.push((true, b"MAIL FROM:<a@b.example>".to_vec()));
            before.push((false, b"250 ok".to_vec()));
        }
        let mut last = Vec::new();
        for (at, (is_client, line)) in before.iter().enumerate() {
            if !is_client {
                let is_as_wanted =
                    self.talk.hear(1) == 1 && self.talk.last().as_bytes().first() == line.first();
                if !is_as_wanted {
                    return None;
                }
                last.clone_from(line);
                continue;
            }
            // Somebody whom this server knows, where it is to take him.
            let is_taken = before.get(at + 1).is_some_and(|(_, reply)| reply.starts_with(b"250"));
            let known = format!("@{}>", program.domain(Way::Plain));
            let line = String::from_utf8_lossy(line);
            let line = if is_taken && line.starts_with("RCPT") {
                line.replace("@d.example>", &known)
            } else {
                line.into_owned()
            };
            self.talk.say(format!("{line}\r\n"));
        }
        let (at, heard) = (self.talk.said, self.talk.heard.len());
        self.talk.say(lines(&test.said));
        self.is_spent = test.arrives == Arrives::Reset || !test.settings.is_empty();
        // Of TLS there is no more.
        self.is_spent |= last.starts_with(b"220");
        let is_data = last.starts_with(b"354");
        if is_data {
            self.talk.say(".\r\n");
        }
        let count = match self.is_spent {
            _ if is_data => 1,
            true => 0,
            false => test.said.len(),
        };
        if self.talk.hear(count) == count && self.talk.last().starts_with('3') {
            let end = if self.talk.last().starts_with("354") { ".\r\n" } else { "*\r\n" };
            self.talk.say(end);
            self.talk.hear(1);
        }
        let answer = self.talk.heard.get(heard).map_or(NO_ANSWER, |reply| code(reply));
        Some((at, answer.to_owned()))
    }
}

/// Every byte that clients said, as it came to the servers.
fn read(file: &Path) -> Outcome<Streams> {
    let mut reader = Reader::new(File::open(file).because(file.display())?);
    let (mut streams, mut starts) = (Streams::new(), BTreeMap::new());
    let fault = |fault: &dyn std::fmt::Display| Failure::Wrong(fault.to_string());
    while let Some(entry) = reader.read().map_err(|wrong| fault(&wrong))? {
        let Entry::Packet(record) = entry else { continue };
        let located = link::locate(record.link, record.frame).because("an IP packet")?;
        let Ok(Parsed::Tcp(packet)) = Packet::parse(&record.frame[located.range]) else { continue };
        let client = SocketAddr::new(packet.source, packet.source_port);
        let ends: Ends = (client, packet.destination);
        if packet.destination_port != 25 {
            continue;
        }
        if packet.flags.syn {
            starts.insert(ends, packet.seq.0.wrapping_add(1));
            streams.insert(ends, Vec::new());
        }
        let Some(stream) = streams.get_mut(&ends).filter(|_| !packet.payload().is_empty()) else {
            continue;
        };
        let at = packet.seq.0.wrapping_sub(starts[&ends]) as usize;
        let end = at + packet.payload().len();
        stream.resize(end.max(stream.len()), 0);
        stream[at..end].copy_from_slice(packet.payload());
    }
    Ok(streams)
}

fn lines(lines: &[Vec<u8>]) -> Vec<u8> {
    lines.iter().flat_map(|line| [&line[..], b"\r\n"].concat()).collect()
}

const fn passes(test: &PatchTest) -> bool {
    matches!(test.arrives, Arrives::Unchanged | Arrives::Logged)
}

impl Play<'_> {
    /// What came to the server of the test's lines.
    fn arrived<'s>(&self, streams: &'s Streams) -> &'s [u8] {
        let ends = (self.client, self.program.address(Way::Plain).ip());
        let stream = streams.get(&ends).map_or(&[][..], Vec::as_slice);
        let behind = stream.get(self.at..).unwrap_or_default();
        behind.get(..lines(&self.test.said).len()).unwrap_or(behind)
    }

    fn told(&self, arrived: &[u8]) -> String {
        let [said, arrived] = [&lines(&self.test.said)[..], arrived]
            .map(|text| text.get(..100).unwrap_or(text).escape_ascii().to_string());
        let (name, answer) = (&self.name, &self.answer);
        format!("{name}, {}: {said} came as {arrived}, answered {answer}", self.program.name())
    }
}

/// What is wrong with a line before which nothing stands.
fn unseen(play: &Play<'_>, streams: &Streams) -> Option<String> {
    let arrived = play.arrived(streams);
    (arrived != lines(&play.test.said)).then(|| format!("bare: {}", play.told(arrived)))
}

/// What is wrong with a line behind the filter.
fn let_through(play: &Play<'_>, streams: &Streams) -> Option<String> {
    let (said, arrived) = (lines(&play.test.said), play.arrived(streams));
    let is_right = match &play.test.arrives {
        Arrives::Unchanged | Arrives::Logged => arrived == said,
        // Another patch may see it sooner, and none may see it later.
        Arrives::Changed(left) => {
            arrived.len() == said.len()
                && first_difference(arrived, &said) <= first_difference(&lines(left), &said)
                && (lives_on(&said) || play.answer.starts_with('5'))
        }
        Arrives::Reset => arrived.len() < said.len(),
    };
    (!is_right).then(|| play.told(arrived))
}

/// Where two texts begin to differ, if they do.
fn first_difference(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).position(|(one, other)| one != other).unwrap_or(usize::MAX)
}

/// Whether a line may live on without what was looked for: greetings, NOOP and text do, HELP has
/// an answer to anything, and ETRN is told that there is no such host.
fn lives_on(said: &[u8]) -> bool {
    let starts: [&[u8]; 6] = [b"HELO", b"EHLO", b"NOOP", b"HELP", b"ETRN", b"a"];
    starts.iter().any(|start| said.starts_with(start))
}

/// Whether a server offers what a test needs.
fn has_offered(talk: &Talk, test: &PatchTest) -> bool {
    let lines = || test.talk().map(|(_, line)| line).chain(test.said.iter().cloned());
    let needs_chunks = lines().any(|line| line.starts_with(b"BDAT"));
    let needs_utf8 = passes(test) && lines().any(|line| !line.is_ascii());
    (!needs_chunks || talk.has_heard("CHUNKING")) && (!needs_utf8 || talk.has_heard("SMTPUTF8"))
}

/// The clients of tests with settings of their own have addresses from here on.
const OWN_ADDRESSES: u8 = 20;

/// Connections to a server at a time.
const SIDE_BY_SIDE: usize = 2;

/// A server hangs up on whoever makes too many mistakes, or takes its time.
const ON_A_CONNECTION: usize = 8;

/// No two connections have the same: they are told apart by them.
static NEXT_PORT: AtomicU16 = AtomicU16::new(10_000);

/// In place of a code, where none came.
const NO_ANSWER: &str = "none";

/// Of these the server's TLS is a part, and that says what its keys have it say; or it would have
/// to refuse what none of these refuses so.
const UNPLAYED: [&str; 7] = [
    "CVE-2014-0224 1",
    "CVE-2014-0224 2",
    "CVE-2014-0224 3",
    "postfix-20260724 1",
    "postfix-20260724 4",
    "postfix-20260803 3",
    "postfix-20260803 4",
];
