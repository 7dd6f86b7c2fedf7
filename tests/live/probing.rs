//! `mailguard probe` through the real filter: every profile is seen for what it is.

use serde_json::Value;

use crate::lab::{Because, Family, Filter, Outcome, PATIENCE, Side, Site, ensure, run_any};

/// What the probe must say about a profile before a Postfix with its default banner.
struct Expected {
    profile: &'static str,
    candidates: &'static [&'static str],
    postfix_notices: bool,
    starttls: &'static str,
}

/// Each profile is found and named; what is said of it fits; no filter, nothing found.
pub(crate) fn every_profile() -> Outcome<String> {
    let mut site = Site::open(Filter::None)?;
    for family in Family::ALL {
        let (code, report) = probe(family)?;
        ensure(code == Some(0) && says(&report, "/verdict", "not-found"), || report.to_string())?;
    }
    for expected in EXPECTED {
        site.change_filter(Filter::with(&["--profile", expected.profile]))?;
        for family in Family::ALL {
            let (code, report) = probe(family)?;
            let told = || format!("{}: {report:#}", expected.profile);
            ensure(code == Some(1) && says(&report, "/verdict", "found"), told)?;
            let candidates = report.get("candidates").and_then(Value::as_array);
            let names: Vec<_> = candidates
                .because("candidates")?
                .iter()
                .filter_map(|one| one.get("profile").and_then(Value::as_str))
                .collect();
            ensure(names == expected.candidates, told)?;
            ensure(says(&report, "/postfix_notices", expected.postfix_notices), told)?;
            ensure(says(&report, "/starttls/state", expected.starttls), told)?;
        }
    }
    Ok(format!("{} profiles told, over both families", EXPECTED.len()))
}

fn says(report: &Value, place: &str, expected: impl Into<Value>) -> bool {
    report.pointer(place) == Some(&expected.into())
}

fn probe(family: Family) -> Outcome<(Option<i32>, Value)> {
    let server = family.server().to_string();
    let arguments = ["probe", &server, "--format", "json"];
    let mut command = Side::Client.command(env!("CARGO_BIN_EXE_mailguard"), &arguments);
    let (status, said, error) = run_any(&mut command, PATIENCE)?;
    let report = serde_json::from_str(&said).ok();
    Ok((status.code(), report.because(format!("{server}: {said} {error}"))?))
}

const EXPECTED: [Expected; 8] = [
    expected("mailguard", &["mailguard"], true, "out-of-reach"),
    expected("esmtp", &["esmtp"], false, "not-offered"),
    expected("pix-4.1", &["pix-4.1"], false, "out-of-reach"),
    expected("pix-4.4", &["pix-4.4", "pix-5.1", "pix-5.2.4"], true, "out-of-reach"),
    // The server's name, mail.domain2.com, has the 2 that tells the 5.1 rule from stars only.
    expected("pix-5.1", &["pix-5.1", "pix-5.2.4"], true, "out-of-reach"),
    expected("pix-5.2.4", &["pix-5.1", "pix-5.2.4"], true, "out-of-reach"),
    expected("pix-6.3", &["pix-6.3"], true, "out-of-reach"),
    expected("asa", &["asa"], true, "perhaps-taken-away"),
];

const fn expected(
    profile: &'static str,
    candidates: &'static [&'static str],
    postfix_notices: bool,
    starttls: &'static str,
) -> Expected {
    Expected { profile, candidates, postfix_notices, starttls }
}
