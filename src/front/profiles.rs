//! `mailguard profiles`: what each profile sets, as a table, or one profile as lines that can
//! stand under `[settings]` in a configuration file.

use std::fmt::Write;

use super::FrontError;
use crate::guard::{Kind, Profile, Setting, Settings};

/// A setting's name, and its value in each profile.
type Row = (&'static str, Vec<String>);

/// What is printed about all profiles, or about one.
///
/// # Errors
/// No profile has that name.
pub fn show(name: Option<&str>) -> Result<String, FrontError> {
    let Some(name) = name else { return Ok(table()) };
    let profile = Settings::profile(name).ok_or_else(|| {
        let known = Profile::names().join(", ");
        FrontError::new(format!("unknown profile `{name}`, expected one of {known}"))
    })?;
    Ok(lines(&profile))
}

fn lines(profile: &Settings) -> String {
    let mut text = String::new();
    for setting in Settings::TABLE {
        let (name, value) = (setting.name, setting.print(profile));
        // Writing to a string cannot fail.
        let _ = writeln!(text, "# {}", setting.about);
        let _ = match setting.kind {
            Kind::List => {
                let words: Vec<_> = words_of(&value).map(|word| format!("\"{word}\"")).collect();
                writeln!(text, "{name} = [{}]", words.join(", "))
            }
            Kind::Word | Kind::Bytes => {
                writeln!(text, "# Expected: {}.\n{name} = \"{value}\"", setting.expected())
            }
            Kind::Number => {
                let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
                let value = if is_number { value } else { format!("\"{value}\"") };
                writeln!(text, "# Expected: {}.\n{name} = {value}", setting.expected())
            }
        };
    }
    text
}

/// Profiles side by side; what is alike in all of them stands below.
fn table() -> String {
    let profiles = Profile::ALL.map(Settings::preset);
    let rows = Settings::TABLE.iter().map(|setting| {
        let values = profiles.iter().map(|profile| shown(setting, profile));
        (setting.name, values.collect::<Vec<_>>())
    });
    let (alike, different): (Vec<Row>, Vec<Row>) =
        rows.partition(|(_, values)| values.iter().all(|value| values.first() == Some(value)));
    let names = Profile::names().map(str::to_owned).to_vec();
    let mut text = aligned(&[vec![("", names)], different].concat());
    text.push_str("\nAlike in all:\n");
    for (name, values) in alike {
        let _ = writeln!(text, "  {name} = {}", values.first().map_or("", String::as_str));
    }
    text.push_str(
        "\nLists are only counted, and 0 is no limit: `mailguard profiles NAME` prints them.\n",
    );
    text
}

fn aligned(rows: &[Row]) -> String {
    let key_width = rows.iter().map(|(key, _)| key.len()).max().unwrap_or(0);
    let columns = rows.iter().map(|(_, values)| values.len()).max().unwrap_or(0);
    let width_of = |column: usize| {
        let cells = rows.iter().filter_map(|(_, values)| values.get(column));
        cells.map(String::len).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..columns).map(width_of).collect();
    let mut text = String::new();
    for (key, values) in rows {
        let mut line = format!("{key:key_width$}");
        for (value, width) in values.iter().zip(&widths) {
            let _ = write!(line, "  {value:width$}");
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

fn shown(setting: &Setting, profile: &Settings) -> String {
    let value = setting.print(profile);
    match setting.kind {
        Kind::List => words_of(&value).count().to_string(),
        Kind::Number | Kind::Word | Kind::Bytes => value,
    }
}

fn words_of(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').filter(|word| !word.is_empty())
}
