//! `mailguard patches`: which known holes of mail servers are kept closed, and one of them whole.

use std::fmt::Write;

use super::FrontError;
use crate::event;
use crate::guard::Patches;
use crate::patch::{Arrives, Grade, Patch, PatchRule, PatchTest, Scope, Sign, State};

/// All patches with what is done about each, or those that a product needs.
///
/// # Errors
/// No patch is for such a product.
pub fn list(patches: &Patches, product: Option<&str>) -> Result<String, FrontError> {
    let catalogue = &patches.catalogue;
    let (mut text, listed): (_, Vec<&Patch>) = match product {
        None => (String::new(), catalogue.patches().iter().collect()),
        Some(said) => {
            let (named, patches) = catalogue.for_product(&product_of(said)).ok_or_else(|| {
                let what = "expected a product of `mailguard patches`";
                FrontError::new(format!("`{said}` found, {what}"))
            })?;
            (format!("{named}:\n"), patches)
        }
    };
    for patch in &listed {
        let (state, id) = (patches.state(patch).name(), &patch.id);
        let preset = if patches.state(patch) == patch.default { "" } else { "*" };
        let named = if patch.only_names() { "=" } else { "" };
        let marks = format!("{named}{preset}");
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{id:<17} {state:<3}{marks:<2} {:<9} {}", patch.scope, patch.title);
    }
    let count = |state| listed.iter().filter(|patch| patches.state(patch) == state).count();
    let [off, log, on] = State::ALL.map(count);
    let _ = writeln!(text, "\n{} patches: {on} on, {log} log, {off} off.", listed.len());
    text.push_str(
        "`mailguard patches show ID` says all of one. Behind STARTTLS none is seen whose\n",
    );
    text.push_str(
        "scope is cleartext. A star marks what the configuration has changed. A sign = marks\n",
    );
    text.push_str(
        "what another setting keeps closed, as `show` says: the patch only gives it a name.\n",
    );
    if product.is_some() {
        text.push_str("A distribution mends a hole without a new number: ask yours, too.\n");
    }
    Ok(text)
}

/// What is said of a product, where it begins with the name of a package that is called otherwise.
fn product_of(said: &str) -> String {
    let package = PACKAGES.iter().find_map(|(package, product)| {
        let (head, rest) = said.split_at_checked(package.len())?;
        let is_it = head.eq_ignore_ascii_case(package) && !rest.starts_with(char::is_alphanumeric);
        is_it.then(|| format!("{product}{rest}"))
    });
    package.unwrap_or_else(|| said.to_owned())
}

/// All there is to know of one, whatever the case of its name.
///
/// # Errors
/// There is none of this name; where no patch can be, why.
pub fn show(patches: &Patches, id: &str) -> Result<String, FrontError> {
    let is_it = |patch: &&Patch| patch.id.eq_ignore_ascii_case(id);
    let Some(patch) = patches.catalogue.patches().iter().find(is_it) else {
        let why = OUT_OF_REACH.iter().find(|(known, _)| known.eq_ignore_ascii_case(id));
        let why = why.map(|(_, why)| *why);
        let why = why.map(|why| format!("cannot be closed in the path: it is in {why}"));
        let said = why.unwrap_or_else(|| "there is no such patch".to_owned());
        return Err(FrontError::new(format!("{id}: {said}")));
    };
    let mut text = format!("{}: {}\n\n", patch.id, patch.title);
    let mut say = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:<10}  {value}");
    };
    let state = patches.state(patch).name();
    say("state", &format!("{state} (default: {})", patch.default.name()));
    patch.products.iter().for_each(|product| say("product", &product.to_string()));
    patch.references.iter().for_each(|reference| say("reference", reference));
    say("known from", grade(patch.grade));
    say(
        "scope",
        match patch.scope {
            Scope::Always => "always",
            Scope::ClearText => "clear text: behind STARTTLS nothing of it is seen",
        },
    );
    say("closes", patch.closes.name());
    if !patch.note.is_empty() {
        say("note", &patch.note);
    }
    patch.rules.iter().for_each(|rule| say("rule", &told(rule)));
    text.push('\n');
    patch.tests.iter().for_each(|test| tell_test(test, &mut text));
    Ok(text)
}

const fn grade(grade: Grade) -> &'static str {
    match grade {
        Grade::Vendor => "the vendor's text",
        Grade::Record => "the CVE record, or another's rule",
        Grade::Memory => "memory",
    }
}

fn told(rule: &PatchRule) -> String {
    let zones: Vec<String> = rule.zones.iter().map(|zone| zone.name()).collect();
    let zones = zones.join(", ");
    let sign = match &rule.sign {
        Sign::Texts(texts) => {
            let texts: Vec<String> = texts.iter().take(TEXTS_MAX).map(|text| shown(text)).collect();
            let more = if texts.len() == TEXTS_MAX { " ..." } else { "" };
            format!("{} in {zones}{more}", texts.join(" "))
        }
        Sign::Over(count) => format!("more than {count} bytes in {zones}"),
        Sign::EmptyLocalPart => "a local part that is empty, or comes to nothing".to_owned(),
        Sign::OpenQuote => "a quoted string that never ends".to_owned(),
        Sign::Base64Length => "base64 that lacks one character".to_owned(),
        Sign::Cause(cause) => format!("what the filter calls {cause}"),
    };
    let place = if rule.is_first { ", where it begins" } else { "" };
    let quoted = match rule.quoted {
        None => "",
        Some(true) => ", in quotes",
        Some(false) => ", outside of quotes",
    };
    let behind = rule.behind.map(|byte| format!(", behind {}", shown(&[byte])));
    let behind = behind.unwrap_or_default();
    let nth = if rule.nth > 1 { format!(", the {}th of a field", rule.nth) } else { String::new() };
    format!("{sign}{place}{quoted}{behind}{nth}: {}", rule.deed.name())
}

fn tell_test(test: &PatchTest, text: &mut String) {
    for line in &test.before {
        let _ = writeln!(text, "  {line}");
    }
    let who = if test.is_reply { "S" } else { "C" };
    for (at, line) in test.said.iter().enumerate() {
        let said = shown(line);
        let _ = match &test.arrives {
            Arrives::Unchanged => writeln!(text, "  {who}: {said} passes"),
            Arrives::Logged => writeln!(text, "  {who}: {said} passes, and is logged"),
            Arrives::Changed(lines) => {
                let arrives = shown(lines.get(at).map_or(&[], Vec::as_slice));
                writeln!(text, "  {who}: {said}\n   > {arrives}")
            }
            Arrives::Reset => writeln!(text, "  {who}: {said} resets the connection"),
        };
    }
}

/// Bytes as the log shows them; of a long line both ends.
fn shown(bytes: &[u8]) -> String {
    let mut text = String::new();
    if bytes.len() > SHOWN_MAX {
        let (head, tail) = (bytes.get(..40), bytes.get(bytes.len() - 20..));
        event::escape(head.unwrap_or_default(), &mut text);
        text.push_str("...");
        event::escape(tail.unwrap_or_default(), &mut text);
    } else {
        event::escape(bytes, &mut text);
    }
    text
}

/// Bytes of a line that is shown whole.
const SHOWN_MAX: usize = 100;

/// Texts of a rule that are shown.
const TEXTS_MAX: usize = 12;

/// Debian's packages, the longest names first, and what is in them.
const PACKAGES: [(&str, &str); 3] =
    [("exim4-daemon-heavy", "exim"), ("exim4-daemon-light", "exim"), ("exim4", "exim")];

/// Holes that nothing in the path can close, and where they are.
const OUT_OF_REACH: [(&str, &str); 17] = [
    ("CVE-1999-0204", "the answer of an ident server"),
    ("CVE-2002-0698", "names of addresses in DNS"),
    ("CVE-2006-0058", "the time at which bytes come"),
    ("CVE-2010-0024", "the MX records of DNS"),
    ("CVE-2020-28024", "a FIN inside TLS"),
    ("CVE-2021-20314", "DNS"),
    ("CVE-2023-2868", "a tar file inside a message"),
    ("CVE-2023-42117", "the header of the PROXY protocol"),
    ("CVE-2023-42118", "DNS"),
    ("CVE-2023-42119", "DNS"),
    ("CVE-2024-39929", "headers of MIME parts"),
    ("CVE-2026-26312", "nested MIME parts"),
    ("CVE-2026-27859", "headers of MIME parts"),
    ("CVE-2026-40684", "DNS"),
    ("CVE-2026-40685", "JSON of a local configuration"),
    ("CVE-2026-40686", "UTF-8 operators of a local configuration"),
    ("CVE-2026-43964", "text of the server's own tables and milters"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn a_patch_and_a_product_are_known_however_they_are_written() {
        let patches = Config::build(None, &[]).unwrap().with_patches(&[]).unwrap();
        let patches = patches.engine.guard.patches;
        let of = |id: &str| show(&patches, id).map_err(|error| error.to_string());
        assert_eq!(of("cve-2019-10149"), of("CVE-2019-10149"));
        assert!(of("CVE-2019-10149").is_ok());
        assert!(of("cve-2021-20314").unwrap_err().ends_with("it is in DNS"));
        let needs = |said: &str| list(&patches, Some(said)).map_err(|error| error.to_string());
        for (package, product) in [
            ("exim4-4.96-15+deb12u6", "exim-4.96"),
            ("exim4-daemon-light 4.91-1", "exim-4.91"),
            ("Exim4", "exim"),
            ("sendmail-8.17.1.9-2+deb12u2", "sendmail-8.17.1.9"),
            ("opensmtpd-6.8.0p2-4", "opensmtpd-6.8.0p2"),
            ("postfix-3.7.11-0+deb12u1", "postfix-3.7.11"),
        ] {
            assert!(needs(package).is_ok(), "{package}");
            assert_eq!(needs(package), needs(product), "{package}");
        }
        assert!(needs("exim45").is_err());
    }
}
