//! A configuration file brought up to date: what an operator has changed at run time, and nothing
//! else of it. Comments, order and other keys stay as they are.

use toml_edit::{Array, DocumentMut, Table, value};

use super::Config;

/// The text of a file with the ports, mail hosts and remembered lines of this configuration.
///
/// # Errors
/// The text is no TOML, or has something else where these belong.
pub fn rewrite(text: &str, config: &Config) -> Result<String, String> {
    let mut document: DocumentMut =
        text.parse().map_err(|error: toml_edit::TomlError| error.message().to_owned())?;
    let ports = config.engine.ports.iter().map(|port| i64::from(*port)).collect::<Array>();
    let has_ports = document.contains_key("ports");
    if has_ports || config.engine.ports != [25] {
        put(document.as_table_mut(), "ports", ports);
    }
    let hosts = config.rules.mail_hosts.iter().map(|host| shown(&host.to_string()));
    put_in(&mut document, "rules", "mail_hosts", hosts.collect())?;
    put_in(&mut document, "pix", "lines", config.pix.iter().map(String::as_str).collect())?;
    Ok(document.to_string())
}

/// A host without the length of its address.
fn shown(network: &str) -> String {
    let host = network.strip_suffix("/32").or_else(|| network.strip_suffix("/128"));
    host.unwrap_or(network).to_owned()
}

fn put(table: &mut Table, key: &str, list: Array) {
    let mut item = value(list);
    let Some(old) = table.get_mut(key) else {
        table.insert(key, item);
        return;
    };
    // What stands around the old value stays around the new one.
    if let (Some(old), Some(new)) = (old.as_value(), item.as_value_mut()) {
        *new.decor_mut() = old.decor().clone();
    }
    *old = item;
}

/// The same in a section. An empty list is not written where there was none.
fn put_in(
    document: &mut DocumentMut,
    section: &str,
    key: &str,
    mut list: Array,
) -> Result<(), String> {
    let is_there = document.get(section).is_some_and(|item| item.get(key).is_some());
    if list.is_empty() && !is_there {
        return Ok(());
    }
    if list.len() > LINE_ITEMS {
        for item in list.iter_mut() {
            item.decor_mut().set_prefix("\n    ");
        }
        list.set_trailing("\n");
        list.set_trailing_comma(true);
    }
    let table = document.entry(section).or_insert_with(toml_edit::table);
    let table = table.as_table_mut().ok_or_else(|| format!("{section}: expected a section"))?;
    put(table, key, list);
    Ok(())
}

/// Elements that stand in one line.
const LINE_ITEMS: usize = 3;

#[cfg(test)]
mod tests {
    use super::super::Source;
    use super::*;

    fn build(text: &str) -> Config {
        Config::build(Some(Source { name: "m.toml", text }), &[]).unwrap()
    }

    #[test]
    fn only_what_was_changed_is_written_and_comments_stay() {
        let text =
            "# ours\nprofile = \"asa\" # theirs\n\nports = [25] # mail\n[rules]\nlocal = true\n";
        let mut config = build(text);
        assert_eq!(rewrite(text, &config).unwrap(), text);
        config.engine.ports = vec![];
        config.rules.mail_hosts = vec!["192.0.2.25".parse().unwrap()];
        config.pix = vec!["no fixup protocol smtp 25".to_owned()];
        let new = rewrite(text, &config).unwrap();
        assert_eq!(
            new,
            "# ours\nprofile = \"asa\" # theirs\n\nports = [] # mail\n[rules]\nlocal = true\n\
             mail_hosts = [\"192.0.2.25\"]\n\n[pix]\nlines = [\"no fixup protocol smtp 25\"]\n"
        );
        assert_eq!(build(&new), config);
        assert!(rewrite("a =", &config).is_err());
    }
}
