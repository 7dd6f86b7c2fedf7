//! The `mailguard` program: parse the command line, build, choose a front, say how it ended.

fn main() {}
