//! What a configuration becomes, and what is said about a wrong one.

use super::{Backend, Config, Error, Fail, Override, Source};
use crate::engine::{Treatment, UnknownFlow};
use crate::event::Format;
use crate::guard::{self, Banner, SplitTerminator};
use crate::smtp::Verb;

fn build(text: &str, sets: &[&str]) -> Result<Config, Error> {
    let overrides: Vec<Override> = sets.iter().map(|set| Override::parse(set).unwrap()).collect();
    Config::build(Some(Source { name: "m.toml", text }), &overrides)
}

fn refusal(text: &str, sets: &[&str]) -> String {
    build(text, sets).expect_err("refused").to_string()
}

#[test]
fn nothing_given_gives_the_defaults() {
    let config = Config::build(None, &[]).unwrap();
    assert_eq!(config.profile, "mailguard");
    assert_eq!(config.engine.ports, [25]);
    assert_eq!(config.engine.unknown_flow, UnknownFlow::Reset);
    let limits = config.engine.limits;
    assert_eq!((limits.flows_max, limits.bytes_per_flow_max), (100_000, 8 << 20));
    assert_eq!((limits.idle_seconds, limits.log_flow_bytes_per_second), (1_200, 64 << 10));
    assert_eq!((config.queue.first, config.queue.last, config.queue.length), (0, 0, 8_192));
    assert_eq!(config.queue.socket_buffer, 24 << 20);
    assert_eq!(config.queue.backend, Backend::Netlink);
    assert!(config.queue.gso);
    assert_eq!(config.queue.fail, Fail::Closed);
    assert_eq!((config.rules.mark, config.rules.offload_mark), (0x1000_0000, 0x2000_0000));
    assert_eq!(config.log.events, None);
}

#[test]
fn every_key_reaches_its_place() {
    let config = build(
        r#"
        profile = "mailguard"
        ports = [587, 25, 25]
        monitor = true
        unknown_flow = "drop"
        [settings]
        split_terminator = "bug"
        [queue]
        first = 2
        last = 5
        backend = "nfq"
        length = 100
        socket_buffer = 65536
        gso = false
        fail = "open"
        [rules]
        mail_hosts = ["192.0.2.25", "2001:db8::/64"]
        local = true
        mark = 0x1
        offload_mark = 0x2
        [limits]
        flows_max = 7
        handshakes_max = 8
        bytes_per_flow_max = 65536
        store_bytes_max = 1048576
        handshake_seconds = 9
        idle_seconds = 10
        closed_seconds = 11
        [log]
        events = "-"
        format = "json"
        bytes_per_second = 5000
        "#,
        &[],
    )
    .unwrap();
    assert_eq!(config.log.bytes_per_second, 5_000);
    assert_eq!(config.engine.ports, [25, 587]);
    assert!(config.engine.monitor);
    assert_eq!(config.engine.unknown_flow, UnknownFlow::Drop);
    assert_eq!(config.engine.guard.split_terminator, SplitTerminator::Bug);
    assert_eq!(config.queue_numbers().collect::<Vec<_>>(), [2, 3, 4, 5]);
    assert_eq!((config.queue.length, config.queue.socket_buffer), (100, 65_536));
    assert_eq!((config.queue.gso, config.queue.fail), (false, Fail::Open));
    assert_eq!(config.queue.backend, Backend::Nfq);
    let hosts: Vec<String> = config.rules.mail_hosts.iter().map(ToString::to_string).collect();
    assert_eq!(hosts, ["192.0.2.25/32", "2001:db8::/64"]);
    assert_eq!((config.rules.mark, config.rules.offload_mark), (1, 2));
    let limits = config.engine.limits;
    assert_eq!((limits.flows_max, limits.handshakes_max), (7, 8));
    assert_eq!((limits.bytes_per_flow_max, limits.store_bytes_max), (65_536, 1_048_576));
    assert_eq!((limits.handshake_seconds, limits.idle_seconds, limits.closed_seconds), (9, 10, 11));
    assert_eq!((config.log.events.as_deref(), config.log.format), (Some("-"), Format::Json));
}

#[test]
fn exceptions_begin_from_a_profile_or_from_the_general_settings() {
    let config = build(
        r#"
        [settings]
        banner = "pass"

        [[exceptions]]
        client = "192.0.2.0/24"
        settings = { verbs = ["HELO", "EHLO"] }

        [[exceptions]]
        server = "2001:db8::25"
        profile = "esmtp"
        treatment = "monitor"

        [[exceptions]]
        client = "198.51.100.7"
        server = "198.51.100.25"
        treatment = "hands-off"
        "#,
        &[],
    )
    .unwrap();
    let [first, second, third] = config.engine.exceptions.as_slice() else { panic!("three") };
    let Treatment::Enforce(guard) = &first.treatment else { panic!("{first:?}") };
    assert_eq!(guard.banner, Banner::Pass);
    assert!(guard.verbs.contains(Verb::Ehlo) && !guard.verbs.contains(Verb::Mail));
    assert_eq!(first.client, Some("192.0.2.0/24".parse().unwrap()));
    assert_eq!(second.treatment, Treatment::Monitor(guard::Settings::profile("esmtp").unwrap()));
    assert_eq!(third.treatment, Treatment::HandsOff);
}

#[test]
fn an_override_beats_the_file() {
    let file = "[queue]\nlength = 5\ngso = false\n[settings]\nsplit_terminator = \"fixed\"\n";
    let sets = ["queue.length=6", "split_terminator=bug", "ports=[2525]", "limits.flows_max=3"];
    let config = build(file, &sets).unwrap();
    assert_eq!((config.queue.length, config.queue.gso), (6, false));
    assert_eq!(config.engine.guard.split_terminator, SplitTerminator::Bug);
    assert_eq!(config.engine.ports, [2525]);
    assert_eq!(config.engine.limits.flows_max, 3);
}

#[test]
fn an_override_of_a_list_needs_no_brackets() {
    for (set, ports) in [
        ("ports=587", &[587][..]),
        ("ports = 587, 25", &[25, 587]),
        ("ports=[587, 25]", &[25, 587]),
        ("ports=[587]", &[587]),
    ] {
        assert_eq!(build("ports = [2525]", &[set]).unwrap().engine.ports, ports, "{set}");
    }
    for set in ["rules.mail_hosts=192.0.2.1,2001:db8::/64", "rules.mail_hosts=[\"192.0.2.1\"]"] {
        let hosts = build("", &[set]).unwrap().rules.mail_hosts;
        assert_eq!(hosts.first().unwrap().to_string(), "192.0.2.1/32", "{set}");
    }
    for set in ["ports=0", "ports=smtp", "ports=", "ports=25,"] {
        let message = refusal("", &[set]);
        assert!(message.starts_with(&format!("--set {set}: ports: ")), "{message}");
    }
    let verbs = build("", &["verbs=HELO,EHLO"]).unwrap().engine.guard.verbs;
    assert!(verbs.contains(Verb::Ehlo) && !verbs.contains(Verb::Mail));
}

#[test]
fn no_ports_are_no_mail() {
    assert!(build("ports = []", &[]).unwrap().engine.ports.is_empty());
}

#[test]
fn an_option_may_cure_a_mix_but_not_a_wrong_value() {
    let mix = "[queue]\nfirst = 3\nlast = 1\n";
    assert!(build(mix, &["queue.last=4"]).is_ok());
    assert!(
        refusal("[queue]\nlast = -1\n", &["queue.last=4"]).starts_with("m.toml:2:8: queue.last")
    );
}

#[test]
fn what_is_no_option_is_refused() {
    for text in ["x", "=1", ".a=1", "a..b=1"] {
        assert!(Override::parse(text).is_err(), "{text}");
    }
}

#[test]
fn a_digest_tells_configurations_apart() {
    let built = |text: &str| build(text, &[]).unwrap();
    let digest = |text: &str| built(text).digest();
    let usual = digest("");
    assert_eq!(usual, built("").digest());
    // What says the same is the same, and what only a start changes is not asked for.
    for text in ["ports = [25]", "[limits]\nflows_max = 9", "[log]\nevents = \"-\""] {
        assert_eq!(digest(text), usual, "{text}");
    }
    let exception = |rest: &str| format!("[[exceptions]]\nclient = \"::1\"\n{rest}\n");
    let mut digests = vec![usual.clone()];
    for text in [
        "ports = [587]",
        "monitor = true",
        "unknown_flow = \"pass\"",
        "profile = \"asa\"",
        "[queue]\nfail = \"open\"",
        "[rules]\nmark = 4",
        "[rules]\noffload_mark = 4",
        "[settings]\nrefusal = \"noop\"",
        "[settings]\nline_max = 600",
        "[patches]\nCVE-2019-10149 = \"off\"",
        &exception(""),
        &exception("treatment = \"monitor\""),
        &exception("treatment = \"hands-off\""),
        &exception("settings = { refusal = \"noop\" }"),
    ] {
        digests.push(digest(text));
    }
    let count = digests.len();
    digests.sort_unstable();
    digests.dedup();
    assert_eq!(digests.len(), count);
    // Files of patches are a part of it.
    let with_patches = built("").with_patches(&[]).unwrap().digest();
    assert_ne!(with_patches, usual);
    assert_eq!(with_patches, built("").with_patches(&[]).unwrap().digest());
}

/// Whoever begins with some blocks leaves all others alone, further down.
#[test]
fn hands_off_for_the_rest_is_no_hands_off_for_all() {
    let block = |ends: &str, treatment: &str| {
        format!("[[exceptions]]\n{ends}\ntreatment = \"{treatment}\"\n")
    };
    let low = block("client = \"0.0.0.0/1\"", "hands-off");
    let high = block("client = \"128.0.0.0/1\"", "hands-off");
    for (first, is_right) in [
        (block("client = \"10.0.0.0/8\"", "enforce"), true),
        (block("server = \"192.0.2.25\"", "monitor"), true),
        (block("client = \"10.0.0.0/8\"", "hands-off"), false),
        (block("server = \"2001:db8::25\"", "enforce"), false),
        (String::new(), false),
    ] {
        let text = [first.as_str(), &low, &high].concat();
        assert_eq!(build(&text, &[]).is_ok(), is_right, "{text}");
    }
    // What stands further down takes nothing any more from what all blocks take.
    let last = block("server = \"192.0.2.25\"", "enforce");
    assert!(build(&[low, high, last].concat(), &[]).is_err());
}

#[test]
fn the_control_socket_of_a_faulty_file_is_known_as_far_as_it_can_be_read() {
    for (text, expected) in [
        ("ports = [0]\n[control]\nsocket = \"/x\"\n", Some("/x")),
        ("[control]\nsocket = \"/x\"\n[log]\nevents = [\n", Some("/x")),
        ("ports = [0]\n", Some("/run/mailguard/control")),
        ("[control]\nsocket = 1\n", None),
        ("ports = [25\n[control]\nsocket = \"/x\"\n", None),
        ("", Some("/run/mailguard/control")),
    ] {
        let found = Config::control_in(text).map(|control| control.socket);
        assert_eq!(found.as_deref(), expected, "{text}");
    }
}

#[test]
fn paths_of_a_file_depend_on_no_folder() {
    let log = |value: &str| format!("[log]\nevents = \"{value}\"\n");
    for value in ["/x", "-", "journald", "syslog", "syslog:/run/log", "journald:/a"] {
        assert!(build(&log(value), &[]).is_ok(), "{value}");
    }
    for value in ["x.log", "./syslog", "syslog:log", "journald:", ""] {
        let said = refusal(&log(value), &[]);
        let expected = format!(
            "m.toml:2:10: log.events: \"{value}\" found, expected an absolute path, \"-\", \
             \"journald\", \"syslog\", or one of these two with a colon and a path behind\n"
        );
        assert!(said.starts_with(&expected), "{said}");
    }
    let said = refusal("[control]\nsocket = \"ctl\"\n", &[]);
    let expected = "m.toml:2:10: control.socket: \"ctl\" found, expected an absolute path\n";
    assert!(said.starts_with(expected), "{said}");
    // Who gives an option knows the folder it is in; a socket is looked for from other ones.
    assert_eq!(build("", &["log.events=x.log"]).unwrap().log.events.unwrap(), "x.log");
    assert!(build("", &["log.events=syslog:log"]).is_err());
    assert!(build("", &["control.socket=ctl"]).is_err());
}
