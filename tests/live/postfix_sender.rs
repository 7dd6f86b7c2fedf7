//! Postfix as a sender knows a PIX by its banner, and has workarounds for it: it does, and they
//! work, behind the profiles that have the banner and the bug; behind `esmtp` it notices nothing.
//! Behind `asa` it loses the connection over a long header, as behind an ASA.

use std::thread;
use std::time::Duration;

use crate::cutting::{IMPATIENT, NO_WORKAROUNDS, cut_message, small_packets};
use crate::lab::{
    Because, Filter, Guard, Mta, Network, Outcome, PATIENCE, Program, Way, ensure, wait_until,
};

/// It logs `enabling PIX workarounds` behind the masked banner and sends without TLS; behind
/// `esmtp` it does neither.
pub(crate) fn knows_a_pix() -> Outcome<String> {
    let network = Network::build()?;
    let server = Mta::serve(Program::Postfix)?;
    let sender = Mta::send_with(Program::Postfix)?;
    let mut noticed = 0;
    for (number, (profile, is_pix)) in PROFILES.into_iter().enumerate() {
        let _guard = Guard::start(Filter::with(&["--profile", profile]))?;
        let name = format!("m{number}");
        let content = format!("From: sender@domain1.com\nSubject: {name}\n\nHello.\n");
        sender.submit(
            content.as_bytes(),
            &[format!("{name}@{}", Program::Postfix.domain(Way::Tls))],
        )?;
        wait_until(&format!("mail behind {profile}"), PATIENCE, || {
            Ok((server.stored_count() > number).then_some(()))
        })
        .because(sender.log())?;
        let log = sender.log();
        noticed += usize::from(is_pix);
        let count = log.matches("enabling PIX workarounds").count();
        ensure(count == noticed, || format!("{profile}: noticed {count} times\n{log}"))?;
        let letters = server.stored()?;
        let letter = letters.iter().find(|letter| letter.recipients.contains(&name));
        let received = letter.because("the message")?.received();
        let is_tls = received.contains("with ESMTPS");
        ensure(is_tls != is_pix, || format!("{profile}: {received}"))?;
    }
    Ok(format!(
        "noticed a PIX behind 2 of 3 profiles, used TLS behind the other; {}",
        network.contented()?
    ))
}

/// With the bug, scope `dot-crlf`: the workaround for old mail delivers what starved before.
pub(crate) fn outwits_the_bug() -> Outcome<String> {
    starving(QUICK_WORKAROUNDS, true)
}

/// Without its workarounds the same mail never gets through.
pub(crate) fn starves_without_workarounds() -> Outcome<String> {
    starving(NO_WORKAROUNDS, false)
}

/// A header line of 998 bytes arrives and one of 999 never does: Postfix loses its connection and
/// keeps the message, and the syslog says what an ASA's would.
pub(crate) fn loses_a_long_header() -> Outcome<String> {
    let network = Network::build()?;
    let server = Mta::serve(Program::Postfix)?;
    let sender = Mta::postfix_with("smtp_line_length_limit = 0\n")?;
    let guard = Guard::start(Filter::with(&["--profile", "asa", "--format", "syslog"]))?;
    let submit = |length: usize| {
        let field = format!("X-Field: {}", "x".repeat(length - 9));
        let content = format!("From: sender@domain1.com\n{field}\n\nHello.\n");
        let recipient = format!("m{length}@{}", Program::Postfix.domain(Way::Plain));
        sender.submit(content.as_bytes(), &[recipient])
    };
    submit(999)?;
    guard.await_event("507003")?;
    wait_until("the connection is lost", PATIENCE, || {
        Ok(sender.log().contains("status=deferred (lost connection with").then_some(()))
    })
    .because(sender.log())?;
    submit(998)?;
    wait_until("the shorter one arrives", PATIENCE, || {
        Ok((server.stored_count() > 0).then_some(()))
    })
    .because(sender.log())?;
    let stored = server.stored()?;
    let recipients: Vec<_> = stored.iter().flat_map(|letter| &letter.recipients).collect();
    ensure(recipients == ["m998"], || format!("stored for {recipients:?}"))?;
    let events = guard.events();
    let mut lines = events.lines().filter_map(|line| Some(line.split_once(": %")?.1));
    let (met, ended) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let is_met = met.starts_with("ASA-4-108004: ESMTP Classification: Dropped connection for ")
        && met.ends_with("; matched Class 4: header line length gt 998");
    let is_ended = ended.starts_with("ASA-4-507003: tcp flow from outside:")
        && ended.ends_with("reason - inspector disconnected, dropped packet.");
    ensure(is_met && is_ended, || events.clone())?;
    Ok(format!("998 bytes arrive, 999 do not, and Class 4 is told; {}", network.contented()?))
}

fn starving(settings: &str, is_delivered: bool) -> Outcome<String> {
    let network = Network::build()?;
    small_packets(&network)?;
    let server = Mta::serve(Program::Postfix)?;
    let sender = Mta::postfix_with(&format!("{IMPATIENT}{settings}"))?;
    let bug = ["--profile", "pix-5.1", "--set", "split_scope=dot-crlf"];
    let guard = Guard::start(Filter::with(&bug))?;
    sender.submit(&cut_message(), &[format!("reader@{}", Program::Postfix.domain(Way::Plain))])?;
    let tries = || sender.log().matches("status=deferred").count();
    wait_until("the first try starves", PATIENCE, || Ok((tries() >= 1).then_some(())))
        .because(sender.log())?;
    guard.await_event("split")?;
    if !is_delivered {
        wait_until("three more tries", PATIENCE, || Ok((tries() >= 4).then_some(())))
            .because(sender.log())?;
        ensure(server.stored_count() == 0, || "it was delivered".to_owned())?;
        return Ok(format!("{} tries, nothing delivered", tries()));
    }
    wait_until("the message is delivered", PATIENCE, || {
        // As the administrator would.
        sender.flush()?;
        thread::sleep(Duration::from_secs(1));
        Ok((server.stored_count() > 0).then_some(()))
    })
    .because(format!("{}\n{}", sender.log(), guard.events_end()))?;
    let log = sender.log();
    ensure(log.contains("delay_dotcrlf for"), || log.clone())?;
    // What has left the queue is not sent again.
    wait_until("the message is removed", PATIENCE, || {
        Ok(sender.log().contains(": removed").then_some(()))
    })?;
    let copies = server.stored_count();
    ensure(copies == 1, || format!("{copies} copies"))?;
    Ok(format!("starved {} times, then delivered once by delay_dotcrlf", tries()))
}

/// Old is what has waited for seconds; it usually takes 500. Even a busy machine makes its first
/// try before.
const QUICK_WORKAROUNDS: &str = "\
smtp_pix_workaround_threshold_time = 6s
smtp_pix_workaround_delay_time = 1s
";

/// And whether a Postfix takes it for a PIX.
const PROFILES: [(&str, bool); 3] = [("pix-5.1", true), ("mailguard", true), ("esmtp", false)];
