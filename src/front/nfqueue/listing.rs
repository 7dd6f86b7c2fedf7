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
    let [number, port, waiting, _copy_mode, _copy_range, queue_dropped, user_dropped, ..] =
        *numbers.as_slice()
    else {
        return None;
    };
    let (number, port) = (u16::try_from(number).ok()?, u32::try_from(port).ok()?);
    Some(Entry { number, port, waiting, queue_dropped, user_dropped })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_by_its_columns() {
        let line = "   17  48123    42 2 65531     3     4      500  1";
        let entry =
            Entry { number: 17, port: 48_123, waiting: 42, queue_dropped: 3, user_dropped: 4 };
        assert_eq!(parse(line), Some(entry));
        assert_eq!(parse("17 48123 42"), None);
        assert_eq!(parse("x"), None);
    }
}
