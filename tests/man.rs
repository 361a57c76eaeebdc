//! The man pages: of the command and each verb by its declaration, of service files by `docs/reference.md`, which comes from
//! the declaration of the keys. `UPDATE_DOCS=1` writes them.

#![allow(clippy::disallowed_types, reason = "man is run by a test, not by Horust")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail so")]
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

#[allow(dead_code, reason = "the end-to-end tests use all of it")]
#[path = "e2e/support.rs"]
mod support;

use clap_mangen::Man;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The text of a file, from after this heading to before the next that is no lower.
fn part(file: &str, heading: &str) -> String {
    let text = fs::read_to_string(root().join(file)).unwrap();
    let (_, rest) = text.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no {heading} in {file}"));
    let level = heading.split(' ').next().unwrap();
    let ends = |line: &str| line.starts_with('#') && line.split(' ').next().unwrap().len() <= level.len();
    rest.lines().take_while(|line| !ends(line)).map(|line| format!("{line}\n")).collect()
}

/// Text as roff takes it: no character of it is a request or an escape.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

/// A line of Markdown: `code` and **strong** in bold, links as their text.
fn inline(text: &str) -> String {
    let link = regex_lite::Regex::new(r"\[([^\]]+)\]\([^)]+\)").unwrap();
    let text = escaped(&link.replace_all(text, "$1"));
    let bold = regex_lite::Regex::new(r"`([^`]+)`|\*\*([^*]+)\*\*").unwrap();
    let text = bold.replace_all(&text, r"\fB$1$2\fR");
    // A line that is only about the kind of value.
    match text.strip_prefix('*').and_then(|text| text.strip_suffix('*')) {
        Some(text) => format!("\\fI{}\\fR", text.replace("\\fR", "\\fI")),
        None => text.into_owned(),
    }
}

/// Markdown as the docs have it, as the macros of man(7).
fn roff(markdown: &str) -> String {
    let mut page = String::new();
    // Whether the last line was of the same paragraph.
    let (mut goes_on, mut code) = (false, false);
    for line in markdown.lines() {
        let text = line.trim();
        let is_code = line.starts_with("    ") || (code && text.is_empty());
        if is_code != code {
            page.push_str(if is_code { ".PP\n.RS 4\n.nf\n" } else { ".fi\n.RE\n" });
            (code, goes_on) = (is_code, false);
        }
        if is_code {
            let line = escaped(line.strip_prefix("    ").unwrap_or_default());
            let _ = writeln!(page, "{}", if line.is_empty() { "\\&" } else { &line });
        } else if let Some(key) = line.strip_prefix("#### ") {
            let _ = writeln!(page, ".SS {}", inline(key));
        } else if line.starts_with('#') {
            let _ = writeln!(page, ".SH {}", inline(&text.trim_start_matches('#').trim().to_uppercase()));
        } else if let Some(cells) = text.strip_prefix("| ").and_then(|text| text.strip_suffix(" |")) {
            let mut cells = cells.split(" | ");
            let first = inline(cells.next().unwrap());
            let rest: Vec<String> = cells.map(inline).collect();
            let _ = write!(page, ".TP\n\\fB{first}\\fR\n{}\n", rest.join("; "));
        } else if text.starts_with("|--") || text.starts_with("* [") || text.starts_with("* Main keys") {
            // The line below a table's head, and lists of links.
            goes_on = false;
            continue;
        } else if let Some(item) = line.strip_prefix("* ") {
            let _ = write!(page, ".IP \\(bu 2\n{}\n", inline(item));
            goes_on = true;
        } else if text.is_empty() {
            goes_on = false;
        } else {
            if !goes_on {
                page.push_str(".PP\n");
            }
            let _ = writeln!(page, "{}", inline(text));
            goes_on = true;
        }
    }
    if code {
        page.push_str(".fi\n.RE\n");
    }
    page
}

/// All pages, by their file's name.
fn pages() -> BTreeMap<String, String> {
    let mut command = horust::cli::command_line();
    command.build();
    let mut pages = BTreeMap::new();
    let mut render = |man: &Man| {
        let mut page = Vec::new();
        man.render(&mut page).unwrap();
        pages.insert(man.get_filename(), String::from_utf8(page).unwrap());
    };
    command.get_subcommands().for_each(|verb| render(&Man::new(verb.clone())));
    render(&Man::new(command));
    let main = pages.get_mut("horust.1").unwrap();
    let table = |file, heading| roff(part(file, heading).split_once("|---").unwrap().1);
    let _ =
        write!(main, ".SH SIGNALS\nWith services; with \\fB\\-\\- COMMAND\\fR.\n{}", table("README.md", "### Signals"));
    let _ = write!(main, ".SH \"EXIT STATUS\"\n{}", table("README.md", "### Exit codes"));
    let of_verbs = part("docs/control.md", "## Verbs");
    let of_verbs = of_verbs.split_once("| exit code | meaning |\n").unwrap().1.split_once("\n\n").unwrap().0;
    let _ = write!(main, ".PP\nOf verbs:\n{}.SH \"SEE ALSO\"\n.BR horust (5)\n", roff(of_verbs));
    let reference = horust::config::reference();
    let (_, keys) = reference.split_once("\n# Reference\n").unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let head = format!(
        ".TH horust 5 \"\" \"horust {version}\" \"File formats\"\n.SH NAME\nhorust \\- service files and horust.toml\n"
    );
    pages.insert(
        "horust.5".to_owned(),
        format!("{head}.SH DESCRIPTION\n{}.SH \"SEE ALSO\"\n.BR horust (1)\n", roff(keys)),
    );
    pages
}

#[test]
fn the_pages_are_as_committed() {
    let (folder, pages) = (root().join("man"), pages());
    let committed = || {
        let files = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path());
        let named = |path: PathBuf| {
            (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap())
        };
        files.map(named).collect::<BTreeMap<_, _>>()
    };
    if std::env::var_os("UPDATE_DOCS").is_some() {
        committed().keys().for_each(|name| fs::remove_file(folder.join(name)).unwrap());
        pages.iter().for_each(|(name, page)| fs::write(folder.join(name), page).unwrap());
    }
    let committed = committed();
    let other: Vec<&String> =
        pages.iter().filter(|(name, page)| committed.get(*name) != Some(page)).map(|p| p.0).collect();
    assert!(other.is_empty(), "not as committed (UPDATE_DOCS=1 writes them): {other:?}");
    assert_eq!(committed.len(), pages.len(), "there are pages of what is no more");
}

#[test]
fn they_are_man_pages_without_a_fault() {
    if !Command::new("man").arg("--version").output().is_ok_and(|output| output.status.success()) {
        return support::skip("needs man (Debian package man-db)");
    }
    for file in fs::read_dir(root().join("man")).unwrap() {
        let path = file.unwrap().path();
        let mut man = Command::new("man");
        let output = man.args(["--warnings", "-E", "UTF-8", "-Tutf8", "-l"]).arg(&path).env("MANWIDTH", "80").output();
        let output = output.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{}: {said}", path.display());
        assert!(output.stdout.len() > 500, "{}", path.display());
    }
}

#[test]
fn markdown_becomes_roff() {
    let page = roff(
        "## A `b`\n\nSee [c](d.md)-d, a\\b.\n.e\n\n* one\n  more\n\n    x = -1\n\n    'y\n\n*A path. `z`.*\n| a | b |\n",
    );
    let wanted = ".SH A \\fBB\\fR\n.PP\nSee c\\-d, a\\eb.\n\\&.e\n.IP \\(bu 2\none\nmore\n.PP\n.RS 4\n.nf\nx = \\-1\n\\&\n\\&'y\n\\&\n\
                  .fi\n.RE\n.PP\n\\fIA path. \\fBz\\fI.\\fR\n.TP\n\\fBa\\fR\nb\n";
    assert_eq!(page, wanted);
}
