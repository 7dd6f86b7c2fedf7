//! A rule's words, as `iptables-save` and nft print them. What somebody wrote into a comment is one
//! word, and none of the rule's own.

/// Which program printed a rule: they differ in how a quote is written within quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::front) enum Printer {
    /// `iptables-save`: behind a backslash stands a character that is meant as it is.
    Iptables,
    /// nft: text has no quotes in it, and a backslash is nothing special.
    Nft,
}

/// The words of a line. Quotes and what stands between them are one word, quotes included.
pub(in crate::front) fn words(line: &str, printer: Printer) -> Vec<&str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let mut is_between = |c: char| {
        let is_meant = std::mem::take(&mut is_escaped);
        match c {
            '"' if !is_meant => is_quoted = !is_quoted,
            '\\' if !is_meant && is_quoted => is_escaped = printer == Printer::Iptables,
            _ => {}
        }
        !is_quoted && c.is_whitespace()
    };
    line.split(&mut is_between).filter(|word| !word.is_empty()).collect()
}

/// What stands behind an option of a rule of iptables.
pub(in crate::front) fn value<'a>(words: &[&'a str], option: &str) -> Option<&'a str> {
    words.get(position(words, option)? + 1).copied()
}

/// Where a rule of iptables has an option.
pub(in crate::front) fn position(words: &[&str], option: &str) -> Option<usize> {
    let is_text = |at: usize| words.get(at).is_some_and(|before| TEXTS.contains(before));
    let at = |at: &usize| words.get(*at) == Some(&option);
    (0..words.len()).filter(at).find(|at| at.checked_sub(1).is_none_or(|before| !is_text(before)))
}

/// Where a rule of iptables leads packets it matches.
pub(in crate::front) fn target<'a>(words: &[&'a str]) -> Option<&'a str> {
    value(words, "-j").or_else(|| value(words, "-g"))
}

/// Options with a text of somebody's choice, which has no quotes if it is a single word: `-j` too.
const TEXTS: [&str; 5] =
    ["--comment", "--log-prefix", "--nflog-prefix", "--ulog-prefix", "--string"];

#[cfg(test)]
mod tests {
    use super::*;

    fn of_iptables(rule: &str) -> Vec<&str> {
        words(rule, Printer::Iptables)
    }

    #[test]
    fn what_stands_in_quotes_is_one_word() {
        let rule = r#"-m comment --comment "a \"b -j X\\" -j "" DROP"#;
        let split = of_iptables(rule);
        assert_eq!(
            split,
            ["-m", "comment", "--comment", r#""a \"b -j X\\""#, "-j", r#""""#, "DROP"]
        );
        // A backslash is nothing special outside of quotes, and nowhere to nft.
        assert_eq!(of_iptables(r"a\ b"), [r"a\", "b"]);
        let rule = "\t\tlog prefix \"a\\\" notrack";
        assert_eq!(words(rule, Printer::Nft), ["log", "prefix", "\"a\\\"", "notrack"]);
        // What never ends is one word too.
        assert_eq!(of_iptables("a \"b c"), ["a", "\"b c"]);
    }

    #[test]
    fn a_text_is_no_option() {
        let split = of_iptables("-m comment --comment -j -j MAILGUARD");
        assert_eq!(target(&split), Some("MAILGUARD"));
        let split = of_iptables("-j LOG --log-prefix -g");
        assert_eq!(target(&split), Some("LOG"));
        assert_eq!(value(&split, "-g"), None);
        assert_eq!(target(&of_iptables("-s 192.0.2.1/32 -g there")), Some("there"));
        assert_eq!(target(&of_iptables("-s 192.0.2.1/32")), None);
    }
}
