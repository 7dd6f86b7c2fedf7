//! The README's figure: a few figures of the table as bars, in plain SVG.

use std::fmt::Write as _;

use crate::report::{Block, Row};

/// One group of bars.
struct Panel {
    title: &'static str,
    scenario: &'static str,
    /// Figures whose bars stand one behind another.
    figures: &'static [&'static str],
}

const PANELS: [Panel; 5] = [
    Panel {
        title: "Small mails on kept connections: processor time a packet, user and system (µs)",
        scenario: "small mails, kept connections",
        figures: &["user us/packet", "system us/packet"],
    },
    Panel {
        title: "1 MiB mails: processor time a MiB, user and system (µs)",
        scenario: "1 MiB mails",
        figures: &["user us/MiB", "system us/MiB"],
    },
    Panel { title: "1 MiB mails: mails a second", scenario: "1 MiB mails", figures: &["mails/s"] },
    Panel {
        title: "One mail at a time: median of its duration (µs)",
        scenario: "one mail at a time",
        figures: &["p50 us"],
    },
    Panel {
        title: "Replay of small mails: thousand packets a second",
        scenario: "replay of small mails",
        figures: &["kpackets/s"],
    },
];

/// Draws what there is of the figure.
pub(crate) fn draw(blocks: &[Block]) -> String {
    let (mut bars, mut y) = (String::new(), 8);
    for panel in &PANELS {
        let block = blocks.iter().find(|block| block.scenario == panel.scenario);
        if let Some(block) = block {
            panel.draw(&mut bars, &mut y, block);
        }
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{y}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{bars}</svg>\n"
    )
}

impl Panel {
    fn draw(&self, svg: &mut String, y: &mut u32, block: &Block) {
        let sum = |row: &Row| self.figures.iter().filter_map(|name| row.middle(name)).sum::<f64>();
        let rows: Vec<&Row> = block.rows.iter().filter(|row| sum(row) > 0.0).collect();
        let highest = rows.iter().map(|row| sum(row)).fold(f64::MIN_POSITIVE, f64::max);
        *y += 24;
        // Writing to a string cannot fail.
        let _ = writeln!(svg, "<text x=\"8\" y=\"{y}\" font-weight=\"bold\">{}</text>", self.title);
        *y += 8;
        for row in rows {
            let mut x = f64::from(LEFT);
            let middle = *y + 13;
            let name = &row.contender;
            let _ = writeln!(
                svg,
                "<text x=\"{}\" y=\"{middle}\" text-anchor=\"end\">{name}</text>",
                LEFT - 6
            );
            let shades =
                if name.contains("mailguard") || name.contains("esmtp") { OURS } else { OTHERS };
            for (figure, shade) in self.figures.iter().zip(shades) {
                let width = row.middle(figure).unwrap_or(0.0) / highest * f64::from(BAR);
                let _ = writeln!(
                    svg,
                    "<rect x=\"{x:.1}\" y=\"{}\" width=\"{width:.1}\" height=\"14\" \
                     fill=\"{shade}\"/>",
                    *y + 2
                );
                x += width;
            }
            let _ =
                writeln!(svg, "<text x=\"{:.1}\" y=\"{middle}\">{:.1}</text>", x + 5.0, sum(row));
            *y += 18;
        }
        *y += 6;
    }
}

const WIDTH: u32 = 760;

/// Where bars begin.
const LEFT: u32 = 190;

/// How long the longest is.
const BAR: u32 = 500;

const OURS: [&str; 2] = ["#0b5394", "#6fa8dc"];

const OTHERS: [&str; 2] = ["#666", "#bbb"];
