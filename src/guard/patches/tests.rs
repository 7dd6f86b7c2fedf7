//! What patches say of lines beside what limits say of them.

use crate::guard::tests::{Talk, changed};
use crate::guard::{Rule, Ruling, Settings};
use crate::patch::Catalogue;
use crate::smtp::Speaker::{Client, Server};

/// All patches that are built in.
fn patched(changes: &[(&str, &str)]) -> Settings {
    let mut settings = changed("esmtp", changes);
    settings.patches.catalogue = Catalogue::with(&[]).unwrap();
    settings
}

/// The same, logged.
fn logged(changes: &[(&str, &str)]) -> Settings {
    patched(&[&[("patches", "log")], changes].concat())
}

#[test]
fn what_a_patch_logs_hides_no_limit() {
    for size in [1, 5, 999] {
        let settings = logged(&[("failed_auth_max", "1"), ("auth_response_max", "5")]);
        let mut talk = Talk::new(&settings);
        talk.say(Server, b"220 a\r\n", 99);
        for _ in 0..2 {
            // A length that base64 never has.
            talk.say(Client, b"AUTH PLAIN dGVzdA=\r\n", size);
            talk.say(Server, b"535 no\r\n", 99);
        }
        assert_eq!(talk.ended(), Some(Rule::FailedAuth), "by {size}");
        assert!(talk.rulings.contains(&Ruling::Note(Rule::Patch)), "by {size}");
        let mut talk = Talk::new(&settings);
        talk.say(Server, b"220 a\r\n", 99);
        talk.say(Client, b"AUTH PLAIN\r\n", size);
        talk.say(Server, b"334 \r\n", 99);
        talk.say(Client, b"dGVzdA=\r\n", size);
        assert_eq!(talk.ended(), Some(Rule::LongLine), "by {size}");
    }
}

#[test]
fn what_a_limit_logs_hides_no_patch() {
    let is_noted = |ruling: &&Ruling| **ruling == Ruling::Note(Rule::Patch);
    for size in [1, 5, 999] {
        let mut talk = Talk::new(&logged(&[("failed_auth_max", "1 log")]));
        talk.say(Server, b"220 a\r\n", 99);
        for _ in 0..3 {
            talk.say(Client, b"AUTH PLAIN dGVzdA=\r\n", size);
            talk.say(Server, b"535 no\r\n", 99);
        }
        assert_eq!(talk.ended(), None, "by {size}");
        assert_eq!(talk.rulings.iter().filter(is_noted).count(), 3, "by {size}");
        // In the exchange as well.
        let mut talk = Talk::new(&logged(&[]));
        talk.say(Server, b"220 a\r\n", 99);
        talk.say(Client, b"AUTH PLAIN\r\n", size);
        talk.say(Server, b"334 \r\n", 99);
        talk.say(Client, b"dGVzdA=\r\n", size);
        assert_eq!(talk.rulings.iter().filter(is_noted).count(), 1, "by {size}");
    }
}

/// What leaves masked counts as long as it is, and no longer.
#[test]
fn a_masked_path_has_its_length() {
    let line = "MAIL FROM:<${run{x}}@example.org>\r\n";
    let path = line.len() - "MAIL FROM:<>\r\n".len();
    for (limit, ends, sizes) in [(path + 1, false, &[1, 7, 99][..]), (path - 5, true, &[1])] {
        for &size in sizes {
            let mut talk = Talk::new(&patched(&[("path_max", &limit.to_string())]));
            talk.say(Server, b"220 a\r\n", 99);
            talk.say(Client, line.as_bytes(), size);
            let is_masked = |ruling: &Ruling| *ruling == Ruling::Refuse(Rule::Patch);
            assert!(talk.rulings.iter().any(is_masked), "{limit} by {size}");
            assert_eq!(talk.ended().is_some(), ends, "{limit} by {size}");
        }
    }
}
