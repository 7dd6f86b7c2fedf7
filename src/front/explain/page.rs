//! A replay as one page for a browser: nothing is loaded from anywhere, nothing runs, and what
//! others said is text and never markup.
//!
//! The page is XML too, so whoever wants to read it by a program needs no forgiving parser.

use std::fmt::Write;

use crate::event;
use crate::flow::Direction;
use crate::front::replay::Summary;

use super::account::{Account, Cell, Row};
use super::cause::cause;
use super::story::{Story, Tale};
use super::text;

/// Rows that are drawn: a browser on a phone still opens so large a page.
const ROWS_MAX: usize = 20_000;

/// The page.
pub(super) fn page(story: &Story<'_>, summary: &Summary, name: &str) -> String {
    let name = escaped(name);
    let mut out = String::from("<!DOCTYPE html>\n");
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\"><head><meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta name=\"color-scheme\" content=\"light dark\"/>\n\
         <meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'unsafe-inline'\"/>\n\
         <title>{name}: what Mailguard does to it</title>\n<style>{STYLE}</style></head>\n\
         <body><h1>{name}</h1>"
    );
    tell_summary(story, summary, &mut out);
    let mut left = ROWS_MAX;
    for tale in &story.flows {
        let account = Account::of(tale);
        let Some(still) = left.checked_sub(account.rows.len()) else {
            let _ =
                writeln!(out, "<p class=\"r\">Flow {}: too long for this page.</p>", tale.number);
            continue;
        };
        left = still;
        tell_flow(tale, &account, story, &mut out);
    }
    out.push_str("</body></html>\n");
    out
}

/// The counters, what could not be judged, and whether anything is missing here.
fn tell_summary(story: &Story<'_>, summary: &Summary, out: &mut String) {
    for remark in summary.remarks().into_iter().chain(story.remark()) {
        let _ = writeln!(out, "<p class=\"r\">{}</p>", escaped(&remark));
    }
    out.push_str("<details><summary>Counters</summary><table>");
    for (name, count) in summary.counters() {
        let _ = writeln!(out, "<tr><td>{}</td><td>{count}</td></tr>", escaped(&name));
    }
    out.push_str("</table></details>\n");
}

fn tell_flow(tale: &Tale<'_>, account: &Account, story: &Story<'_>, out: &mut String) {
    let (number, short) = (tale.number, escaped(&text::in_short(tale)));
    let open = if story.flows.len() == 1 { " open=\"open\"" } else { "" };
    let _ = writeln!(
        out,
        "<details{open} id=\"f{number}\"><summary><b>{}</b> to <b>{}</b>: {short}</summary>\n\
         <p>{}</p>\n<table class=\"d\"><tr><th>byte</th><th>came</th><th>left</th><th></th></tr>",
        tale.client,
        tale.server,
        escaped(text::head(tale).trim_end())
    );
    for row in &account.rows {
        tell_row(row, number, out);
    }
    out.push_str("</table>\n");
    if !account.notes.is_empty() {
        out.push_str("<ol>");
        for (index, note) in account.notes.iter().enumerate() {
            let (at, sentence) = (index.saturating_add(1), escaped(&text::sentence(note)));
            let _ = writeln!(out, "<li id=\"f{number}n{at}\">{sentence}</li>");
        }
        out.push_str("</ol>\n");
    }
    for cause in text::names(account).into_iter().filter_map(cause) {
        let about = escaped(cause.about);
        let _ = write!(out, "<p><b>{}</b>: {about}", escaped(cause.name));
        for setting in text::decided_by(cause.settings, tale.terms.guard, story.settings()) {
            let _ = write!(out, "<br/><code>{}</code>", escaped(&setting));
        }
        out.push_str("</p>\n");
    }
    out.push_str("</details>\n");
}

fn tell_row(row: &Row, number: u64, out: &mut String) {
    let class = match row.direction {
        Some(Direction::Original) => "c",
        Some(Direction::Reply) => "s",
        None => "e",
    };
    let who = row.direction.map_or("", event::side);
    let offset = row.offset.map(|offset| offset.to_string()).unwrap_or_default();
    let place = format!("<td class=\"o\"><i>{who}</i> {offset}</td>");
    let (came, left) = (cell(&row.came, None), cell(&row.left, Some(&row.came)));
    let _ = write!(out, "<tr class=\"{class}\">{place}<td>{came}</td><td>{left}</td><td>");
    for note in &row.notes {
        let _ = write!(out, "<a href=\"#f{number}n{note}\">[{note}]</a> ");
    }
    out.push_str("</td></tr>\n");
}

/// What stands in a column; where it differs from what stands beside it, it is marked.
fn cell(cell: &Cell, beside: Option<&Cell>) -> String {
    let (bytes, length) = match cell {
        Cell::Words(words) => return format!("<em>{}</em>", escaped(words)),
        Cell::Bytes(bytes, length) => (bytes, *length),
    };
    let others = match beside {
        Some(Cell::Bytes(others, _)) => others,
        Some(Cell::Words(_)) | None => bytes,
    };
    let mut out = String::from("<code>");
    let (mut rest, mut others) = (bytes.as_slice(), others.as_slice());
    while !rest.is_empty() {
        let is_same = rest.first() == others.first();
        let pairs = rest.iter().zip(others.iter().map(Some).chain(std::iter::repeat(None)));
        let count = pairs.take_while(|(a, b)| (Some(*a) == *b) == is_same).count().max(1);
        let (run, behind) = rest.split_at_checked(count).unwrap_or((rest, &[]));
        let mut shown = String::new();
        event::escape(run, &mut shown);
        let shown = escaped(&shown);
        let _ = if is_same { write!(out, "{shown}") } else { write!(out, "<mark>{shown}</mark>") };
        (rest, others) = (behind, others.get(count..).unwrap_or_default());
    }
    out.push_str("</code>");
    if length > bytes.len() as u64 {
        let _ = write!(out, "<em>... of {length} bytes</em>");
    }
    out
}

/// Text that is no markup, whatever it holds.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // No name of a file may put into the page what XML does not know.
            '\n' => out.push('\n'),
            none if none.is_control() || matches!(none, '\u{fffe}' | '\u{ffff}') => out.push('?'),
            plain => out.push(plain),
        }
    }
    out
}

const STYLE: &str = "
:root{--f:#1b1f24;--b:#fff;--g:#57606a;--l:#d8dee4;--c:#0550ae;--s:#116329;--m:#fff1c2}
@media (prefers-color-scheme:dark){
:root{--f:#e6edf3;--b:#0d1117;--g:#8d96a0;--l:#30363d;--c:#79c0ff;--s:#7ee787;--m:#5c4500}}
body{font:16px/1.5 system-ui,sans-serif;color:var(--f);background:var(--b);max-width:70em;
margin:0 auto;padding:1em;overflow-wrap:anywhere}
h1{font-size:1.3em}summary{cursor:pointer;padding:.4em 0}p{white-space:pre-line}
table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;
padding:.2em .6em .2em 0;border-bottom:1px solid var(--l)}
code{font:.9em/1.4 ui-monospace,monospace;white-space:pre-wrap}
.c code{color:var(--c)}.s code{color:var(--s)}.o,em,i,.r{color:var(--g)}
.o,.d a{white-space:nowrap}
mark{background:var(--m);color:inherit}a{color:inherit}li:target{background:var(--m)}
@media (max-width:40em){.d tr{display:block;border-bottom:1px solid var(--l);padding:.3em 0}
.d td{display:block;border:0;padding:0}.d tr:first-child{display:none}}
";
