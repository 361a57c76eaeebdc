//! Many services, each asked over HTTP and by a command every second: what that costs, and that nothing grows. The test takes
//! half a minute; `cargo xtask soak probes` gives it five, and the binary that is released.

use crate::support::*;
use nix::sys::signal::Signal;
use nix::unistd::{SysconfVar, sysconf};
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// So many that in a second all are asked, and an unoptimised Horust and its commands still leave the machine some time.
const SERVICES: usize = 500;
/// All have been asked more than once, and every thread that there will be is there.
const WARM_UP: Duration = Duration::from_secs(5);

/// What Horust has at one moment.
#[derive(Clone, Copy)]
struct Sample {
    seconds: f64,
    files: f64,
    threads: f64,
    /// Its own memory, in KiB: what is not the program file.
    memory: f64,
}

/// Processor time in seconds: Horust's own, and that of all its children that have ended.
#[derive(Clone, Copy)]
struct Cpu {
    own: f64,
    children: f64,
}

#[test]
fn five_hundred_services_with_two_probes_each_take_no_more_in_the_end_than_at_first() {
    let seconds = std::env::var("HORUST_SOAK_SECONDS").map_or(24, |text| text.parse().unwrap());
    // The first minute against the last one; of a short run, the first third against the last.
    let window = (seconds as f64 / 3.0).min(60.0);
    let asked = Arc::new(AtomicU64::new(0));
    let horust = start(serve(Arc::clone(&asked)));
    wait_until("all are asked", || asked.load(Ordering::Relaxed) >= 2 * SERVICES as u64);
    thread::sleep(WARM_UP);

    let (begin, cpu, count) = (Instant::now(), cpu(&horust), asked.load(Ordering::Relaxed));
    let mut samples = Vec::new();
    for second in 1..=seconds {
        thread::sleep((begin + Duration::from_secs(second)).saturating_duration_since(Instant::now()));
        samples.push(sample(&horust, begin));
    }
    let (after, count) = (self::cpu(&horust), asked.load(Ordering::Relaxed) - count);
    // A command is started with each request.
    let per_second = count as f64 / begin.elapsed().as_secs_f64();
    let commands = horust.read("asked").len() as f64;
    let (own, children) = ((after.own - cpu.own) / count as f64, (after.children - cpu.children) / count as f64);
    report(&samples, window, per_second, own, children);

    assert!(commands >= 0.1 * seconds as f64, "the command of one service was run {commands} times");
    assert!(per_second >= 0.1 * SERVICES as f64, "{per_second} rounds a second");
    // Files: sockets and pipes of the probes under way come and go. Threads never do.
    let growth = |of: fn(&Sample) -> f64| {
        mean(&samples, of, seconds as f64 - window, f64::MAX) - mean(&samples, of, 0.0, window)
    };
    assert!(growth(|s| s.files) < 16.0, "files: {}", growth(|s| s.files));
    assert!(growth(|s| s.threads) < 2.0, "threads: {}", growth(|s| s.threads));
    // How many probes wait at one moment differs with what else the machine does, and takes memory too. A leak of 64 bytes a
    // round would be 500 KiB in the short run, and nearly 8 MiB in the long one.
    assert!(growth(|s| s.memory) < 384.0, "memory: {} KiB", growth(|s| s.memory));

    let (done, took) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert_eq!(done.stderr, "", "no service was ever unhealthy");
    assert!(took < LONG / 2, "{took:?}");
}

fn start(port: u16) -> Horust {
    let mut horust = horust();
    for i in 0..SERVICES {
        // One of them leaves a trace: its commands are counted.
        let command = if i == 0 { "sh -c 'printf x >> @DIR@/asked'" } else { "true" };
        let service = format!(
            "command = \"sleep 100000\"\n[healthiness]\nhttp-endpoint = \"http://127.0.0.1:{port}/{i}\"\ncommand = \"{command}\"\n\
             interval = \"1s\"\ntimeout = \"30s\"\n"
        );
        horust = horust.service(&format!("s{i}"), &service);
    }
    horust.start()
}

/// A web server on a port of its own that says yes to everybody, and counts them.
fn serve(asked: Arc<AtomicU64>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let body = move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
            let _ = stream.shutdown(Shutdown::Write);
            asked.fetch_add(1, Ordering::Relaxed);
        }
    };
    thread::Builder::new().spawn(body).unwrap();
    port
}

fn sample(horust: &Horust, begin: Instant) -> Sample {
    let pid = horust.pid();
    let count = |what: &str| fs::read_dir(format!("/proc/{pid}/{what}")).unwrap().count() as f64;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let memory = status_field(&status, "RssAnon").trim_end_matches(" kB").parse().unwrap();
    Sample { seconds: begin.elapsed().as_secs_f64(), files: count("fd"), threads: count("task"), memory }
}

/// proc(5): utime, stime, cutime and cstime are the fields 14 to 17 of stat.
fn cpu(horust: &Horust) -> Cpu {
    let stat = fs::read_to_string(format!("/proc/{}/stat", horust.pid())).unwrap();
    let (_, rest) = stat.rsplit_once(") ").unwrap();
    let fields: Vec<f64> = rest.split(' ').skip(11).take(4).map(|field| field.parse().unwrap()).collect();
    let tick = sysconf(SysconfVar::CLK_TCK).unwrap().unwrap() as f64;
    Cpu { own: (fields[0] + fields[1]) / tick, children: (fields[2] + fields[3]) / tick }
}

/// The mean of what was seen from one second to another.
fn mean(samples: &[Sample], of: fn(&Sample) -> f64, from: f64, to: f64) -> f64 {
    let part: Vec<f64> = samples.iter().filter(|s| s.seconds >= from && s.seconds <= to).map(of).collect();
    part.iter().sum::<f64>() / part.len() as f64
}

/// How much something grows in a minute, by the line that fits best.
fn slope(samples: &[Sample], of: fn(&Sample) -> f64) -> f64 {
    let (x, y) = (mean(samples, |s| s.seconds, 0.0, f64::MAX), mean(samples, of, 0.0, f64::MAX));
    let (mut above, mut below) = (0.0, 0.0);
    for sample in samples {
        above += (sample.seconds - x) * (of(sample) - y);
        below += (sample.seconds - x).powi(2);
    }
    60.0 * above / below
}

fn report(samples: &[Sample], window: f64, per_second: f64, own: f64, children: f64) {
    let last = samples.last().unwrap().seconds;
    eprintln!("{SERVICES} services, {per_second:.0} rounds of two probes a second for {last:.0} s");
    eprintln!(
        "{:<16} {:>12} {:>12} {:>12}",
        "",
        format!("first {window:.0} s"),
        format!("last {window:.0} s"),
        "per minute"
    );
    let row = |what: &str, of: fn(&Sample) -> f64| {
        let (first, late) = (mean(samples, of, 0.0, window), mean(samples, of, last - window, f64::MAX));
        eprintln!("{what:<16} {first:>12.1} {late:>12.1} {:>12.2}", slope(samples, of));
    };
    row("files", |s| s.files);
    row("threads", |s| s.threads);
    row("own memory, KiB", |s| s.memory);
    eprintln!(
        "processor time of a round: Horust's own {:.0} us, that of its command {:.0} us",
        own * 1e6,
        children * 1e6
    );
}
