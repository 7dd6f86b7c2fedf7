//! Segmentation invariance: the bytes that leave are a function of the byte stream alone.
//!
//! Every two-way and three-way cut of representative dialogues, in both directions, exhaustively.
//! The uncut run is the reference; it is itself compared with what the profile promises.

use crate::support::rig::{Rig, settings};
use crate::support::script::{play, scripts};
use mailguard::flow::Direction::{self, Original as C, Reply as S};

struct Case {
    profile: &'static str,
    name: &'static str,
    turns: &'static [(Direction, &'static str)],
    /// What the server gets.
    server_gets: &'static str,
    /// What the client gets.
    client_gets: &'static str,
}

const CASES: &[Case] = &[
    Case {
        profile: "mailguard",
        name: "plain delivery",
        turns: &[
            (S, "220 mx2.example ESMTP\r\n"),
            (C, "HELO a\r\n"),
            (S, "250 mx2\r\n"),
            (C, "MAIL FROM:<a@b>\r\n"),
            (S, "250 ok\r\n"),
            (C, "RCPT TO:<c@d>\r\n"),
            (S, "250 ok\r\n"),
            (C, "DATA\r\n"),
            (S, "354 go\r\n"),
            (C, "S: x\r\n\r\nVRFY\r\n..\r\n.\r\n"),
            (S, "250 queued\r\n"),
            (C, "QUIT\r\n"),
            (S, "221 bye\r\n"),
        ],
        server_gets: "HELO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n\
                      S: x\r\n\r\nVRFY\r\n..\r\n.\r\nQUIT\r\n",
        client_gets: "220 **2**************\r\n250 mx2\r\n250 ok\r\n250 ok\r\n354 go\r\n\
                      250 queued\r\n221 bye\r\n",
    },
    Case {
        profile: "mailguard",
        name: "refusals, and a verb behind the end of data",
        turns: &[
            (S, "220-a\r\n220 b\r\n"),
            (C, "EHLO a\r\nHELP\r\nVRFY root\r\nMAIL FROM:<|a>\r\nDATA\r\n"),
            (S, "500 x\r\n500 x\r\n500 x\r\n250 ok\r\n354 go\r\n"),
            (C, "a\r\n.\r\n"),
            (S, "250 ok\r\n"),
            (C, "VRFY b\r\nNOOP\n"),
            (S, "500 x\r\n250 ok\r\n"),
            (C, "EXPN c\n"),
            (S, "500 x\r\n"),
        ],
        server_gets: "XXXXXX\r\nHELX\r\nXXXXXXXXX\r\nMAIL FROM:<XXX\r\nDATA\r\n\
                      a\r\n.\r\nXXXXXX\r\nNOOP\nXXXXXX\n",
        client_gets: "220-*\r\n220 *\r\n500 x\r\n500 x\r\n500 x\r\n250 ok\r\n354 go\r\n\
                      250 ok\r\n500 x\r\n250 ok\r\n500 x\r\n",
    },
    Case {
        profile: "mailguard",
        name: "DATA refused, body lines are commands",
        turns: &[
            (S, "220 b\r\n"),
            (C, "MAIL FROM:<a>\r\nDATA\r\n"),
            (S, "250 ok\r\n554 no\r\n"),
            (C, "VRFY root\r\n.\r\nQUIT\r\n"),
            (S, "500 x\r\n500 x\r\n221 bye\r\n"),
        ],
        server_gets: "MAIL FROM:<a>\r\nDATA\r\nXXXXXXXXX\r\nX\r\nQUIT\r\n",
        client_gets: "220 *\r\n250 ok\r\n554 no\r\n500 x\r\n500 x\r\n221 bye\r\n",
    },
    Case {
        profile: "mailguard",
        name: "every false end is neutralised",
        turns: &[
            (S, "220 b\r\n"),
            (C, "DATA\r\n"),
            (S, "354 go\r\n"),
            (C, "a\n.\nb\r\n.\nc\n.\r\nd\r\n.\r\r\ne\r\r\n.\r\r\nf\r.\rg\r\n\0.\r\n\r\n.\r\n"),
            (S, "250 ok\r\n"),
        ],
        server_gets: "DATA\r\na\n.Xb\r\n.Xc\n.XXd\r\n.\rXXe\r\r\n.\rXXf\r.Xg\r\n\0.XX\r\n\
                      .\r\n",
        client_gets: "220 *\r\n354 go\r\n250 ok\r\n",
    },
    Case {
        profile: "mailguard",
        name: "empty message, QUIT behind it",
        turns: &[
            (S, "220 b\r\n"),
            (C, "data\r\n"),
            (S, "354-a\r\n354 go\r\n"),
            (C, ".\r\nQUIT\r\n"),
            (S, "250 ok\r\n221 bye\r\n"),
        ],
        server_gets: "data\r\n.\r\nQUIT\r\n",
        client_gets: "220 *\r\n354-a\r\n354 go\r\n250 ok\r\n221 bye\r\n",
    },
    Case {
        profile: "esmtp",
        name: "offers, a pipeline, 8-bit text",
        turns: &[
            (S, "220-mx a\r\n220 b\r\n"),
            (C, "ehlo a\r\n"),
            (
                S,
                "250-mx Hi\r\n250-AUTH=X\r\n250-AUTHOR\r\n250-XCLIENT A\r\n\
              250-SMTPUTF8\r\n250 SIZE 9\r\n",
            ),
            (C, "MAIL FROM:<é@a>\tSIZE=1\r\nEXPN a\r\nDATA\r\n"),
            (S, "250 ok\r\n500 x\r\n354 go\r\n"),
            (C, "é\r\nEXPN\r\n.\r\nQUIT\r\n"),
            (S, "250 ok\r\n221 bye\r\n"),
        ],
        server_gets: "ehlo a\r\nMAIL FROM:<é@a> SIZE=1\r\nEXXXXX\r\nDATA\r\n\
                      é\r\nEXPN\r\n.\r\nQUIT\r\n",
        client_gets: "220-mx E\r\n220 E\r\n250-mx Hi\r\n250-AUTH=X\r\n250-AUTHXX\r\n\
                      250-XXXXXXX X\r\n250-SMTPUTF8\r\n250 SIZE 9\r\n250 ok\r\n500 x\r\n354 go\r\n\
                      250 ok\r\n221 bye\r\n",
    },
    Case {
        profile: "esmtp",
        name: "AUTH: challenged, cancelled, refused",
        turns: &[
            (S, "220 a\r\n"),
            (C, "AUTH LOGIN\r\n"),
            (S, "334 VXNlcg==\r\n"),
            (C, "EXPN\r\n"),
            (S, "334 UGFzcw==\r\n"),
            (C, "*\r\n"),
            (S, "501 no\r\n"),
            (C, "EXPN a\r\nAUTH X =\r\n"),
            (S, "500 x\r\n504-no\r\n504 no\r\n"),
            (C, "EXPN b\r\nHELP\r\n"),
            (S, "500 x\r\n214 x\r\n"),
        ],
        server_gets: "AUTH LOGIN\r\nEXPN\r\n*\r\nEXXXXX\r\nAUTH X =\r\nEXXXXX\r\nHELP\r\n",
        client_gets: "220 a\r\n334 VXNlcg==\r\n334 UGFzcw==\r\n501 no\r\n500 x\r\n\
                      504-no\r\n504 no\r\n500 x\r\n214 x\r\n",
    },
    Case {
        profile: "esmtp",
        name: "chunks, with STARTTLS inside and behind",
        turns: &[
            (S, "220 a\r\n"),
            (C, "EHLO a\r\n"),
            (S, "250-a\r\n250-STARTTLS\r\n250 CHUNKING\r\n"),
            (C, "MAIL FROM:<a>\r\nRCPT TO:<b>\r\n"),
            (S, "250 a\r\n250 a\r\n"),
            (C, "BDAT 11\r\nSTARTTLS\r\n.NOOP\r\n"),
            (S, "250 a\r\n250 b\r\n"),
            (C, "BDAT 5 LAST\r\n\r\n.\r\n"),
            (S, "250 c\r\n"),
            (C, "EXPN\r\nSTARTTLS\r\n"),
            (S, "500 d\r\n454 e\r\n"),
            (C, "HELO a\r\n"),
            (S, "250 f\r\n"),
            (C, "BDAT x\r\nEXPN\r\nSTARTTLS\r\n"),
            (S, "500 g\r\n500 h\r\n220 i\r\n"),
            (C, "\x16\x03\x01\0\x40\x01"),
            (S, "\x15\x03\x01\0\x02\x02\x28"),
        ],
        server_gets: "EHLO a\r\nMAIL FROM:<a>\r\nRCPT TO:<b>\r\n\
                      BDAT 11\r\nSTARTTLS\r\n.NOOP\r\nBDAT 5 LAST\r\n\
                      \r\n.\r\nEXXX\r\nSTARTTLS\r\nHELO a\r\nBDATXX\r\nEXXX\r\nSTARTTLS\r\n\
                      \x16\x03\x01\0\x40\x01",
        client_gets: "220 a\r\n250-a\r\n250-STARTTLS\r\n250 CHUNKING\r\n250 a\r\n250 a\r\n\
                      250 a\r\n250 b\r\n\
                      250 c\r\n500 d\r\n454 e\r\n250 f\r\n500 g\r\n500 h\r\n220 i\r\n\
                      \x15\x03\x01\0\x02\x02\x28",
    },
];

fn run(case: &Case, cuts: [&[u64]; 2], isn: [u32; 2]) -> [String; 2] {
    let mut rig = Rig::established(settings(case.profile), isn);
    play(&mut rig, &scripts(case.turns), cuts);
    assert_eq!(rig.resets, 0, "{}: {cuts:?}", case.name);
    [rig.original.bytes(), rig.reply.bytes()].map(|bytes| String::from_utf8(bytes).unwrap())
}

/// Every way of cutting a stream of this length once or twice.
fn all_cuts(length: u64) -> Vec<Vec<u64>> {
    let mut cuts: Vec<Vec<u64>> = (1..length).map(|cut| vec![cut]).collect();
    cuts.extend((1..length).flat_map(|a| (a + 1..length).map(move |b| vec![a, b])));
    cuts
}

#[test]
fn every_two_way_and_three_way_cut_gives_the_same_streams() {
    let mut runs = 0;
    for case in CASES {
        let expected = [case.server_gets, case.client_gets].map(str::to_owned);
        assert_eq!(run(case, [&[], &[]], [7, 9]), expected, "{}", case.name);
        for (who, direction) in Direction::BOTH.into_iter().enumerate() {
            for cuts in all_cuts(expected[who].len() as u64) {
                let both: [&[u64]; 2] = match direction {
                    C => [&cuts, &[]],
                    S => [&[], &cuts],
                };
                assert_eq!(run(case, both, [7, 9]), expected, "{}: {both:?}", case.name);
                runs += 1;
            }
        }
    }
    println!("every cut: {runs} cases, 0 differences");
}

#[test]
fn single_bytes_and_any_initial_sequence_number_give_the_same_streams() {
    let singles: Vec<u64> = (1..300).collect();
    for case in CASES {
        let expected = [case.server_gets, case.client_gets].map(str::to_owned);
        for isn in [[7, 9], [u32::MAX, u32::MAX - 10], [u32::MAX - 40, 0], [0x7fff_fff0; 2]] {
            assert_eq!(run(case, [&singles, &singles], isn), expected, "{} {isn:?}", case.name);
        }
    }
}
