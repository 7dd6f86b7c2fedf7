//! Which bytes no log may hold.

use super::*;

/// What a log may show of what the client says, cut into pieces of this size: secrets as `*`.
fn shown(talk: &mut Talk, text: &str, piece: usize) -> String {
    let mut out = String::new();
    for part in text.as_bytes().chunks(piece) {
        for (step, run) in talk.read(Speaker::Client, part, 0) {
            let run = String::from_utf8_lossy(&run).into_owned();
            let star = |letter| if matches!(letter, '\r' | '\n') { letter } else { '*' };
            let stars = || run.chars().map(star);
            out += &if step.is_secret { stars().collect() } else { run.clone() };
        }
    }
    out
}

#[test]
fn what_stands_behind_auth_and_its_kin_is_hidden() {
    for (text, expected) in [
        ("AUTH PLAIN AGEAYg==\r\n", "AUTH **************\r\n"),
        ("auth plain AGEA\rYg==\r\n", "auth **********\r****\r\n"),
        ("AUTH PLAIN AGEA\0Yg==\r\n", "AUTH ***************\r\n"),
        ("AUTH\rPLAIN x\r\n", "AUTH\r*******\r\n"),
        ("AUTH\0PLAIN x\r\n", "AUTH********\r\n"),
        ("AU\0TH PLAIN x\r\n", "AU***********\r\n"),
        ("X-EXPS GSSAPI x\r\n", "X-EXPS ********\r\n"),
        ("a1 LOGIN u p\r\n", "a1 *********\r\n"),
        (". login u p\r\n", ". *********\r\n"),
        ("007 x\r\n", "007 *\r\n"),
        ("a1b LOGIN u p\r\n", "a1b LOGIN****\r\n"),
        ("a LOGIN u p\r\n", "a LOGIN****\r\n"),
        ("tag login \"u\" p\r\n", "tag login******\r\n"),
        ("SMTP AUTH PLAIN x\r\n", "SMTP AUTH********\r\n"),
        ("SMTP  (auth PLAIN x\r\n", "SMTP  (auth********\r\n"),
        ("SMTP AUHT PLAIN x\r\n", "SMTP AUHT PLAIN x\r\n"),
        ("SMTP PLAIN AUTH x\r\n", "SMTP PLAIN AUTH x\r\n"),
        ("SMTP AUTHENTICATION x\r\n", "SMTP AUTH************\r\n"),
        ("Proxy-Authorization: x\r\n", "Proxy-Authorization: *\r\n"),
        ("EHLO a AUTH PLAIN x\r\n", "EHLO a AUTH PLAIN x\r\n"),
        ("EHLO a\rAUTH PLAIN x\rMAIL y\r\n", "EHLO a\rAUTH********\r******\r\n"),
        ("NOOP\rRSET\r PASS x\r\n", "NOOP\rRSET\r PASS**\r\n"),
        ("NOOP\rA-UTH PLAIN x\r\n", "NOOP\rA-UTH PLAIN x\r\n"),
        ("NOOP\0AUTH PLAIN x\r\n", "NOOP\0AUTH********\r\n"),
        ("NOOP a\rb AUTH\0XAUTH PLAIN x\r\n", "NOOP a\rb AUTH\0XAUTH********\r\n"),
        ("RSET\rincomprehensible AUTH x\r\n", "RSET\rincomprehensible AUTH x\r\n"),
        ("XAUTH x\r\n", "XAUTH *\r\n"),
        ("USER joe\r\n", "USER ***\r\n"),
        ("USERRCPTMAILb\r\n", "USER*********\r\n"),
        ("US joe\r\n", "US joe\r\n"),
        (" AUTH PLAIN x\r\n", " ************\r\n"),
        ("\0AUTH PLAIN x\r\n", "*************\r\n"),
        (".AUTH PLAIN x\r\n", ".AUTH *******\r\n"),
        ("AUHT PLAIN x\r\n", "AUHT *******\r\n"),
        ("ATUH PLAIN x\r\n", "ATUH *******\r\n"),
        ("AUT PLAIN x\r\n", "AUT *******\r\n"),
        ("AUTG PLAIN x\r\n", "AUTG *******\r\n"),
        ("QUTH PLAIN x\r\n", "QUTH *******\r\n"),
        ("AUUTH PLAIN x\r\n", "AUUTH *******\r\n"),
        ("THAT PLAIN x\r\n", "THAT PLAIN x\r\n"),
        ("MAIL FROM:<a@b>\r\n", "MAIL FROM:<a@b>\r\n"),
        ("NOOP a\rb\0c\r\n", "NOOP a\rb\0c\r\n"),
        ("\r\n", "\r\n"),
    ] {
        for refused in [false, true] {
            for piece in 1..=text.len() {
                let mut talk = Talk::greeted();
                if refused {
                    talk.client(&text[..1]);
                    talk.dialogue.refuse(false);
                    let rest = shown(&mut talk, &text[1..], piece);
                    assert_eq!(rest, expected[1..], "{text:?}, refused, in pieces of {piece}");
                } else {
                    assert_eq!(shown(&mut talk, text, piece), expected, "in pieces of {piece}");
                }
            }
        }
    }
}

#[test]
fn what_is_glued_to_auth_and_its_kin_is_hidden() {
    for text in ["AUTH=PLAIN=c2VjcmV0\r\n", "AUTHPLAINc2VjcmV0\r\n", "LOGIN:c2VjcmV0\r\n"] {
        for piece in 1..=text.len() {
            let mut talk = Talk::greeted();
            let seen = shown(&mut talk, text, piece);
            let stars = seen.trim_start_matches("AUTH").trim_start_matches("LOGIN");
            assert!(stars.trim_end().bytes().all(|byte| byte == b'*'), "{piece}: {seen}");
            talk.server("500 what\r\n");
            // What comes next may be the rest of it.
            assert_eq!(shown(&mut talk, "c2VjcmV0\r\n", piece), "********\r\n");
        }
    }
}

#[test]
fn the_line_behind_any_334_is_hidden() {
    for before in ["AUTH LOGIN\r\n", "NOOP\r\n", "what\r\n", "NOO", ""] {
        for piece in [1, 3, 99] {
            let mut talk = Talk::greeted();
            talk.client(before);
            talk.server("334 VXNlcm5hbWU6\r\n");
            if before == "NOO" {
                talk.client("P\r\n");
            }
            let line = shown(&mut talk, "QUIT\r\n", piece);
            assert!(line.starts_with("****"), "{before:?} in pieces of {piece}: {line:?}");
            // A wait may stand between; then verbs are shown again.
            talk.server("535 no\r\n");
            assert_eq!(shown(&mut talk, "czNjcjN0\r\n", piece), "********\r\n", "{before:?}");
            assert_eq!(shown(&mut talk, "MAIL x\r\n", piece), "MAIL x\r\n", "{before:?}");
            assert_eq!(shown(&mut talk, "czNjcjN0\r\n", piece), "czNjcjN0\r\n", "{before:?}");
        }
    }
}

/// Also where that refuses a chunk that has come whole.
#[test]
fn the_line_behind_a_334_to_a_chunk_is_hidden() {
    let mut talk = Talk::greeted();
    talk.client("EHLO a\r\n");
    talk.server("250-mx\r\n250 CHUNKING\r\n");
    talk.client("MAIL x\r\nRCPT y\r\n");
    talk.server("250 ok\r\n250 ok\r\n");
    talk.client("BDAT 2\r\nab");
    assert_eq!(talk.server_covering(talk.at - 1, "334 x\r\n"), Some(Fault::UnexpectedReply));
    assert_eq!(talk.expect(), Expect::Unproved);
    assert_eq!(shown(&mut talk, "QUIT\r\n", 1), "****\r\n");
}

#[test]
fn lines_behind_a_refused_auth_are_hidden_until_a_verb_shows() {
    let mut talk = Talk::greeted();
    talk.client("A");
    talk.dialogue.refuse(false);
    talk.client("UTH LOGIN\r\n");
    assert_eq!(shown(&mut talk, "xNlcg==\r\nxFzcw==\r\n", 99), "*******\r\n*******\r\n");
    assert_eq!(shown(&mut talk, "xFz cw\r\n", 99), "*** **\r\n");
    assert_eq!(shown(&mut talk, "QUIT\r\nfoo\r\n", 99), "QUIT\r\nfoo\r\n");
    let mut talk = Talk::greeted();
    talk.client("AUTH PLAIN x\r\n");
    talk.server("530 TLS first\r\n");
    assert_eq!(shown(&mut talk, "xNlcg==\r\n", 1), "*******\r\n");
}

/// Whatever stands before it that some server passes over, and whatever it seems to be a part of.
#[test]
fn lines_behind_an_auth_that_was_hidden_itself_are_hidden() {
    for asked in [
        " AUTH LOGIN\r\n",
        "\tAUTH LOGIN\r\n",
        " LOGIN\r\n",
        "\0AUTH LOGIN\r\n",
        "\r AUTH LOGIN\r\n",
        "A\rAUTH LOGIN\r\n",
        "PA\0AUTH LOGIN\r\n",
        "AUTH LOGIN\r\nRSET\rX\rAUTH LOGIN\r\n",
        "AUTH LOGIN\r\nRSET\0AUTH LOGIN\r\n",
    ] {
        for piece in [1, 2, 99] {
            let mut talk = Talk::greeted();
            for line in asked.split_inclusive('\n') {
                let _ = shown(&mut talk, line, piece);
                talk.server("500 what\r\n");
            }
            let lines = "xNlcm5hbWU=\r\nxGFzc3dvcmQ=\r\n";
            let stars = "***********\r\n************\r\n";
            assert_eq!(shown(&mut talk, lines, piece), stars, "{asked:?} in pieces of {piece}");
            // Its quotation, too.
            let steps = talk.read(Speaker::Server, b"500 xNlcm5hbWU=\r\n", talk.at);
            assert!(steps.iter().any(|(step, run)| run.starts_with(b"xNl") && step.is_secret));
            let rest = "NOOP a\rb\r\nfoo bar\r\n";
            assert_eq!(shown(&mut talk, rest, piece), rest, "{asked:?} in pieces of {piece}");
        }
    }
}

/// What no verb can come of any more, in a line that is refused at its first letter.
#[test]
fn as_much_of_a_word_is_hidden_however_it_is_cut() {
    for (text, expected) in [("VRFX\r\n", "VRF*\r\n"), ("VRFYING\r\n", "VRFY***\r\n")] {
        for piece in 1..text.len() {
            let mut talk = Talk::greeted();
            talk.client("AUTH LOGIN\r\n");
            talk.server("500 what\r\n");
            talk.client(&text[..1]);
            talk.dialogue.refuse(false);
            assert_eq!(shown(&mut talk, &text[1..], piece), expected[1..], "in pieces of {piece}");
        }
    }
}

#[test]
fn behind_a_success_lines_are_hidden_until_a_verb_shows() {
    let mut talk = Talk::greeted();
    talk.client("AUTH PLAIN\r\n");
    talk.server("334\r\n");
    assert_eq!(shown(&mut talk, "AGEAYg==\r\n", 4), "********\r\n");
    talk.server("235 ok\r\n");
    // Its sender may say the password again, or have said it before the success was read.
    assert_eq!(shown(&mut talk, "XFOO bar\r\n", 99), "**** ***\r\n");
    assert_eq!(shown(&mut talk, "NOOP\r\n", 99), "NOOP\r\n");
    assert_eq!(shown(&mut talk, "XFOO bar\r\n", 99), "XFOO bar\r\n");
}

#[test]
fn auth_lines_are_no_commands_until_the_final_reply() {
    let mut talk = Talk::greeted();
    talk.client("AUTH LOGIN\r\n");
    for _ in 0..2 {
        talk.server("334 xx\r\n");
        assert_eq!(talk.expect(), Expect::AuthLine);
        let events = talk.client("VRFY\r\nVRFY\r\n");
        assert_eq!(events, [(Event::AuthLine, b"VRFY\r\n".to_vec()), (Event::Wait, vec![])]);
    }
    talk.server("235 ok\r\n");
    assert_eq!(talk.expect(), Expect::Command);
}

#[test]
fn the_rest_of_an_auth_line_is_no_command() {
    for reply in ["535 no\r\n", "no\r\n"] {
        let mut talk = Talk::greeted();
        talk.client("AUTH LOGIN\r\n");
        talk.server("334 x\r\n");
        talk.client("VRFY ro");
        talk.server(reply);
        assert_eq!(talk.expect(), Expect::Command);
        assert!(talk.dialogue.is_refused(), "{reply:?}");
        let events = talk.client("ot\r\n");
        assert_eq!(events[0], (Event::CommandStray, b"ot".to_vec()), "{reply:?}");
    }
}

/// sendmail quotes what it cannot decode.
#[test]
fn a_refusal_of_auth_is_told_without_its_words() {
    let reply = "535-5.7.8 cannot decode\r\n501 my!secret!pw\r\n";
    let hidden = "535-*******************\r\n501 ************\r\n";
    for (refused, before, expected) in [
        ("", "AUTH LOGIN\r\n", hidden),
        ("AUTH NTLM\r\n", "my!secret!pw\r\n", hidden),
        ("NOOP\r\n", "my!secret!pw\r\n", reply),
        ("", "NOOP\r\n", reply),
    ] {
        for piece in 1..=reply.len() {
            let mut talk = Talk::greeted();
            if !refused.is_empty() {
                talk.client(refused);
                talk.server("504 no such mechanism\r\n");
            }
            talk.client(before);
            let shown: String = reply
                .as_bytes()
                .chunks(piece)
                .flat_map(|part| talk.read(Speaker::Server, part, talk.at))
                .map(|(step, run)| match step.is_secret {
                    true => run.iter().map(|&b| if b == b'\r' { '\r' } else { '*' }).collect(),
                    false => String::from_utf8(run).unwrap(),
                })
                .collect();
            assert_eq!(shown, expected, "{before:?} in pieces of {piece}");
        }
    }
    // It may answer a line that passed and has not been read yet.
    for (before, is_hidden) in [("AUTH LOGIN\r\n", true), ("NOOP\r\n", false)] {
        let mut talk = Talk::greeted();
        talk.client(before);
        talk.server("500 what?\r\n");
        let steps = talk.read(Speaker::Server, b"500 my!secret!pw\r\n", talk.at);
        assert_eq!(steps.iter().any(|(step, _)| step.is_secret), is_hidden, "{before:?}");
    }
    // A line that is here whole is not told at once.
    let mut talk = Talk::greeted();
    talk.client("AUTH LOGIN\r\n");
    let standing = Standing { at: at(0), covers: at(talk.at) };
    assert!(talk.dialogue.whole_reply(b"501 my!secret!pw\r\n", standing).is_none());
    assert!(talk.dialogue.whole_reply(b"334 VXNlcm5hbWU6\r\n", standing).is_some());
}

/// Some servers look for commands in an exchange first.
#[test]
fn what_is_no_base64_in_an_exchange_is_stray() {
    for (line, stray) in [
        ("AGEAYg==\r\n", ""),
        ("=\r\n", ""),
        ("*\r\n", ""),
        ("*AGE\r\n", ""),
        ("A*\r\n", "*"),
        ("RCPT TO:<a@b>\r\n", "TO:<a@b>"),
        ("VRFY\troot\r\n", "root"),
        (" AGE\r\n", "AGE"),
        ("AGE= \t\r\n", ""),
        ("AGE= \t=\r\n", "="),
        ("AG\r\r\n", ""),
        ("AG\rE\r\n", "E"),
        ("a\u{e9}\n", "\u{e9}"),
    ] {
        for piece in 1..=line.len() {
            let mut talk = Talk::greeted();
            talk.client("AUTH PLAIN\r\n");
            talk.server("334\r\n");
            let mut found = Vec::new();
            for part in line.as_bytes().chunks(piece) {
                let steps = talk.read(Speaker::Client, part, talk.at);
                let strays = steps.into_iter().filter(|(step, _)| step.event == Event::AuthStray);
                found.extend(strays.flat_map(|(_, run)| run));
            }
            found.retain(|byte| *byte != b'\r');
            assert_eq!(found, stray.as_bytes(), "{line:?} in pieces of {piece}");
            assert_eq!(talk.expect(), Expect::Wait, "{line:?}");
        }
    }
}

#[test]
fn of_all_verbs_auth_alone_asks_for_a_credential() {
    for verb in Verb::ALL {
        let word = word(verb.name());
        assert_eq!(word.asks_for_credential(), verb == Verb::Auth, "{verb:?}");
        assert_eq!(word.may_be_of_authentication(), verb == Verb::Auth, "{verb:?}");
    }
}
