//! The logger by itself: whatever a service writes, in pieces of any size, arrives whole, in order, and in files of the
//! size that was asked for; and what it has written last can be read from memory.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail so")]

use horust::logging::{Attach, Logger};
use horust::model::{Ask, Log, LogFormat, Output, Reading, Rotation, ServiceSpec, Start, Stream};
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
