//! What is seen of answers that are given: screens as text, and rates by a clock that is given.

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;

const STATUS: &str = r#"{"version":"0.1.0","profile":"esmtp","ports":[25,587],"monitor":false,
    "seconds":SECONDS,"flows":2,"flows_max":100000,"store_bytes":3145728,
    "store_bytes_max":268435456,"reloads":0,"reloads_failed":0}"#;

const QUEUES: &str = "\
{\"queue\":0,\"waiting\":7168,\"length\":8192,\"dropped_queue_full\":3,\"dropped_buffer_full\":4}
{\"queue\":1,\"waiting\":0,\"length\":8192,\"dropped_queue_full\":0,\"dropped_buffer_full\":0}
";

/// An answer at a moment: so many packets and refused lines since the filter began.
fn sample(at: Duration, up: u64, packets: u64, refused: u64) -> Sample {
    let counters = [
        ("packets", packets),
        ("flows", 2),
        ("commands_refused", refused),
        ("rule:order", 9),
        ("rule:verb", refused),
        ("patch:CVE-2019-10149:refused", 1),
        ("dropped:awaiting-reply", 5),
        ("dropped:bad-checksum", packets / 10),
        ("held-back:awaiting-reply", 2),
    ];
    let line = |(name, value)| format!("{{\"name\":\"{name}\",\"value\":{value}}}\n");
    let flow = |id: u64, client: &str, bytes: u64, last: &str| {
        format!(
            "{{\"id\":{id},\"client\":\"{client}\",\"server\":\"192.0.2.25:25\",\
             \"state\":\"commands\",\"age\":{up},\"idle\":1,\"in\":{bytes},\"out\":0,\
             \"held\":0,\"last\":{last},\"refused\":{id},\"edited\":0,\"monitored\":false}}\n"
        )
    };
    let flows = flow(1, "198.51.100.7:40312", 10, "\"VRFY\"")
        + &flow(2, "[2001:db8::7]:51224", packets * 20, "null");
    let answers = Answers {
        status: &STATUS.replace("SECONDS", &up.to_string()),
        stats: &counters.map(line).concat(),
        queues: QUEUES,
        flows: &flows,
    };
    Sample::read(at, &answers).unwrap()
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// The screen of this size, its lines without what is blank at their ends.
fn screen(view: &View, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| frame.render_widget(view, frame.area())).unwrap();
    let cells = &terminal.backend().buffer().content;
    let lines = cells.chunks(width.into()).map(|line| {
        let line: String = line.iter().map(|cell| cell.symbol()).collect();
        line.trim_end().to_owned() + "\n"
    });
    lines.collect()
}

/// Compares a screen with a file of `tests/golden`; `BLESS=1` writes that anew.
fn compare(name: &str, screen: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, screen).unwrap();
    }
    assert_eq!(screen, std::fs::read_to_string(&path).unwrap(), "{name}: BLESS=1 accepts this");
}

fn twice() -> View {
    let mut view = View::default();
    view.take(Ok(sample(seconds(10), 3_600, 1_000, 4)));
    view.take(Ok(sample(seconds(12), 3_602, 1_500, 5)));
    view
}

#[test]
fn a_screen_has_all_of_it() {
    compare("top-wide.txt", &screen(&twice(), 110, 26));
}

#[test]
fn a_narrow_screen_has_what_matters_and_a_tiny_one_harms_nothing() {
    compare("top-narrow.txt", &screen(&twice(), 58, 26));
    for (width, height) in [(1, 1), (2, 40), (200, 1), (20, 5), (58, 12)] {
        let _ = screen(&twice(), width, height);
    }
    // Nothing was answered yet.
    assert_eq!(screen(&View::default(), 5, 2), "\n\n");
}

#[test]
fn rates_are_differences_by_the_clock_that_is_given() {
    let mut view = View::default();
    view.take(Ok(sample(seconds(10), 3_600, 1_000, 4)));
    let count = |view: &View, name| (view.count(name).all, view.count(name).rate);
    assert_eq!(count(&view, "packets"), (1_000, None));
    view.take(Ok(sample(Duration::from_millis(10_500), 3_600, 1_100, 4)));
    assert_eq!(count(&view, "packets"), (1_100, Some(200.0)));
    assert_eq!(count(&view, "dropped:"), (115, Some(20.0)));
    assert_eq!(count(&view, "nothing"), (0, Some(0.0)));
    // The busiest come first, the others by what they have come to.
    let names = |families: &[(&str, &str)]| -> Vec<String> {
        view.ranking(families).into_iter().map(|(name, _)| name).collect()
    };
    assert_eq!(
        names(&[("dropped:", ""), ("held-back:", "~")]),
        ["bad-checksum", "awaiting-reply", "~awaiting-reply"]
    );
    assert_eq!(names(&[("rule:", ""), ("patch:", "")])[..2], ["order", "verb"]);
    let flows = view.flows();
    assert_eq!((flows[0].0.id, flows[0].1.rate), (2, Some(4_000.0)));
    assert_eq!((flows[1].0.id, flows[1].1.rate), (1, Some(0.0)));
    // The same moment twice is no time at all.
    view.take(Ok(sample(Duration::from_millis(10_500), 3_600, 1_200, 4)));
    assert_eq!(count(&view, "packets"), (1_200, None));
}

#[test]
fn a_filter_that_is_gone_is_said_and_one_that_is_new_has_no_rates_yet() {
    let mut view = twice();
    let gone = "no mailguard answers at /run/mailguard/control: Connection refused";
    view.take(Err(FrontError::new(gone)));
    let before = screen(&twice(), 110, 26);
    let head = before.lines().next().unwrap();
    assert_eq!(screen(&view, 110, 26), before.replace(head, gone));
    // It is back, and counts from zero.
    view.take(Ok(sample(seconds(20), 1, 10, 0)));
    assert_eq!((view.trouble(), view.count("packets").rate), (None, None));
    view.take(Ok(sample(seconds(21), 2, 20, 0)));
    assert_eq!(view.count("packets").rate, Some(10.0));
    // One that goes on with the same counters is another process all the same.
    view.take(Ok(sample(seconds(22), 0, 30, 0)));
    assert_eq!(view.count("packets").rate, None);
}

#[test]
fn an_answer_of_another_kind_is_none() {
    let good = STATUS.replace("SECONDS", "1");
    let read = |status: &str, queues: &str| {
        Sample::read(seconds(1), &Answers { status, stats: "", queues, flows: "" }).is_some()
    };
    assert!(read(&good, QUEUES));
    for end in ["(the rest is left out)\n", "{\"more\":7}\n"] {
        assert!(read(&good, &(QUEUES.to_owned() + end)));
    }
    for (status, queues) in [("", ""), ("{}", ""), ("up 1:00", ""), (&good, "{\"queue\":0}")] {
        assert!(!read(status, queues), "{status} {queues}");
    }
}
