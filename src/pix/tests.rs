//! What is typed, what it changes, and what is said of what is wrong.

use super::*;
use crate::config::{Config, Source};

fn config(text: &str) -> Config {
    Config::build(Some(Source { name: "m.toml", text }), &[]).unwrap()
}

fn meant(line: &str, mode: Mode) -> Result<Command, String> {
    resolve(line, mode).map(|typed| typed.command).map_err(|mistake| mistake.to_string())
}

#[test]
fn words_may_be_shortened_to_what_only_one_of_their_place_begins_with() {
    for (line, mode, command) in [
        ("en", Mode::Looking, Command::Enable),
        ("en", Mode::Exec, Command::Enable),
        ("en", Mode::Configuring, Command::Enable),
        ("end", Mode::Configuring, Command::End),
        ("conf t", Mode::Exec, Command::Configure),
        ("co t", Mode::Exec, Command::Configure),
        ("wr t", Mode::Exec, Command::WriteTerminal),
        ("wri mem", Mode::Exec, Command::WriteMemory),
        ("WR M", Mode::Exec, Command::WriteMemory),
        ("wr era", Mode::Exec, Command::WriteErase),
        ("q", Mode::Exec, Command::Leave),
        ("queues", Mode::Looking, Command::Queues),
        ("flow 7", Mode::Looking, Command::Flow),
        ("kill 7", Mode::Exec, Command::Kill),
        ("sh fix", Mode::Exec, Command::ShowFixup),
        ("sh run", Mode::Exec, Command::WriteTerminal),
        ("fix pr smtp 25", Mode::Configuring, Command::Edit(Edit::Fixup)),
        ("no fixup protocol smtp 25", Mode::Configuring, Command::Edit(Edit::NoFixup)),
        ("no fix p s 25", Mode::Configuring, Command::Edit(Edit::NoFixup)),
        ("fixup protocol ftp 21", Mode::Configuring, Command::Edit(Edit::OtherFixup)),
        (
            "stati (inside,outside) 192.0.2.10 10.1.1.10",
            Mode::Configuring,
            Command::Edit(Edit::Line),
        ),
        ("status", Mode::Configuring, Command::Status),
        ("names", Mode::Configuring, Command::Edit(Edit::Names)),
        ("nam 10.1.1.10 mx1", Mode::Configuring, Command::Edit(Edit::Line)),
    ] {
        assert_eq!(meant(line, mode), Ok(command), "{line}");
    }
}

#[test]
fn what_is_wrong_is_said_as_the_original_said_it() {
    for (line, mode, expected) in [
        ("xyz", Mode::Exec, "Type help or '?' for a list of available commands."),
        (
            "fixup protocol smtp 25",
            Mode::Exec,
            "Type help or '?' for a list of available commands.",
        ),
        ("conf t", Mode::Looking, "Type help or '?' for a list of available commands."),
        (
            "show fixop",
            Mode::Exec,
            "show fixop\n     ^\nERROR: % Invalid input detected at '^' marker.",
        ),
        (
            "write memory now",
            Mode::Exec,
            "write memory now\n             ^\nERROR: % Invalid input detected at '^' marker.",
        ),
        ("co", Mode::Configuring, "ERROR: % Ambiguous command:  \"co\"\nconduit configure"),
        (
            "fixup protocol",
            Mode::Configuring,
            "ERROR: % Incomplete command\nUsage: [no] fixup protocol smtp [<port>[-<port>]]\n    \
             \u{20}  show fixup [protocol smtp]\n       clear fixup",
        ),
        (
            "write",
            Mode::Exec,
            "ERROR: % Incomplete command\nUsage: write terminal\n       write memory\n",
        ),
        ("", Mode::Exec, "ERROR: % Incomplete command"),
        ("mailhost", Mode::Configuring, "ERROR: % Incomplete command\nUsage: mailhost ..."),
    ] {
        let said = meant(line, mode).unwrap_err();
        assert!(said.starts_with(expected), "{line}: {said}");
    }
}

/// The configuration behind these lines, and the last thing said or refused.
fn after(start: &str, lines: &[&str]) -> (Config, String) {
    let mut config = config(start);
    let mut last = String::new();
    for line in lines {
        let typed = resolve(line, Mode::Configuring).unwrap();
        let Command::Edit(edit) = typed.command else { panic!("{line}") };
        match change(&config, edit, &typed) {
            Ok(changed) => {
                config = changed.config;
                last = changed.said.join("\n");
            }
            Err(why) => last = why,
        }
    }
    (config, last)
}

#[test]
fn fixup_adds_and_takes_away_ports_and_what_is_off_is_shown_so() {
    for (lines, ports, shown) in [
        (
            &["fixup protocol smtp 2525"][..],
            &[25, 2525][..],
            "fixup protocol smtp 25\nfixup protocol smtp 2525",
        ),
        (&["no fixup protocol smtp 25"], &[], "no fixup protocol smtp 25"),
        (&["no fixup protocol smtp 25", "fixup protocol smtp"], &[25], "fixup protocol smtp 25"),
        (&["fixup protocol smtp 2525", "no fixup protocol smtp"], &[25], "fixup protocol smtp 25"),
        (&["no fixup protocol smtp 25", "clear fixup"], &[25], "fixup protocol smtp 25"),
        (
            &["fixup protocol smtp 26-28", "no fixup protocol smtp 27"],
            &[25, 26, 28],
            "fixup protocol smtp 25\nfixup protocol smtp 26\nfixup protocol smtp 28\n\
             no fixup protocol smtp 27",
        ),
    ] {
        let (config, _) = after("", lines);
        assert_eq!(config.engine.ports, ports, "{lines:?}");
        assert_eq!(fixups(&config).join("\n"), shown, "{lines:?}");
    }
    for (line, expected) in [
        ("fixup protocol smtp 70000", "ERROR: invalid port 70000: expected 1 to 65535"),
        ("fixup protocol smtp 0", "ERROR: invalid port 0: expected 1 to 65535"),
        ("fixup protocol smtp 2530-2525", "ERROR: port range 2530-2525 is empty"),
        ("fixup protocol smtp 1-60000", "ERROR: port range 1-60000 has more than 64 ports"),
        ("no static (a,b) 1.2.3.4 5.6.7.8", "ERROR: there is no such line"),
        ("conduit allow tcp host 1.2.3.4 eq smtp any", "ERROR: expected permit or deny"),
        (
            "static (inside,outside) tcp 192.0.2.1 smtp mailer smtp",
            "ERROR: `mailer` found, expected an address or a name",
        ),
        (
            "static (inside,outside) tcp 192.0.2.1 smtp 10.0.0.1 netmask 255.255.255.255",
            "ERROR: which port it is inside is not known here: expected a number",
        ),
    ] {
        let (changed, said) = after("", &[line]);
        assert_eq!((said.as_str(), changed), (expected, config("")), "{line}");
    }
    assert!(after("", &["fixup protocol ftp 21"]).1.starts_with("WARNING: "));
}

#[test]
fn what_does_not_hold_together_with_the_rest_changes_nothing() {
    let monitoring = "monitor = true\n";
    let (changed, said) = after(monitoring, &["no fixup protocol smtp 25"]);
    let expected = "ERROR: monitor: true found, but no ports: expected one or the other";
    assert_eq!((said.as_str(), changed), (expected, config(monitoring)));
    let all = "static (inside,outside) 0.0.0.0 0.0.0.0 netmask 0.0.0.0";
    let (changed, said) = after("", &[all, "conduit permit tcp host 192.0.2.25 eq smtp any"]);
    assert!(said.starts_with("ERROR: rules.mail_hosts: 0.0.0.0/0 found, expected hosts"), "{said}");
    assert_eq!((changed.pix, changed.rules), (vec![all.to_owned()], config("").rules));
}

#[test]
fn lines_that_name_mail_hosts_close_and_open_them() {
    let own = "[rules]\nmail_hosts = [\"198.51.100.1\"]\n";
    let hosts = |config: &Config| -> Vec<String> {
        config.rules.mail_hosts.iter().map(ToString::to_string).collect()
    };
    let lines = [
        "static (inside,outside) 192.0.2.10 10.1.1.10 netmask 255.255.255.255 0 0",
        "conduit permit tcp host 192.0.2.10 eq smtp any",
    ];
    let (config, _) = after(own, &lines[..1]);
    assert_eq!(hosts(&config), ["198.51.100.1/32"]);
    let (config, _) = after(own, &lines);
    assert_eq!(hosts(&config), ["198.51.100.1/32", "10.1.1.10/32"]);
    assert_eq!(lines_named(&config, "static"), [lines[0]]);
    // Whoever is reached at other ports as well must not lose them.
    let web = "conduit permit tcp host 192.0.2.10 eq www any";
    let (config, _) = after(own, &[lines[0], lines[1], web]);
    assert_eq!(hosts(&config), ["198.51.100.1/32"]);
    let back = format!("no {}", lines[1]);
    let (config, _) = after(own, &[lines[0], lines[1], &back]);
    assert_eq!(hosts(&config), ["198.51.100.1/32"]);
    let (config, _) = after(own, &["mailhost (outside) 192.0.2.25 10.0.0.25 0 0"]);
    assert_eq!(hosts(&config), ["198.51.100.1/32", "10.0.0.25/32"]);
    let (config, _) = after(own, &["mailhost (outside) 192.0.2.25 10.0.0.25", "clear mailhost"]);
    assert_eq!(hosts(&config), ["198.51.100.1/32"]);
    // A PIX takes any address of a block for the block.
    let block = "static (inside,outside) 192.0.2.10 10.1.1.10 netmask 255.255.255.248";
    let (config, _) = after("", &[block, lines[1]]);
    assert_eq!(hosts(&config), ["10.1.1.8/29"]);
    let settings = import(&format!("{block}\n{}\n", lines[1]), Options::default()).settings;
    assert!(settings.contains("\"10.1.1.8/29\", # lines 1, 2"), "{settings}");
    let (config, _) = after("", &["static (inside,outside) tcp interface smtp 10.1.1.42 2525"]);
    assert_eq!(
        (hosts(&config), config.engine.ports),
        (vec!["10.1.1.42/32".to_owned()], vec![25, 2525])
    );
}

#[test]
fn a_line_is_taken_back_by_its_own_word() {
    let rest = "(inside,outside) 192.0.2.77 10.0.0.77";
    let (config, said) = after("", &[&format!("static {rest}"), &format!("no mailhost {rest}")]);
    assert_eq!(said, "ERROR: there is no such line");
    assert_eq!(lines_named(&config, "static"), [format!("static {rest}")]);
    let lines = [format!("STATIC  {rest}"), format!("no stat {rest}")];
    let (config, said) = after("", &[&lines[0], &lines[1]]);
    assert_eq!((said.as_str(), config.pix), ("", vec![]));
}

#[test]
fn names_count_at_all_times() {
    let (config, said) = after("", &["names", "no names"]);
    assert_eq!((said.as_str(), config), ("", self::config("")));
}

#[test]
fn some_of_the_configuration_is_shown_alone() {
    let host = "static (inside,outside) 192.0.2.10 10.1.1.10";
    let (config, _) = after("", &["no fixup protocol smtp 25", host]);
    for (start, expected) in [
        ("static", &[host][..]),
        ("fixup  protocol", &["no fixup protocol smtp 25"]),
        ("all", &["no fixup protocol smtp 25", host]),
        ("all static", &[host]),
        ("policy-map type inspect esmtp", &[]),
    ] {
        assert_eq!(running_of(&config, start), expected, "{start}");
    }
}

#[test]
fn a_configuration_that_is_written_is_read_to_the_same() {
    for (start, lines) in [
        ("", &["fixup protocol smtp 2525"][..]),
        ("", &["no fixup protocol smtp 25"]),
        ("ports = [2525]", &[]),
        ("profile = \"asa\"", &["fixup protocol smtp 2525"]),
        ("profile = \"pix-4.1\"", &["mailhost (outside) 192.0.2.25 10.0.0.25"]),
        (
            "",
            &[
                "name 10.1.1.10 mx1",
                "static (inside,outside) 192.0.2.10 mx1 netmask 255.255.255.255 0 0",
                "conduit permit tcp host 192.0.2.10 eq smtp any",
            ],
        ),
    ] {
        let (config, _) = after(start, lines);
        let text = written(&config);
        assert!(text.starts_with("Building configuration...\n: Saved\n:\nMailguard Version "));
        assert!(text.ends_with("\n: end\n[OK]\n"), "{text}");
        for as_it_was in [false, true] {
            let read = import(&text, Options { as_it_was, ..Options::default() });
            let again = self::config(&read.settings);
            assert_eq!(again.profile, config.profile, "{text}");
            assert_eq!(again.engine, config.engine, "{text}");
            assert_eq!(again.rules.mail_hosts, config.rules.mail_hosts, "{text}");
        }
    }
    assert_ne!(checksum(&config("")), checksum(&config("ports = [26]")));
    assert_eq!(checksum(&config("")).len(), 35);
}
