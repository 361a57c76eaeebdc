//! The logger by itself: whatever a service writes, in pieces of any size, arrives whole, in order, and in files of the
//! size that was asked for; and what it has written last can be read from memory.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail so")]

use horust::logging::{Attach, Logger};
use horust::model::{Ask, Log, LogFormat, Output, Plan, Reading, Rotation, ServiceSpec, Start, Stream};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

fn pipe() -> (OwnedFd, File) {
    let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC).unwrap();
    fcntl(&read, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    (read, write.into())
}

/// A run of a service: what it writes to.
fn attach(logger: &Logger, spec: &ServiceSpec) -> (File, File) {
    let ((stdout, out), (stderr, err)) = (pipe(), pipe());
    let spec = Arc::new(spec.clone());
    assert!(logger.attach(Attach { spec, stdout, stderr, started: SystemTime::now(), awaited: None }));
    (out, err)
}

fn service(name: &str, file: Option<&Path>, log: Log) -> ServiceSpec {
    let output = file.map_or(Output::Null, |path| Output::File(path.to_owned()));
    let spec = ServiceSpec::new(name, vec!["none".to_owned()]);
    ServiceSpec { stdout: output.clone(), stderr: output, log: Some(Box::new(log)), ..spec }
}

fn text(reading: &Reading) -> String {
    reading.pieces.iter().map(|piece| String::from_utf8_lossy(&piece.text).into_owned()).collect()
}

/// What was written after so many bytes; none if nothing ever was.
fn read(logger: &Logger, name: &str, from: u64) -> Option<Reading> {
    let (sender, answer) = std::sync::mpsc::channel();
    let ask = Ask { service: name.into(), start: Start::At(from), end: u64::MAX, most: usize::MAX };
    assert!(logger.read(vec![ask], Box::new(move |found| sender.send(found).unwrap())));
    answer.recv_timeout(Duration::from_secs(60)).unwrap().remove(0)
}

/// Reads until the text ends so.
fn read_until(logger: &Logger, name: &str, end: &str) -> Reading {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let reading = read(logger, name, 0).unwrap_or_default();
        if text(&reading).ends_with(end) {
            return reading;
        }
        assert!(Instant::now() < deadline, "never {end:?}: {:?}", text(&reading));
        std::thread::yield_now();
    }
}

#[test]
fn the_latest_output_can_be_read_from_memory() {
    let logger = Logger::start(Box::new(|_| {}), Box::new(|| {})).unwrap();
    let spec = service("web", None, Log { buffer: 1000, ..Log::default() });
    let (mut out, mut err) = attach(&logger, &spec);
    out.write_all(b"one\ntwo\nhal").unwrap();
    read_until(&logger, "web", "two\n");
    err.write_all(b"trouble\n").unwrap();
    let reading = read_until(&logger, "web", "trouble\n");
    let streams: Vec<_> = reading.pieces.iter().map(|piece| piece.stream).collect();
    assert_eq!(streams, [Stream::Out, Stream::Err]);
    assert_eq!((text(&reading).as_str(), reading.lost), ("one\ntwo\ntrouble\n", 0));
    out.write_all(b"f\n").unwrap();
    drop((out, err));
    read_until(&logger, "web", "half\n");
    // From where a reader was: only what is new. A second run goes on where the first ended.
    let (mut out, _err) = attach(&logger, &spec);
    out.write_all(b"again\n").unwrap();
    read_until(&logger, "web", "again\n");
    let next = read(&logger, "web", reading.next).unwrap();
    assert_eq!(text(&next), "half\nagain\n");
    // What is too old is gone, and that is told.
    for n in 0..100 {
        writeln!(out, "{n:019}").unwrap();
    }
    let reading = read_until(&logger, "web", "99\n");
    assert!(text(&reading).lines().count() == 50 && reading.lost > 1000, "{}", text(&reading));
    assert_eq!(read(&logger, "other", 0), None);
    logger.finish();
}

fn adopt(logger: &Logger, services: &[&ServiceSpec]) {
    let services = services.iter().map(|spec| Arc::new((*spec).clone())).collect();
    logger.adopt(&Arc::new(Plan { services, ..Plan::default() }));
}

#[track_caller]
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::yield_now();
    }
}

/// Whether this process has the file open.
fn is_open(path: &Path) -> bool {
    let files = fs::read_dir("/proc/self/fd").unwrap();
    files.filter_map(|fd| fs::read_link(fd.ok()?.path()).ok()).any(|open| open == path)
}

/// Bytes of memory that this process uses.
fn resident() -> usize {
    let pages = fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[test]
fn what_a_service_that_is_no_more_has_left_is_forgotten_at_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let (file, fifo) = (dir.path().join("web.log"), dir.path().join("web.fifo"));
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let logger = Logger::start(Box::new(|_| {}), Box::new(|| {})).unwrap();
    let (web, other) = (service("web", Some(&file), Log::default()), service("other", Some(&fifo), Log::default()));
    let (mut out, err) = attach(&logger, &web);
    let (mut full, quiet) = attach(&logger, &other);
    out.write_all(b"one\n").unwrap();
    read_until(&logger, "web", "one\n");
    // Nobody reads the named pipe, so that it is full, and more waits.
    fcntl(&full, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    let mut refused = 0;
    eventually("it is full", || {
        refused = if full.write(&[b'\n'; 4096]).is_err() { refused + 1 } else { 0 };
        refused > 1000 && is_open(&fifo)
    });
    // It goes on, and comes back before its end: nothing is forgotten.
    adopt(&logger, &[]);
    out.write_all(b"two\n").unwrap();
    read_until(&logger, "web", "one\ntwo\n");
    adopt(&logger, &[&web]);
    drop((out, err));
    eventually("its file is closed", || !is_open(&file));
    let (mut out, err) = attach(&logger, &web);
    out.write_all(b"three\n").unwrap();
    read_until(&logger, "web", "two\nthree\n");
    adopt(&logger, &[]);
    drop((out, err, full, quiet));
    eventually("it is forgotten", || read(&logger, "web", 0).is_none() && !is_open(&file));
    // What nobody has read by then is given up with the next reload.
    adopt(&logger, &[]);
    eventually("the other is, too", || {
        adopt(&logger, &[]);
        read(&logger, "other", 0).is_none() && !is_open(&fifo)
    });
    // Of the same name, but another.
    let (mut out, _err) = attach(&logger, &web);
    out.write_all(b"four\n").unwrap();
    assert_eq!(text(&read_until(&logger, "web", "four\n")), "four\n");
    assert_eq!(fs::read_to_string(&file).unwrap(), "one\ntwo\nthree\nfour\n");
}

#[test]
fn services_that_come_and_go_use_no_memory_in_the_end() {
    let logger = Logger::start(Box::new(|_| {}), Box::new(|| {})).unwrap();
    let line = [&[b'x'; 1023][..], b"\n"].concat();
    let before = resident();
    for n in 0..64 {
        let name = format!("s{n}");
        let spec = service(&name, None, Log { buffer: 4 << 20, ..Log::default() });
        let (mut out, err) = attach(&logger, &spec);
        (0..4096).for_each(|_| out.write_all(&line).unwrap());
        eventually("all is read", || read(&logger, &name, 0).is_some_and(|reading| reading.next == 4 << 20));
        adopt(&logger, &[]);
        drop((out, err));
        eventually("it is forgotten", || read(&logger, &name, 0).is_none());
    }
    // Kept, it would be 256 MiB.
    let grown = resident().saturating_sub(before);
    assert!(grown < 100 << 20, "{} MiB more", grown >> 20);
}

#[test]
fn a_larger_memory_counts_from_the_next_run_on() {
    let logger = Logger::start(Box::new(|_| {}), Box::new(|| {})).unwrap();
    let kept = |buffer| service("web", None, Log { buffer, ..Log::default() });
    drop(attach(&logger, &kept(8)));
    let (mut out, _err) = attach(&logger, &kept(100));
    out.write_all(b"one\ntwo\nthree\n").unwrap();
    assert_eq!(text(&read_until(&logger, "web", "three\n")), "one\ntwo\nthree\n");
}

/// xorshift64*: the same numbers each time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap() % bound
    }
}

/// The text of `x.log`, `x.log.1` and so on, and the size of the largest.
fn collect(path: &Path) -> (Vec<u8>, usize) {
    let (mut text, mut largest) = (fs::read(path).unwrap_or_default(), 0);
    largest = largest.max(text.len());
    for n in 1.. {
        let Ok(more) = fs::read(format!("{}.{n}", path.display())) else { break };
        largest = largest.max(more.len());
        text.extend(more);
    }
    (text, largest)
}

#[test]
fn pieces_of_any_size_become_lines_and_files_again() {
    for seed in 1..=40_u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.log");
        let size = [None, Some(random.below(3000) + 1), Some(random.below(300_000) + 1)][random.below(3)];
        let format = if random.below(2) == 0 { LogFormat::Plain } else { LogFormat::Prefix };
        let log = Log {
            format,
            stdout: Rotation { size: size.map(|size| size as u64), ..Rotation::default() },
            ..Log::default()
        };
        let logger = Logger::start(Box::new(|_| {}), Box::new(|| {})).unwrap();
        let (mut out, err) = attach(&logger, &service("s", Some(&path), log));
        drop(err);
        let (mut sent, mut wanted, mut longest): (Vec<u8>, Vec<u8>, usize) = (Vec::new(), Vec::new(), 0);
        for n in 0..random.below(400) + 1 {
            let length = [10, 100, 1000, 60_000][random.below(4)];
            let line = format!("{n} {}\n", "x".repeat(random.below(length)));
            sent.extend(line.as_bytes());
            let line = if format == LogFormat::Prefix { format!("s | {line}") } else { line };
            longest = longest.max(line.len());
            wanted.extend(line.as_bytes());
        }
        let mut rest = sent.as_slice();
        while !rest.is_empty() {
            let (now, later) = rest.split_at((random.below(100_000) + 1).min(rest.len()));
            out.write_all(now).unwrap();
            rest = later;
        }
        drop(out);
        logger.finish();
        let (seen, largest) = collect(&path);
        assert!(seen == wanted, "seed {seed}: {} of {} bytes", seen.len(), wanted.len());
        let allowed = size.map_or(usize::MAX, |size| size.max(longest));
        assert!(largest <= allowed, "seed {seed}: {largest} bytes in a file, {allowed} allowed");
    }
}

/// Who writes line after line is looked at now and then instead of being waited for: what is written after that is read, too.
#[test]
fn who_falls_silent_after_many_lines_is_heard_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.log");
    let logger = Logger::start(Box::new(|_| {}), Box::new(|| {})).unwrap();
    let (mut out, err) = attach(&logger, &service("s", Some(&path), Log::default()));
    let mut wanted: Vec<u8> = Vec::new();
    for burst in 0..10 {
        for n in 0..50_000 {
            let line = format!("{burst} {n} and what makes it about as long as a line is\n");
            wanted.extend(line.as_bytes());
            out.write_all(line.as_bytes()).unwrap();
        }
        eventually("all of it is there", || fs::metadata(&path).is_ok_and(|file| file.len() == wanted.len() as u64));
        // Not to wait for something: this pause is what is tested, and is longer than what the logger lets output gather for.
        std::thread::sleep(Duration::from_millis(10));
        wanted.extend(b"the first after a pause\n");
        out.write_all(b"the first after a pause\n").unwrap();
        eventually("this, too", || fs::metadata(&path).is_ok_and(|file| file.len() == wanted.len() as u64));
    }
    drop((out, err));
    eventually("its end is seen", || !is_open(&path));
    assert!(fs::read(&path).unwrap() == wanted);
}
