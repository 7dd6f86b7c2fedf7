//! The matrix as text.

use std::fmt::Write;

use crate::cell::{Cell, Client, Kind};
use crate::judge::Mark;
use crate::lab::Program;
use crate::play::Sent;

/// A row for each client and server, a column for each kind.
pub(crate) fn table(sent: &[Sent], marks: &[Mark]) -> String {
    let mut text = format!("{:24}", "client -> server");
    for (_, heading) in Kind::ALL {
        let _ = write!(text, "{heading:>9}");
    }
    text.push('\n');
    for client in Client::ALL {
        for server in Program::ALL {
            let _ = write!(text, "{:<10} -> {:10}", client.name(), server.name());
            for (kind, _) in Kind::ALL {
                let cell = Cell { client, server, kind };
                let place = sent.iter().position(|sent| sent.cell == cell);
                let mark = place.and_then(|place| marks.get(place));
                let _ = write!(text, "{:>9}", mark.map_or_else(|| empty(&cell), letters));
            }
            text.push('\n');
        }
    }
    text + LEGEND
}

/// What is wrong, in words.
pub(crate) fn faults(sent: &[Sent], marks: &[Mark]) -> String {
    let mut text = String::new();
    for (sent, mark) in sent.iter().zip(marks) {
        if let Mark::Wrong(why) = mark {
            let Cell { client, server, kind } = sent.cell;
            let (client, server) = (client.name(), server.name());
            let _ = writeln!(text, "{} {client} -> {server}, {kind:?}: {why}", sent.name);
        }
    }
    text
}

fn letters(mark: &Mark) -> String {
    match mark {
        Mark::Same(shown) => format!("={shown}"),
        Mark::Recoded => "~".to_owned(),
        Mark::Refused => "refused".to_owned(),
        Mark::Wrong(_) => "WRONG".to_owned(),
    }
}

fn empty(cell: &Cell) -> String {
    if cell.is_possible() { "." } else { "-" }.to_owned()
}

const LEGEND: &str = "\
=  delivered once, body and sender's headers byte for byte
   (T over TLS, A logged in, P pipelined, B with BDAT)
~  the same, but the client wrote 8 bits in 7, as no 8BITMIME was offered to it
refused  the client insisted on what the profile takes away, and sent nothing
.  not run here    -  one of the two cannot, or is not asked to";
