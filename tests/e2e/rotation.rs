//! Log files: their names, their sizes, what is kept and compressed, and that no byte is lost or doubled, over restarts of
//! the service and of Horust.

use crate::support::*;
use nix::sys::signal::Signal;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The files of `x.log` in a directory: (what follows the name, text).
fn files(dir: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        let Some(rest) = name.strip_prefix("x.log") else { continue };
        let text = match name.ends_with(".gz") {
            true => {
                let mut text = String::new();
                let file = File::open(entry.path()).unwrap();
                std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(file), &mut text).unwrap();
                text
            }
            false => fs::read_to_string(entry.path()).unwrap(),
        };
        found.push((rest.to_owned(), text));
    }
    found.sort_by_key(|(rest, _)| number(rest));
    found
}

/// The number of a file.
fn number(rest: &str) -> u64 {
    let rest = rest.strip_suffix(".gz").unwrap_or(rest);
    if rest.is_empty() { 0 } else { rest[1..].parse().unwrap_or_else(|_| panic!("x.log{rest}")) }
}

/// Numbered lines `from` to `to` of 50 bytes.
fn lines(from: u64, to: u64) -> String {
    (from..=to).map(|n| format!("{n:049}\n")).collect()
}

const LOG: &str = "stdout = '@DIR@/logs/x.log'\n";

#[test]
fn a_thousand_rotations_lose_and_double_nothing() {
    let script = "exec seq -f '%049.0f' 1 20020";
    let builder = horust().file("logs/keep", "").bash("w", script, &format!("{LOG}stdout-rotate-size = 1000"));
    let dir = builder.dir().join("logs");
    let mut horust = builder.start();
    horust.wait_exit();
    let files = files(&dir);
    let names: Vec<u64> = files.iter().map(|(rest, _)| number(rest)).collect();
    assert_eq!(names, (0..=1000).collect::<Vec<_>>());
    let whole = |(_, text): &(String, String)| text.len() == 1000;
    assert!(files[..1000].iter().all(whole), "each file holds twenty lines");
    assert!(files.iter().map(|(_, text)| text.as_str()).collect::<String>() == lines(1, 20020));
    assert_eq!(fs::metadata(dir.join("x.log.1")).unwrap().permissions().mode() & 0o777, 0o640);
    horust.end().assert_code(0);
}

/// Lines that are longer than a file may be are not cut.
#[test]
fn lines_are_never_cut_by_a_rotation() {
    let script = "for n in $(seq 1 40); do printf '%0*d\\n' $((n * 20)) $n; done";
    let builder = horust().file("logs/keep", "").bash("w", script, &format!("{LOG}log.rotate-size = 300"));
    let dir = builder.dir().join("logs");
    let mut horust = builder.start();
    horust.wait_exit();
    assert_eq!(files(&dir).iter().map(|(_, text)| text.lines().count()).sum::<usize>(), 40);
    for (name, text) in files(&dir) {
        assert!(text.ends_with('\n') && (text.len() <= 300 || text.lines().count() == 1), "{name}: {text}");
    }
}

#[test]
fn numbers_go_on_after_restarts_of_the_service_and_of_horust() {
    let base = horust().file("logs/keep", "");
    let logs = base.dir().join("logs");
    let rest = format!("{LOG}stdout-rotate-size = 200\nrestart.strategy = 'on-failure'\nrestart.attempts = 2");
    let mut from = 0;
    for _ in 0..3 {
        // Each Horust runs the service three times; each run writes ten lines.
        let script = format!(
            "n=$(cat count 2>/dev/null || echo {from}); echo $((n + 10)) > count; \
             seq -f '%049.0f' $((n + 1)) $((n + 10)); [ $((n + 10 - {from})) -lt 30 ] && exit 1; exit 0"
        );
        let rest = rest.replace("@DIR@", base.dir().to_str().unwrap());
        horust().bash("w", &script, &format!("{rest}\nworking-directory = '@DIR@'")).run().assert_code(0);
        from += 30;
    }
    let files = files(&logs);
    assert_eq!(files.iter().map(|(_, text)| text.as_str()).collect::<String>(), lines(1, 90));
    let names: Vec<u64> = files.iter().map(|(rest, _)| number(rest)).collect();
    assert_eq!(names, (0..names.len() as u64).collect::<Vec<_>>());
    assert_eq!(files.len(), 23, "four lines to a file");
}

#[test]
fn only_so_many_files_are_kept_and_complete_ones_are_compressed() {
    let script = "seq -f '%049.0f' 1 1000; exec sleep 1000";
    let rest = format!("{LOG}log.rotate-size = '500'\nlog.keep = 4\nlog.compress = true");
    let builder = horust().file("logs/keep", "").file("logs/x.log.old", "not ours").bash("w", script, &rest);
    let dir = builder.dir().join("logs");
    fs::write(dir.join("x.log"), lines(0, 0)).unwrap();
    let horust = builder.start();
    let tidy = |names: &[&str]| {
        let mut found: Vec<String> =
            fs::read_dir(&dir).unwrap().flatten().map(|e| e.file_name().into_string().unwrap()).collect();
        found.sort();
        let mut wanted: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        wanted.extend(["keep".to_owned(), "x.log.old".to_owned()]);
        wanted.sort();
        found == wanted
    };
    horust.wait_until("the others are gone or compressed", |_| {
        tidy(&["x.log.97.gz", "x.log.98.gz", "x.log.99.gz", "x.log.100"])
    });
    fs::remove_file(dir.join("x.log.old")).unwrap();
    assert_eq!(files(&dir).iter().map(|(_, text)| text.as_str()).collect::<String>(), lines(970, 1000));
    horust.stop(Signal::SIGTERM).0.assert_code(0);
}

#[test]
fn old_files_are_followed_by_new_ones() {
    let rest = format!("{LOG}log.rotate-age = '1s'\nenvironment.NAME = 'w'\nworking-directory = '@DIR@'");
    let builder = horust().file("logs/keep", "").bash("w", PUPPET, &rest);
    let dir = builder.dir().join("logs");
    let horust = builder.start();
    horust.tell("w", "1\\n");
    horust.wait_until("the first", |_| files(&dir) == [("".to_owned(), "1\n".to_owned())]);
    horust.wait_until("the file is a second old", |_| {
        let born = fs::metadata(dir.join("x.log")).unwrap().created().unwrap();
        born.elapsed().is_ok_and(|age| age.as_millis() > 1100)
    });
    horust.tell("w", "2\\n");
    let both = [("".to_owned(), "1\n".to_owned()), (".1".to_owned(), "2\n".to_owned())];
    horust.wait_until("the second", |_| files(&dir) == both);
    horust.stop(Signal::SIGTERM).0.assert_code(0);
}

/// As Horust 0.1 has it: `path.SECONDS`, `path.SECONDS.1`; nothing is written to `path`.
#[test]
fn the_time_of_the_start_stands_in_the_names_if_asked_for() {
    let rest = format!("{LOG}stdout-rotate-size = 500\nstdout-should-append-timestamp-to-filename = true");
    let builder = horust().file("logs/keep", "").bash("w", "seq -f '%049.0f' 1 25", &rest);
    let dir = builder.dir().join("logs");
    let before = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let mut horust = builder.start();
    horust.wait_exit();
    let mut names: Vec<String> =
        fs::read_dir(&dir).unwrap().flatten().map(|e| e.file_name().into_string().unwrap()).collect();
    names.sort();
    let stamp: u64 = names[1].strip_prefix("x.log.").unwrap().parse().unwrap();
    assert!((before..before + 60).contains(&stamp));
    assert_eq!(
        names,
        ["keep".to_owned(), format!("x.log.{stamp}"), format!("x.log.{stamp}.1"), format!("x.log.{stamp}.2")]
    );
    let text: String = names[1..].iter().map(|name| fs::read_to_string(dir.join(name)).unwrap()).collect();
    assert_eq!(text, lines(1, 25));
    horust.end().assert_code(0);
}

#[test]
fn two_streams_into_one_rotated_file_keep_their_lines_whole() {
    let script = "seq -f 'o%048.0f' 1 2000 & seq -f 'e%048.0f' 1 2000 >&2; wait";
    let rest = format!("{LOG}stderr = '@DIR@/logs/x.log'\nlog.rotate-size = 5000");
    let builder = horust().file("logs/keep", "").bash("w", script, &rest);
    let dir = builder.dir().join("logs");
    let mut horust = builder.start();
    horust.wait_exit();
    let text: String = files(&dir).into_iter().map(|(_, text)| text).collect();
    for stream in ['o', 'e'] {
        let numbers: Vec<u64> = text.lines().filter_map(|line| line.strip_prefix(stream)?.parse().ok()).collect();
        assert_eq!(numbers, (1..=2000).collect::<Vec<_>>());
    }
    assert!(text.lines().count() == 4000 && text.lines().all(|line| line.len() == 49));
    horust.end().assert_code(0);
}
