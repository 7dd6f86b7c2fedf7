//! The configuration: any text is read into a configuration that holds together, or refused, each
//! fault with its place.
//!
//! Input: the file's text; behind a NUL, options of `--set`, one a line.

use mailguard::config::{Config, Override, Source};

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (text, sets) = text.split_once('\0').unwrap_or((text, ""));
    let overrides: Vec<Override> = sets
        .lines()
        .filter_map(|line| match Override::parse(line) {
            Ok(one) => Some(one),
            Err(message) => {
                assert!(message.contains("expected"), "{message}");
                None
            }
        })
        .collect();
    match Config::build(Some(Source { name: "fuzz.toml", text }), &overrides) {
        Ok(config) => check(&config),
        Err(error) => {
            assert!(error.lines().next().is_some());
            for line in error.lines() {
                let is_placed = line.starts_with("fuzz.toml") || line.starts_with("--set ");
                assert!(is_placed, "{line}");
            }
            let drawn = error.to_string();
            assert!(!drawn.contains(|c: char| c.is_control() && c != '\n'), "{drawn:?}");
        }
    }
}

fn check(config: &Config) {
    let Config { engine, queue, rules, .. } = config;
    assert!(!engine.ports.contains(&0));
    assert!(engine.ports.is_sorted_by(|a, b| a < b));
    assert!((1..=64).contains(&config.queue_numbers().count()));
    assert!(queue.length > 0 && queue.socket_buffer >= 4_096);
    assert_eq!(rules.mark & rules.offload_mark, 0);
    assert!(rules.mark != 0 && rules.offload_mark != 0);
    let limits = engine.limits;
    assert!(limits.flows_max > 0 && limits.handshakes_max > 0);
    assert!(limits.bytes_per_flow_max <= limits.store_bytes_max);
    assert!(limits.handshake_seconds > 0 && limits.idle_seconds > 0);
    for host in &rules.mail_hosts {
        assert_eq!(host.to_string().parse().as_ref(), Ok(host));
    }
}
