//! How long a restart takes while clients mean harm, beside how long it takes in peace: from SIGKILL to the next process of
//! the service. The clients run here, on the same processors. Run it with `cargo bench --bench abuse`. It asserts nothing.
#![allow(clippy::disallowed_types, clippy::unwrap_used, clippy::print_stdout, clippy::indexing_slicing)]

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SIGKILL, SIGTERM, kill};
use nix::unistd::Pid;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

/// How long the service is restarted in peace, and under each attack.
const LONG: Duration = Duration::from_secs(5);
const SERVICE: &str = "command = \"sleep 1000\"\n[restart]\nstrategy = \"always\"\nthrottle = false\n";
const GOOD: &str = "GET /v1/services HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// What is no HTTP, and too much of it.
const BAD: [&str; 6] = [
    "\0\0\0\0\r\n\r\n",
    "GET / HTTP/9.9\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "GET / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
    "GET / HTTP/1.1\r\nna me: x\r\n\r\n",
    "BREW /v1/services/%00%ff%2e%2e?names=%zz HTTP/1.1\r\nhost: localhost\r\n\r\n",
];

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// A way in.
enum Door {
    Socket(PathBuf),
    Web(SocketAddr),
}

impl Door {
    fn connect(&self) -> Option<Box<dyn Stream>> {
        match self {
            Door::Socket(path) => {
                let stream = UnixStream::connect(path).ok()?;
                stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
                Some(Box::new(stream))
            }
            Door::Web(at) => {
                let stream = TcpStream::connect(at).ok()?;
                stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
                Some(Box::new(stream))
            }
        }
    }
}

/// One client that goes on until it is told to stop, and counts its connections.
type Attack = fn(&Door, &AtomicBool, &AtomicUsize);

fn main() {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, soft.max(hard.min(12_000)), hard).unwrap();
    println!(
        "{:<34} {:>12} {:>10} {:>10} {:>10}",
        "ms from SIGKILL to the next run", "connections", "median", "p99", "most"
    );
    let dir = tempfile::tempdir().unwrap();
    let (mut horust, doors) = start(dir.path());
    for (name, door) in ["socket", "web"].into_iter().zip(&doors) {
        row(&format!("{name}: in peace"), 0, &mut restarts(horust.id()));
        let attacks: [(&str, Attack, usize); 3] = [
            ("malformed requests", malformed, 8),
            ("a byte now and then", slow, 200),
            ("a crowd that stays", crowd, 1),
        ];
        for (what, attack, clients) in attacks {
            let (done, made) = (AtomicBool::new(false), AtomicUsize::new(0));
            let mut took = thread::scope(|scope| {
                (0..clients).for_each(|_| drop(scope.spawn(|| attack(door, &done, &made))));
                let took = restarts(horust.id());
                done.store(true, Ordering::Relaxed);
                took
            });
            row(&format!("{name}: {what}"), made.into_inner(), &mut took);
        }
    }
    kill(pid(horust.id()), SIGTERM).unwrap();
    horust.wait().unwrap();
}

fn row(what: &str, connections: usize, took: &mut [Duration]) {
    took.sort_unstable();
    let ms = |part: usize| took[(took.len() - 1) * part / 100].as_secs_f64() * 1e3;
    println!("{what:<34} {connections:>12} {:>10.2} {:>10.2} {:>10.2}", ms(50), ms(99), ms(100));
}

fn malformed(door: &Door, done: &AtomicBool, made: &AtomicUsize) {
    let big = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(1 << 20));
    for request in BAD.iter().copied().chain([big.as_str()]).cycle() {
        if done.load(Ordering::Relaxed) {
            return;
        }
        let Some(mut stream) = door.connect() else { continue };
        made.fetch_add(1, Ordering::Relaxed);
        let _ = stream.write_all(request.as_bytes());
        let _ = stream.read(&mut [0; 4096]);
    }
}

fn slow(door: &Door, done: &AtomicBool, made: &AtomicUsize) {
    while !done.load(Ordering::Relaxed) {
        let Some(mut stream) = door.connect() else { continue };
        made.fetch_add(1, Ordering::Relaxed);
        for byte in GOOD.bytes().take(40).chain(std::iter::repeat(b'x')) {
            if done.load(Ordering::Relaxed) || stream.write_all(&[byte]).is_err() {
                break;
            }
            sleep(Duration::from_millis(20));
        }
    }
}

/// Ten thousand connections, each of which asks for something and stays; then the same again.
fn crowd(door: &Door, done: &AtomicBool, made: &AtomicUsize) {
    let mut held = Vec::new();
    while !done.load(Ordering::Relaxed) {
        let Some(mut stream) = door.connect() else { continue };
        made.fetch_add(1, Ordering::Relaxed);
        let _ = stream.write_all(GOOD.as_bytes());
        held.push(stream);
        if held.len() == 10_000 {
            held.clear();
        }
    }
}

fn start(dir: &std::path::Path) -> (Child, [Door; 2]) {
    fs::create_dir(dir.join("services")).unwrap();
    fs::write(dir.join("services/victim.toml"), SERVICE).unwrap();
    fs::write(dir.join("services/other.toml"), "command = \"sleep 2000\"\n").unwrap();
    fs::write(dir.join("horust.toml"), "web-server = \"127.0.0.1:0\"\n").unwrap();
    let stderr = fs::File::create(dir.join("stderr")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_horust"));
    command.current_dir(dir).args(["--services-path", "services", "--config-path", "horust.toml"]);
    command.args(["--uds-folder-path", "run"]).env("HORUST_LOG", "horust::runtime=info").stderr(stderr);
    let horust = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let at = loop {
        let said = fs::read_to_string(dir.join("stderr")).unwrap();
        let line = said.lines().find_map(|line| line.split_once("the page is at http://"));
        if let Some((_, at)) = line {
            break at.trim_end_matches('/').parse().unwrap();
        }
        thread::yield_now();
    };
    let socket = dir.join(format!("run/horust-{}.sock", horust.id()));
    (horust, [Door::Socket(socket), Door::Web(at)])
}

/// Kills the victim again and again; how long it takes each time until the next one is there.
fn restarts(horust: u32) -> Vec<Duration> {
    let begun = Instant::now();
    std::iter::repeat_with(|| restart(horust)).take_while(|_| begun.elapsed() < LONG).collect()
}

fn restart(horust: u32) -> Duration {
    // By what it runs: until its exec it is a copy of Horust.
    let victim = || {
        let all = fs::read_to_string(format!("/proc/{horust}/task/{horust}/children")).unwrap();
        let runs = |pid: &&str| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|words| words == b"sleep\x001000\0");
        all.split_whitespace().find(runs).map(|pid| pid.parse::<u32>().unwrap())
    };
    let old = loop {
        if let Some(victim) = victim() {
            break victim;
        }
    };
    let begun = Instant::now();
    kill(pid(old), SIGKILL).unwrap();
    while victim().is_none_or(|victim| victim == old) {
        sleep(Duration::from_micros(50));
    }
    begun.elapsed()
}

fn pid(pid: u32) -> Pid {
    Pid::from_raw(pid.try_into().unwrap())
}
