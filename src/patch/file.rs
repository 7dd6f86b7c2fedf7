//! A patch's file: TOML in, [`Patch`] out, or one line that says where and what is wrong.

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;

use super::product::Product;
use super::zone::Zone;
use super::{Arrives, Closes, Deed, Grade, Patch, PatchRule, PatchTest, Scope, Sign, State};

/// What is wrong with a file, or with all of them together: one line, with the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault(String);

impl Fault {
    pub(super) fn new(file: &str, line: Option<usize>, what: impl fmt::Display) -> Self {
        Self(match line {
            Some(line) => format!("{file}:{line}: {what}"),
            None => format!("{file}: {what}"),
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Fault {}

/// The file, key by key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    id: String,
    title: String,
    products: Vec<ProductTable>,
    references: Vec<String>,
    grade: String,
    scope: String,
    closes: String,
    #[serde(default)]
    note: String,
    default: String,
    rule: Vec<RuleTable>,
    test: Vec<TestTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProductTable {
    name: String,
    #[serde(default)]
    versions: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleTable {
    #[serde(default)]
    zone: Vec<String>,
    bytes: Option<String>,
    text: Option<String>,
    over: Option<u16>,
    check: Option<String>,
    #[serde(default)]
    first: bool,
    quoted: Option<bool>,
    behind: Option<String>,
    #[serde(default)]
    nth: u8,
    #[serde(rename = "do")]
    deed: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TestTable {
    #[serde(default, rename = "with")]
    settings: Vec<String>,
    #[serde(default)]
    before: Vec<String>,
    client: Option<Lines>,
    server: Option<Lines>,
    reply: Option<Lines>,
    heard: Option<Lines>,
    #[serde(default)]
    reset: bool,
    #[serde(default)]
    logged: bool,
    /// What stands for `...` in the line: so many letters.
    fill: Option<usize>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Lines {
    One(String),
    Many(Vec<String>),
}

/// Reads a file.
pub(super) fn read(name: &str, text: &str) -> Result<Patch, Fault> {
    let document = toml::from_str::<Document>(text).map_err(|error| {
        let before = text.get(..error.span().map_or(0, |span| span.start)).unwrap_or_default();
        let said = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
        Fault::new(name, Some(1 + before.matches('\n').count()), said)
    })?;
    document.into_patch().map_err(|what| Fault::new(name, None, what))
}

impl Document {
    fn into_patch(self) -> Result<Patch, String> {
        if self.id.is_empty() || !self.id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return Err(format!("id = `{}`: expected letters, digits and hyphens", self.id));
        }
        if self.references.is_empty() {
            return Err("references: none given, expected at least one".to_owned());
        }
        let products = self.products.into_iter().map(|product| {
            Product::new(&product.name, &product.versions)
                .map_err(|wrong| format!("versions: `{wrong}` found, expected such as `<4.92`"))
        });
        let rules = self.rule.into_iter().map(RuleTable::into_rule);
        let tests = self.test.into_iter().map(TestTable::into_test);
        let patch = Patch {
            id: Arc::from(self.id),
            title: self.title,
            products: products.collect::<Result<_, _>>()?,
            references: self.references,
            grade: one_of("grade", &self.grade, &Grade::ALL.map(Grade::letter), |word| {
                Grade::ALL.into_iter().find(|grade| grade.letter() == word)
            })?,
            scope: one_of("scope", &self.scope, &["always", "cleartext"], |word| {
                Some(if word == "always" { Scope::Always } else { Scope::ClearText })
            })?,
            closes: one_of("closes", &self.closes, &Closes::ALL.map(Closes::name), |word| {
                Closes::ALL.into_iter().find(|closes| closes.name() == word)
            })?,
            note: self.note.split_whitespace().collect::<Vec<_>>().join(" "),
            default: one_of("default", &self.default, &["off", "log", "on"], State::named)?,
            rules: rules.collect::<Result<_, _>>()?,
            tests: tests.collect::<Result<_, _>>()?,
        };
        patch.has_both_tests()
    }
}

impl Patch {
    /// Reads a patch's file of this name.
    ///
    /// # Errors
    /// The first thing that is wrong, and where.
    pub fn parse(name: &str, text: &str) -> Result<Self, Fault> {
        read(name, text)
    }

    /// The same patch, if its tests show both what it acts on and what it lets pass.
    fn has_both_tests(self) -> Result<Self, String> {
        let passes = |test: &PatchTest| test.arrives == Arrives::Unchanged;
        if self.rules.is_empty() || self.tests.iter().all(passes) {
            return Err("no test on which a rule acts, expected one at least".to_owned());
        }
        if !self.tests.iter().any(passes) {
            return Err("no test of a neighbour that passes, expected one at least".to_owned());
        }
        Ok(self)
    }
}

impl RuleTable {
    fn into_rule(self) -> Result<PatchRule, String> {
        let zones = self.zone.iter().map(|name| {
            Zone::named(name)
                .ok_or_else(|| format!("zone: `{name}` found, expected {}", Zone::expected()))
        });
        let zones: Vec<Zone> = zones.collect::<Result<_, _>>()?;
        let deed = one_of("do", &self.deed, &Deed::ALL.map(Deed::name), Deed::named)?;
        let sign = match (self.bytes, self.text, self.over, self.check) {
            (Some(bytes), None, None, None) => {
                Sign::Texts(set(&bytes)?.into_iter().map(|byte| vec![byte]).collect())
            }
            (None, Some(text), None, None) => match unescaped(&text) {
                text if (1..=TEXT_MAX).contains(&text.len()) => Sign::Texts(vec![text]),
                _ => return Err(format!("text: expected 1 to {TEXT_MAX} bytes")),
            },
            (None, None, Some(over), None) if matches!(deed, Deed::Reset | Deed::Log) => {
                Sign::Over(over)
            }
            (None, None, Some(_), None) => {
                return Err("over: a length is no text, expected do = reset or log".to_owned());
            }
            (None, None, None, Some(check)) => match check.as_str() {
                "empty-local-part" => Sign::EmptyLocalPart,
                "open-quote" => Sign::OpenQuote,
                "base64-length" => Sign::Base64Length,
                _ => Sign::Cause(check),
            },
            _ => return Err("rule: expected one of bytes, text, over, check".to_owned()),
        };
        let needs_zone = matches!(sign, Sign::Texts(_) | Sign::Over(_));
        if needs_zone == zones.is_empty() {
            let what = if needs_zone { "none given" } else { "a check has its own" };
            return Err(format!("zone: {what}"));
        }
        let behind = match self.behind.as_deref().map(unescaped).as_deref() {
            None => None,
            Some([byte]) => Some(*byte),
            Some(_) => return Err("behind: expected one byte".to_owned()),
        };
        let (is_first, quoted, nth) = (self.first, self.quoted, self.nth);
        PatchRule { zones, sign, is_first, quoted, behind, nth, deed }.fits_its_zones()
    }
}

impl PatchRule {
    /// The same rule, if what it asks for can be asked there.
    fn fits_its_zones(self) -> Result<Self, String> {
        let in_header = |zone: &Zone| matches!(zone, Zone::Header(_));
        if !self.zones.iter().any(in_header) {
            let is_fit = self.nth <= 1;
            return if is_fit { Ok(self) } else { Err("nth: only in a header".to_owned()) };
        }
        let is_plain = !self.is_first && self.quoted.is_none() && self.behind.is_none();
        if !self.zones.iter().all(in_header) || !matches!(self.sign, Sign::Texts(_)) || !is_plain {
            let what = "expected bytes or text, with nth or nothing, and no zone of a line";
            return Err(format!("header: {what}"));
        }
        let has_nul = |text: &Vec<u8>| text.contains(&0);
        if matches!(&self.sign, Sign::Texts(texts) if texts.iter().any(has_nul)) {
            let what = "sendmail drops NULs there, expected no NUL in bytes or text";
            return Err(format!("header: {what}"));
        }
        if matches!(self.deed, Deed::Blank | Deed::Refuse) {
            let what = "what is signed is not changed, expected do = reset or log";
            return Err(format!("header: {what}"));
        }
        Ok(self)
    }
}

impl TestTable {
    fn into_test(self) -> Result<PatchTest, String> {
        let fill = "a".repeat(self.fill.unwrap_or(0));
        let bytes = |lines: Option<Lines>| -> Vec<Vec<u8>> {
            let lines = match lines {
                None => Vec::new(),
                Some(Lines::One(line)) => vec![line],
                Some(Lines::Many(lines)) => lines,
            };
            lines.iter().map(|line| unescaped(&line.replace("...", &fill))).collect()
        };
        let (is_reply, said, arrives) = match (self.client, self.server, self.reply, self.heard) {
            (Some(client), server, None, None) => (false, client, server),
            (None, None, Some(reply), heard) => (true, reply, heard),
            _ => return Err("test: expected client [server], or reply [heard]".to_owned()),
        };
        if let Some(wrong) = self.before.iter().find(|line| speaker(line).is_none()) {
            return Err(format!("before: `{wrong}` found, expected `C: ` or `S: ` in front"));
        }
        let (said, changed) = (bytes(Some(said)), arrives.map(|lines| bytes(Some(lines))));
        let arrives = match (changed, self.reset, self.logged) {
            (None, false, false) => Arrives::Unchanged,
            (None, true, false) => Arrives::Reset,
            (None, false, true) => Arrives::Logged,
            (Some(lines), false, false) => {
                let lengths = |lines: &[Vec<u8>]| lines.iter().map(Vec::len).collect::<Vec<_>>();
                if lengths(&lines) != lengths(&said) {
                    return Err("test: what arrives is not as long as what was said".to_owned());
                }
                Arrives::Changed(lines)
            }
            _ => return Err("test: what arrives is said twice".to_owned()),
        };
        Ok(PatchTest { settings: self.settings, before: self.before, said, is_reply, arrives })
    }
}

/// Whether the client says a line of `before`, and the line.
pub(super) fn speaker(line: &str) -> Option<(bool, &str)> {
    let client = line.strip_prefix("C: ").map(|line| (true, line));
    client.or_else(|| line.strip_prefix("S: ").map(|line| (false, line)))
}

fn one_of<T>(
    key: &str,
    word: &str,
    known: &[&str],
    read: impl Fn(&str) -> Option<T>,
) -> Result<T, String> {
    let found = known.iter().find(|known| **known == word).and_then(|known| read(known));
    found.ok_or_else(|| format!("{key} = `{word}`: expected {}", known.join(" or ")))
}

/// The bytes of a set: each as it stands, or `a-z` for a range; a `-` at the end is one itself.
fn set(text: &str) -> Result<Vec<u8>, String> {
    let bytes = unescaped(text);
    let mut set = Vec::new();
    let mut rest = bytes.as_slice();
    loop {
        rest = match rest {
            [] if set.is_empty() => return Err("bytes: none given".to_owned()),
            [] => break,
            [first, b'-', last, tail @ ..] if first <= last => {
                set.extend(*first..=*last);
                tail
            }
            [byte, tail @ ..] => {
                set.push(*byte);
                tail
            }
        };
    }
    // Letters match in any case.
    set.iter_mut().for_each(|byte| byte.make_ascii_lowercase());
    set.sort_unstable();
    set.dedup();
    Ok(set)
}

/// The bytes of a text in which `\xHH` is the byte of that number. Any other backslash is one.
pub(super) fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
        let escaped = match tail {
            [b'x', high, low, behind @ ..] if *first == b'\\' => {
                digit(high).zip(digit(low)).map(|(high, low)| (16 * high + low, behind))
            }
            _ => None,
        };
        let (byte, behind) = escaped.unwrap_or((*first, tail));
        bytes.push(byte);
        rest = behind;
    }
    bytes
}

/// Bytes of a text that is looked for.
const TEXT_MAX: usize = 64;
