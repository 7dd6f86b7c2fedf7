//! A story for which there is too little room.

use crate::config::Config;
use crate::engine::{Reason, Record, What};
use crate::flow::{Direction, Endpoint, FlowKey};
use crate::front::replay::{Left, Step, Summary};
use crate::time::Instant;

use super::story::{Story, Tale};
use super::{page, tell, text};

fn entry(flow: u64, what: What) -> Record {
    let end = |last, port| Endpoint { address: [10, 0, 0, last].into(), port };
    let (originator, responder) = (end(1, 40_000), end(2, 25));
    let at = Instant::default();
    Record { at, flow, originator, responder, what, message: None }
}

fn opened(flow: u64) -> Record {
    entry(flow, What::Opened)
}

#[test]
fn what_found_no_room_is_told_of_in_the_text_and_on_the_page() {
    let settings = Config::build(None, &[]).unwrap().engine;
    let one = size_of::<Tale<'_>>() + 2 * size_of::<What>();
    for (room, flows, said) in [
        (3 * one, 3, None),
        (one - 1, 1, Some("its end is missing")),
        (one, 2, Some("its end is missing, with all of 1 flow")),
        (one, 3, Some("its end is missing, with all of 2 flows")),
    ] {
        let mut story = Story::within(room, &settings);
        let records = (1..=flows).flat_map(|flow| [opened(flow), entry(flow, What::Closed)]);
        let records = records.collect();
        story.look(&Step { records, ..Step::default() });
        let summary = Summary::default();
        let text = tell(&story, &summary, None).unwrap();
        let page = page::page(&story, &summary, "a.pcap");
        for told in [text, page] {
            assert_eq!(told.contains("the story is longer"), said.is_some(), "{told}");
            assert!(said.is_none_or(|said| told.contains(said)), "{told}");
        }
    }
}

#[test]
fn handshakes_that_open_nothing_find_no_room_without_end() {
    let settings = Config::build(None, &[]).unwrap().engine;
    let mut story = Story::within(10_000, &settings);
    for port in 1..1_000 {
        let client = Endpoint { address: [10, 0, 0, 1].into(), port };
        let source = Endpoint { address: [10, 0, 0, 2].into(), port: 25 };
        let key = FlowKey::of(client, source);
        let answer =
            Left { key, source, sequence: 1, acknowledged: Some(2), is_syn: true, length: 0 };
        story.look(&Step { left: vec![answer], ..Step::default() });
    }
    assert!(story.remark().is_some());
    story.look(&Step { records: vec![opened(1)], ..Step::default() });
    assert!(story.flows.is_empty());
}

#[test]
fn what_is_held_back_is_counted_by_its_entries() {
    let settings = Config::build(None, &[]).unwrap().engine;
    let mut story = Story::new(&settings);
    let (direction, reason) = (Direction::Original, Reason::AwaitingReply);
    let held = What::Dropped { direction, offset: 0, length: 9, reason };
    for said in ["1 entry of packets held back", "2 entries of packets held back"] {
        story.look(&Step { records: vec![entry(1, held.clone())], ..Step::default() });
        assert_eq!(text::in_short(story.flows.first().unwrap()), said);
    }
}
