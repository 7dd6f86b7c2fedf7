//! Which row of a map each limit is, and how maps are written.

use super::*;
use crate::guard::tests::changed;
use crate::guard::tests::profile;

fn met(settings: &Settings, rule: Rule, limit: u32, is_end: bool) -> Option<(usize, Action)> {
    let row = settings.row_met(&Excess { rule, count: limit + 1, limit, is_end })?;
    Some((row.class, row.action))
}

#[test]
fn the_default_map_numbers_its_rows_by_their_place() {
    let asa = profile("asa");
    for (rule, limit, is_end, class, condition) in [
        (Rule::LongLine, 512, true, 1, "cmd line length"),
        (Rule::Recipients, 100, true, 2, "cmd RCPT count"),
        (Rule::BodyLine, 998, false, 3, "body line length"),
        (Rule::HeaderLine, 998, true, 4, "header line length"),
        (Rule::Sender, 320, true, 5, "sender-address length"),
    ] {
        let row = asa.row_met(&Excess { rule, count: limit + 1, limit, is_end }).unwrap();
        let action = if is_end { Action::DropConnection } else { Action::Log };
        assert_eq!(row, Row { class, condition, action });
    }
    // What is no row of it, and the standard's limit on lines, which is in no map.
    for (rule, limit) in [
        (Rule::BodyBytes, 1),
        (Rule::DeclaredSize, 1),
        (Rule::EhloKeyword, 1),
        (Rule::HeaderBytes, 1),
        (Rule::LongLine, 510),
        (Rule::RefusedLines, 1),
    ] {
        assert_eq!(met(&asa, rule, limit, true), None, "{rule}");
    }
    for name in ["mailguard", "esmtp", "pix-6.3"] {
        let settings = changed(name, &[("asa_map", &asa.asa_map.print())]);
        assert_eq!(met(&settings, Rule::Recipients, 100, true), None, "{name}");
    }
}

#[test]
fn a_map_of_ones_own_has_its_own_numbers() {
    let map = "-,header-line-length=reset,Cmd-Rcpt-Count,-,cmd-rcpt-count,body-length,\
               ehlo-reply-parameter-others";
    let settings = changed("asa", &[("asa_map", map)]);
    assert_eq!(
        settings.asa_map.print(),
        "-,header-line-length=reset,cmd-RCPT-count,-,cmd-RCPT-count,body-length,\
         ehlo-reply-parameter-others"
    );
    assert_eq!(met(&settings, Rule::HeaderLine, 998, true), Some((2, Action::Reset)));
    assert_eq!(met(&settings, Rule::Recipients, 50, true), Some((5, Action::DropConnection)));
    assert_eq!(met(&settings, Rule::BodyBytes, 9, false), Some((6, Action::Log)));
    let masked = settings.row_of(Rule::EhloKeyword).unwrap();
    assert_eq!((masked.class, masked.action), (7, Action::Mask));
    assert_eq!(met(&settings, Rule::LongLine, 512, true), None);
    for wrong in ["ehlo", "cmd-line-length=drop", "cmd", "--"] {
        assert_eq!(profile("asa").set("asa_map", wrong), Err(wrong));
    }
}
