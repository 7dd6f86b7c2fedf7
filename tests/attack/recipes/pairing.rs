//! Servers with bad manners: replies that nobody asked for, and lines that nobody answers. Behind
//! them the filter must not take one reply for another.

use std::time::Duration;

use super::standin::{Manner, StandIn};
use super::table::{Seen, Table};
use super::talk::Talk;
use super::trial::Before;
use crate::lab::{Family, Network, Outcome, PATIENCE, now};

/// Runs them all.
pub(crate) fn bad_manners() -> Outcome<String> {
    let _network = Network::build()?;
    let server = StandIn::start(Family::V4.server())?;
    let mut table = Table::new(&Before::ALL.map(Before::name));
    for before in Before::ALL {
        let _guard = before.start("")?;
        for (name, manner, opening) in MANNERS {
            let seen = one(&server, manner, opening)?;
            table.enter_alive(("8", name), "stand-in", before.name(), seen);
        }
    }
    table.judged()
}

/// The opening brings the pairs out of step; then an offer that is masked, and a message by BDAT
/// whose text holds commands.
fn one(server: &StandIn, manner: Manner, opening: &str) -> Outcome<Seen> {
    server.behave(manner);
    let mut talk = Talk::open(Family::V4.server())?;
    talk.set_patience(PATIENCE);
    if !opening.is_empty() {
        talk.say(opening);
    }
    if matches!(manner, Manner::AnswersTwice | Manner::AnswersTwiceLate) {
        talk.hear(1);
    }
    talk.ask("EHLO mail.domain1.com");
    let text = "Subject: x\r\n\r\nRSET\r\nMAIL FROM:<evil@domain1.com>\r\nRCPT TO:<evil@d>\r\n";
    talk.say(format!(
        "MAIL FROM:<a@domain1.com>\r\nRCPT TO:<b@d>\r\nBDAT {} LAST\r\n{text}",
        text.len()
    ));
    // The server runs line by line. What has not arrived by now is held.
    talk.say(format!("{END}\r\n"));
    talk.set_patience(TURN);
    let start = now();
    while !talk.is_over && !server.has_run(END) && start.elapsed() < HELD {
        talk.hear(1);
    }
    // The server may be ahead of what it has answered.
    talk.set_patience(ON_ITS_WAY);
    talk.hear(usize::MAX);
    let has_shown = talk.has_heard("XEVIL");
    let has_run = server.has_run("RCPT TO:<evil");
    let told = match (has_shown, has_run) {
        (false, false) => talk.told(),
        (true, false) => "offer unmasked".to_owned(),
        (false, true) => "text was run".to_owned(),
        (true, true) => "unmasked, text was run".to_owned(),
    };
    Ok(Seen::new(has_shown || has_run, told))
}

/// The last line.
const END: &str = "NOOP end";

/// Between two looks.
const TURN: Duration = Duration::from_millis(50);

/// For replies that were said and have not come.
const ON_ITS_WAY: Duration = Duration::from_millis(500);

/// Where nothing more passes.
const HELD: Duration = Duration::from_secs(5);

const MANNERS: [(&str, Manner, &str); 5] = [
    ("a server that does it right", Manner::Good, ""),
    ("two greetings", Manner::GreetsTwice, ""),
    ("a doubled reply to NOOP", Manner::AnswersTwice, "NOOP\r\n"),
    ("a second reply to NOOP comes late", Manner::AnswersTwiceLate, "NOOP\r\n"),
    ("an empty line that is not answered", Manner::IgnoresEmpty, "\r\n"),
];
