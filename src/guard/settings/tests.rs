//! The table of settings: what it takes, prints and presets.

use super::*;
use crate::guard::tests::leaves;
use crate::smtp::Speaker;

fn profile(name: &str) -> Settings {
    Settings::profile(name).unwrap()
}

#[test]
fn settings_say_what_they_expect() {
    let mut settings = profile("mailguard");
    for (key, value, wrong, expected) in [
        ("split_terminator", "maybe", "maybe", "fixed or bug"),
        ("verbs", "HELO,FOO", "FOO", "one or more of AUTH, BDAT"),
        ("verbs", "", "", "one or more of AUTH, BDAT"),
        ("ehlo_keywords", "SIZE,a=b", "a=b", "words of letters, digits"),
        ("line_max", "65536", "65536", "a whole number from 0 (no limit) to 65"),
        ("line_max", "-1", "-1", "a whole number"),
        ("recipients_max", "many", "many", "a whole number"),
    ] {
        assert_eq!(settings.set(key, value), Err(wrong), "{key}");
        let setting = Settings::TABLE.iter().find(|setting| setting.name == key).unwrap();
        assert!(setting.expected().starts_with(expected), "{}", setting.expected());
    }
    assert_eq!(settings.set("colour", "red"), Err("colour"));
    assert_eq!(settings, profile("mailguard"));
    for (key, value, printed) in [
        ("refused_lines_max", "5 log", "5 log"),
        ("refused_lines_max", "5,reset", "5"),
        ("auth_mechanisms", "plain, LOGIN", "PLAIN,LOGIN"),
        ("auth_mechanisms", "any", "any"),
        ("sender_refuse", "%!", "%!"),
        ("tls_names", "mx.example, *.Mail.example", "mx.example,*.mail.example"),
        ("hello_refuse", "localhost *.D.example", "localhost,*.d.example"),
    ] {
        let mut changed = settings.clone();
        changed.set(key, value).unwrap();
        assert!(changed.words().contains(&(key, printed.to_owned())), "{key}");
    }
    for (key, value) in [
        ("refused_lines_max", "5 drop"),
        ("refused_lines_max", "log"),
        ("refused_lines_max", "5 log 6"),
        ("auth_mechanisms", ""),
        ("auth_mechanisms", "a;b"),
        ("sender_refuse", "ab"),
        ("sender_refuse", "@"),
    ] {
        assert_eq!(settings.set(key, value), Err(value), "{key}");
    }
    settings.set("verbs", "helo, EHLO quit").unwrap();
    assert_eq!(leaves(&settings, Speaker::Client, b"EHLO a\r\nMAIL\r\n", 3), "EHLO a\r\nXXXX\r\n");
}

#[test]
fn every_setting_reads_back_what_it_prints() {
    for name in Profile::names() {
        let preset = profile(name);
        let mut copy = profile("mailguard");
        for (key, word) in preset.words() {
            let may_be_empty = [
                "asa_map",
                "ehlo_keywords",
                "hello_refuse",
                "recipient_refuse",
                "sender_refuse",
                "tls_names",
            ];
            assert!(!word.is_empty() || may_be_empty.contains(&key), "{name}: {key}");
            copy.set(key, &word).unwrap();
        }
        assert_eq!(copy, preset, "{name}");
    }
    assert!(Settings::profile("pix-9").is_none());
}

/// The table of the design, with the settings that its sources give besides: columns as in
/// [`Profile::ALL`].
#[test]
fn the_profiles_preset_what_their_sources_say() {
    let map = "cmd-line-length,cmd-RCPT-count,body-line-length,header-line-length,\
               sender-address-length,-,-";
    let all = "pix-5.1-all";
    let rows: [(&str, [&str; 8]); 37] = [
        ("refusal", ["x", "x", "noop", "noop", "noop", "noop", "x-word", "x-word"]),
        ("banner", ["pix-5.1", "domain", "cmap", "stars", all, all, all, "star-text"]),
        ("ehlo", ["pass", "allow-list", "pass", "pass", "pass", "pass", "pass", "letters"]),
        ("starttls", ["strip", "allow", "strip", "strip", "strip", "strip", "strip", "strip"]),
        ("unit", ["stream", "stream", "packet", "packet", "packet", "packet", "packet", "packet"]),
        ("split_terminator", ["fixed", "fixed", "bug", "bug", "bug", "fixed", "fixed", "fixed"]),
        (
            "data_begins",
            ["on-354", "on-354", "on-data", "on-data", "on-data", "on-data", "on-354", "on-354"],
        ),
        (
            "lookalikes",
            ["neutralise", "neutralise", "pass", "pass", "pass", "pass", "pass", "pass"],
        ),
        (
            "address_scan",
            ["off", "off", "replace", "replace", "replace", "replace", "replace", "off"],
        ),
        ("http_words", ["reset", "reset", "pass", "pass", "pass", "pass", "pass", "pass"]),
        ("line_max", ["1000", "1000", "0", "0", "0", "0", "0", "512"]),
        ("envelope_line_max", ["2000", "2000", "0", "0", "0", "0", "0", "512"]),
        ("auth_line_max", ["12280", "12280", "0", "0", "0", "0", "0", "512"]),
        ("auth_response_max", ["12280", "12280", "0", "0", "0", "0", "0", "0"]),
        ("recipients_max", ["5000", "5000", "0", "0", "0", "0", "0", "100"]),
        ("sender_max", ["0", "0", "0", "0", "0", "0", "0", "320"]),
        ("envelope", ["lenient", "lenient", "off", "off", "off", "off", "off", "off"]),
        ("parameters", ["offered", "log", "any", "any", "any", "any", "any", "any"]),
        ("recipient_refuse", ["$`|", "", "", "", "", "", "", ""]),
        ("order", ["enforce", "enforce", "off", "off", "off", "off", "off", "off"]),
        ("local_part_max", ["256", "256", "0", "0", "0", "0", "0", "0"]),
        ("path_max", ["512", "512", "0", "0", "0", "0", "0", "0"]),
        ("rejected_recipients_max", ["20 log", "20 log", "0", "0", "0", "0", "0", "0"]),
        ("failed_auth_max", ["10", "10", "0", "0", "0", "0", "0", "0"]),
        ("idle_commands_max", ["100", "100 log", "0", "0", "0", "0", "0", "0"]),
        ("refused_lines_max", ["25", "50", "0", "0", "0", "0", "0", "0"]),
        ("empty_lines_max", ["20", "20", "0", "0", "0", "0", "0", "0"]),
        ("messages_max", ["0", "0", "0", "0", "0", "0", "0", "0"]),
        ("chunks_small_max", ["1000", "1000", "0", "0", "0", "0", "0", "0"]),
        ("header_bytes_max", ["1000000", "1000000", "0", "0", "0", "0", "0", "0"]),
        ("header_line_max", ["0", "0", "0", "0", "0", "0", "0", "998"]),
        ("header_fields_max", ["2000 log", "2000 log", "0", "0", "0", "0", "0", "0"]),
        ("size_assumed", ["52428800", "52428800", "0", "0", "0", "0", "0", "0"]),
        ("body_bytes_max", ["0", "0", "0", "0", "0", "0", "0", "0"]),
        ("body_line_max", ["0", "0", "0", "0", "0", "0", "0", "998 log"]),
        ("syslog_names", ["own", "own", "pix", "pix", "pix", "pix", "pix", "asa"]),
        ("asa_map", ["", "", "", "", "", "", "", map]),
    ];
    let presets = Profile::ALL.map(Settings::preset);
    for (name, values) in rows {
        let setting = Settings::TABLE.iter().find(|setting| setting.name == name).unwrap();
        let preset: Vec<String> = presets.iter().map(|preset| setting.print(preset)).collect();
        assert_eq!(preset, values, "{name}");
    }
    let verbs: Vec<usize> = presets
        .iter()
        .map(|preset| Verb::ALL.iter().filter(|&&verb| preset.permitted().contains(verb)).count())
        .collect();
    assert_eq!(verbs, [7, 17, 7, 7, 7, 7, 7, 15]);
}

#[test]
fn every_setting_says_what_it_is_for() {
    for setting in Settings::TABLE {
        assert!(setting.about.ends_with('.'), "{}", setting.name);
        assert_eq!(setting.about, setting.about.trim(), "{}", setting.name);
        assert!(!setting.expected().is_empty());
    }
}
