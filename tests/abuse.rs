//! Clients that mean harm, at the control socket and at the web address: whatever they send, and however many they are,
//! services are restarted as ever, and who means no harm is served again once they have gone. A process of its own: it
//! raises its limit of open files, which other tests would pass on.

#![allow(clippy::disallowed_types, reason = "these tests are the parent of Horust, not Horust")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail so")]
#![allow(clippy::print_stderr, reason = "what was measured is told")]

#[allow(dead_code, reason = "the end-to-end tests use all of it")]
#[path = "e2e/support.rs"]
mod support;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use support::*;

/// A service that is killed again and again, and tells by its pid that it is back.
const VICTIM: &str = "echo $$ > pid.new; mv pid.new pid; exec sleep 1000";
const RESTARTS: &str = "[restart]\nstrategy = \"always\"\nbackoff = \"0s\"\nthrottle = false";

/// A way in.
enum Door {
    Socket(PathBuf),
    Web(SocketAddr),
}

impl Door {
    fn connect(&self) -> std::io::Result<File> {
        let fd: OwnedFd = match self {
            Door::Socket(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(LONG))?;
                stream.set_write_timeout(Some(LONG))?;
                stream.into()
            }
            Door::Web(at) => {
                let stream = TcpStream::connect(at)?;
                stream.set_read_timeout(Some(LONG))?;
                stream.set_write_timeout(Some(LONG))?;
                stream.into()
            }
        };
        Ok(File::from(fd))
    }

    /// Sends this, and returns the first kilobytes of what comes back; nothing if there is no answer.
    fn send(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().unwrap();
        // Who is refused may find that out before all is written.
        let _ = stream.write_all(bytes);
        answer(&mut stream)
    }

    fn serves(&self) -> bool {
        self.send(GOOD.as_bytes()).starts_with("HTTP/1.1 200 ")
    }
}

const GOOD: &str = "GET /v1/horust HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

fn answer(stream: &mut File) -> String {
    let mut answer = Vec::new();
    let _ = stream.take(64 << 10).read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn besieged() -> (Horust, [Door; 2]) {
    let set = horust().file("horust.toml", "web-server = \"127.0.0.1:0\"").env("HORUST_LOG", "info");
    let set = set.arg("--config-path").arg("@DIR@/horust.toml").arg("--uds-folder-path").arg("@DIR@/run");
    let horust = set.bash("victim", VICTIM, RESTARTS).bash("other", "exec sleep 1000", "").start();
    let mut at = None;
    horust.wait_until("it says where the page is", |h| {
        let said = h.stderr();
        let line = said.lines().find_map(|line| line.split_once("the page is at http://"));
        at = line.and_then(|(_, at)| at.trim_end_matches('/').parse().ok());
        at.is_some()
    });
    let socket = horust.dir().join(format!("run/horust-{}.sock", horust.pid()));
    horust.wait_until("the victim is there", |h| h.read("pid").trim().parse::<i32>().is_ok());
    (horust, [Door::Socket(socket), Door::Web(at.unwrap())])
}

/// Kills the victim; how long it takes until the next one runs.
#[track_caller]
fn restart(horust: &Horust) -> Duration {
    let pid = horust.read("pid");
    let begun = Instant::now();
    kill(Pid::from_raw(pid.trim().parse().unwrap()), Signal::SIGKILL).unwrap();
    while horust.read("pid") == pid {
        assert!(begun.elapsed() < LONG, "the victim is not restarted");
        std::thread::sleep(Duration::from_micros(200));
    }
    begun.elapsed()
}

#[track_caller]
fn median(horust: &Horust, times: usize) -> Duration {
    let mut took: Vec<Duration> = (0..times).map(|_| restart(horust)).collect();
    took.sort_unstable();
    took[times / 2]
}

/// What is no HTTP, or too much of it, is refused or cut off, and the next one is served.
#[test]
fn malformed_and_oversized_requests() {
    let (horust, doors) = besieged();
    let head = |rest: &str| format!("GET /v1/services HTTP/1.1\r\nhost: localhost\r\n{rest}\r\n").into_bytes();
    let noise = |seed: u32| {
        let mut x = seed;
        let next = move || {
            x ^= x << 13;
            x ^= x >> 17;
            x ^= x << 5;
            x.to_le_bytes()[0]
        };
        std::iter::repeat_with(next).take(40_000).collect::<Vec<u8>>()
    };
    let mut bad: Vec<Vec<u8>> = vec![
        b"\r\n\r\n".to_vec(),
        vec![0; 100_000],
        b"GET\r\n\r\n".to_vec(),
        b"GET / HTTP/9.9\r\n\r\n".to_vec(),
        b"GET /v1/services HTTP/1.1\nhost localhost\n\n".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".repeat(100),
        format!("GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n", "x".repeat(200_000)).into_bytes(),
        head(&format!("x: {}\r\n", "y".repeat(1 << 20))),
        head(&"x: y\r\n".repeat(10_000)),
        head("content-length: -1\r\n"),
        head("content-length: 5\r\ncontent-length: 6\r\n"),
        head(" folded: header\r\n"),
        head("na me: x\r\n"),
        head("x: \0\r\n"),
    ];
    bad.extend((1..20).map(noise));
    // These are well formed, and ask for what there is not.
    let odd = [
        "BREW / HTTP/1.1",
        "GET /v1/services/%00%ff%2e%2e HTTP/1.1",
        "GET //v1//services?names=%zz HTTP/1.1",
        "POST /metrics HTTP/1.1",
    ];
    bad.extend(odd.map(|line| format!("{line}\r\nhost: localhost\r\nconnection: close\r\n\r\n").into_bytes()));
    for door in &doors {
        for request in &bad {
            let answer = door.send(request);
            let shown = String::from_utf8_lossy(&request[..request.len().min(60)]).into_owned();
            assert!(
                answer.is_empty() || answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.1 5"),
                "{shown}: {answer}"
            );
            assert!(!answer.starts_with("HTTP/1.1 500 "), "{shown}: {answer}");
        }
        // A body that nobody wants is not read to its end, and a thousand requests at once are answered in turn.
        let mut stream = door.connect().unwrap();
        let _ = stream.write_all(&head("content-length: 1000000000\r\nconnection: close\r\n"));
        let _ = stream.write_all(&vec![b'x'; 4 << 20]);
        drop(answer(&mut stream));
        let many = GOOD.replace("connection: close\r\n", "").repeat(100) + GOOD;
        let mut stream = door.connect().unwrap();
        stream.write_all(many.as_bytes()).unwrap();
        let mut all = String::new();
        stream.read_to_string(&mut all).unwrap();
        assert_eq!(all.matches("HTTP/1.1 200 OK").count(), 101);
        assert!(door.serves());
    }
    restart(&horust);
}

/// Who sends a byte now and then, and who takes no answer, holds a place for a while and nothing else.
#[test]
fn slow_clients_lose_their_places() {
    let (horust, doors) = besieged();
    for door in &doors {
        let mut slow: Vec<File> = (0..64).map(|_| door.connect().unwrap()).collect();
        let begun = Instant::now();
        let mut turned_away = false;
        for byte in b"GET /v1/services HTTP/1.1\r\nhost: localhost\r\nx: ".iter().chain(std::iter::repeat(&b'y')) {
            slow.iter_mut().for_each(|stream| drop(stream.write_all(&[*byte])));
            restart(&horust);
            let answer = door.send(GOOD.as_bytes());
            turned_away |= answer.starts_with("HTTP/1.1 503 ") && answer.contains("too many clients");
            if turned_away && answer.starts_with("HTTP/1.1 200 ") {
                break;
            }
            assert!(begun.elapsed() < LONG, "they keep their places: {answer}");
        }
    }
}

/// As many connections as this process may have, up to ten thousand, and each of them asks for something.
#[test]
fn a_crowd_of_clients() {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let wanted = hard.min(10_500);
    setrlimit(Resource::RLIMIT_NOFILE, soft.max(wanted), hard).unwrap();
    let crowd = usize::try_from(wanted).unwrap().saturating_sub(500).min(10_000);
    let (horust, doors) = besieged();
    let files = || std::fs::read_dir(format!("/proc/{}/fd", horust.pid())).unwrap().count();
    for (name, door) in ["socket", "web"].into_iter().zip(&doors) {
        assert!(door.serves());
        horust.wait_until("nobody is served", |_| files() < 64);
        let (quiet, before) = (median(&horust, 11), files());
        let mut held = Vec::new();
        let mut during = Vec::new();
        for n in 0..crowd {
            // Who is not let in has nothing to hold.
            if let Ok(mut stream) = door.connect() {
                let _ = stream.write_all(GOOD.replace("connection: close\r\n", "").as_bytes());
                held.push(stream);
            }
            if n % (crowd / 11) == 0 {
                during.push(restart(&horust));
            }
        }
        let open = files();
        assert!(open < before + 2 * 64 + 2 * 64, "{open} files are open, {before} were");
        during.sort_unstable();
        let busy = during[during.len() / 2];
        eprintln!("{name}: {} connections, restart {quiet:?} before and {busy:?} during, {open} files", held.len());
        drop(held);
        horust.wait_until("who comes later is served", |_| door.serves());
        horust.wait_until("all have gone", |_| files() <= before + 8);
    }
}
