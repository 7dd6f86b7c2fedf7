//! SMTP smuggling against three real servers as Debian ships them: what some of them take for the
//! end of a message hides no second one from the filter, however the packets are cut.
//!
//! A forged end that holds a true CRLF.CRLF, as CR CR LF . CR LF does, is no forgery: an end.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use crate::lab::{
    Because, FALSE_ENDS, Failure, Filter, Guard, Letter, Mta, Network, Outcome, PATIENCE, Pace,
    Program, Session, Way, ensure, wait_until, wrong,
};

/// One attempt.
#[derive(Clone, Copy)]
struct Attempt {
    program: Program,
    end: &'static [u8],
    cut: Cut,
    hello: &'static str,
    number: usize,
}

/// How the packets around the forged end are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    /// Not at all.
    None,
    /// In the middle of it.
    Middle,
    /// Behind each of its octets.
    Each,
}

/// Counts who believes what without a filter, then shows that nobody does behind it.
pub(crate) fn nobody_is_fooled() -> Outcome<String> {
    let network = Network::build()?;
    let servers = SERVERS.map(Mta::serve).into_iter().collect::<Outcome<Vec<_>>>()?;
    let mut figures = Vec::new();
    let mut number = 0;
    for (profile, hello, cuts) in [
        (None, "EHLO", &[Cut::None][..]),
        (Some("mailguard"), "HELO", &[Cut::None, Cut::Middle, Cut::Each]),
        (Some("esmtp"), "EHLO", &[Cut::None, Cut::Middle, Cut::Each]),
    ] {
        let arguments = ["--profile", profile.unwrap_or_default()];
        let filter = if profile.is_some() { Filter::with(&arguments) } else { Filter::None };
        let _guard = Guard::start(filter)?;
        let mut attempts = Vec::new();
        for (program, end, cut) in SERVERS.into_iter().flat_map(|program| {
            FALSE_ENDS
                .into_iter()
                .flat_map(move |end| cuts.iter().map(move |cut| (program, end, *cut)))
        }) {
            number += 1;
            attempts.push(Attempt { program, end, cut, hello, number });
        }
        let (taken, believed) = run(&attempts, &servers).because(profile.unwrap_or_default())?;
        let name = profile.unwrap_or("no filter");
        ensure(profile.is_none() || believed.is_empty(), || format!("{name}: {believed:?}"))?;
        // Otherwise nothing would be shown.
        ensure(profile.is_some() || !believed.is_empty(), || "nobody believes any".to_owned())?;
        let list =
            if believed.is_empty() { String::new() } else { format!(": {}", believed.join(", ")) };
        let all = attempts.len();
        figures.push(format!(
            "{name}: {all} forged, {taken} taken, {} believed{list}",
            believed.len()
        ));
        // A true end behind a CR is an end, for the filter as for the server.
        number += 1;
        let program = Program::Postfix;
        let true_end = [Attempt { program, end: b"\r\r\n.\r\n", cut: Cut::Middle, hello, number }];
        let (_, ended) = run(&true_end, &servers)?;
        ensure(ended.len() == 1, || format!("{name}: CR CRLF.CRLF did not end the message"))?;
    }
    Ok(format!("{}\n{}", figures.join("\n"), network.contented()?))
}

/// Makes all attempts; answers with how many messages were taken, and which ends were believed.
fn run(attempts: &[Attempt], servers: &[Mta]) -> Outcome<(usize, Vec<String>)> {
    let mut accepted = Vec::new();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| {
                let share = attempts.iter().skip(worker).step_by(WORKERS);
                scope.spawn(move || share.map(attempt).collect::<Outcome<Vec<_>>>())
            })
            .collect();
        for worker in workers {
            let done = worker.join().map_err(|_| Failure::Wrong("a client panicked".to_owned()))?;
            accepted.extend(done?);
        }
        Ok::<_, Failure>(())
    })?;
    let accepted: Vec<(Attempt, bool)> = accepted.into_iter().flatten().collect();
    let letters = wait_until("accepted mail is stored", PATIENCE, || {
        thread::sleep(Duration::from_millis(100));
        let letters = letters(servers)?;
        let is_stored = |(attempt, is_fooled): &(Attempt, bool)| {
            letters.contains_key(&attempt.name())
                && (!is_fooled || letters.contains_key(&attempt.hidden()))
        };
        Ok(accepted.iter().all(is_stored).then_some(letters))
    })?;
    let mut believed = Vec::new();
    for attempt in attempts {
        if letters.contains_key(&attempt.hidden()) {
            believed.push(attempt.describe());
        }
    }
    for (attempt, _) in &accepted {
        let copies = letters.get(&attempt.name()).map(Vec::as_slice).unwrap_or_default();
        let [copy] = copies else {
            return wrong(format!("{}: {} copies", attempt.describe(), copies.len()));
        };
        // A server may believe in the end and then refuse commands it did not wait for.
        let is_whole = copy.body.ends_with(b"smuggled\n");
        if !is_whole && !letters.contains_key(&attempt.hidden()) {
            believed.push(format!("{} (cut short)", attempt.describe()));
        }
    }
    Ok((accepted.len(), believed))
}

/// What is stored, by recipient.
fn letters(servers: &[Mta]) -> Outcome<BTreeMap<String, Vec<Letter>>> {
    let mut all: BTreeMap<String, Vec<Letter>> = BTreeMap::new();
    for letter in
        servers.iter().map(Mta::stored).collect::<Outcome<Vec<_>>>()?.into_iter().flatten()
    {
        for recipient in &letter.recipients {
            all.entry(recipient.clone()).or_default().push(letter.clone());
        }
    }
    Ok(all)
}

/// Sends a message with the forged end and, behind it, another one's commands; then the true end.
/// Answers with the attempt if the server took the message, for some refuse a text with such
/// octets, and with whether it took the other one, too.
fn attempt(attempt: &Attempt) -> Outcome<Option<(Attempt, bool)>> {
    let what = attempt.describe();
    let Attempt { program, end, cut, hello, .. } = *attempt;
    let (mut session, _) = Session::open(program.address(Way::Plain), PATIENCE).because(&what)?;
    let domain = program.domain(Way::Plain);
    session.expect(Pace::Whole, &format!("{hello} mail.domain1.com"), 250)?;
    session.expect(Pace::Whole, "MAIL FROM:<sender@domain1.com>", 250)?;
    session.expect(Pace::Whole, &format!("RCPT TO:<{}@{domain}>", attempt.name()), 250)?;
    session.expect(Pace::Whole, "DATA", 354)?;
    let hidden = format!(
        "MAIL FROM:<smuggler@domain1.com>\r\nRCPT TO:<{}@{domain}>\r\nDATA\r\n\
         Subject: smuggled\r\n\r\nsmuggled\r\n.\r\n",
        attempt.hidden()
    );
    let (before, behind) = (b"Subject: cover\r\n\r\ncover", hidden.as_bytes());
    let size = match cut {
        Cut::None => end.len(),
        Cut::Middle => end.len().div_ceil(2),
        Cut::Each => 1,
    };
    let mut pieces: Vec<Vec<u8>> = end.chunks(size).map(<[u8]>::to_vec).collect();
    if cut == Cut::None {
        pieces = vec![[before, end, behind].concat()];
    } else if let [first, .., last] = pieces.as_mut_slice() {
        *first = [before, first.as_slice()].concat();
        last.extend_from_slice(behind);
    }
    session.send_cut(&pieces.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
    let codes = session.quit_and_count();
    match codes.first() {
        Some(250) => Ok(Some((*attempt, has_taken_another(&codes)))),
        Some(500..=599) => Ok(None),
        _ => wrong(format!("{what}: {codes:?}")),
    }
}

/// Whether a server that was sent one message has, by its replies, taken a second one.
pub(crate) fn has_taken_another(codes: &[u16]) -> bool {
    codes.windows(2).any(|pair| pair == [354, 250])
}

impl Attempt {
    fn name(&self) -> String {
        format!("cover{}", self.number)
    }

    fn hidden(&self) -> String {
        format!("hidden{}", self.number)
    }

    fn describe(&self) -> String {
        format!("{} {} cut {:?}", self.program.name(), self.end.escape_ascii(), self.cut)
    }
}

const SERVERS: [Program; 3] = [Program::Postfix, Program::Exim, Program::OpenSmtpd];

const WORKERS: usize = 4;
