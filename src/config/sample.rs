//! The page that `--sample-service` prints: every key with its meaning, kind and default, from the schema. It loads as
//! it is, and with any `#` before a key taken away.

use super::schema::Main;
use super::table::{Key, Table};
use std::fmt::Write as _;

const HEAD: &str = "\
# A service for Horust. Put this file into /etc/horust/services/ and change `command`: that is all a service needs.
# Remove the `#` before a key to use it. Check the result with `horust check FILE`.
#
# Durations are written like \"500ms\", \"10s\" or \"1m 30s\". Sizes are written like \"500KB\" or \"10MiB\".
# Strings may hold variables of Horust's environment: \"$HOME\", \"${PORT:-8080}\", \"${TOKEN:?set it}\". $$ is a dollar sign.
# Keys for all services of a directory go into a file `_defaults.toml` there. Files web.toml.d/*.toml adjust web.toml.
";

/// The page.
pub fn sample_service() -> String {
    let mut page = HEAD.to_owned();
    for key in Main::KEYS.iter().filter(|key| key.keys().is_empty()) {
        write_key(&mut page, key);
    }
    for table in Main::KEYS.iter().filter(|key| !key.keys().is_empty()) {
        page.push('\n');
        write_doc(&mut page, table.doc);
        let _ = writeln!(page, "[{}]", table.name);
        table.keys().iter().for_each(|key| write_key(&mut page, key));
    }
    page
}

fn write_key(page: &mut String, key: &Key) {
    page.push('\n');
    write_doc(page, key.doc);
    let yet = if key.without_effect { " No effect yet." } else { "" };
    let mark = if key.default == "required" { "" } else { "#" };
    let default = if mark.is_empty() { "Required.".to_owned() } else { format!("Default: {}.", key.default) };
    let _ = writeln!(page, "# {}. {default}{yet}\n{mark}{} = {}", capitalised(key.kind), key.name, key.sample);
}

fn write_doc(page: &mut String, doc: &str) {
    for line in doc.lines() {
        let _ = writeln!(page, "#{line}");
    }
}

pub(super) fn capitalised(words: &str) -> String {
    let mut chars = words.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_stands_in_its_table() {
        let page = sample_service();
        let mut sections = page.split("\n[");
        let names = |section: &str, keys: &[Key]| {
            for key in keys.iter().filter(|key| key.keys().is_empty()) {
                let line = format!("{} = {}", key.name, key.sample);
                assert!(section.lines().any(|l| l.trim_start_matches('#') == line), "{line}");
            }
        };
        names(sections.next().unwrap(), Main::KEYS);
        let mut tables = Main::KEYS.iter().filter(|key| !key.keys().is_empty());
        for section in sections {
            let table = tables.next().unwrap();
            assert!(section.starts_with(&format!("{}]", table.name)));
            names(section, table.keys());
        }
        assert!(tables.next().is_none());
    }
}
