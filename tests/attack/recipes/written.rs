//! Two octets that the kernel writes behind the filter: a client leaves its checksum to a network
//! card that has to be told where to write it, and says that it goes into the text.

use super::table::{Seen, Table};
use super::trial::{Before, Trial};
use crate::lab::{Because, Mta, Network, Outcome, PATIENCE, Program, Side, run};

/// From a neighbour that is attached by a virtual link, with the right to make its own frames: a
/// container, or a guest.
pub(crate) fn checksums() -> Outcome<String> {
    let _network = Network::build()?;
    // As before a card that cannot reckon: the kernel writes the checksum when the frame leaves.
    run(&mut Side::Gateway.command("ethtool", &["-K", "gs", "tx", "off"]), PATIENCE)?;
    let program = Program::Exim;
    let _server = Mta::serve(program)?;
    let mut table = Table::new(&Before::ALL.map(Before::name));
    for &before in Before::some() {
        let guard = before.start("")?;
        let trial = Trial { program, before, number: 1 };
        let said = written(&trial).because(guard.events_end())?;
        let seen = Seen::new(said.contains(&trial.proof()), said.trim().replace('\n', "; "));
        table.enter_alive(
            ("46", "a checksum that becomes CR LF"),
            program.name(),
            before.name(),
            seen,
        );
    }
    table.judged()
}

/// Has the forbidden line arrive so; what the server says to it.
fn written(trial: &Trial) -> Outcome<String> {
    let link =
        run(&mut Side::Gateway.command("ip", &["-o", "link", "show", "dev", "gc"]), PATIENCE)?;
    let gateway =
        link.split("link/ether ").nth(1).and_then(|rest| rest.get(..17)).because(&link)?;
    let server = trial.address().ip().to_string();
    let forbidden = trial.forbidden();
    let words = ["-c", include_str!("written.py"), "c0", gateway, &server, &forbidden];
    run(&mut Side::Client.command("python3", &words), PATIENCE)
}
