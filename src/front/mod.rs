//! Everything that touches the outside: queues, captures, files and the clock.
//!
//! The modules below feed packets to the engine and carry out its verdicts; none of them judges.

pub mod link;
pub mod pcap;
pub mod repeat;
pub mod replay;
