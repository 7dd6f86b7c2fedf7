//! BDAT: what is counted, when, and what no server would count alike.

use super::*;

/// A dialogue with a server that offers CHUNKING.
fn with_chunking() -> Dialogue {
    let mut dialogue = dialogue();
    read(&mut dialogue, Speaker::Server, b"220 hi\r\n");
    read(&mut dialogue, Speaker::Client, b"EHLO a\r\n");
    read(&mut dialogue, Speaker::Server, b"250-mx\r\n250-SIZE 5\r\n250 chunking\r\n");
    dialogue
}

#[test]
fn chunks_are_counted_and_not_read() {
    let mut dialogue = with_chunking();
    let input = b"BDAT 6\r\nVRFY\r\nBDAT 0 last\r\nbdat 05 LAST \r\n\r\n.\r\nNOOP\r\n";
    let events = read(&mut dialogue, Speaker::Client, input);
    let chunks: Vec<_> = events
        .iter()
        .filter(|(event, _)| *event == Event::Chunk)
        .map(|(_, bytes)| bytes.as_slice())
        .collect();
    assert_eq!(chunks, [b"VRFY\r\n".as_slice(), b"\r\n.\r\n"]);
    assert_eq!(dialogue.expect(), Expect::Command);
    assert_eq!(fault_of(&mut dialogue, b"250 a\r\n250 b\r\n250 c\r\n250 d\r\n"), None);
    assert!(dialogue.is_idle());
}

#[test]
fn doubtful_chunk_sizes_are_stray() {
    for size in ["", "x", "-1", "+5", "5x", "5 LASTX", "5 FIRST", "99999999999", "5\tLAST", "5 LA"]
    {
        let mut dialogue = with_chunking();
        let events = read(&mut dialogue, Speaker::Client, format!("BDAT {size}\r\n").as_bytes());
        let is_stray = events.iter().any(|(event, _)| *event == Event::CommandStray);
        assert_eq!(is_stray, !size.is_empty() && size != "5 LA", "{size}");
        assert!(!events.iter().any(|(event, _)| *event == Event::Chunk), "{size}");
        assert_eq!(dialogue.expect(), Expect::Command, "{size}");
    }
}

#[test]
fn a_size_that_servers_count_differently_is_fatal() {
    for (size, is_fatal) in [
        ("5", false),
        ("5 LAST", false),
        ("x", false),
        ("-1", false),
        ("+5", false),
        ("5x", true),
        ("5 LA", true),
        ("5 LASTX", true),
        ("5 LAST LAST", true),
        ("5\tLAST", true),
        ("5\rX", true),
        ("5\0", true),
        ("99999999999", true),
    ] {
        let mut dialogue = with_chunking();
        let line = format!("BDAT {size}\r\n");
        let fault = line.bytes().find_map(|byte| dialogue.read(Speaker::Client, &[byte]).fault);
        assert_eq!(fault, is_fatal.then_some(Fault::DoubtfulChunk), "{size:?}");
    }
}

#[test]
fn a_chunk_that_was_not_offered_is_stray() {
    let mut dialogue = dialogue();
    let events = read(&mut dialogue, Speaker::Client, b"BDAT 5\r\n");
    assert!(events.iter().any(|(event, _)| *event == Event::CommandStray));
    assert_eq!(dialogue.expect(), Expect::Command);
}

#[test]
fn only_the_last_hello_decides_about_chunks() {
    for (hellos, replies, is_offered) in [
        ("EHLO a\r\n", "250-mx\r\n250 CHUNKING\r\n", true),
        ("EHLO a\r\n", "250-CHUNKING\r\n250 SIZE\r\n", false),
        ("EHLO a\r\n", "250 CHUNKING\r\n", false),
        ("EHLO a\r\n", "500-mx\r\n500 CHUNKING\r\n", false),
        ("HELO a\r\n", "250-mx\r\n250 CHUNKING\r\n", false),
        ("EHLO a\r\nHELO a\r\n", "250-mx\r\n250 CHUNKING\r\n250 mx\r\n", false),
        ("EHLO a\r\nEHLO a\r\n", "250-mx\r\n250 CHUNKING\r\n", false),
        ("EHLO a\r\nRSET\r\n", "250-mx\r\nodd\r\n250 CHUNKING\r\n", true),
    ] {
        let mut dialogue = dialogue();
        read(&mut dialogue, Speaker::Server, b"220 hi\r\n");
        read(&mut dialogue, Speaker::Client, hellos.as_bytes());
        read(&mut dialogue, Speaker::Server, replies.as_bytes());
        read(&mut dialogue, Speaker::Client, b"BDAT 5\r\n");
        let is_chunk = dialogue.expect() == Expect::Chunk { left: 5 };
        assert_eq!(is_chunk, is_offered, "{hellos:?} {replies:?}");
    }
}
