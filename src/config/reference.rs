//! The reference page, `docs/reference.md`: every key with its kind, default, spellings, meaning and an example, from the
//! schema. What is said about all files alike stands here as text.

use super::sample::capitalised;
use super::schema::{HorustToml, MOVED, Main};
use super::shape::Shape;
use super::table::{Key, Table, is};
use std::fmt::Write as _;

const HEAD: &str = r##"<!-- Written by the tests from src/config/: change it there, then run `UPDATE_DOCS=1 cargo test --test config`. -->
# Reference

Every key of a [service file](#service-files) and of [horust.toml](#horusttoml). What differs from Horust 0.1 on purpose is
told in [README.md](../README.md#where-this-differs-from-horust-01-on-purpose). `horust --sample-service` prints a service file
with all keys in it, `horust check` tells what is wrong with yours.

* **Files** are TOML. All `*.toml` files of a services directory are one set, in the order of their names; hidden files and
  directories below are left out. Any error in any of them stops the start, and all errors are told at once.
* **Several files** may make up a service. From the weakest: `[defaults]` of [horust.toml](#horusttoml); `_defaults.toml` in the
  directory of the service's file; that file, say `web.toml`; and its drop-ins `web.toml.d/*.toml` in the order of their names,
  with which an image's service is adjusted without a change to it. Tables are merged key by key, variables of an environment by their
  name; anything else, arrays too, is replaced. What is inherited can be replaced, not removed. Each of them has
  the form of a service file; defaults can't hold `name` and `command`.
* **Spelling**: `_` is taken for `-` in every key. Other spellings load silently, old ones with a warning. What is no key at
  all is an error.
* **Durations** are strings with units: `"500ms"`, `"10s"`, `"1m 30s"`, `"2h"`. **Sizes** are numbers of bytes or strings:
  `"500KB"` is 500,000 bytes, `"10MiB"` 10 × 1,048,576.
* **Variables** of Horust's environment are put into strings: `$HOME`, `${PORT:-8080}` (with a default),
  `${TOKEN:?set it}` (with a message if it is missing). `$$` is a dollar sign; `$1` and `$(...)` stay as they are. A variable without
  a value or default is an error. A variable may also stand alone in place of a number, `true`, `false` or an array:
  `attempts = ${ATTEMPTS}`. What a variable holds can't add keys.
* **Services** are referred to by name, with or without `.toml`. A name is made of letters, digits, `.`, `_`, `@` and `-`.

## In an editor

`horust schema` prints a JSON Schema (draft 7) of service files; `horust schema drop-in` one for files that complete others and need no
`command`, `horust schema settings` one for `horust.toml`. Write it to a file and name that file at the top of yours;
editors with a TOML language server (taplo, tombi) then complete and check keys while you type:

    horust schema > /etc/horust/service.schema.json

    #:schema /etc/horust/service.schema.json
    command = "/bin/sleep infinity"

It knows the shape of each value. `horust check` knows more: names, cycles, programs, users and directories. It answers editors and
other programs with `--format json`: one array, an object for each finding with `severity`, `message`, `file`, `line`, `column`,
`end_line`, `end_column` (from 1, in characters; the end is behind the last one), `label`, `help` and `notes`.
"##;

/// The page.
pub fn reference() -> String {
    let mut page = HEAD.to_owned();
    page.push_str("\n## Service files\n\nThe main keys stand above the first table, or in a table `[service]`.\n");
    write_index(&mut page, Main::KEYS);
    write_keys(&mut page, Main::KEYS, "");
    page.push_str("\n## horust.toml\n\nHorust's own settings: `/etc/horust/horust.toml`, or the file given with `--config-path`. ");
    page.push_str("It may be missing.\n");
    write_keys(&mut page, HorustToml::KEYS, "");
    page
}

/// Links to all keys, a line for each table.
fn write_index(page: &mut String, keys: &[Key]) {
    let link = |table: &str, key: &Key| {
        let path = path(table, key.name);
        let anchor: String = path.chars().filter(|c| *c != '.').collect();
        format!("[{}](#{anchor})", key.name)
    };
    let links = |table: &str, keys: &[Key]| {
        let simple = keys.iter().filter(|key| key.keys().is_empty());
        simple.map(|key| link(table, key)).collect::<Vec<_>>().join(", ")
    };
    let _ = writeln!(page, "\n* Main keys: {}", links("", keys));
    for table in keys.iter().filter(|key| !key.keys().is_empty()) {
        let _ = writeln!(page, "* {}: {}", link("", table), links(table.name, table.keys()));
    }
}

fn path(table: &str, key: &str) -> String {
    if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") }
}

fn write_keys(page: &mut String, keys: &[Key], table: &str) {
    for key in keys.iter().filter(|key| key.keys().is_empty()) {
        write_key(page, key, table);
    }
    for inner in keys.iter().filter(|key| !key.keys().is_empty()) {
        let _ = writeln!(page, "\n### [{}]\n\n{}", inner.name, doc(inner));
        let spellings = spellings(inner, "");
        if !spellings.is_empty() {
            let _ = writeln!(page, "\n*{spellings}*");
        }
        match is(inner.keys(), Main::KEYS) {
            true => page.push_str("\nIts keys are those of [service files](#service-files).\n"),
            false => write_keys(page, inner.keys(), inner.name),
        }
    }
}

fn write_key(page: &mut String, key: &Key, table: &str) {
    let _ = writeln!(page, "\n#### `{}`\n\n{}\n", path(table, key.name), doc(key));
    let default = match key.default {
        "required" => "Required.".to_owned(),
        default => format!("Default: {default}."),
    };
    let _ = write!(page, "*{}. {default}", capitalised(key.kind));
    let spellings = spellings(key, table);
    for part in [spellings.as_str(), if key.without_effect { "No effect yet." } else { "" }] {
        if !part.is_empty() {
            let _ = write!(page, " {part}");
        }
    }
    let header = if table.is_empty() { String::new() } else { format!("    [{table}]\n") };
    let _ = writeln!(page, "*\n\n{header}    {} = {}", key.name, key.sample);
    for inner in tables_in(&key.shape) {
        let _ = writeln!(page, "\nKeys of its table form:\n");
        for key in inner {
            let _ =
                writeln!(page, "* `{}`: {} *{}. Default: {}.*", key.name, doc(key), capitalised(key.kind), key.default);
        }
    }
}

/// The tables that a value may be, or may hold, beside its other forms; each once.
fn tables_in(shape: &Shape) -> Vec<&'static [Key]> {
    match shape {
        Shape::Any(shapes) => {
            let mut tables: Vec<&'static [Key]> = Vec::new();
            for table in shapes.iter().flat_map(tables_in) {
                if !tables.iter().any(|other| is(other, table)) {
                    tables.push(table);
                }
            }
            tables
        }
        Shape::List(_, of) => tables_in(of),
        shape if !shape.keys().is_empty() => vec![shape.keys()],
        _ => Vec::new(),
    }
}

fn spellings(key: &Key, table: &str) -> String {
    let quoted = |names: &[&str]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let mut parts = Vec::new();
    if !key.aliases.is_empty() {
        parts.push(format!("Also {}.", quoted(key.aliases)));
    }
    let moved = MOVED.iter().filter(|(_, to, name)| *to == table && *name == key.name);
    if !key.old.is_empty() {
        parts.push(format!("Once {}.", quoted(key.old)));
    }
    parts.extend(moved.map(|(old, ..)| format!("Once the main key `{old}`.")));
    parts.join(" ")
}

fn doc(key: &Key) -> String {
    key.doc.lines().map(str::trim).collect::<Vec<_>>().join("\n")
}
