//! One recipe tried on one server behind one filter, and the detectors all recipes share.
//!
//! What must not happen is either mail for a recipient that only the attack names, or a verb that
//! the filter refuses and the server knows: its answer proves that the server has run it.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use super::table::Seen;
use super::talk::Talk;
use crate::is_full;
use crate::lab::{Because, DIRECTORY, Filter, Guard, Outcome, Program, Way};

/// What stands before the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    /// Nothing.
    Nothing,
    /// Mailguard with its default profile.
    Mailguard,
    /// Mailguard with the profile for servers of today.
    Esmtp,
}

/// A recipe.
pub(crate) struct Recipe {
    /// Its number in the list of findings, or a word.
    pub(crate) id: &'static str,
    /// What it does, in few words.
    pub(crate) name: &'static str,
    /// The servers it is for.
    pub(crate) programs: &'static [Program],
    /// Those among them on which it must work while nothing stands before them: it is alive.
    pub(crate) alive: &'static [Program],
    /// Does it.
    pub(crate) run: fn(&Trial) -> Outcome<Seen>,
}

/// One try of a recipe.
pub(crate) struct Trial {
    /// The server.
    pub(crate) program: Program,
    /// What stands before it.
    pub(crate) before: Before,
    /// Makes recipients unique.
    pub(crate) number: usize,
}

impl Before {
    /// All three, nothing first.
    pub(crate) const ALL: [Self; 3] = [Self::Nothing, Self::Mailguard, Self::Esmtp];

    /// All three; the first two in the small form, where a profile makes no difference.
    pub(crate) fn some() -> &'static [Self] {
        if is_full() { &Self::ALL } else { &[Self::Nothing, Self::Mailguard] }
    }

    /// Its name in a table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nothing => "bare",
            Self::Mailguard => "mailguard",
            Self::Esmtp => "esmtp",
        }
    }

    /// Puts it into the path, with more lines in its configuration file.
    pub(crate) fn start(self, more: &str) -> Outcome<Guard> {
        if self == Self::Nothing {
            return Guard::start(Filter::None);
        }
        let file = Path::new(DIRECTORY).join(format!("{}.toml", self.name()));
        fs::write(&file, format!("profile = \"{}\"\n{more}", self.name())).because(self.name())?;
        Guard::start(Filter::with(&["--config", &file.to_string_lossy()]))
    }
}

impl Trial {
    /// The filter, if there is one.
    pub(crate) fn guarded<'a>(&self, guard: &'a Guard) -> Option<&'a Guard> {
        (self.before != Before::Nothing).then_some(guard)
    }

    /// Where the server is.
    pub(crate) fn address(&self) -> SocketAddr {
        self.program.address(Way::Plain)
    }

    /// A connection whose banner was heard.
    pub(crate) fn talk(&self) -> Outcome<Talk> {
        Talk::open(self.address())
    }

    /// The same from this port of the client; any, if it is 0.
    pub(crate) fn talk_from(&self, port: u16) -> Outcome<Talk> {
        Talk::open_from(self.address(), port)
    }

    /// A connection that has said EHLO, or HELO where the filter knows no other.
    pub(crate) fn greeted(&self) -> Outcome<Talk> {
        let mut talk = self.talk()?;
        talk.ask(self.hello());
        Ok(talk)
    }

    /// The greeting that this filter lets pass.
    pub(crate) fn hello(&self) -> &'static str {
        if self.before == Before::Mailguard {
            "HELO mail.domain1.com"
        } else {
            "EHLO mail.domain1.com"
        }
    }

    /// An innocent recipient.
    pub(crate) fn cover(&self) -> String {
        format!("cover{}@{}", self.number, self.program.domain(Way::Plain))
    }

    /// The local part that recipients begin with whom only the attack names.
    pub(crate) fn evil(&self) -> String {
        format!("evil{}z", self.number)
    }

    /// A recipient whom only the attack names.
    pub(crate) fn evil_address(&self) -> String {
        format!("{}@{}", self.evil(), self.program.domain(Way::Plain))
    }

    /// Commands and text of a message to that recipient.
    pub(crate) fn evil_mail(&self, recipient: &str) -> String {
        format!(
            "MAIL FROM:<evil@domain1.com>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n\
             Subject: evil\r\n\r\nevil\r\n.\r\n"
        )
    }

    /// A line with a verb that neither profile permits and this server knows.
    pub(crate) fn forbidden(&self) -> String {
        match self.program {
            Program::Exim | Program::Sendmail => format!("EXPN {}", self.evil()),
            Program::OpenSmtpd => "WIZ".to_owned(),
            Program::Postfix => format!("XCLIENT NAME={}", self.evil()),
        }
    }

    /// What only the answer to that line holds.
    pub(crate) fn proof(&self) -> String {
        match self.program {
            Program::Exim => "Administrative prohibition".to_owned(),
            Program::OpenSmtpd => ";-)".to_owned(),
            Program::Postfix => "insufficient authorization".to_owned(),
            // It quotes what it cannot decode, too: the name alone proves nothing.
            Program::Sendmail => format!("2.1.5 <{}", self.evil()),
        }
    }

    /// Whether any answer proves that the server has run the forbidden line.
    pub(crate) fn has_run(&self, talk: &Talk) -> bool {
        talk.has_heard(&self.proof())
    }

    /// What that line did on this connection.
    pub(crate) fn judged(&self, talk: &Talk) -> Seen {
        Seen::new(self.has_run(talk), talk.told())
    }
}

/// What the local part ends with for whom mail with a pipe in its address is meant.
pub(crate) const HONEST: &str = "|x";
