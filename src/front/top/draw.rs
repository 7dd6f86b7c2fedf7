//! What is seen of a filter: a state goes in, cells of a screen come out, and nothing else happens.
//!
//! ```text
//!   what runs, since when
//!   how full: connections, memory, each queue
//!   ┌ numbers ─────┐┌ refused ─────┐┌ dropped ─────┐
//!   │ growing      ││ by rule      ││ by reason    │
//!   connections, the busiest first
//! ```

use ratatui::buffer::Buffer;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, LineGauge, Paragraph, Row, Table, Widget};

use super::sample::{Count, Flow, Sample, View};
use crate::front::duration;

impl Widget for &View {
    fn render(self, area: Rect, buffer: &mut Buffer) {
        let Some(sample) = self.last() else { return };
        let gauges = gauges(sample);
        let [head, full, boxes, flows] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(u16::try_from(gauges.len()).unwrap_or(u16::MAX)),
            Constraint::Length(BOX_LINES),
            Constraint::Fill(1),
        ])
        .areas(area);
        head_of(self, sample).render(head, buffer);
        for (gauge, line) in gauges.into_iter().zip(full.rows()) {
            gauge.render(line, buffer);
        }
        let thirds = Layout::horizontal([Constraint::Fill(1); 3]).areas::<3>(boxes);
        let [numbers, refused, dropped] = thirds;
        let rows = NUMBERS.map(|(name, shown)| (shown.to_owned(), self.count(name)));
        table_of("numbers", rows.to_vec(), numbers.width).render(numbers, buffer);
        table_of("refused", self.ranking(&REFUSED), refused.width).render(refused, buffer);
        let title = "dropped (~ held back)";
        table_of(title, self.ranking(&DROPPED), dropped.width).render(dropped, buffer);
        connections(self, sample, flows.width).render(flows, buffer);
    }
}

/// What runs; or, in its place, what is wrong.
fn head_of<'a>(view: &'a View, sample: &'a Sample) -> Paragraph<'a> {
    if let Some(trouble) = view.trouble() {
        let style = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
        return Paragraph::new(Line::styled(trouble, style));
    }
    let status = &sample.status;
    let ports: Vec<String> = status.ports.iter().map(ToString::to_string).collect();
    let ports = if ports.is_empty() { "none".to_owned() } else { ports.join(", ") };
    let (version, profile) = (&status.version, &status.profile);
    let up = duration(status.seconds);
    let what = format!("mailguard {version}, profile {profile}, ports {ports}, up {up}");
    let mut line = Line::from(vec![Span::from(what).bold()]);
    if status.monitor {
        line.push_span(Span::from(", monitoring only").fg(Color::Yellow).bold());
    }
    line.push_span(Span::from("  q: quit").dim());
    Paragraph::new(line)
}

/// How full it is.
fn gauges(sample: &Sample) -> Vec<LineGauge<'static>> {
    let status = &sample.status;
    let (held, held_max) = (size(status.store_bytes), size(status.store_bytes_max));
    let mut all = vec![
        gauge(
            format!("connections: {} of {}", status.flows, status.flows_max),
            (status.flows, status.flows_max),
        ),
        gauge(
            format!("unacknowledged: {held} of {held_max}"),
            (status.store_bytes, status.store_bytes_max),
        ),
    ];
    for queue in sample.queues.iter().take(QUEUES_SHOWN) {
        let (number, waiting, length) = (queue.queue, queue.waiting, queue.length);
        let lost = queue.dropped_queue_full + queue.dropped_buffer_full;
        let text = format!("queue {number}: {waiting} of {length} packets wait, {lost} lost");
        all.push(gauge(text, (waiting, length)));
    }
    all
}

fn gauge(text: String, (part, whole): (u64, u64)) -> LineGauge<'static> {
    #[expect(clippy::cast_precision_loss, reason = "a bar has some tens of steps")]
    let ratio = if whole == 0 { 0.0 } else { (part as f64 / whole as f64).min(1.0) };
    let color = if ratio > NEARLY_FULL { Color::Red } else { Color::Green };
    LineGauge::default()
        .label(format!("{text:<GAUGE_LABEL$}"))
        .filled_symbol("█")
        .unfilled_symbol("░")
        .ratio(ratio)
        .filled_style(Style::new().fg(color))
        .unfilled_style(Style::new().add_modifier(Modifier::DIM))
}

/// Names, how fast they grow, and, where there is room, what they have come to.
fn table_of(title: &'static str, rows: Vec<(String, Count)>, width: u16) -> Table<'static> {
    let is_narrow = width < BOX_COLUMNS;
    let row = |(name, count): (String, Count)| {
        let style = if count.rate.is_some_and(|rate| rate > 0.0) {
            Style::new().add_modifier(Modifier::BOLD)
        } else {
            Style::new()
        };
        let all = (!is_narrow).then(|| right(count.all.to_string()));
        let cells = [Some(Cell::from(name)), Some(right(rate(count))), all];
        Row::new(cells.into_iter().flatten()).style(style)
    };
    let all = (!is_narrow).then(|| right("in all"));
    let (second, columns) = if is_narrow { ("/s", [6, 0]) } else { ("a second", [8, 9]) };
    let heads = [Some(Cell::from("")), Some(right(second)), all];
    let columns = columns.into_iter().filter(|columns| *columns > 0).map(Constraint::Length);
    let widths = [Constraint::Fill(1)].into_iter().chain(columns);
    Table::new(rows.into_iter().map(row), widths)
        .header(Row::new(heads.into_iter().flatten()).dim())
        .block(Block::bordered().title(title))
}

/// The busiest, as many as there is room for, in the columns there is room for.
fn connections<'a>(view: &'a View, sample: &Sample, width: u16) -> Table<'a> {
    let columns: Vec<&Column> = COLUMNS.iter().filter(|column| column.from <= width).collect();
    let rows = view.flows().into_iter().take(ROWS_MAX).map(|(flow, count)| {
        let cells = columns.iter().map(|column| {
            let text = (column.text)(flow, count);
            if column.is_right { right(text) } else { Cell::from(text) }
        });
        Row::new(cells.collect::<Vec<_>>())
    });
    let heads = columns
        .iter()
        .map(|column| if column.is_right { right(column.name) } else { Cell::from(column.name) });
    let (seen, all) = (sample.flows.len(), sample.status.flows);
    let title = if u64::try_from(seen).is_ok_and(|seen| seen < all) {
        format!("connections: the busiest of {seen} of {all}")
    } else {
        "connections, the busiest first".to_owned()
    };
    Table::new(rows.collect::<Vec<_>>(), columns.iter().map(|column| column.width))
        .header(Row::new(heads.collect::<Vec<_>>()).dim())
        .block(Block::bordered().title(title))
}

/// A column of the connections.
struct Column {
    name: &'static str,
    width: Constraint,
    is_right: bool,
    /// How wide the screen has to be for it.
    from: u16,
    text: fn(&Flow, Count) -> String,
}

const COLUMNS: [Column; 10] = [
    column("id", Constraint::Length(6), 90, |flow, _| flow.id.to_string()),
    column("client", Constraint::Fill(1), 0, |flow, _| flow.client.clone()),
    column("server", Constraint::Fill(1), 60, |flow, _| flow.server.clone()),
    column("state", Constraint::Length(9), 0, |flow, _| flow.state.clone()),
    number("age", 9, 120, |flow, _| duration(flow.age)),
    number("bytes/s", 8, 0, |_, count| count.rate.map_or_else(unknown, whole)),
    number("bytes", 9, 80, |flow, _| size(flow.bytes())),
    column("last", Constraint::Length(8), 0, |flow, _| flow.last.clone().unwrap_or_default()),
    number("refused", 7, 70, |flow, _| flow.refused.to_string()),
    number("edited", 6, 80, |flow, _| flow.edited.to_string()),
];

const fn column(
    name: &'static str,
    width: Constraint,
    from: u16,
    text: fn(&Flow, Count) -> String,
) -> Column {
    Column { name, width, is_right: false, from, text }
}

const fn number(
    name: &'static str,
    width: u16,
    from: u16,
    text: fn(&Flow, Count) -> String,
) -> Column {
    Column { name, width: Constraint::Length(width), is_right: true, from, text }
}

fn right<'a>(text: impl Into<Line<'a>>) -> Cell<'a> {
    Cell::from(text.into().alignment(Alignment::Right))
}

/// So many a second, as exactly as somebody reads it at a glance.
fn rate(count: Count) -> String {
    match count.rate {
        None => unknown(),
        Some(rate) if rate < 100.0 => format!("{rate:.1}"),
        Some(rate) => whole(rate),
    }
}

fn whole(rate: f64) -> String {
    format!("{rate:.0}")
}

/// Until there are two looks.
fn unknown() -> String {
    "-".to_owned()
}

/// Bytes for people.
fn size(bytes: u64) -> String {
    let mut units = ["B", "KiB", "MiB", "GiB"].into_iter();
    let (mut left, mut below) = (bytes, 0);
    let mut unit = units.next();
    while left >= 1_024
        && let Some(next) = units.next()
    {
        (left, below, unit) = (left / 1_024, left % 1_024, Some(next));
    }
    let unit = unit.unwrap_or_default();
    if unit == "B" || left >= 100 {
        return format!("{left} {unit}");
    }
    format!("{left}.{} {unit}", below * 10 / 1_024)
}

/// The numbers of the first box: counters, or families of them, and how they are called.
const NUMBERS: [(&str, &str); 11] = [
    ("packets", "packets"),
    ("rewritten", "  rewritten"),
    ("dropped:", "  dropped"),
    ("held-back:", "  held back"),
    ("flows", "connections"),
    ("messages", "messages"),
    ("commands_passed", "lines passed"),
    ("commands_refused", "  refused"),
    ("resets", "resets"),
    ("alarms", "alarms"),
    ("events_lost", "events lost"),
];

/// The families of the second: what stood against a line or a connection.
const REFUSED: [(&str, &str); 2] = [("rule:", ""), ("patch:", "")];

/// Of the third: why packets, or what they carry, did not go on.
const DROPPED: [(&str, &str); 2] = [("dropped:", ""), ("held-back:", "~")];

/// The numbers, their head and their frame.
const BOX_LINES: u16 = 14;

/// More than any screen has lines.
const ROWS_MAX: usize = 500;

/// From this width on a box of numbers has all its columns.
const BOX_COLUMNS: u16 = 30;

/// A machine with more queues has no room for all.
const QUEUES_SHOWN: usize = 8;

/// Columns of what stands before a bar.
const GAUGE_LABEL: usize = 44;

/// From here on somebody should look.
const NEARLY_FULL: f64 = 0.8;
