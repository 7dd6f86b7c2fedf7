//! Rows of a policy map that mask: keywords of the answer to EHLO, and verbs.

use std::collections::BTreeSet;

use crate::guard::Settings;

/// What is masked, in the map's words.
#[derive(Debug, Default)]
pub(super) struct Masks {
    keywords: BTreeSet<&'static str>,
    verbs: BTreeSet<&'static str>,
}

impl Masks {
    /// Takes the condition of a row that masks; none: it is no such condition.
    ///
    /// # Errors
    /// What it names that is no word of its kind.
    pub(super) fn take<'c>(&mut self, condition: &'c str) -> Option<Result<(), &'c str>> {
        let words: Vec<&str> = condition.split(' ').collect();
        let (is_not, words) = match words.as_slice() {
            ["not", words @ ..] => (true, words),
            words => (false, words),
        };
        let (all, masked, named) = match words {
            ["ehlo-reply-parameter", named @ ..] => (&KEYWORDS[..], &mut self.keywords, named),
            ["cmd", "verb", named @ ..] => (&VERBS[..], &mut self.verbs, named),
            _ => return None,
        };
        if let Some(wrong) = named.iter().find(|word| !all.contains(word)) {
            return Some(Err(wrong));
        }
        masked.extend(all.iter().filter(|word| named.contains(word) != is_not));
        Some(Ok(()))
    }

    /// Whether some keywords are masked by their words, and those that have none are not.
    pub(super) fn spare_others(&self) -> bool {
        !self.keywords.is_empty() && !self.keywords.contains(OTHERS)
    }

    /// Whether nobody can begin TLS.
    pub(super) fn bar_tls(&self) -> bool {
        self.verbs.contains("ehlo") || self.verbs.contains("starttls")
    }

    /// The settings, as lines of a configuration.
    pub(super) fn settings(&self) -> Vec<String> {
        let ehlo = if self.keywords.is_empty() { "pass" } else { "letters" };
        let mut settings = vec![format!("ehlo = \"{ehlo}\"")];
        let asa = Settings::profile("asa").map(|asa| asa.words()).unwrap_or_default();
        let preset = |name| {
            let found = asa.iter().find(|(known, _)| *known == name);
            found.map_or("", |(_, words)| words.as_str()).split(',')
        };
        if self.keywords.iter().any(|word| *word != OTHERS) {
            let masked: Vec<String> = self.keywords.iter().map(|word| keyword(word)).collect();
            let is_left = |keyword: &&str| !masked.iter().any(|masked| masked == keyword);
            let left: Vec<&str> = if self.spare_others() {
                REGISTERED.split(' ').filter(is_left).collect()
            } else {
                preset("ehlo_keywords").filter(is_left).collect()
            };
            settings.push(format!("ehlo_keywords = [\"{}\"]", left.join("\", \"")));
        }
        if !self.verbs.is_empty() {
            // What becomes of STARTTLS says a setting of its own.
            let is_left = |verb: &&str| {
                *verb == "STARTTLS" || !self.verbs.contains(verb.to_ascii_lowercase().as_str())
            };
            let left: Vec<&str> = preset("verbs").filter(is_left).collect();
            settings.push(format!("verbs = [\"{}\"]", left.join("\", \"")));
        }
        settings
    }
}

/// The keyword that a word of the map stands for.
fn keyword(word: &str) -> String {
    match word {
        "binaryname" => "BINARYMIME".to_owned(),
        "ecode" => "ENHANCEDSTATUSCODES".to_owned(),
        _ => word.to_ascii_uppercase(),
    }
}

/// The word for all keywords that have none.
const OTHERS: &str = "others";

const KEYWORDS: [&str; 11] = [
    "8bitmime",
    "auth",
    "binaryname",
    "checkpoint",
    "dsn",
    "ecode",
    "etrn",
    OTHERS,
    "pipelining",
    "size",
    "vrfy",
];

const VERBS: [&str; 16] = [
    "auth", "data", "ehlo", "etrn", "helo", "help", "mail", "noop", "quit", "rcpt", "rset", "saml",
    "send", "soml", "starttls", "vrfy",
];

/// Keywords that stay where some are masked by their words: those of IANA's list, and Postfix's.
const REGISTERED: &str = "8BITMIME ATRN AUTH BINARYMIME BURL CHECKPOINT CHUNKING CONNEG CONPERM \
                          DELIVERBY DSN ENHANCEDSTATUSCODES ETRN EXPN FUTURERELEASE HELP LIMITS \
                          MT-PRIORITY MTRK NO-SOLICITING ONEX PIPELINING REQUIRETLS RRVS SAML SEND \
                          SIZE SMTPUTF8 SOML STARTTLS SUBMITTER TURN VERB VRFY XCLIENT XFORWARD";
