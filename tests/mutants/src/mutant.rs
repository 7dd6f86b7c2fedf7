//! The changes to try, as cargo-mutants lists them.

use std::error::Error;
use std::process::Command;

use serde::Deserialize;

#[derive(Deserialize)]
pub struct Mutant {
    /// `src/wire/seq.rs:45:9: replace Seq::plus -> Self with Default::default()`.
    pub name: String,
    pub file: String,
    pub genre: Genre,
    pub replacement: String,
    pub span: Span,
    #[serde(skip)]
    pub fate: Fate,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq, Hash)]
pub enum Genre {
    FnValue,
    BinaryOperator,
    UnaryOperator,
    MatchArm,
    MatchArmGuard,
    StructField,
}

#[derive(Deserialize)]
pub struct Span {
    pub start: Place,
    pub end: Place,
}

/// A place in a source file, both counted from 1.
#[derive(Clone, Copy, Deserialize, PartialEq, Eq, Hash)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

impl Place {
    fn offset(self, source: &str) -> usize {
        let mut lines = source.split_inclusive('\n');
        let before: usize = lines.by_ref().take(self.line - 1).map(str::len).sum();
        let letters = lines.next().unwrap_or_default().chars().take(self.column - 1);
        before + letters.map(char::len_utf8).sum::<usize>()
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fate {
    /// The tests are to find out.
    #[default]
    Open,
    /// A test noticed it.
    Caught,
    /// The tests did not come to an end.
    TooSlow,
    /// No test noticed it.
    Missed,
    /// It does not compile.
    Unviable,
    /// It cannot be switched while the program runs: a constant, mostly.
    Fixed,
}

impl Fate {
    /// What may become of a change in the end, by name.
    pub const FINAL: [(Self, &str); 4] = [
        (Self::Caught, "caught"),
        (Self::TooSlow, "slow"),
        (Self::Missed, "missed"),
        (Self::Unviable, "unviable"),
    ];
}

impl Mutant {
    /// The name without line and column, as the lists of what is known have it.
    pub fn placeless(&self) -> String {
        let mut parts = self.name.splitn(4, ':');
        match (parts.next(), parts.nth(2)) {
            (Some(file), Some(rest)) => format!("{file}:{rest}"),
            _ => self.name.clone(),
        }
    }

    /// The source with this change alone.
    pub fn apply(&self, source: &str) -> String {
        let (before, after) = (self.span.start.offset(source), self.span.end.offset(source));
        [&source[..before], &self.replacement, &source[after..]].concat()
    }

    pub fn is_of(&self, module: &str) -> bool {
        is_of(&self.file, module)
    }
}

/// Whether a source file belongs to a module, or to a part of one: `guard`, `guard/size`.
pub fn is_of(file: &str, module: &str) -> bool {
    file.strip_prefix("src/")
        .and_then(|file| file.strip_prefix(module))
        .is_some_and(|rest| rest.starts_with(['/', '.']))
}

/// What tells cargo-mutants of a module's files.
pub fn files(module: &str) -> [String; 4] {
    let flag = || "--file".to_owned();
    [flag(), format!("src/{module}/**"), flag(), format!("src/{module}.rs")]
}

/// All changes of some modules.
pub fn list(modules: &[String]) -> Result<Vec<Mutant>, Box<dyn Error>> {
    let mut command = Command::new("cargo");
    command.args(["mutants", "--list", "--json"]);
    command.args(modules.iter().flat_map(|module| files(module)));
    Ok(serde_json::from_slice(&command.output()?.stdout)?)
}
