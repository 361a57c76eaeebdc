//! Service output when something is in its way: readers that stop or die, full disks, stuck pipes, deleted files. Horust is
//! never blocked, other services go on, and what is lost is counted.

use crate::support::*;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::Signal;
use nix::unistd::{mkfifo, pipe2};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::time::Duration;

const FLOOD: &str = "exec seq -f '%099.0f' 1 1000000000";

/// A pipe for Horust's standard output, whose reading end it does not inherit.
fn pipe() -> (OwnedFd, OwnedFd) {
    pipe2(OFlag::O_CLOEXEC).unwrap()
}

/// Horust's own resident memory in KiB.
fn rss(horust: &Horust) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", horust.pid())).unwrap();
    status_field(&status, "VmRSS").trim_end_matches(" kB").parse().unwrap()
}

/// Nobody reads Horust's standard output: who writes there waits, everybody else goes on, and Horust starts, restarts and
/// ends services as ever.
#[test]
fn a_reader_that_stops_blocks_only_those_who_write_to_it() {
    let (_read, write) = pipe();
    let mut builder = horust().stdout_to(write);
    for n in 0..5 {
        builder = builder.bash(&format!("flood-{n}"), FLOOD, "log.format = 'prefix'");
    }
    let crash = "echo run >> runs; echo again; exit 1";
    let horust = builder
        .bash("crash", crash, "working-directory = '@DIR@'\nrestart.strategy = 'always'\nlog.format = 'json'")
        .bash("file", "n=0; while :; do echo $((n++)); done", "stdout = '@DIR@/file.log'\nlog.capture = true")
        .start();
    horust.wait_until("twenty restarts", |h| h.read("runs").matches("run").count() >= 20);
    let before = horust.read("file.log").len();
    horust.wait_until("more in the file", |h| h.read("file.log").len() > before + 10_000);
    assert!(rss(&horust) < 24 << 10, "{} KiB", rss(&horust));
    let (done, took) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert!(took < Duration::from_secs(8), "{took:?}");
    assert!(done.stderr.contains("standard output: ") && done.stderr.contains("dropped"), "{}", done.stderr);
}

/// A reader that is slow, and then goes on, gets every line.
#[test]
fn a_reader_that_goes_on_later_has_missed_nothing() {
    let (read, write) = pipe();
    fcntl(&write, FcntlArg::F_SETPIPE_SZ(4096)).unwrap();
    let shared = fcntl(&write, FcntlArg::F_GETFL).unwrap();
    let horust = horust()
        .stdout_to(write.try_clone().unwrap())
        .bash("count", "seq -f '%099.0f' 1 100000", "log.format = 'prefix'")
        .bash("also", "seq -f '%099.0f' 1 100000; touch written", "log.timestamp = true\nworking-directory = '@DIR@'")
        .start();
    // It can't have written more than the pipes hold and Horust gathers.
    let mut lines = BufReader::new(File::from(read)).lines();
    let first = lines.next().unwrap().unwrap();
    assert!(horust.read("written").is_empty() && first.ends_with('1'), "{first}");
    // The pipe is others' too: how they write to it is not for us to change.
    assert_eq!(fcntl(&write, FcntlArg::F_GETFL).unwrap(), shared);
    assert_eq!(shared & OFlag::O_NONBLOCK.bits(), 0);
    drop(write);
    let (mut count, mut also) = (u64::from(first.starts_with("count")), u64::from(!first.starts_with("count")));
    for line in lines {
        let line = line.unwrap();
        let (number, expected) = match line.strip_prefix("count | ") {
            Some(number) => (number, &mut count),
            None => (line.split_once("Z ").unwrap_or_else(|| panic!("torn: {line}")).1, &mut also),
        };
        *expected += 1;
        assert!(number.len() == 99 && number.parse() == Ok(*expected), "expected {expected}: {line}");
    }
    assert_eq!((count, also), (100_000, 100_000));
    let done = horust.end();
    done.assert_code(0);
    assert_eq!(done.stderr, "");
}

#[test]
fn a_reader_that_dies_ends_nothing_but_the_output() {
    let (read, write) = pipe();
    let rest = "working-directory = '@DIR@'\nlog.format = 'prefix'\nenvironment.NAME = 'one'";
    let horust = horust().stdout_to(write).bash("one", PUPPET, rest).start();
    drop(read);
    for _ in 0..3 {
        horust.tell("one", "nobody reads this\\n");
    }
    horust.wait_until("it is told", |h| h.stderr().contains("cannot write to standard output: Broken pipe"));
    let (done, _) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert!(done.stderr.contains("standard output: 3 lines of output were dropped (72 bytes)"), "{}", done.stderr);
}

#[test]
fn a_socket_as_standard_output_is_written_to_without_waiting() {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let horust = horust()
        .stdout_to(OwnedFd::from(theirs))
        .bash("one", "seq -f '%099.0f' 1 50000", "log.format = 'prefix'")
        .bash("two", "touch done", "working-directory = '@DIR@'\nlog.capture = true")
        .start();
    horust.wait_until("the other is done", |h| h.dir().join("done").exists());
    let lines = BufReader::new(ours).lines().map(Result::unwrap);
    let numbers = lines.map(|line| line.strip_prefix("one | ").unwrap().parse::<u64>().unwrap());
    assert!(numbers.eq(1..=50_000));
    horust.end().assert_code(0);
}

/// A full disk: lines are dropped as a whole, counted and told, and output goes on once there is room.
#[test]
fn a_full_disk_costs_lines_but_tears_none_and_is_got_over() {
    if needs_root() {
        return;
    }
    let mount =
        r#"mkdir "$0" && mount -t tmpfs -o size=256k none "$0" && head -c 150000 /dev/zero > "$0/filler" && exec "$@""#;
    let script = "n=0; while [ ! -e enough ]; do printf '%099d\\n' $((n++)); [ -e slow ] && sleep 0.01; done; echo $n > written; echo last";
    let rest = "stdout = '@DIR@/small/x.log'\nlog.capture = true\nworking-directory = '@DIR@'";
    let mut horust = horust()
        .wrapper(&["unshare", "--mount", "bash", "-c", mount, "@DIR@/small"])
        .bash("full", script, rest)
        .bash("other", "while :; do echo tick >> ticks; sleep 0.05; done", "working-directory = '@DIR@'")
        .start();
    let small = format!("/proc/{}/root{}/small", horust.pid(), horust.dir().display());
    horust.wait_until("it is told", |h| h.stderr().contains("x.log: No space left on device"));
    let ticks = horust.read("ticks").len();
    horust.wait_until("the other goes on", |h| h.read("ticks").len() > ticks + 20);
    // Else the disk could be full again before the last line.
    fs::write(horust.dir().join("slow"), "").unwrap();
    fs::remove_file(format!("{small}/filler")).unwrap();
    let size = || fs::metadata(format!("{small}/x.log")).unwrap().len();
    let full = size();
    horust.wait_until("there is output again", |_| size() > full + 1_000);
    fs::write(horust.dir().join("enough"), "").unwrap();
    horust.wait_until("it has written", |h| !h.read("written").is_empty());
    let read = || fs::read_to_string(format!("{small}/x.log")).unwrap();
    horust.wait_until("its last line", |_| read().ends_with("last\n"));
    let text = read();
    let mut last = None;
    let mut kept = 0_u64;
    for line in text.lines().filter(|line| *line != "last") {
        let number = line.parse::<u64>().ok().filter(|_| line.len() == 99).unwrap_or_else(|| panic!("torn: {line}"));
        assert!(last < Some(number));
        last = Some(number);
        kept += 1;
    }
    horust.signal(Signal::SIGTERM);
    horust.wait_exit().code().unwrap();
    let stderr = horust.stderr();
    let told = |line: &str| {
        let (count, _) =
            line.split_once("x.log: ")?.1.split_once(' ').filter(|(_, rest)| rest.contains("dropped ("))?;
        count.parse::<u64>().ok()
    };
    let dropped: u64 = stderr.lines().filter_map(told).sum();
    let written: u64 = horust.read("written").trim().parse().unwrap();
    assert!(dropped > 0 && kept + dropped == written, "{kept} + {dropped} of {written}: {stderr}");
}

#[test]
fn a_log_file_that_is_deleted_is_made_again() {
    let rest = "stdout = '@DIR@/x.log'\nlog.capture = true\nworking-directory = '@DIR@'\nenvironment.NAME = 'one'";
    let horust = horust().bash("one", PUPPET, rest).start();
    for round in 0..20 {
        let line = format!("line {round}\\n");
        horust.tell("one", &line);
        horust.wait_until("the line", |h| h.read("x.log") == format!("line {round}\n"));
        fs::remove_file(horust.dir().join("x.log")).unwrap();
    }
    // Renamed, as logrotate does: after a second at most lines go to the new file of the name.
    horust.tell("one", "before\\n");
    horust.wait_until("the line", |h| h.read("x.log") == "before\n");
    fs::rename(horust.dir().join("x.log"), horust.dir().join("old")).unwrap();
    horust.wait_until("a new file", |h| {
        h.tell("one", "after\\n");
        h.read("x.log").starts_with("after\n")
    });
    horust.stop(Signal::SIGTERM).0.assert_code(0);
}

/// A named pipe that nobody reads, or that its reader does not empty, holds up its own service only.
#[test]
fn a_named_pipe_without_a_reader_holds_up_its_own_service_only() {
    let builder = horust();
    let fifo = builder.dir().join("fifo");
    mkfifo(&fifo, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    let horust = builder
        .bash("stuck", "seq -f '%099.0f' 1 20000", "stdout = '@DIR@/fifo'\nlog.capture = true")
        .bash("free", "seq 1 200000", "stdout = '@DIR@/free.log'\nlog.capture = true")
        .start();
    horust.wait_until("the other has written", |h| h.read("free.log").ends_with("\n200000\n"));
    let mut reader = File::open(&fifo).unwrap();
    let mut text = Vec::new();
    let mut buffer = [0; 65536];
    while text.len() < 2_000_000 {
        let count = reader.read(&mut buffer).unwrap();
        text.extend_from_slice(&buffer[..count]);
    }
    let text = String::from_utf8(text).unwrap();
    assert!(text.lines().map(|line| line.parse::<u64>().unwrap()).eq(1..=20_000));
    horust.end().assert_code(0);
}

/// As without capture: a start that has nowhere to write fails, and says why.
#[test]
fn an_output_file_that_cannot_be_reached_fails_the_start() {
    let done = horust()
        .service("one", "command = 'echo hi'\nstdout = '@DIR@/none/x.log'\nlog.capture = true\n")
        .service("two", "command = 'echo hi'\nstdout = '@DIR@/services'\nlog.capture = true\n")
        .run();
    done.assert_code(0);
    assert!(done.stderr.contains("/none/x.log: No such file or directory"), "{}", done.stderr);
    assert!(done.stderr.contains("/services: Is a directory"), "{}", done.stderr);
    assert_eq!(done.stdout, "");
}
