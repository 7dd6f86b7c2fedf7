//! The article's test of every generation, and the telnet client in character mode that the
//! original could not tell from an attacker.

use crate::guarded::masked;
use crate::lab::{
    Answers, Because, Family, Filter, Guard, Network, Outcome, PATIENCE, Recorder, Reply, Session,
    Site, ensure,
};

/// Banner, `goodmorning`, EHLO and HELO through every profile.
pub(crate) fn article() -> Outcome<String> {
    let mut site = Site::open(Filter::None)?;
    let bare = Answers::of(Family::V4.server())?;
    let text = bare.banner.text();
    let (code, rest) = text.split_at(4);
    let cmap = "SMTP/cmap ready";
    let stars = "*".repeat(rest.len());
    let pix = masked(&text);
    let eras: [(&str, String, Answer, Answer); 7] = [
        ("pix-4.1", format!("{code}{cmap:_<0$}", rest.len()), Answer::Ok, Answer::Ok),
        ("pix-4.4", format!("{code}{stars}"), Answer::Ok, Answer::Ok),
        ("pix-5.1", pix.clone(), Answer::Ok, Answer::Ok),
        ("pix-5.2.4", pix.clone(), Answer::Ok, Answer::Ok),
        ("pix-6.3", pix.clone(), Answer::Refused, Answer::Refused),
        ("mailguard", pix, Answer::Refused, Answer::Refused),
        ("asa", format!("{code}{stars}"), Answer::Refused, Answer::Extensions),
    ];
    let count = eras.len();
    for (profile, banner, goodmorning, ehlo) in eras {
        site.change_filter(Filter::with(&["--profile", profile]))?;
        let answers = Answers::of(Family::V4.server()).because(profile)?;
        let said = answers.banner.text();
        ensure(said == banner, || format!("{profile}: banner {said}, not {banner}"))?;
        for (reply, expected) in [(&answers.goodmorning, goodmorning), (&answers.ehlo, ehlo)] {
            let answer = Answer::of(reply);
            ensure(answer == expected, || format!("{profile}: {reply}, not {expected:?}"))?;
        }
        ensure(answers.helo.code == 250, || format!("{profile}: {}", answers.helo))?;
    }
    // Nothing of the server's software, and nothing that Postfix takes for a PIX.
    site.change_filter(Filter::with(&["--profile", "esmtp"]))?;
    let answers = Answers::of(Family::V4.server())?;
    let said = answers.banner.text();
    ensure(said.starts_with("220 mail20.domain2.com ESMTP") && !said.contains("Postfix"), || said)?;
    ensure(Answer::of(&answers.ehlo) == Answer::Extensions, || answers.ehlo.to_string())?;
    Ok(format!("{} profiles answer the article's test as their releases did", count + 1))
}

/// Each octet in a packet of its own: to a filter that decides by packets, none is a command.
pub(crate) fn telnet() -> Outcome<String> {
    let network = Network::build()?;
    let address = Family::V4.server();
    let recorder = Recorder::start(address)?;
    for (profile, expected) in [
        ("pix-6.3", "XXXXXXXXXXXXXXXXXXXXX\r\nXXXX\r\n"),
        ("pix-5.1", "XXXXXXXXXXXXXXXXXXXXX\r\nXXXX\r\n"),
        ("mailguard", "HELO mail.domain1.com\r\nNOOP\r\n"),
    ] {
        let guard = Guard::start(Filter::with(&["--profile", profile]))?;
        let before = recorder.received().len();
        let (mut session, _) = Session::open(address, PATIENCE)?;
        for line in ["HELO mail.domain1.com\r\n", "NOOP\r\n"] {
            let octets: Vec<&[u8]> = line.as_bytes().chunks(1).collect();
            session.send_cut(&octets)?;
            session.reply().because(profile)?;
        }
        // What was answered was read.
        let all = recorder.received();
        let received = all.get(before).because("a connection")?.escape_ascii().to_string();
        let wanted = expected.as_bytes().escape_ascii().to_string();
        ensure(received == wanted, || {
            format!("{profile}: the server saw {received}, not {wanted}\n{}", guard.events_end())
        })?;
    }
    Ok(format!("the packet-wise profiles refuse every octet; {}", network.contented()?))
}

/// What kind of answer a client got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// 250 and one line: to a NOOP.
    Ok,
    /// The server's own 500 or 502: to X.
    Refused,
    /// 250 and a list.
    Extensions,
    /// Anything else.
    Other,
}

impl Answer {
    fn of(reply: &Reply) -> Self {
        match (reply.code, reply.lines.len()) {
            (250, 1) => Self::Ok,
            (250, _) => Self::Extensions,
            (500 | 502, 1) => Self::Refused,
            _ => Self::Other,
        }
    }
}
