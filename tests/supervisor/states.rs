//! The diagram of the public states in DEVELOPMENT.md is what the random lives have shown, so it can't go out of date.
//! `UPDATE_DOCS=1 cargo test --test supervisor` rewrites it.

use crate::random;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

const START: &str = "<!-- states -->";
const END: &str = "<!-- /states -->";

fn diagram(transitions: &BTreeSet<(&str, &str)>) -> String {
    let mut text = format!("{START}\n```mermaid\nstateDiagram-v2\n    [*] --> Initial\n");
    for (from, to) in transitions {
        writeln!(text, "    {from} --> {to}").unwrap();
    }
    let ends: BTreeSet<&str> = transitions.iter().map(|(_, to)| *to).collect();
    for end in ends.iter().filter(|end| !transitions.iter().any(|(from, _)| from == *end)) {
        writeln!(text, "    {end} --> [*]").unwrap();
    }
    text + "```\n" + END
}

#[test]
fn the_state_diagram_shows_what_happens() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("DEVELOPMENT.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let from = text.find(START).unwrap_or_else(|| panic!("DEVELOPMENT.md lacks {START}"));
    let to = text.find(END).unwrap_or_else(|| panic!("DEVELOPMENT.md lacks {END}")) + END.len();
    let diagram = diagram(&random::lives().transitions);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{}{diagram}{}", &text[..from], &text[to..])).unwrap();
        return;
    }
    assert_eq!(&text[from..to], diagram, "rewrite it by UPDATE_DOCS=1 cargo test --test supervisor");
}
