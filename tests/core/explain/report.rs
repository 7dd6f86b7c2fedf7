//! The page of a replay: what is in it is what `explain` says, all of others' words is text, and
//! nothing is loaded or run.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use roxmltree::{Document, Node};

use super::{captures, told};
use crate::replay::settings_beside;
use crate::support::capture::{CLIENT, Connection, PLAIN, SERVER};
use mailguard::engine::Settings;
use mailguard::event::Format;
use mailguard::front::explain::Report;
use mailguard::front::replay::{self, Checksums, Options};

/// Everything that a page is made of.
const ELEMENTS: [&str; 23] = [
    "a", "b", "body", "br", "code", "details", "em", "h1", "head", "html", "i", "li", "mark",
    "meta", "ol", "p", "style", "summary", "table", "td", "th", "title", "tr",
];
const ATTRIBUTES: [&str; 9] =
    ["charset", "class", "content", "href", "http-equiv", "id", "lang", "name", "open"];

/// The page about a capture.
fn page(input: &Path, settings: &Settings, checksums: Checksums) -> String {
    let name = input.file_stem().unwrap().to_str().unwrap();
    let path: PathBuf =
        [env!("CARGO_TARGET_TMPDIR"), &format!("report-{name}.html")].iter().collect();
    let options = Options {
        input: input.to_owned(),
        write: None,
        events: None,
        report: None,
        format: Format::Text,
        checksums,
    };
    let mut report = Report::begin(&path, input, settings).unwrap();
    let look = &mut |step: &replay::Step| report.look(step);
    let summary = replay::watch(&options, settings.clone(), look).unwrap();
    report.finish(&summary).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    fs::remove_file(path).unwrap();
    text
}

fn text(node: Node<'_, '_>) -> String {
    node.descendants().filter(Node::is_text).filter_map(|text| text.text()).collect()
}

/// Reads a page as strictly as can be, and what it must not hold.
fn read(page: &str) -> Document<'_> {
    let body = page.strip_prefix("<!DOCTYPE html>\n").unwrap();
    let document = Document::parse(body).unwrap();
    let mut ids = BTreeSet::new();
    let mut links = BTreeSet::new();
    for node in document.descendants().filter(Node::is_element) {
        assert!(ELEMENTS.contains(&node.tag_name().name()), "{:?}", node.tag_name());
        for attribute in node.attributes() {
            assert!(ATTRIBUTES.contains(&attribute.name()), "{}", attribute.name());
            match attribute.name() {
                "id" => assert!(ids.insert(attribute.value()), "{} twice", attribute.value()),
                "href" => {
                    links.insert(attribute.value().strip_prefix('#').unwrap());
                }
                _ => {}
            }
        }
    }
    assert!(links.is_subset(&ids));
    assert!(!page.contains("url(") && !page.contains("@import") && !page.contains("<script"));
    for wanted in ["width=device-width", "prefers-color-scheme:dark", "default-src 'none'"] {
        assert!(page.contains(wanted), "{wanted}");
    }
    document
}

#[test]
fn the_page_says_what_explain_says() {
    let (mut sentences, mut flows) = (0, 0);
    for path in captures() {
        let (settings, checksums) = settings_beside(&path);
        let capture = fs::read(&path).unwrap();
        // What is no capture has no page either.
        let told = told(&capture, &settings, checksums);
        if told.is_empty() {
            continue;
        }
        let page = page(&path, &settings, checksums);
        let document = read(&page);
        let drawn: Vec<_> = document
            .descendants()
            .filter(|node| node.attribute("id").is_some_and(|id| id.parse::<Id>().is_ok()))
            .collect();
        assert_eq!(drawn.len(), told.len(), "{}", path.display());
        for (node, told) in drawn.iter().zip(&told) {
            let items: Vec<String> =
                node.descendants().filter(|node| node.has_tag_name("li")).map(text).collect();
            let notes = told.notes.iter().map(|note| note.split_once("] ").unwrap().1);
            assert!(notes.eq(items.iter()), "{}: {items:?}", path.display());
            let class =
                |node: &Node<'_, '_>| node.tag_name().name() == "tr" && node.has_attribute("class");
            assert_eq!(node.descendants().filter(class).count(), told.rows.len());
            sentences += items.len();
            flows += 1;
        }
    }
    println!("{flows} flows, {sentences} sentences on pages");
    assert!(flows > 50 && sentences > 100);
}

/// The id of a flow: `f` and its number.
struct Id;

impl std::str::FromStr for Id {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let number = text.strip_prefix('f').ok_or(())?;
        number.parse::<u64>().map(|_| Self).map_err(|_| ())
    }
}

#[test]
fn nothing_that_others_say_is_markup() {
    let hostile = "VRFY <script>alert(1)</script>&amp;'\"><b>]]><!-- \u{1}\u{202e}\u{7f}\r\n";
    let mut connection = Connection::open("192.0.2.1:40000", "198.51.100.25:25");
    connection.say(SERVER, "220 <img src=http://192.0.2.9/> \u{1}\r\n");
    connection.say(CLIENT, hostile);
    connection.say(SERVER, "500 <svg onload=alert(1)>\r\n");
    connection.close();
    let name = "report-<b>&'\".pcap";
    let path: PathBuf = [env!("CARGO_TARGET_TMPDIR"), name].iter().collect();
    fs::write(&path, PLAIN.capture(&connection.packets)).unwrap();
    let page = page(&path, &settings_beside(&path).0, Checksums::Verify);
    fs::remove_file(&path).unwrap();
    let document = read(&page);
    let all = text(document.root());
    let escaped = "VRFY <script>alert(1)</script>&amp;'\"><b>]]><!-- \\x01\\xE2\\x80\\xAE\\x7F";
    for said in [escaped, "<img src=http://192.0.2.9/> \\x01", "500 <svg onload=alert(1)>", name] {
        assert!(all.contains(said), "{said}\n{all}");
    }
}
