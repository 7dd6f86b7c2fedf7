//! Style that is executed: what ARCHITECTURE.md promises about the sources, checked on the sources.
//!
//! Layers, the outside world, printing, headers, sizes, words, and that captures, causes and the
//! documented tree have their counterparts. rustc, rustfmt and clippy check the rest.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Modules that name none of ours but [`WORDS`].
const INDEPENDENT: [&str; 6] = ["time", "offset", "speaker", "wire", "smtp", "tls"];

/// The parts of `front`, with the level of each: one names only parts of a lower level.
const PARTS: [(&str, usize); 13] = [
    ("nfqueue", 0),
    ("capture", 0),
    ("control", 0),
    ("saved_config", 0),
    ("rules", 0),
    ("patches", 0),
    ("probe", 0),
    ("profiles", 0),
    ("run", 1),
    ("replay", 1),
    ("check", 1),
    ("top", 1),
    ("explain", 2),
];

/// What every module may name: a type that everything is counted in, and who speaks.
const WORDS: [&str; 2] = ["offset", "speaker"];

/// What reaches the outside of the program: for `front` and `main` alone.
const OUTSIDE: [&str; 14] = [
    "std::fs",
    "std::process",
    "std::thread",
    "std::os::unix::net",
    "std::os::fd",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "nfq::",
    "nix::",
    "netlink_sys::",
    "Instant::now",
    "SystemTime::now",
];

/// What prints: for `front`, `cli` and `main` alone.
const PRINTING: [&str; 6] = ["println!", "eprintln!", "print!", "eprint!", "stdout()", "stderr()"];

/// Names that say nothing about what a module owns.
const EMPTY_NAMES: [&str; 7] = ["util", "utils", "common", "misc", "helper", "helpers", "stuff"];

/// Comments speak of the code as it is, and open matters stand elsewhere.
const BANNED_WORDS: [&str; 7] =
    ["TODO", "FIXME", "XXX", "HACK", "formerly", "refactored", "no longer needed"];

const COLUMNS_MAX: usize = 100;
const CODE_LINES_MAX: usize = 400;

/// A Rust file of ours.
struct Source {
    /// Relative to the package.
    path: String,
    text: String,
}

/// One line of it, comment and code apart.
struct Line<'a> {
    number: usize,
    whole: &'a str,
    code: &'a str,
    comment: &'a str,
    is_test: bool,
}

impl Source {
    /// The layer of a file below `src`.
    fn layer(&self) -> &str {
        let inside = self.path.strip_prefix("src/").unwrap_or(&self.path);
        inside.split(['/', '.']).next().unwrap()
    }

    fn is_test(&self) -> bool {
        self.path.starts_with("tests/")
            || self.path.ends_with("/tests.rs")
            || (self.path.starts_with("src/") && self.path.contains("/tests/"))
    }

    fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        let mut is_test = self.is_test();
        let mut previous = "";
        self.text.lines().enumerate().map(move |(index, whole)| {
            is_test |= previous == "#[cfg(test)]" && whole.starts_with("mod tests {");
            previous = whole;
            let at = comment_at(whole).unwrap_or(whole.len());
            let (code, comment) = whole.split_at(at);
            Line { number: index + 1, whole, code, comment, is_test }
        })
    }

    fn fault(&self, line: usize, what: impl std::fmt::Display) -> String {
        format!("{}:{line}: {what}", self.path)
    }
}

/// Where the comment of a line begins: at a `//` outside of quotes.
fn comment_at(line: &str) -> Option<usize> {
    let is_outside = |at: usize| line[..at].matches('"').count().is_multiple_of(2);
    line.match_indices("//").map(|(at, _)| at).find(|&at| is_outside(at))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Files below a folder whose names end so, in order; none if there is no folder.
fn files(folder: &str, end: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(root().join(&folder)) else { continue };
        for entry in entries.map(Result::unwrap) {
            let path = folder.join(entry.file_name());
            let name = path.to_str().unwrap();
            if entry.file_type().unwrap().is_dir() && entry.file_name() != "target" {
                folders.push(path);
            } else if name.ends_with(end) {
                found.push(name.to_owned());
            }
        }
    }
    found.sort();
    found
}

fn sources(folder: &str) -> Vec<Source> {
    let read =
        |path: String| Source { text: fs::read_to_string(root().join(&path)).unwrap(), path };
    files(folder, ".rs").into_iter().map(read).collect()
}

fn all_sources() -> Vec<Source> {
    ["src", "tests"].into_iter().flat_map(sources).collect()
}

fn expect_none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// Whether a word stands in a text with no part of a longer word around it.
fn has_word(text: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    text.match_indices(word).any(|(at, _)| {
        !text[..at].ends_with(is_part) && !text[at + word.len()..].starts_with(is_part)
    })
}

/// The names that follow `crate::` or `mailguard::` in a piece of code, two levels deep.
fn named_modules(code: &str) -> Vec<(&str, &str)> {
    let word = |text: &str| text.find(|c: char| !c.is_alphanumeric() && c != '_');
    ["crate::", "mailguard::"]
        .into_iter()
        .flat_map(|start| code.match_indices(start))
        .map(|(at, start)| {
            let path = &code[at + start.len()..];
            let (first, rest) = path.split_at(word(path).unwrap_or(path.len()));
            let rest = rest.strip_prefix("::").unwrap_or("");
            (first, &rest[..word(rest).unwrap_or(rest.len())])
        })
        .collect()
}

/// Modules from the bottom up, as `src/lib.rs` lists them: each names only those before it.
fn layers() -> Vec<String> {
    let text = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let modules = text.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    modules.chain(["main"]).map(str::to_owned).collect()
}

#[test]
fn every_module_names_only_modules_below_it() {
    let mut faults = Vec::new();
    let layers = layers();
    let level = |name: &str| layers.iter().position(|layer| *layer == name);
    for source in sources("src").iter().filter(|source| source.path != "src/lib.rs") {
        let own = source.layer();
        let Some(own_level) = level(own) else {
            faults.push(source.fault(1, format!("`{own}` has no place in the order of layers")));
            continue;
        };
        let is_direct = source.path.matches('/').count() == 2;
        for line in source.lines() {
            for (module, part) in named_modules(line.code) {
                let Some(named) = level(module) else { continue };
                let is_own = module == own;
                if named > own_level
                    || (INDEPENDENT.contains(&own) && !is_own && !WORDS.contains(&module))
                {
                    let what = format!("`{own}` names `{module}`, which is not below it");
                    faults.push(source.fault(line.number, what));
                } else if is_own && is_direct {
                    let what = format!("a sibling is named through `super`, not `crate::{own}`");
                    faults.push(source.fault(line.number, what));
                } else if !is_own && module != "front" && is_part_of(module, part) {
                    let what = format!("`{module}` is named, not its part `{part}`");
                    faults.push(source.fault(line.number, what));
                }
            }
        }
    }
    expect_none(&faults);
}

/// The parts of `front` that a file of it names, each with its line. `supers` leads from the file
/// to `front`.
fn named_parts<'a>(code: &'a str, supers: &str) -> Vec<(usize, &'a str)> {
    let word = |text: &'a str| {
        let text = text.trim_start();
        &text[..text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len())]
    };
    let mut found = Vec::new();
    for start in ["crate::front::", supers] {
        for (at, _) in code.match_indices(start).filter(|(at, _)| !code[..*at].ends_with("super::"))
        {
            let number = code[..at].matches('\n').count() + 1;
            let rest = &code[at + start.len()..];
            match rest.strip_prefix('{') {
                Some(list) => {
                    let list = &list[..list.find("};").unwrap_or(list.len())];
                    found.extend(list.split(',').map(|one| (number, word(one))));
                }
                None => found.push((number, word(rest))),
            }
        }
    }
    found.retain(|(_, name)| PARTS.iter().any(|(part, _)| part == name));
    found
}

#[test]
fn every_part_of_the_front_names_only_parts_below_it() {
    let mut faults = Vec::new();
    let level = |name: &str| PARTS.iter().find(|(part, _)| *part == name).map(|(_, level)| *level);
    for source in sources("src/front").iter().filter(|source| source.path != "src/front/mod.rs") {
        let inside = source.path.trim_start_matches("src/front/");
        let own = inside.split(['/', '.']).next().unwrap();
        let Some(own_level) = level(own) else {
            faults.push(source.fault(1, format!("`{own}` has no place among the parts")));
            continue;
        };
        let is_root = !inside.contains('/') || inside.ends_with("/mod.rs");
        let supers = if is_root { "super::" } else { "super::super::" };
        let code: String =
            source.lines().flat_map(|line| [line.code, "\n"]).collect::<Vec<_>>().concat();
        for (line, part) in named_parts(&code, supers) {
            if part != own && level(part) >= Some(own_level) {
                faults.push(
                    source.fault(line, format!("`{own}` names `{part}`, which is not below it")),
                );
            }
        }
    }
    expect_none(&faults);
}

/// Whether a module has a file or folder of this name.
fn is_part_of(module: &str, part: &str) -> bool {
    let folder = root().join("src").join(module);
    !part.is_empty() && (folder.join(format!("{part}.rs")).exists() || folder.join(part).is_dir())
}

#[test]
fn only_the_fronts_touch_the_outside() {
    let mut faults = Vec::new();
    for source in sources("src") {
        for line in source.lines().filter(|line| !line.is_test) {
            let is_front = matches!(source.layer(), "front" | "main");
            let may_print = is_front || source.layer() == "cli";
            let reaches = OUTSIDE.iter().filter(|_| !is_front);
            let prints = PRINTING.iter().filter(|_| !may_print);
            for name in reaches.chain(prints).filter(|name| line.code.contains(**name)) {
                let what = format!("`{name}` is for the fronts alone");
                faults.push(source.fault(line.number, what));
            }
        }
    }
    expect_none(&faults);
}

#[test]
fn every_file_has_a_header_and_a_name_and_fits() {
    let mut faults = Vec::new();
    for source in all_sources() {
        if !source.text.starts_with("//! ") {
            faults.push(source.fault(1, "the file opens with no `//!`"));
        }
        let mut names = source.path.split(['/', '.']);
        if let Some(name) = names.find(|name| EMPTY_NAMES.contains(name)) {
            faults.push(source.fault(1, format!("`{name}` names no subject")));
        }
        let code = source.lines().filter(|line| !line.is_test && !line.code.trim().is_empty());
        let code = code.count();
        if code > CODE_LINES_MAX {
            let what = format!("{code} lines of code, {CODE_LINES_MAX} are the most");
            faults.push(source.fault(1, what));
        }
    }
    expect_none(&faults);
}

#[test]
fn every_folder_of_tests_explains_its_files() {
    let mut faults = Vec::new();
    for main in sources("tests").iter().filter(|source| source.path.ends_with("/main.rs")) {
        let folder = main.path.trim_end_matches("main.rs");
        let names = files(folder, ".rs").into_iter().filter_map(|path| {
            let inside = path.strip_prefix(folder)?;
            Some(inside.trim_end_matches("/mod.rs").trim_end_matches(".rs").to_owned())
        });
        for name in names.filter(|name| name != "main" && !name.contains('/')) {
            let declared = format!("mod {name};");
            let mut lines = main.text.lines().zip(main.text.lines().skip(1));
            if !lines.any(|(above, line)| line == declared && above.starts_with("/// ")) {
                faults.push(main.fault(1, format!("no line says what `{name}` is")));
            }
        }
    }
    expect_none(&faults);
}

#[test]
fn every_line_fits_and_says_what_is() {
    let mut faults = Vec::new();
    for source in all_sources().iter().filter(|source| source.path != "tests/core/tidy.rs") {
        for line in source.lines() {
            let columns = line.whole.chars().count();
            if columns > COLUMNS_MAX {
                let what = format!("{columns} columns, {COLUMNS_MAX} are the most");
                faults.push(source.fault(line.number, what));
            }
            for word in BANNED_WORDS.into_iter().filter(|word| has_word(line.comment, word)) {
                faults.push(source.fault(line.number, format!("`{word}` in a comment")));
            }
            if line.whole.contains('\u{2014}') {
                faults.push(source.fault(line.number, "a dash that nobody can type"));
            }
        }
    }
    expect_none(&faults);
}

#[test]
fn every_capture_has_its_verdicts() {
    let stems = |end: &str| -> BTreeSet<String> {
        files("pcaps", end).iter().map(|path| path.trim_end_matches(end).to_owned()).collect()
    };
    let captures: BTreeSet<_> = stems(".pcap").union(&stems(".pcapng")).cloned().collect();
    let verdicts = stems(".verdicts");
    let lacking = |have: &BTreeSet<String>, want: &BTreeSet<String>, what: &str| -> Vec<String> {
        have.difference(want).map(|stem| format!("{stem}: {what}")).collect()
    };
    let mut faults = lacking(&captures, &verdicts, "a capture without .verdicts");
    faults.extend(lacking(&verdicts, &captures, "verdicts without a capture"));
    expect_none(&faults);
}

/// A cause that is counted or logged: the enum, the variant, the word for it.
pub(crate) type Cause = (&'static str, String, String);

/// The causes whose words stand in a file, as its `name` function lists them.
fn causes(kind: &'static str, path: &str) -> Vec<Cause> {
    let text = fs::read_to_string(root().join(path)).unwrap();
    let from = text.find(&format!("impl {kind} {{")).unwrap_or_else(|| panic!("{path}: {kind}?"));
    let own = &text[from..];
    let own = &own[..own.find("\n}").unwrap()];
    own.lines()
        .filter_map(|line| {
            let (variant, word) = line.trim().strip_prefix("Self::")?.split_once(" => \"")?;
            Some((kind, variant.to_owned(), word.split('"').next()?.to_owned()))
        })
        .collect()
}

/// Every cause there is.
pub(crate) fn all_causes() -> Vec<Cause> {
    [
        ("Malformed", "src/wire/packet.rs"),
        ("Violation", "src/tcp/mod.rs"),
        ("Fault", "src/smtp/mod.rs"),
        ("Fault", "src/tls/mod.rs"),
        ("Rule", "src/guard/mod.rs"),
        ("Reason", "src/engine/reason.rs"),
    ]
    .into_iter()
    .flat_map(|(kind, path)| causes(kind, path))
    .collect()
}

#[test]
fn every_cause_is_named_by_a_test() {
    let causes = all_causes();
    assert!(causes.len() > 30, "{} causes found", causes.len());
    let mut tests = String::new();
    for source in all_sources().iter().filter(|source| source.path != "tests/core/tidy.rs") {
        let code = source.lines().filter(|line| line.is_test).map(|line| line.code);
        tests.extend(code.flat_map(|code| [code, "\n"]));
    }
    let outcomes = files("pcaps", ".verdicts").into_iter().chain(files("tests/golden", ""));
    let outcomes: String =
        outcomes.map(|path| fs::read_to_string(root().join(path)).unwrap_or_default()).collect();
    let is_named = |(kind, variant, word): &Cause| {
        has_word(&tests, &format!("{kind}::{variant}"))
            || tests.contains(&format!("\"{word}\""))
            || has_word(&outcomes, word)
    };
    let faults: Vec<String> = causes
        .iter()
        .filter(|cause| !is_named(cause))
        .map(|(kind, variant, word)| format!("{kind}::{variant} (`{word}`): no test names it"))
        .collect();
    expect_none(&faults);
}

/// The paths that a drawing of a tree names: a folder ends in `/`, depth is the column.
fn drawn_paths(block: &str) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    let mut above: Vec<(usize, String)> = Vec::new();
    for line in block.lines() {
        let is_frame = |c: char| " │├└─|`+-".contains(c);
        let text = line.trim_start_matches(is_frame);
        let column = line.chars().count() - text.chars().count();
        above.retain(|(at, _)| *at < column);
        let parent = above.last().map(|(_, path)| path.clone()).unwrap_or_default();
        for name in text.split_whitespace() {
            let name = name.trim_end_matches(',');
            if !name.ends_with('/') && !name.ends_with(".rs") {
                break;
            }
            paths.insert(format!("{parent}{name}"));
            if name.ends_with('/') {
                above.push((column, format!("{parent}{name}")));
            }
        }
    }
    paths
}

#[test]
fn the_documented_order_of_layers_is_the_order() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let section = text.split("\n## Layers\n").nth(1).expect("a section on layers");
    let order = section.split('`').nth(1).unwrap();
    assert!(order.split('<').map(str::trim).eq(layers()), "{order}");
}

#[test]
fn the_documented_tree_is_the_tree() {
    let Ok(text) = fs::read_to_string(root().join("ARCHITECTURE.md")) else { return };
    let blocks = text.split("```").skip(1).step_by(2);
    let drawn = blocks
        .filter_map(|block| Some(&block[block.find("src/\n").or_else(|| block.find("src/ "))?..]))
        .map(drawn_paths)
        .find(|paths| paths.iter().any(|path| path.ends_with(".rs")));
    let Some(drawn) = drawn else { panic!("ARCHITECTURE.md draws no tree of src/") };
    let missing = drawn.iter().filter(|path| !root().join(path).exists());
    let mut faults: Vec<String> =
        missing.map(|path| format!("ARCHITECTURE.md draws {path}, which does not exist")).collect();
    // A folder drawn without its content stands for all of it.
    let is_closed = |folder: &str| {
        drawn.contains(folder)
            && !drawn.iter().any(|p| p.len() > folder.len() && p.starts_with(folder))
    };
    for path in files("src", ".rs").iter().filter(|path| !path.ends_with("/tests.rs")) {
        let inside = path.match_indices('/').any(|(at, _)| is_closed(&path[..=at]));
        if !inside && !drawn.contains(path) && !path.ends_with("/mod.rs") {
            faults.push(format!("ARCHITECTURE.md does not draw {path}"));
        }
    }
    expect_none(&faults);
}

#[test]
fn the_checks_see_what_they_look_for() {
    assert_eq!(named_modules("use crate::flow::{A, B};"), [("flow", "")]);
    assert_eq!(named_modules("x: crate::tcp::Stream, y"), [("tcp", "Stream")]);
    let code = "use super::{Outcome, rules};\nuse super::\nx(crate::front::run::Reread)\n";
    assert_eq!(named_parts(code, "super::"), [(3, "run"), (1, "rules")]);
    assert_eq!(named_parts("use super::super::check::run;", "super::super::"), [(1, "check")]);
    assert_eq!(named_parts("use super::super::check::run;", "super::"), []);
    assert_eq!(comment_at("let a = \"http://x\"; // b"), Some(20));
    assert!(has_word("a drop, early-bytes.", "early-bytes"));
    assert!(!has_word("early-bytes-2", "early-bytes"));
    let drawn =
        drawn_paths("src/\n  lib.rs  the map\n  wire/   bytes\n    seq.rs packet.rs  two\n");
    let expected = ["src/", "src/lib.rs", "src/wire/", "src/wire/packet.rs", "src/wire/seq.rs"];
    assert!(drawn.iter().eq(expected.iter()), "{drawn:?}");
}
