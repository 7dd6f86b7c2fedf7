//! What is measured, of whom, and beside whom.

use crate::contender::{
    BATCHED, BATCHED_TWO, EACH, ESMTP_NETLINK, ESMTP_NFQ, HANDED_OVER, NETLINK, NETLINK_1_000,
    NETLINK_100_000, NETLINK_LOG, NETLINK_TWO, NFQ, NFQ_1_000, NFQ_100_000, NFQ_LOG, NFQ_TWO, NONE,
    SURICATA, SURICATA_100_000, SURICATA_TWO,
};
use crate::replay::{self, MAILGUARD, MAILGUARD_EVENTS, SURICATA_EVENTS, TCPDUMP};
use crate::sender::Load;
use crate::tape::Tape;

/// One block of the table.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// Who is measured, each beside whom: that one's figures of the same round are 1.
    pub(crate) contenders: &'static [(&'static str, &'static str)],
    pub(crate) work: Work,
}

/// What is done in each round.
#[derive(Clone, Copy)]
pub(crate) enum Work {
    /// Mail is sent for a while.
    Mail(Load),
    /// The program is started, behind rules that are there already.
    Start,
    /// A capture is read.
    Replay(Tape),
}

/// All blocks, but for the instructions, which have kinds of packets for contenders.
pub(crate) const ALL: [Scenario; 14] = [
    Scenario { name: "small mails, a connection each", contenders: LIVE, work: Work::Mail(FRESH) },
    Scenario { name: "small mails, kept connections", contenders: LIVE, work: Work::Mail(KEPT) },
    Scenario { name: "1 MiB mails", contenders: LIVE, work: Work::Mail(LARGE) },
    Scenario { name: "one mail at a time", contenders: LIVE, work: Work::Mail(ALONE) },
    Scenario { name: "open flows, small mails", contenders: CROWDS, work: Work::Mail(KEPT) },
    Scenario { name: "two queues, small mails", contenders: QUEUES, work: Work::Mail(KEPT) },
    Scenario { name: "two queues, 1 MiB mails", contenders: QUEUES, work: Work::Mail(LARGE) },
    Scenario { name: "event log, small mails", contenders: LOGS, work: Work::Mail(KEPT) },
    Scenario { name: "event log, 1 MiB mails", contenders: LOGS, work: Work::Mail(LARGE) },
    Scenario { name: "handed over, small mails", contenders: HANDOVER, work: Work::Mail(KEPT) },
    Scenario { name: "handed over, 1 MiB mails", contenders: HANDOVER, work: Work::Mail(LARGE) },
    Scenario { name: "start to first verdict", contenders: STARTS, work: Work::Start },
    Scenario { name: "replay of small mails", contenders: READERS, work: Work::Replay(SMALL_TAPE) },
    Scenario { name: "replay of 1 MiB mails", contenders: READERS, work: Work::Replay(LARGE_TAPE) },
];

const LIVE: &[(&str, &str)] = &[
    (NONE, BATCHED),
    (EACH, BATCHED),
    (BATCHED, BATCHED),
    (NFQ, BATCHED),
    (NETLINK, BATCHED),
    (ESMTP_NFQ, BATCHED),
    (ESMTP_NETLINK, BATCHED),
    (SURICATA, BATCHED),
];

const CROWDS: &[(&str, &str)] = &[
    (NFQ, NFQ),
    (NFQ_1_000, NFQ),
    (NFQ_100_000, NFQ),
    (NETLINK, NETLINK),
    (NETLINK_1_000, NETLINK),
    (NETLINK_100_000, NETLINK),
    (SURICATA, SURICATA),
    (SURICATA_100_000, SURICATA),
];

const QUEUES: &[(&str, &str)] = &[
    (BATCHED, BATCHED),
    (BATCHED_TWO, BATCHED),
    (NFQ, NFQ),
    (NFQ_TWO, NFQ),
    (NETLINK, NETLINK),
    (NETLINK_TWO, NETLINK),
    (SURICATA, SURICATA),
    (SURICATA_TWO, SURICATA),
];

const LOGS: &[(&str, &str)] =
    &[(NFQ, NFQ), (NFQ_LOG, NFQ), (NETLINK, NETLINK), (NETLINK_LOG, NETLINK)];

const HANDOVER: &[(&str, &str)] = &[(NONE, NONE), (HANDED_OVER, NONE)];

const STARTS: &[(&str, &str)] =
    &[(BATCHED, BATCHED), (NFQ, BATCHED), (NETLINK, BATCHED), (SURICATA, BATCHED)];

const READERS: &[(&str, &str)] = &[
    (TCPDUMP, replay::SURICATA),
    (MAILGUARD, replay::SURICATA),
    (replay::SURICATA, replay::SURICATA),
    (MAILGUARD_EVENTS, SURICATA_EVENTS),
    (SURICATA_EVENTS, SURICATA_EVENTS),
];

const SMALL: usize = 2_000;

/// Mails on a kept connection. Suricata gives up on one after 256.
const MANY: usize = 100;

const FRESH: Load = Load { senders: 10, octets: SMALL, mails_per_connection: 1 };
const KEPT: Load = Load { senders: 10, octets: SMALL, mails_per_connection: MANY };
const LARGE: Load = Load { senders: 4, octets: 1 << 20, mails_per_connection: 10 };
const ALONE: Load = Load { senders: 1, octets: SMALL, mails_per_connection: MANY };

const SMALL_TAPE: Tape = Tape { name: "small", mails: 20_000, octets: SMALL };
const LARGE_TAPE: Tape = Tape { name: "large", mails: 150, octets: 1 << 20 };
