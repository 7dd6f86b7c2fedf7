//! Arguments of which more than one thing is to be said: what matters more is.

use crate::guard::tests::{Talk, changed};
use crate::guard::{Rule, Ruling};
use crate::smtp::Speaker::{Client, Server};

/// A session in which SIZE was offered.
fn offered(changes: &[(&str, &str)]) -> Talk {
    let mut talk = Talk::new(&changed("esmtp", changes));
    talk.say(Server, b"220 a\r\n", 99);
    talk.say(Client, b"EHLO a\r\n", 99);
    talk.say(Server, b"250-a\r\n250 SIZE\r\n", 99);
    talk
}

#[test]
fn a_parameter_that_is_told_of_undoes_no_edit() {
    for size in [1, 3, 99] {
        let mut talk = offered(&[("envelope", "lenient"), ("parameters", "log")]);
        let left = talk.say(Client, b"MAIL FROM:<a@b>\tFOO=1\r\n", size);
        assert_eq!(left, "MAIL FROM:<a@b> FOO=1\r\n", "by {size}");
    }
}

#[test]
fn what_is_told_of_an_argument_hides_no_limit_of_its_path() {
    for size in [1, 3, 99] {
        // Each byte that is only told of counts as one that is taken.
        for line in
            ["RCPT TO:<a(((((((((((((((((((((((>\r\n", "RCPT TO:<(abcdefghijklmnopqrstuvw>\r\n"]
        {
            let mut talk = offered(&[("envelope", "log"), ("path_max", "20")]);
            talk.say(Client, b"MAIL FROM:<a@b>\r\n", 99);
            talk.say(Server, b"250 ok\r\n", 99);
            talk.say(Client, line.as_bytes(), size);
            assert_eq!(talk.ended(), Some(Rule::PathLength), "{line:?} by {size}");
            let is_told = talk.rulings.contains(&Ruling::Note(Rule::Envelope));
            assert!(is_told || size == 99, "{line:?} by {size}");
        }
    }
}
