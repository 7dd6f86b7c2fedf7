//! The kernel's listing of its queues, `/proc/net/netfilter/nfnetlink_queue`.

use std::io;

/// One line of the listing: one queue that somebody serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::front) struct Entry {
    /// The queue's number.
    pub(in crate::front) number: u16,
    /// Netlink port id of the socket that serves it; often the process id.
    pub(in crate::front) port: u32,
    /// Packets waiting for a verdict.
    pub(in crate::front) waiting: u64,
    /// Packets dropped because the queue was full.
    pub(in crate::front) queue_dropped: u64,
    /// Packets dropped because the socket's buffer was full.
    pub(in crate::front) user_dropped: u64,
    /// The number of the last packet; it begins anew behind 2^32.
    pub(in crate::front) last: u64,
}

impl Entry {
    /// Whether packets have had their verdicts since that earlier look.
    pub(in crate::front) fn has_answered_since(&self, earlier: &Self) -> bool {
        let answered =
            |entry: &Self| entry.last.wrapping_sub(entry.waiting).wrapping_sub(entry.user_dropped);
        let more = answered(self).wrapping_sub(answered(earlier)) & u64::from(u32::MAX);
        (1..1 << 31).contains(&more)
    }
}

/// Where the kernel lists its queues.
pub(in crate::front) const PATH: &str = "/proc/net/netfilter/nfnetlink_queue";

/// Every queue that somebody serves.
pub(in crate::front) fn read() -> io::Result<Vec<Entry>> {
    Ok(std::fs::read_to_string(PATH)?.lines().filter_map(parse).collect())
}

/// The entry of one queue, if somebody serves it.
pub(in crate::front) fn of(number: u16) -> io::Result<Option<Entry>> {
    Ok(read()?.into_iter().find(|entry| entry.number == number))
}

fn parse(line: &str) -> Option<Entry> {
    let numbers: Vec<u64> =
        line.split_whitespace().map(str::parse).collect::<Result<_, _>>().ok()?;
    let [number, port, waiting, _copy_mode, _copy_range, queue_dropped, user_dropped, last, ..] =
        *numbers.as_slice()
    else {
        return None;
    };
    let (number, port) = (u16::try_from(number).ok()?, u32::try_from(port).ok()?);
    Some(Entry { number, port, waiting, queue_dropped, user_dropped, last })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_by_its_columns() {
        let line = "   17  48123    42 2 65531     3     4      500  1";
        let entry = Entry {
            number: 17,
            port: 48_123,
            waiting: 42,
            queue_dropped: 3,
            user_dropped: 4,
            last: 500,
        };
        assert_eq!(parse(line), Some(entry));
        assert_eq!(parse("17 48123 42 2 65531 3 4"), None);
        assert_eq!(parse("x"), None);
    }

    #[test]
    fn packets_that_come_or_are_dropped_are_not_answered() {
        let look =
            |last, waiting, user_dropped| Entry { waiting, user_dropped, last, ..Entry::default() };
        let before = look(500, 11, 3);
        for (now, expected) in [
            (before, false),
            (look(507, 18, 3), false),
            (look(507, 16, 5), false),
            (look(500, 10, 3), true),
            (look(507, 17, 3), true),
        ] {
            assert_eq!(now.has_answered_since(&before), expected, "{now:?}");
        }
        let last = u64::from(u32::MAX);
        assert!(look(1, 11, 0).has_answered_since(&look(last, 11, 0)));
        assert!(!look(1, 13, 0).has_answered_since(&look(last, 11, 0)));
    }
}
