//! Files and directories as they should not be, sets with errors that are to start anyway, and bounds.

use super::support::{Set, environment};
use super::{effective, schemas};
use horust::config::FileKind;
use nix::sys::stat::Mode;
use std::fmt::Write as _;
use std::path::PathBuf;

const GOOD: (&str, &str) = ("good.toml", "command = \"/bin/true\"");

#[test]
fn what_is_no_readable_service_file_is_named_with_the_reason() {
    let set = Set::new(&[GOOD]);
    let big = "# filler\n".repeat(10 << 20 >> 3);
    std::fs::write(set.path("big.toml"), big).unwrap();
    std::fs::create_dir(set.path("directory.toml")).unwrap();
    nix::unistd::mkfifo(&set.path("fifo.toml"), Mode::S_IRWXU).unwrap();
    std::fs::write(set.path("latin.toml"), b"# caf\xe9\n").unwrap();
    std::os::unix::fs::symlink("nowhere", set.path("link.toml")).unwrap();
    std::os::unix::net::UnixListener::bind(set.path("socket.toml")).unwrap();
    let loaded = set.load();
    let wanted = "\
error: cannot read `big.toml`: it is larger than 1048576 bytes

error: cannot read `directory.toml`: it is a directory

error: cannot read `fifo.toml`: it is no regular file

error: `latin.toml` is not UTF-8: byte 0xe9 at offset 5
 --> latin.toml:1:6
  |
1 | # caf\u{fffd}
  |      ^

error: cannot read `link.toml`: No such file or directory

error: cannot read `socket.toml`: No such device or address

6 errors
";
    assert_eq!(set.shown(&loaded), wanted);
    assert!(loaded.refused && loaded.plan.services.is_empty());
}

#[test]
fn nothing_to_start_is_an_error_with_help() {
    let set = Set::new(&[]);
    let shown = |paths: &[PathBuf]| {
        let loaded = set.load_with(paths, None, true);
        assert!(loaded.refused);
        set.shown(&loaded)
    };
    let help = "help: create one with `horust --sample-service >";
    let empty = shown(&[set.dir.path().to_owned()]);
    assert!(empty.contains("error: no service files (*.toml) in `DIR`") && empty.contains(help), "{empty}");
    let missing = shown(&[set.path("missing")]);
    assert!(
        missing.contains("cannot read `missing`: No such file or directory") && missing.contains(help),
        "{missing}"
    );
    let looked_at = set.load_with(&[], None, true).paths;
    assert_eq!(looked_at, ["/etc/horust/services", "/etc/horust/horust.toml"].map(std::path::PathBuf::from));
    // The default directory does not exist where the tests run.
    if !std::path::Path::new(horust::config::DEFAULT_SERVICES).exists() {
        let default = shown(&[]);
        assert!(default.contains("cannot read `/etc/horust/services`") && default.contains(help), "{default}");
    }
}

#[test]
fn paths_may_be_files_and_name_a_file_twice() {
    let set = Set::new(&[GOOD, ("plain", "command = \"x\"")]);
    let paths = [set.dir.path().to_owned(), set.path("plain"), set.path("good.toml")];
    let loaded = set.load_with(&paths, None, false);
    assert_eq!(set.shown(&loaded), "");
    let names: Vec<_> = loaded.plan.services.iter().map(|service| service.name.as_str()).collect();
    assert_eq!(names, ["good", "plain"]);
}

#[test]
fn skip_invalid_starts_the_rest_and_says_what_was_left_out() {
    let set = Set::new(&[
        ("bad.toml", "comand = \"x\""),
        ("needs-bad.toml", "command = \"x\"\nstart-after = \"bad\""),
        ("needs-needs-bad.toml", "command = \"x\"\nstart-after = \"needs-bad\""),
        ("stops-after-bad.toml", "command = \"x\"\nstart-after = \"good\"\nshutdown-after = [\"bad\", \"good2\"]"),
        ("good.toml", "command = \"x\"\n[termination]\ndie-if-failed = [\"needs-bad\", \"good2\"]"),
        ("good2.toml", "command = \"x\""),
        ("ring1.toml", "command = \"x\"\nstart-after = \"ring2\""),
        ("ring2.toml", "command = \"x\"\nstart-after = \"ring1\""),
        ("stranger.toml", "command = \"x\"\nstart-after = \"nobody\""),
        ("twin.toml", "command = \"x\"\nname = \"good\""),
    ]);
    let all = [set.dir.path().to_owned()];
    assert!(set.load().refused);
    let loaded = set.load_with(&all, None, true);
    assert!(!loaded.refused);
    let services = &loaded.plan.services;
    let name = |id: &horust::model::ServiceId| services[id.index()].name.as_str();
    let names: Vec<_> = services.iter().map(|service| service.name.as_str()).collect();
    assert_eq!(names, ["good", "good2", "stops-after-bad"]);
    assert_eq!(services[0].termination.die_if_failed.iter().map(name).collect::<Vec<_>>(), ["good2"]);
    assert_eq!(services[2].start_after.iter().map(|need| name(&need.service)).collect::<Vec<_>>(), ["good"]);
    assert_eq!(services[2].shutdown_after.iter().map(name).collect::<Vec<_>>(), ["good2"]);
    let said = set.shown(&loaded);
    let left_out: Vec<_> = said.lines().filter(|line| line.contains("is left out:")).collect();
    assert_eq!(
        left_out,
        [
            "warning: `bad` is left out: its file has errors",
            "warning: `needs-bad` is left out: it starts after `bad`, which is left out",
            "warning: `needs-needs-bad` is left out: it starts after `needs-bad`, which is left out",
            "warning: `ring1` is left out: it is part of a start cycle",
            "warning: `ring2` is left out: it is part of a start cycle",
            "warning: `stranger` is left out: it refers to `nobody`, which does not exist",
            "warning: `good` is left out: its name is taken by `good.toml`",
        ]
    );
}

#[test]
fn skip_invalid_with_nothing_left_starts_nothing() {
    let set = Set::new(&[("bad.toml", "comand = \"x\"")]);
    assert!(set.load_with(&[set.dir.path().to_owned()], None, true).refused);
    let set = Set::new(&[GOOD, ("settings", "x = 1")]);
    assert!(set.load_with(&[set.path("good.toml")], Some(&set.path("settings")), true).refused);
}

#[test]
fn long_chains_and_long_cycles_need_no_stack() {
    let dir = Set::new(&[]);
    let mut paths = Vec::new();
    for i in 0..3000 {
        let text = format!("command = \"x\"\nstart-after = \"s{}\"", i + 1);
        std::fs::write(dir.path(&format!("s{i}.toml")), text).unwrap();
        paths.push(dir.path(&format!("s{i}.toml")));
    }
    std::fs::write(dir.path("s3000.toml"), "command = \"x\"").unwrap();
    assert_eq!(dir.services().len(), 3001);
    std::fs::write(dir.path("s3000.toml"), "command = \"x\"\nstart-after = \"s0\"").unwrap();
    let loaded = dir.load();
    assert_eq!(loaded.diagnostics.len(), 1);
    assert_eq!(loaded.diagnostics[0].notes.len(), 3000);
}

#[test]
fn nested_nonsense_is_refused_in_good_time() {
    let mut deep = "command = \"x\"\nstart-after = ".to_owned();
    let _ = write!(deep, "{}", "[".repeat(100_000));
    let dollars = format!("command = \"{}\"", "${A:-".repeat(100_000));
    let set = Set::new(&[("deep.toml", &deep), ("dollars.toml", &dollars)]);
    let loaded = set.load();
    assert!(loaded.refused);
    assert!(loaded.diagnostics.len() < 20, "{}", loaded.diagnostics.len());
}

#[test]
fn colour_only_when_asked() {
    let set = Set::new(&[("a.toml", "comand = 1")]);
    let loaded = set.load();
    assert!(!horust::config::render(&loaded.diagnostics, false).contains('\x1b'));
    assert!(horust::config::render(&loaded.diagnostics, true).contains('\x1b'));
}

/// Thousands of damaged files: each loads or is refused with a word, and none makes the loader or the page panic.
#[test]
fn damaged_files_never_panic() {
    let set = Set::new(&[]);
    let sample = horust::config::sample_service();
    let spice =
        ["\"", "'", "[", "]", "{", "}", "=", "\n", "$", "${", "\\", "\u{fffd}", "\u{0}", "# ", ",", "9", "-", "."];
    let mut state = 1u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    let schema = schemas::validator(FileKind::Service);
    let mut refused = 0;
    for _ in 0..2000 {
        let uncomment = |line: &str| line.trim_start_matches('#').to_owned() + "\n";
        let key = |line: &str| line.starts_with('#') && !line.starts_with("# ") && !line.contains("-after");
        let lines = sample.lines().filter(|line| !line.contains("exit-code") && !line.contains("die-if"));
        let mut text: String =
            lines.map(|line| if key(line) && random(8) == 0 { uncomment(line) } else { format!("{line}\n") }).collect();
        for _ in 0..random(4) {
            let at = (random(text.len())..).find(|at| text.is_char_boundary(*at)).unwrap();
            text.insert_str(at, spice[random(spice.len())]);
        }
        std::fs::write(set.path("a.toml"), &text).unwrap();
        let loaded = set.load();
        assert_eq!(loaded.refused, set.shown(&loaded).contains("error"), "{text}");
        let _: Vec<serde_json::Value> = serde_json::from_str(&horust::config::json(&loaded.diagnostics)).unwrap();
        if !loaded.refused {
            // What loads is accepted by the schema, and printed so that it loads to the same again.
            schemas::assert_accepted(&schema, &text);
            effective::assert_loads_again(&loaded, &environment);
        }
        refused += u32::from(loaded.refused);
    }
    assert!(refused > 100 && refused < 2000, "{refused}");
}

/// All errors at once: a mistake in a file does not hide the unknown name in the same file.
#[test]
fn a_file_with_an_error_still_has_its_references_checked() {
    let set = Set::new(&[("a.toml", "comand = \"x\"\nstart-after = [\"nobody\", \"good\"]"), GOOD]);
    let said = set.shown(&set.load());
    for error in ["unknown key `comand`", "there is no `command`", "there is no service `nobody`", "3 errors"] {
        assert!(said.contains(error), "{said}");
    }
}
