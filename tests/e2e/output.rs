//! Service output on its way: straight through by default, line by line when captured, in every format, whatever services
//! write and however they end.

use crate::support::*;
use nix::fcntl::OFlag;
use nix::sys::signal::Signal;
use nix::unistd::pipe2;
use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};

/// The names of Horust's threads.
fn threads(horust: &Horust) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{}/task", horust.pid())).unwrap().flatten();
    tasks.map(|task| fs::read_to_string(task.path().join("comm")).unwrap().trim().to_owned()).collect()
}

#[test]
fn by_default_services_have_horusts_own_streams_and_no_thread_reads_them() {
    let script = "readlink -f /proc/self/fd/1 /proc/self/fd/2; exec sleep 1000";
    let horust = horust().bash("one", script, "").start();
    horust.wait_for_count("\n", 2);
    let path = |name: &str| format!("{}\n", horust.dir().join(name).display());
    assert_eq!(horust.stdout(), path("stdout") + &path("stderr"));
    assert!(!threads(&horust).contains(&"output".to_owned()), "{:?}", threads(&horust));
    horust.stop(Signal::SIGTERM).0.assert_code(0);
}

#[test]
fn one_thread_reads_all_captured_services() {
    let mut builder = horust();
    for n in 0..20 {
        builder = builder.bash(&format!("s{n}"), "echo up; exec sleep 1000", "log.capture = true");
    }
    let horust = builder.start();
    horust.wait_for_count("up\n", 20);
    let threads = threads(&horust);
    assert_eq!(threads.iter().filter(|name| *name == "output").count(), 1, "{threads:?}");
    // And the main thread, the supervisor's, and the one that waits for verbs.
    assert!(threads.len() <= 4, "{threads:?}");
    horust.stop(Signal::SIGTERM).0.assert_code(0);
}

/// Captured services that write nothing cost nothing, even if they have just written so much that it was left to gather.
#[test]
fn a_captured_service_that_is_silent_wakes_nobody() {
    let script =
        "for n in {1..30000}; do echo a line of text that is neither long nor short; done; echo up; exec sleep 1000";
    let horust = horust().bash("one", script, "log.format = 'prefix'").start();
    horust.wait_for("one | up\n");
    let switches = || sum_of_threads(horust.pid(), "voluntary_ctxt_switches");
    // The end of `reset-after` (10 s) is a wake-up.
    let mut before = switches();
    let mut since = std::time::Instant::now();
    horust.wait_until("eleven seconds without a wake-up", |_| {
        if switches() != before {
            before = switches();
            since = std::time::Instant::now();
        }
        since.elapsed() >= std::time::Duration::from_secs(11)
    });
    horust.stop(Signal::SIGTERM).0.assert_code(0);
}

#[test]
fn lines_are_prefixed_timed_or_made_json_and_keep_their_stream() {
    let script = r#"echo "to stdout"; echo "to stderr" >&2; echo '{"n": 12345678901234567890.5, "service":"mine"}'"#;
    let done = horust()
        .bash("plain", script, "log.timestamp = 'us'")
        .bash("front", script, "log.format = 'prefix'")
        .bash("json", script, "log.format = 'json'")
        .run();
    done.assert_code(0);
    let find = |text: &str, part: &str| text.lines().find(|l| l.contains(part)).unwrap_or("").to_owned();
    assert!(
        done.stdout.contains("front | to stdout\n") && done.stderr.contains("front | to stderr\n"),
        "{}",
        done.stdout
    );
    let timed = find(&done.stderr, "Z to stderr");
    assert_eq!(timed.len(), "2026-11-23T13:15:03.231000Z to stderr".len(), "{timed}");
    let wrapped = find(&done.stderr, "{");
    assert!(wrapped.ends_with(r#"","service":"json","stream":"stderr","msg":"to stderr"}"#), "{wrapped}");
    let kept = find(&done.stdout, "horust_service");
    assert!(kept.starts_with(r#"{"n": 12345678901234567890.5, "service":"mine","ts":"2"#), "{kept}");
    assert!(kept.ends_with(r#"Z","horust_service":"json","stream":"stdout"}"#), "{kept}");
}

/// A GiB of 100-byte lines, none of which ever lies on a disk.
#[test]
fn a_flood_of_lines_arrives_whole_and_in_order_in_bounded_memory() {
    const LINES: u64 = (1 << 30) / 100;
    let (read, write) = pipe2(OFlag::O_CLOEXEC).unwrap();
    let script = format!("exec seq -f '%099.0f' 1 {LINES}");
    let horust = horust().stdout_to(write).bash("flood", &script, "log.capture = true").start();
    let (mut most, mut wanted, mut line) = (0, Vec::new(), Vec::new());
    let mut reader = BufReader::new(fs::File::from(read));
    for count in 1..=LINES {
        line.clear();
        wanted.clear();
        reader.read_until(b'\n', &mut line).unwrap();
        writeln!(wanted, "{count:099}").unwrap();
        assert!(line == wanted, "line {count}: {}", String::from_utf8_lossy(&line));
        if count % 100_000 == 0 {
            // It writes on, so it lives.
            let status = fs::read_to_string(format!("/proc/{}/status", horust.pid())).unwrap();
            most = most.max(status_field(&status, "VmRSS").trim_end_matches(" kB").parse().unwrap());
        }
    }
    assert!(most < 16 << 10, "{most} KiB");
    assert_eq!(reader.read_until(b'\n', &mut line).unwrap(), 0, "{}", String::from_utf8_lossy(&line));
    horust.end().assert_code(0);
}

#[test]
fn two_hundred_services_writing_at_once_never_mix_their_lines() {
    let mut builder = horust();
    let script = "seq -f 'o %060.0f' 1 300 & seq -f 'e %060.0f' 1 300 >&2; wait";
    for n in 0..200 {
        builder = builder.bash(&format!("s{n}"), script, "stderr = 'STDOUT'\nlog.format = 'prefix'");
    }
    let done = builder.run();
    done.assert_code(0);
    let mut next: HashMap<(&str, &str), u64> = HashMap::new();
    for line in done.stdout.lines() {
        let (name, rest) = line.split_once(" | ").unwrap_or_else(|| panic!("torn: {line}"));
        let (stream, number) = rest.split_once(' ').unwrap_or_else(|| panic!("torn: {line}"));
        let count = next.entry((name, stream)).or_default();
        *count += 1;
        assert!(number.len() == 60 && number.parse() == Ok(*count), "expected {count}: {line}");
    }
    assert_eq!(next.len(), 400);
    assert!(next.values().all(|count| *count == 300), "{next:?}");
}

#[test]
fn a_line_of_a_mebibyte_is_passed_on_in_parts_and_is_whole_in_a_file() {
    let script = "head -c 1048576 /dev/zero | tr '\\0' x; echo; echo after";
    let mut horust = horust()
        .bash("file", script, "stdout = '@DIR@/long.log'\nlog.capture = true")
        .bash("front", script, "log.format = 'prefix'")
        .bash("json", script, "stdout = '@DIR@/long.json'\nlog.format = 'json'")
        .start();
    horust.wait_exit();
    let dir = horust.dir().to_owned();
    assert_eq!(fs::read(dir.join("long.log")).unwrap(), [&[b'x'; 1 << 20][..], b"\nafter\n"].concat());
    let lines: Vec<String> = horust.stdout().lines().map(|l| l.strip_prefix("front | ").unwrap().to_owned()).collect();
    assert!(lines.iter().all(|line| line.len() <= 64 << 10));
    assert_eq!(lines.concat(), format!("{}after", "x".repeat(1 << 20)));
    let json = horust.read("long.json");
    assert_eq!(json.lines().filter(|l| l.ends_with(r#"","partial":true}"#)).count(), 15);
    assert_eq!(json.matches('x').count(), 1 << 20);
    horust.end().assert_code(0);
}

#[test]
fn binary_output_is_kept_byte_by_byte() {
    let script = "head -c 3000000 /dev/urandom | tee copy; printf '\\0\\0'; printf '\\0\\0' >> copy";
    let rest = "stdout = '@DIR@/binary.log'\nlog.capture = true\nworking-directory = '@DIR@'";
    let mut horust = horust().bash("binary", script, rest).start();
    horust.wait_exit();
    let read = |name: &str| fs::read(horust.dir().join(name)).unwrap();
    assert_eq!(read("copy").len(), 3_000_002);
    assert!(read("binary.log") == read("copy"));
    horust.end().assert_code(0);
}

#[test]
fn a_line_that_is_written_in_two_halves_stays_one() {
    let rest = "log.format = 'prefix'\nenvironment.NAME = '{}'\nworking-directory = '@DIR@'";
    let horust = horust()
        .bash("one", PUPPET, &rest.replace("{}", "one"))
        .bash("two", PUPPET, &rest.replace("{}", "two"))
        .start();
    horust.tell("one", "first half, ");
    horust.tell("two", "between\\n");
    horust.wait_for("two | between\n");
    horust.tell("one", "second half\\n");
    horust.wait_for("one | first half, second half\n");
    // What was begun when all ends is kept.
    horust.tell("one", "no end");
    horust.tell("two", "told\\n");
    horust.wait_for("two | told\n");
    let (done, _) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert_eq!(done.stdout, "two | between\none | first half, second half\ntwo | told\none | no end\n");
}

#[test]
fn a_service_that_dies_in_the_middle_of_a_line_does_not_spoil_the_next_runs_first() {
    let script = "echo run; printf 'begun by '; kill -9 $$";
    let rest = "stdout = '@DIR@/die.log'\nlog.capture = true\nrestart.strategy = 'always'\nrestart.attempts = 2";
    let mut horust = horust().bash("die", script, rest).start();
    horust.wait_exit();
    assert_eq!(horust.read("die.log"), "run\nbegun by \nrun\nbegun by \nrun\nbegun by ");
    horust.end().assert_code(0);
}

/// A service that ends at once is read to its end, every time.
#[test]
fn output_of_services_that_end_at_once_is_never_lost() {
    let mut builder = horust();
    for n in 0..100 {
        builder = builder.service(&format!("s{n}"), "command = ['echo', 'short life']\nlog.format = 'prefix'\n");
    }
    let done = builder.run();
    done.assert_code(0);
    assert_eq!(done.stdout.matches(" | short life\n").count(), 100, "{}", done.stdout);
    assert_eq!(done.stderr, "");
}

/// What a service leaves running holds its pipe open. That must hold up neither its restart nor the end.
#[test]
fn a_grandchild_that_keeps_the_pipe_holds_up_nothing() {
    let script = "rm -f away; setsid bash -c 'trap \"\" TERM HUP; touch away; sleep 1000 & wait' & \
        while [ ! -e away ]; do sleep 0.01; done; echo parent; exit 1";
    let rest = "log.format = 'prefix'\nrestart.strategy = 'always'\nrestart.attempts = 1\nworking-directory = '@DIR@'";
    let done = horust().bash("parent", script, rest).run();
    done.assert_code(0);
    assert_eq!(done.stdout, "parent | parent\nparent | parent\n", "{}", done.stderr);
}

#[test]
fn dropped_lines_of_a_flood_are_counted_and_told() {
    let script = "seq -f 'n %.0f' 1 5000; echo end >&2; touch written; exec sleep 1000";
    let rest = "log.format = 'prefix'\nlog.rate-limit = '100/m'\nworking-directory = '@DIR@'";
    let horust = horust().bash("flood", script, rest).start();
    horust.wait_until("all is written", |h| h.dir().join("written").exists());
    let (done, _) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    let passed = done.stdout.matches("flood | n ").count() + done.stderr.matches("flood | end").count();
    let told = done.stdout.lines().chain(done.stderr.lines()).filter_map(|line| {
        let words = line.strip_prefix("flood | horust: ")?;
        assert!(words.ends_with("dropped: the rate limit is 100 in 1m"), "{line}");
        words.split(' ').next()?.parse::<usize>().ok()
    });
    assert_eq!((passed, told.sum()), (100, 4901_usize), "{}\n{}", done.stdout, done.stderr);
}

/// Not captured twice, and NULL stays silent.
#[test]
fn null_is_captured_too_and_goes_nowhere() {
    let done = horust().bash("quiet", "seq 100000", "stdout = 'NULL'\nlog.capture = true").run();
    done.assert_code(0);
    assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("", ""));
}

/// More descriptors than the usual soft limit allows: Horust's own limit rises, that of services does not.
#[test]
fn many_captured_services_fit_below_a_low_limit_of_open_files() {
    let mut builder = horust().wrapper(&["prlimit", "--nofile=256:4096"]);
    for n in 0..200 {
        builder = builder.bash(
            &format!("s{n}"),
            "echo \"limit $(ulimit -n)\"; exec sleep 1000",
            &format!("stdout = '@DIR@/log-{n}'\nlog.capture = true"),
        );
    }
    let horust = builder.start();
    horust.wait_until("all have written", |h| (0..200).all(|n| h.read(&format!("log-{n}")) == "limit 256\n"));
    let (done, _) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert_eq!(done.stderr, "");
}

/// nginx, php-fpm and others open /dev/stdout by name. As another user than Horust they may not open a pipe of Horust's.
#[test]
fn another_user_can_open_dev_stdout_when_captured() {
    if needs_root() {
        return;
    }
    let script = "echo by name > /dev/stdout; echo and this > /dev/stderr";
    let done = horust().bash("one", script, "user = 'nobody'\nlog.format = 'prefix'").run();
    done.assert_code(0);
    assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("one | by name\n", "one | and this\n"));
}

#[test]
fn prefixes_are_coloured_on_a_terminal() {
    let pty = nix::pty::openpty(None, None).unwrap();
    let rest = "log.format = 'prefix'";
    let horust = horust().stdout_to(pty.slave).bash("one", "echo hello", rest).bash("two", "echo hello", rest).start();
    let mut text = String::new();
    let mut terminal = fs::File::from(pty.master);
    let mut buffer = [0; 4096];
    // Once nobody else has the terminal open, reading from it fails.
    while let Ok(count) = std::io::Read::read(&mut terminal, &mut buffer) {
        text.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_by_key(|line| line.contains("two"));
    assert_eq!(lines.len(), 2, "{text:?}");
    for (line, name) in lines.iter().zip(["one", "two"]) {
        assert!(line.starts_with("\x1b[") && line.ends_with(&format!("m{name} |\x1b[0m hello")), "{line:?}");
    }
    assert_ne!(lines[0].split('m').next(), lines[1].split('m').next(), "a colour for each");
    horust.end().assert_code(0);
}
