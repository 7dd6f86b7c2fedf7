//! Where message data ends, and what only looks like its end.

use super::super::Swept;
use super::super::mail_data::{FalseEnds, MailData, Rest, Run};
use super::super::sweep::{Next, Plain};

impl Swept {
    fn end(&self) -> Option<usize> {
        self.is_end.then_some(self.used)
    }
}

#[test]
fn the_table_is_the_documented_one() {
    let mut table = String::new();
    for state in MailData::ALL {
        table += &format!("{state:?}:");
        for byte in [b'\r', b'\n', b'.', 0, b' ', b'x'] {
            let mut next = state;
            let cell = match next.read(&[byte], FalseEnds::Changed).1 {
                Run::Text(_) => format!("{next:?}"),
                Run::Lookalike => "lookalike".into(),
                Run::End => "END".into(),
            };
            table += &format!(" {cell}");
        }
        table += "\n";
    }
    assert_eq!(
        table,
        "Middle: Cr Bare Middle Middle Middle Middle\n\
         Cr: Cr Line BareDot Bare Middle Middle\n\
         Line: Cr Bare Dot Bare Middle Middle\n\
         Bare: Cr Bare BareDot Bare Middle Middle\n\
         Dot: DotCr lookalike DotByte lookalike BareDot DotByte\n\
         BareDot: lookalike lookalike DotByte lookalike BareDot DotByte\n\
         DotCr: lookalike END BareDot lookalike BareDot Middle\n\
         DotByte: Cr lookalike Middle DotByte Middle Middle\n"
    );
}

/// The machine one byte at a time, without blocks: what `MailData::read` must equal.
fn read_bytewise(mut state: MailData, input: &[u8]) -> (Vec<usize>, Option<usize>, MailData) {
    let mut lookalikes = Vec::new();
    for (at, &byte) in input.iter().enumerate() {
        match state.read(&[byte], FalseEnds::Changed).1 {
            Run::Text(_) => {}
            Run::Lookalike => lookalikes.push(at),
            Run::End => return (lookalikes, Some(at + 1), state),
        }
    }
    (lookalikes, None, state)
}

/// What is said to be plain begins inside a line and holds no line ends but CRLFs, as many as were
/// counted, and no dot behind one.
fn check_plain(before: MailData, text: &[u8], plain: Plain) {
    let run = &text[plain.start..plain.end];
    let start = read_bytewise(before, &text[..plain.start]).2;
    assert!(run.is_empty() || start == MailData::Middle, "{plain:?} {text:?}");
    let bare = String::from_utf8_lossy(run).replace("\r\n", "");
    assert!(!bare.contains(['\r', '\n']), "{plain:?} {text:?}");
    assert!(!run.windows(3).any(|three| three == b"\r\n."), "{plain:?} {text:?}");
    let pairs = run.windows(2).filter(|two| *two == b"\r\n").count();
    assert_eq!(plain.line_ends, pairs, "{plain:?} {text:?}");
}

fn read_in_runs(mut state: MailData, input: &[u8]) -> (Vec<usize>, Option<usize>, MailData) {
    let mut lookalikes = Vec::new();
    let mut at = 0;
    while at < input.len() {
        let before = state;
        let (used, run) = state.read(&input[at..], FalseEnds::Changed);
        match run {
            Run::Text(plain) => check_plain(before, &input[at..at + used], plain),
            Run::Lookalike => {
                let mut bytes = input[at..at + used].to_vec();
                before.neutralise(&mut bytes, b'#');
                assert_eq!((bytes[0], bytes[used - 1]), (b'#', b'#'), "from the first to the last");
                lookalikes.extend((0..used).filter(|&i| bytes[i] == b'#').map(|i| at + i));
            }
            Run::End => return (lookalikes, Some(at + used), state),
        }
        at += used;
    }
    (lookalikes, None, state)
}

#[test]
fn long_runs_read_like_single_bytes() {
    let mut state = 1_u64;
    let mut random = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    for case in 0..2_000 {
        let special = 1 + random(200);
        let bytes: Vec<u8> = (0..random(1_500))
            .flat_map(|_| match random(special + 4) {
                0 => b"\r\n".to_vec(),
                1 => vec![b"\r\n.\0 \t"[usize::try_from(random(6)).unwrap()]],
                2 if case % 2 == 0 => b"\r\n. ".to_vec(),
                2 => b"\r\n.".to_vec(),
                3 if case % 3 == 0 => b"\r\n.\r\n".to_vec(),
                _ => vec![b'x'],
            })
            .collect();
        for start in MailData::ALL {
            assert_eq!(read_in_runs(start, &bytes), read_bytewise(start, &bytes), "case {case}");
        }
        let text = MailData::ALL.iter().all(|&start| {
            let (lookalikes, end, _) = read_bytewise(start, &bytes);
            lookalikes.is_empty() && end.is_none()
        });
        assert_eq!(MailData::is_text_after_anything(&bytes), text, "case {case}");
    }
}

/// What leaves of message data whose lookalikes become `#`, in pieces of this size.
fn neutralised(text: &[u8], piece: usize) -> Vec<u8> {
    let mut state = MailData::Line;
    let mut out = Vec::new();
    for mut piece in text.chunks(piece) {
        while !piece.is_empty() {
            let before = state;
            let (used, run) = state.read(piece, FalseEnds::Changed);
            let mut bytes = piece[..used].to_vec();
            if run == Run::Lookalike {
                before.neutralise(&mut bytes, b'#');
            }
            out.extend(bytes);
            piece = &piece[used..];
        }
    }
    out
}

#[test]
fn a_dot_behind_a_bare_line_end_is_the_texts_own() {
    for (text, leaves) in [
        ("a\n.profile\n..x\n.", "a\n.profile\n..x\n."),
        ("a\n.\nb", "a\n.#b"),
        ("a\n.\n\nb", "a\n.##b"),
        ("a\n.\r\nb", "a\n.##b"),
        ("a\r.\rb", "a\r.#b"),
        ("a\r.\r\n.\r\n", "a\r.##.\r\n"),
        ("a\n.\0\n", "a\n.##"),
        ("a\n.y\0\nb", "a\n.y\0#b"),
        // Three bytes, of which the first is a dot (James); with CR LF they are four.
        ("a\n..\n.y\n. \n.y\r\n", "a\n..#.y\n. #.y\r\n"),
        ("\n.\n.\n.\nx", "\n.#.\n.#x"),
        ("\r\n.\n.\r\n", "\r\n.#.\r\n"),
        ("a\r\n\0.\r\nb", "a\r\n\0.##b"),
        ("a\r\0.\rb\r\0\n\0.\n", "a\r\0.#b\r\0\n\0.#"),
        ("a\r\n.\0z\n\0..\n", "a\r\n.#z\n\0..#"),
        // A NUL alone at a line's start hides nothing; nor do those of UTF-16.
        ("a\r\n\0b\r\n\0\0\n\0\r\n.\r\n", "a\r\n\0b\r\n\0\0\n\0\r\n.\r\n"),
        ("a\0\r\0\n\0b\0.\0\n\0", "a\0\r\0\n\0b\0.\0\n\0"),
    ] {
        for piece in 1..=text.len() {
            let left = neutralised(text.as_bytes(), piece);
            assert_eq!(String::from_utf8_lossy(&left), leaves, "in pieces of {piece}");
        }
    }
}

/// How a server splits message data into lines.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Lines {
    CrLf,
    Lf,
    /// CR, LF, or both.
    Any,
}

/// What a server does with NULs in message data.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Nuls {
    Keeps,
    Drops,
    /// A line ends for it where it has one.
    StopsAt,
}

/// Whether such a server sees a line of a dot in a text that follows a line end.
fn sees_end(text: &[u8], lines: Lines, nuls: Nuls) -> bool {
    let kept = |byte: &u8| nuls != Nuls::Drops || *byte != 0;
    let text: String = text.iter().copied().filter(kept).map(char::from).collect();
    let mut found: Vec<&str> = match lines {
        Lines::CrLf => text.split("\r\n").collect(),
        Lines::Lf => text.split('\n').map(|line| line.trim_end_matches('\r')).collect(),
        Lines::Any => text.split(['\r', '\n']).collect(),
    };
    // The last has not ended.
    found.pop();
    let cut = |line: &&str| match nuls {
        Nuls::StopsAt => line.split('\0').next() == Some("."),
        Nuls::Keeps | Nuls::Drops => line.trim_end() == ".",
    };
    found.iter().any(cut)
}

/// All short texts of what matters: none ends earlier for any server than here.
#[test]
fn no_server_sees_an_end_before_the_true_one() {
    let letters = b"\r\n.\0 x";
    for number in 0..letters.len().pow(7) {
        let mut rest = number;
        let mut text: Vec<u8> = Vec::new();
        for _ in 0..7 {
            text.push(letters[rest % letters.len()]);
            rest /= letters.len();
        }
        let swept = MailData::Line.sweep(&mut text, Some(b'#'));
        let text = if swept.is_end { &text[..swept.used - 1] } else { &text[..] };
        // What ends lines at a CR takes the beginning of the true end for all of it.
        let has_open_end =
            text.starts_with(b".\r") || text.windows(4).any(|four| four == b"\r\n.\r");
        for lines in [Lines::CrLf, Lines::Lf, Lines::Any] {
            for nuls in [Nuls::Keeps, Nuls::Drops, Nuls::StopsAt] {
                let is_known = has_open_end && lines == Lines::Any;
                let is_early = !is_known && sees_end(text, lines, nuls);
                assert!(!is_early, "{lines:?} {nuls:?} {:?}", text.escape_ascii().to_string());
            }
        }
    }
}

/// What the machine leaves of message data, one byte at a time, and how far that is.
fn swept_bytewise(mut state: MailData, text: &[u8], is_disowned: bool) -> (Vec<u8>, Swept) {
    let (mut out, mut swept) = (text.to_vec(), Swept::default());
    for (at, byte) in out.iter_mut().enumerate() {
        let next = if is_disowned { state.ruled_disowned(*byte) } else { state.ruled(*byte) };
        swept.used = at + 1;
        state = match next {
            Next::To(state) => state,
            Next::Changed => {
                let is_first = swept.changed == 0;
                swept.changed += u64::from(*byte != b'#');
                *byte = b'#';
                swept.edited = if is_first { at } else { swept.edited.start }..at + 1;
                MailData::DotByte
            }
            Next::End => {
                swept.is_end = true;
                break;
            }
        };
    }
    (out, swept)
}

fn swept(state: &mut MailData, text: &[u8], is_disowned: bool) -> (Vec<u8>, Swept) {
    let (mut out, before) = (text.to_vec(), *state);
    let mut swept = if is_disowned {
        state.sweep_disowned(&mut out, b'#')
    } else {
        state.sweep(&mut out, Some(b'#'))
    };
    check_plain(before, text, std::mem::take(&mut swept.plain));
    (out, swept)
}

#[test]
fn a_sweep_does_what_single_steps_do() {
    let alphabet = b"\r\n.\0 x";
    let mut texts: Vec<Vec<u8>> = (0..6_u32.pow(5))
        .map(|number| {
            (0..5).map(|digit| alphabet[(number / 6_u32.pow(digit) % 6) as usize]).collect()
        })
        .collect();
    // The same in the middle of a block, across its edge, and again and again.
    for number in (0..texts.len()).step_by(11) {
        let text = texts[number].clone();
        for before in [57, 61, 200, 1_100] {
            texts.push([&vec![b'x'; before], &text[..], b"yy\r\nzz"].concat());
        }
        texts.push(text.repeat(30));
    }
    for text in &texts {
        for is_disowned in [false, true] {
            for start in MailData::ALL {
                let whole = swept_bytewise(start, text, is_disowned);
                let mut state = start;
                assert_eq!(swept(&mut state, text, is_disowned), whole, "{start:?} {text:?}");
                assert_eq!(
                    start.find_end(text, FalseEnds::Changed),
                    swept_bytewise(start, text, false).1.end()
                );
            }
        }
    }
}

#[test]
fn line_ends_are_counted_wherever_they_stand() {
    let behind = [b'b'; 1_100];
    for before in [1, 31, 32, 70, 1_021, 1_022, 1_023, 1_024, 1_025, 1_100, 2_047, 5_000] {
        for lines in ["\r\n", "\r\n\r\n", "\r\n\r\n\r\n\r\n"] {
            let head = vec![b'a'; before];
            let mut text = [&head[..], lines.as_bytes(), &behind, b"\r\n", &behind].concat();
            let (end, line_ends) = (text.len(), lines.len() / 2 + 1);
            let found = MailData::Middle.sweep(&mut text, None).plain;
            assert_eq!(found, Plain { start: 0, end, line_ends }, "{lines:?} behind {before}");
        }
    }
}

#[test]
fn a_sweep_goes_on_where_another_ended() {
    let text = b"a\n.\nb\r\n.\rc\r\n\0..\r\n.\n\r\n.\r\nQUIT".repeat(3);
    for is_disowned in [false, true] {
        let (whole, found) = swept_bytewise(MailData::Line, &text, is_disowned);
        for cut in 0..found.used {
            let mut state = MailData::Line;
            let (mut out, first) = swept(&mut state, &text[..cut], is_disowned);
            let (rest, second) = swept(&mut state, &text[cut..], is_disowned);
            out.extend(rest);
            assert_eq!(out, whole, "cut at {cut}");
            assert_eq!(first.used + second.used, found.used, "cut at {cut}");
            assert_eq!(first.changed + second.changed, found.changed, "cut at {cut}");
        }
    }
}

#[test]
fn what_stays_is_read_to_its_end() {
    let mut text = b"a\n.\nb\r\n.\r\nQUIT\r\n".to_vec();
    let before = text.clone();
    let swept = MailData::Line.sweep(&mut text, None);
    assert_eq!(swept, Swept { used: 10, is_end: true, ..Swept::default() });
    assert_eq!(text, before);
}

/// What leaves of text behind a final reply, and where its end is, in pieces of this size.
fn disowned(from: MailData, text: &[u8], piece: usize) -> (String, Option<usize>) {
    let mut state = from;
    let mut out = String::new();
    for (index, whole) in text.chunks(piece).enumerate() {
        let mut rest = whole;
        while !rest.is_empty() {
            let before = state;
            let (used, kind) = state.read_rest(rest);
            match kind {
                Rest::Text => {
                    let mut run = rest[..used].to_vec();
                    before.disown(&mut run, b'X');
                    out += std::str::from_utf8(&run).unwrap();
                }
                Rest::End => out += std::str::from_utf8(&rest[..used]).unwrap(),
            }
            rest = &rest[used..];
            if kind == Rest::End {
                return (out, Some(index * piece + whole.len() - rest.len()));
            }
        }
    }
    (out, None)
}

#[test]
fn of_disowned_text_only_the_true_end_is_left() {
    for (text, leaves, end) in [
        ("ne\r\nRSET\r\n.\r\nQUIT", "XX\r\nXXXX\r\n.\r\n", Some(13)),
        ("a\n.\nb\r\n.\n\r\n..\r\n", "XXXXX\r\n.X\r\n.X\r\n", None),
        ("a\r.\r\n.\rb\r\n", "X\rX\r\n.\rX\r\n", None),
        ("\r\n.\r\r\n.\r\n", "\r\n.\rXXX\r\n", None),
    ] {
        for piece in 1..=text.len() {
            let found = disowned(MailData::Middle, text.as_bytes(), piece);
            assert_eq!(found, (leaves.to_owned(), end), "{text:?} in pieces of {piece}");
        }
    }
    assert_eq!(disowned(MailData::DotCr, b"\nx", 9), ("\n".to_owned(), Some(1)));
    assert_eq!(disowned(MailData::Line, b".\r\n", 9), (".\r\n".to_owned(), Some(3)));
}

/// Blocks of text are passed over where nothing in them needs a look: what stands anywhere in one,
/// and across its edges, is found all the same.
#[test]
fn nothing_hides_in_a_block_of_text() {
    let odd = [
        ".",
        "\n",
        "\r",
        ".\n",
        ".\0",
        "\n.\n",
        "\r.\r",
        "\r\n.\r\n",
        "\r\n.\n",
        "\r\n.\0",
        "\r\n\0",
        "\n\0",
        "\0\n.\r\n",
        "\r\n\r\n.\r\n",
    ];
    let line = "a line of a message as most of them are\r\n";
    let plain = [("x", "x"), (line, line), (".x\r\n", ".x\r\n"), ("\r\n", "\r\n"), ("\r", "\n")];
    // The step over whole blocks is not tried before.
    let head = ["x".repeat(64), "\n".to_owned(), "x".repeat(63)].concat();
    for (before, after) in plain {
        let (before, after) = (before.repeat(1_100), after.repeat(1_200));
        for odd in odd {
            for place in (0..5).chain((5..1_015).step_by(101)).chain(1_015..1_030) {
                let body = [&before[..place], odd, &after[..1_200 - place]].concat();
                let text = [&head, &body, "x\r\n.\r\nQUIT"].concat().into_bytes();
                let (out, whole) = swept_bytewise(MailData::Middle, &text, false);
                let found = swept(&mut MailData::Middle, &text, false);
                assert_eq!(found, (out.clone(), whole.clone()), "{odd:?} at {place}");
                assert_eq!(
                    MailData::Middle.find_end(&text, FalseEnds::Changed),
                    whole.end(),
                    "{odd:?} at {place}"
                );
                let (lookalikes, end, _) = read_in_runs(MailData::Middle, &text);
                let changed = (0..text.len()).filter(|&at| text[at] != out[at]);
                assert_eq!(lookalikes, changed.collect::<Vec<_>>(), "{odd:?} at {place}");
                assert_eq!(end, whole.end(), "{odd:?} at {place}");
            }
        }
    }
}

/// Whoever strips lines sees a dot alone, whatever blanks he knows.
#[test]
fn no_blanks_hide_a_dot_alone() {
    let blanks = "\x01\t\x0b\x0c\x1f \u{85}\u{a0}\u{1680}\u{180e}\u{2000}\u{200b}\u{2028}\u{2029}\
                  \u{202f}\u{205f}\u{3000}\u{feff}";
    let is_lookalike = |line: &[u8]| !read_bytewise(MailData::Line, line).0.is_empty();
    for blank in blanks.chars() {
        for end in ["\r\n", "\n"] {
            let line = format!(".{blank}{blank}{end}");
            assert!(is_lookalike(line.as_bytes()), "{line:?}");
            let longer = format!(".{blank}xy{end}");
            assert!(!is_lookalike(longer.as_bytes()), "{longer:?}");
        }
    }
    assert!(is_lookalike(b".\xa0\r\n"), "Latin-1");
    for honest in [".\r\n", "..\r\n", ".\u{e9}\r\n", ".\u{4e2d}\u{6587}\r\n"] {
        assert!(!is_lookalike(honest.as_bytes()), "{honest:?}");
    }
}

#[test]
fn lookalikes_that_stand_close_are_one_run() {
    // The first is the LF behind a dot.
    let behind =
        |text: &str| MailData::BareDot.read(format!("\n{text}").as_bytes(), FalseEnds::Changed);
    for (between, used) in [(0, 2), (1, 5), (14, 18), (15, 1)] {
        let text = "x".repeat(between);
        assert_eq!(behind(&format!("{text}\n.\nx")), (used, Run::Lookalike), "{between}");
    }
    assert_eq!(behind(&"x\n.\n".repeat(100)), (61, Run::Lookalike));
    assert_eq!(behind("\r\n.\r\n"), (1, Run::Lookalike), "the true end is none");
}

/// Text that looks like what it is masked with already does not count as changed.
#[test]
fn what_has_the_masks_value_is_not_changed() {
    for text in ["#".repeat(40), "#".repeat(100) + "\r\n", "#".repeat(40) + "x", {
        "x".to_owned() + &"#".repeat(40) + "x##"
    }] {
        let (out, found) = swept(&mut MailData::Middle, text.as_bytes(), true);
        let changed: Vec<usize> = text.match_indices('x').map(|(at, _)| at).collect();
        assert_eq!(String::from_utf8(out).unwrap(), text.replace('x', "#"));
        assert_eq!((found.used, found.changed), (text.len(), changed.len() as u64), "{text}");
        assert_eq!(found.edited.is_empty(), changed.is_empty(), "{text}");
        assert!(changed.iter().all(|at| found.edited.contains(at)), "{text}");
    }
}

#[test]
fn disowned_text_is_masked_behind_many_line_ends() {
    for text in ["\r".repeat(100) + "x", "\r\n".repeat(100) + "x", "x".repeat(100) + "\rx"] {
        let whole = swept_bytewise(MailData::Middle, text.as_bytes(), true);
        assert_eq!(swept(&mut MailData::Middle, text.as_bytes(), true), whole, "{text:?}");
    }
}

/// Whatever stands before them, and whether there are two or more of them.
#[test]
fn few_bytes_are_text_after_anything_or_not() {
    let alphabet = b"\r\n.\0 x";
    for number in 0..6_u32.pow(5) {
        for length in 0..=5 {
            let digit = |digit| alphabet[(number / 6_u32.pow(digit) % 6) as usize];
            let text: Vec<u8> = (0..length).map(digit).collect();
            let is_text = MailData::ALL.iter().all(|&start| {
                let (out, swept) = swept_bytewise(start, &text, false);
                !swept.is_end && swept.edited.is_empty() && out == text
            });
            assert_eq!(MailData::is_text_after_anything(&text), is_text, "{text:?}");
        }
    }
}

/// Where nothing is changed the end is CRLF.CRLF, DATA's own line end counted, whatever stands
/// before it: what looks like an end may be its first bytes.
#[test]
fn the_end_of_what_stays_is_the_first_true_one() {
    let alphabet = b"\r\n.x\0";
    for number in 0..5_u32.pow(8) {
        let text: Vec<u8> =
            (0..8).map(|digit| alphabet[(number / 5_u32.pow(digit) % 5) as usize]).collect();
        let whole = [b"\r\n", &text[..]].concat();
        let end = whole.windows(5).position(|five| five == b"\r\n.\r\n").map(|at| at + 3);
        assert_eq!(MailData::Line.find_end(&text, FalseEnds::Kept), end, "{text:?}");
        let mut left = text.clone();
        let swept = MailData::Line.sweep(&mut left, None);
        assert_eq!((swept.end(), &left), (end, &text));
        let (mut state, mut at, mut found) = (MailData::Line, 0, None);
        while at < text.len() && found.is_none() {
            // Cut anywhere.
            let piece = &text[at..text.len().min(at + 1 + number as usize % 8)];
            let (used, run) = state.read(piece, FalseEnds::Kept);
            at += used;
            match run {
                Run::Text(_) => {}
                Run::Lookalike => panic!("nothing is to change: {text:?}"),
                Run::End => found = Some(at),
            }
        }
        assert_eq!(found, end, "{text:?}");
    }
}
