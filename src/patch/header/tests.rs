//! Whole lines at once, and the same by the general way.

use crate::patch::{Catalogue, Header, Plan, State};

const PIECES: [&str; 26] = [
    "To",
    "From",
    "resent-message-id",
    "t",
    "DKIM-Signature",
    "Content-Type",
    "message-ID",
    "Subject",
    ":",
    ":",
    " ",
    "\t",
    "(",
    "() {",
    "${",
    "${jndi",
    "${run{",
    "<",
    "<>",
    "%",
    "charset=\"",
    "<service status change",
    "x",
    "\r",
    ".",
    "no needle in it, and longer than is short",
];

#[test]
fn a_line_is_read_at_once_as_by_the_general_way() {
    let catalogue = Catalogue::with(&[]).unwrap();
    let mut seed = 1_u64;
    let mut random = move |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(seed >> 33).unwrap() % below
    };
    let mut short = 0;
    for state in [State::On, State::Log] {
        let plan = Plan::new(&catalogue, |_| state).unwrap();
        for _ in 0..10_000 {
            let (mut quick, mut general) = (Header::default(), Header::default());
            let (mut quick_strikes, mut strikes) = (Vec::new(), Vec::new());
            for _ in 0..4 {
                let line: String = (0..random(6)).map(|_| PIECES[random(PIECES.len())]).collect();
                let bytes = [line.as_bytes(), b"\n"].concat();
                let marks = plan.header_marks().short_line(&bytes).map(|(_, marks)| marks);
                let text = (line.as_bytes(), marks);
                let met = plan.read_header_line(&mut quick, text, &mut quick_strikes);
                let expected = plan.read_header(&mut general, line.as_bytes(), &mut strikes);
                general.end_line();
                assert_eq!((quick, met, &quick_strikes), (general, expected, &strikes), "{line:?}");
                short += usize::from(marks.is_some());
                if met.is_some_and(|met| met.is_end) {
                    break;
                }
            }
        }
    }
    assert!(short > 10_000, "{short} of all lines are short");
}
