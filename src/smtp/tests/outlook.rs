//! What may be asked of a dialogue, and what it is told: it rests, it may end, its place was lost.

use super::*;
use crate::smtp::FalseEnds;

#[test]
fn a_line_begins_where_none_is_under_way() {
    for (client, is_before_line, is_idle) in [
        ("", true, true),
        ("N", false, false),
        ("NOOP ", false, false),
        ("\r", false, false),
        ("NOOP\r\n", true, false),
        ("NOOP\r\nN", false, false),
        ("DATA\r\n", false, false),
    ] {
        let mut talk = Talk::greeted();
        talk.client(client);
        assert_eq!(talk.dialogue.is_before_line(), is_before_line, "{client:?}");
        assert_eq!(talk.dialogue.is_idle(), is_idle, "{client:?}");
        assert_eq!(talk.dialogue.is_owed(), client.contains('\n'), "{client:?}");
    }
    // Before the greeting a client may speak; a header of a proxy is no line.
    let talk = Talk::new();
    assert!(talk.dialogue.is_before_line() && !talk.dialogue.is_idle());
    let mut talk = Talk::new();
    talk.dialogue = Dialogue::new(DataBegins::OnReply).with_prefix();
    assert!(!talk.dialogue.is_before_line());
    talk.client("PROXY UNKNOWN\r\n");
    assert!(talk.dialogue.is_before_line(), "all of it has come");
    let talk = Talk::in_data();
    assert!(!talk.dialogue.is_before_line() && !talk.dialogue.is_idle());
}

#[test]
fn a_line_is_refused_until_its_end() {
    let mut talk = Talk::greeted();
    talk.client("VRFY ");
    assert!(!talk.dialogue.is_refused());
    talk.dialogue.refuse(false);
    assert!(talk.dialogue.is_refused());
    talk.client("root\r");
    assert!(talk.dialogue.is_refused());
    talk.client("\n");
    assert!(!talk.dialogue.is_refused());
}

#[test]
fn the_end_of_a_message_is_foreseen() {
    let mut talk = Talk::in_data();
    assert_eq!(talk.dialogue.data_start(), at(6));
    for (text, end) in [(".\r\n", Some(3)), ("a\r\n.\r\nQUIT", Some(6)), ("a\r\n.\n", None)] {
        assert_eq!(
            talk.dialogue.find_data_end(text.as_bytes(), FalseEnds::Changed),
            end,
            "{text:?}"
        );
    }
    assert_eq!(talk.expect(), Expect::Data(MailData::Line), "nothing was read");
    talk.client("a\r\n.");
    assert_eq!(talk.dialogue.find_data_end(b"\r\n", FalseEnds::Changed), Some(2));
    assert_eq!(Talk::greeted().dialogue.find_data_end(b".\r\n", FalseEnds::Changed), None);
    // Whether its end would be the server's nobody knows.
    talk.dialogue.disown();
    assert_eq!(talk.expect(), Expect::Oversize(MailData::Dot));
    assert_eq!(talk.dialogue.find_data_end(b"\r\n", FalseEnds::Changed), None);
}

#[test]
fn behind_a_gap_the_client_begins_a_line_or_goes_on_with_its_message() {
    use Speaker::Client;
    let lost = |talk: &mut Talk, missed| {
        let end = at(talk.at + missed);
        talk.dialogue.lose_place(Client, missed, end);
    };
    let mut talk = Talk::greeted();
    talk.client("MAIL FROM:<a");
    lost(&mut talk, 9);
    assert!(talk.dialogue.is_before_line());
    assert_eq!(talk.client("N"), [(Event::CommandWord(word("N")), b"N".to_vec())]);
    let mut talk = Talk::new();
    talk.dialogue = Dialogue::new(DataBegins::OnReply).with_prefix();
    lost(&mut talk, 9);
    assert!(talk.dialogue.is_before_line());
    let mut talk = Talk::in_data();
    talk.client("a\r\n");
    lost(&mut talk, 9);
    assert_eq!(talk.expect(), Expect::Data(MailData::Middle));
    talk.client("\r\n.");
    talk.dialogue.disown();
    lost(&mut talk, 9);
    assert_eq!(talk.expect(), Expect::Oversize(MailData::Middle));
}

#[test]
fn behind_a_gap_the_rest_of_a_reply_is_none() {
    let mut talk = Talk::greeted();
    talk.client("NOOP\r\n");
    talk.server("250-o");
    talk.dialogue.lose_place(Speaker::Server, 3, at(0));
    assert_eq!(talk.server("250 ok\r\n"), None);
    assert!(talk.dialogue.is_idle());
}

#[test]
fn words_for_logs_are_their_names() {
    assert_eq!(Verb::StartTls.to_string(), "STARTTLS");
    assert_eq!(Fault::UnaskedData.to_string(), "unasked-data");
}
