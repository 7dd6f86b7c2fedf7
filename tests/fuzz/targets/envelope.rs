//! The grammar of arguments: one line, leniently and strictly, whole and in pieces.
//!
//! Input: what is offered (bit 0 SMTPUTF8, bit 1 DSN, bit 2 AUTH; bit 3: parameters have to be
//! offered), the size of the pieces, the line. Whatever the cut, the same bytes leave; behind a
//! byte that was refused nothing does but what no server takes; and strictly no byte more passes
//! than leniently.

use mailguard::guard::{Draft, Guard, Ruling, Run, Settings, Watch};
use mailguard::offset::Offset;
use mailguard::smtp::{Dialogue, Event, Speaker, Standing};

use super::input::Input;

const VERBS: &str = "EHLO,ETRN,EXPN,HELO,HELP,MAIL,NOOP,RCPT,SAML,VRFY";

/// What left, and where the run began in which the line was refused, if it was.
type Left = (Vec<u8>, Option<usize>);

struct Talk {
    guard: Guard,
    dialogue: Dialogue,
    watch: Watch,
}

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (choice, size) = (input.byte(), 1 + input.number());
    let line: Vec<u8> = input.rest().iter().copied().filter(|&byte| byte != b'\n').collect();
    let text = [&line[..], b"\r\n"].concat();
    let levels = ["lenient", "strict"].map(|envelope| {
        let play = |size| Talk::new(envelope, choice).say(&text, size);
        let (whole, refused_at) = play(1);
        assert_eq!(whole.len(), text.len(), "nothing changes length");
        assert_eq!(play(size).0, whole, "in pieces of {size}");
        assert_eq!(play(text.len()).0, whole, "at once");
        if let Some(at) = refused_at {
            let rest = &whole[at + 1..];
            assert!(rest.iter().all(|byte| b"X<\r\n".contains(byte)), "{rest:?}");
        }
        refused_at.unwrap_or(usize::MAX)
    });
    assert!(levels[1] <= levels[0], "strict takes what lenient refuses");
}

impl Talk {
    /// A talk behind an answer to EHLO.
    fn new(envelope: &str, choice: u8) -> Self {
        let mut settings = Settings::profile("esmtp").unwrap();
        let parameters = if choice & 8 == 0 { "any" } else { "offered" };
        for (key, value) in [
            ("verbs", VERBS),
            ("order", "off"),
            ("envelope", envelope),
            ("parameters", parameters),
            ("line_max", "0"),
            ("envelope_line_max", "0"),
            ("local_part_max", "0"),
            ("path_max", "0"),
            ("long_lines", "pass"),
            ("http_words", "pass"),
        ] {
            settings.set(key, value).unwrap();
        }
        let guard = Guard::new(settings);
        let dialogue = guard.dialogue();
        let mut talk = Self { guard, dialogue, watch: Watch::default() };
        talk.read(Speaker::Server, b"220 a\r\n");
        talk.read(Speaker::Client, b"EHLO a\r\n");
        let mut offers = b"250-a\r\n".to_vec();
        for (bit, keyword) in [(1, "SMTPUTF8"), (2, "DSN"), (4, "AUTH")] {
            if choice & bit != 0 {
                offers.extend_from_slice(format!("250-{keyword}\r\n").as_bytes());
            }
        }
        offers.extend_from_slice(b"250 SIZE\r\n");
        talk.read(Speaker::Server, &offers);
        talk
    }

    fn say(mut self, text: &[u8], size: usize) -> Left {
        let (mut left, mut refused_at) = (Vec::new(), None);
        for piece in text.chunks(size) {
            let (more, refused) = self.read(Speaker::Client, piece);
            refused_at = refused_at.or_else(|| refused.map(|at| left.len() + at));
            left.extend_from_slice(&more);
        }
        (left, refused_at)
    }

    fn read(&mut self, from: Speaker, bytes: &[u8]) -> Left {
        let mut draft = Draft::default();
        let (mut left, mut refused_at, mut rest) = (Vec::new(), None, bytes);
        while !rest.is_empty() {
            let standing = Standing { at: Offset::ZERO, covers: Offset::new(u64::MAX) };
            let step = self.dialogue.read(from, rest, standing);
            assert!(step.event != Event::Wait);
            let (run, behind) = rest.split_at(step.used);
            let told =
                Run { event: step.event, bytes: run, rest, is_first: false, plain: step.plain };
            let ruling = self.guard.judge(&mut self.watch, told, &mut draft);
            match ruling {
                Ruling::Edit(_) | Ruling::Refuse(_) => {
                    assert_eq!(draft.as_bytes().len(), run.len());
                    left.extend_from_slice(draft.as_bytes());
                }
                Ruling::Pass | Ruling::Note(_) | Ruling::Exceed(_) | Ruling::Reset(_) => {
                    left.extend_from_slice(run);
                }
            }
            if matches!(ruling, Ruling::Refuse(_)) {
                self.dialogue.refuse(self.watch.is_path_masked());
                refused_at = Some(left.len() - run.len());
            }
            rest = behind;
        }
        (left, refused_at)
    }
}
