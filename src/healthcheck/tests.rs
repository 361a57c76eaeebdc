//! Probes against real servers on loopback sockets.

mod socket;

use super::Pool;
use crate::limits;
use crate::model::{Command, Probe, ProbeId, RunId, ServiceId};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(20);

fn id(round: u32) -> ProbeId {
    ProbeId { run: RunId { service: ServiceId(0), generation: 1 }, round, ready: false, probe: 0 }
}

type Verdict = (ProbeId, Result<(), String>);

fn pool() -> (Pool, Receiver<Verdict>) {
    let (send, verdicts) = channel();
    let report = move |id, verdict| {
        let _ = send.send((id, verdict)); // The test may be over.
    };
    (Pool::new(report), verdicts)
}

fn verdict(probe: Probe, timeout: Duration) -> Result<(), String> {
    let (pool, verdicts) = pool();
    pool.submit(id(1), &probe, timeout)?;
    let (got, verdict) = verdicts.recv_timeout(LONG).unwrap();
    assert_eq!(got, id(1));
    verdict
}

/// Serves until the test ends: `answer` maps a request's head to what is sent back. The connection is then closed, or,
/// for an empty answer, kept open and silent.
fn server(answer: impl Fn(&str) -> String + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::Builder::new()
        .spawn(move || {
            let mut silent: Vec<TcpStream> = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                    head.push(byte[0]);
                }
                let answer = answer(&String::from_utf8_lossy(&head));
                if answer.is_empty() {
                    silent.push(stream);
                } else {
                    let _ = stream.write_all(answer.as_bytes());
                }
            }
        })
        .unwrap();
    port
}

fn answer(status: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n")
}

fn http(port: u16, path: &str) -> Probe {
    Probe::Http(format!("http://localhost:{port}{path}"))
}

#[test]
fn only_2xx_passes() {
    let port = server(|head| answer(head.split(['/', ' ']).nth(2).unwrap()));
    assert_eq!(verdict(http(port, "/200"), LONG), Ok(()));
    assert_eq!(verdict(http(port, "/204"), LONG), Ok(()));
    assert_eq!(verdict(http(port, "/299"), LONG), Ok(()));
    for bad in ["300", "304", "404", "500", "503"] {
        let why = verdict(http(port, &format!("/{bad}")), LONG).unwrap_err();
        assert!(why.starts_with(&format!("answered {bad}")), "{why}");
    }
    assert_eq!(verdict(Probe::Http(format!("http://127.0.0.1:{port}/200")), LONG), Ok(()));
}

#[test]
fn head_is_asked_first_and_get_where_head_is_not_allowed() {
    let port = server(|head| match head {
        h if h.starts_with("HEAD /405") => answer("405 Method Not Allowed"),
        h if h.starts_with("HEAD /501") => answer("501 Not Implemented"),
        h if h.starts_with("GET /405") || h.starts_with("GET /501") || h.starts_with("HEAD /head") => answer("200 OK"),
        _ => answer("400 Bad Request"),
    });
    assert_eq!(verdict(http(port, "/405"), LONG), Ok(()));
    assert_eq!(verdict(http(port, "/501"), LONG), Ok(()));
    assert_eq!(verdict(http(port, "/head"), LONG), Ok(()));
}

#[test]
fn redirects_are_followed_on_the_same_host_only() {
    let port = server(|head| match head {
        h if h.starts_with("HEAD /here ") => {
            "HTTP/1.1 301 X\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n".to_owned()
        }
        h if h.starts_with("HEAD /there ") => answer("200 OK"),
        h if h.starts_with("HEAD /round ") => {
            "HTTP/1.1 302 X\r\nLocation: /round\r\nContent-Length: 0\r\n\r\n".to_owned()
        }
        _ => "HTTP/1.1 302 X\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n".to_owned(),
    });
    assert_eq!(verdict(http(port, "/here"), LONG), Ok(()));
    let elsewhere = "answered 302 and leads elsewhere, which a probe does not follow";
    assert_eq!(verdict(http(port, "/away"), LONG), Err(elsewhere.to_owned()));
    assert!(verdict(http(port, "/round"), LONG).is_err(), "an endless redirect must end");
}

#[test]
fn a_large_body_is_not_waited_for() {
    let port = server(|head| match head {
        h if h.starts_with("HEAD") => answer("405 X"),
        _ => format!("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n{}", "x".repeat(100_000)),
    });
    assert_eq!(verdict(http(port, "/"), LONG), Ok(()));
}

#[test]
fn a_closed_port_is_said_to_be_closed() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    assert_eq!(
        verdict(http(port, "/x?key=secret"), LONG),
        Err(format!("cannot connect to http://localhost:{port}/x: connection refused"))
    );
}

#[test]
fn garbage_and_silence_are_failures() {
    let garbage = server(|_| "what?\r\n\r\n".to_owned());
    let why = verdict(http(garbage, "/"), LONG).unwrap_err();
    assert!(why.starts_with(&format!("no proper HTTP answer from http://localhost:{garbage}/: ")), "{why}");
    let silent = server(|_| String::new());
    let start = Instant::now();
    assert_eq!(verdict(http(silent, "/"), Duration::from_millis(200)), Err("timed out after 200ms".to_owned()));
    assert!(start.elapsed() < LONG / 4, "{:?}", start.elapsed());
    assert_eq!(verdict(http(silent, "/"), Duration::ZERO), Err("timed out after 0s".to_owned()));
}

#[test]
fn what_is_no_http_url_fails_without_a_secret_in_the_text() {
    let https = verdict(Probe::Http("https://me:pw@localhost/?t=1".to_owned()), LONG);
    assert_eq!(https, Err("cannot ask https://localhost/: only http:// is supported".to_owned()));
    assert!(verdict(Probe::Http("nonsense".to_owned()), LONG).unwrap_err().starts_with("cannot read the URL nonsense"));
}

#[test]
fn a_hanging_probe_delays_no_other() {
    let (silent, good) = (server(|_| String::new()), server(|_| answer("200 OK")));
    let (pool, verdicts) = pool();
    for round in 0..10 {
        pool.submit(id(round), &http(silent, "/"), LONG).unwrap();
    }
    let start = Instant::now();
    pool.submit(id(99), &http(good, "/"), LONG).unwrap();
    assert_eq!(verdicts.recv_timeout(LONG).unwrap(), (id(99), Ok(())));
    assert!(start.elapsed() < LONG / 4, "{:?}", start.elapsed());
}

/// More of them than there are threads that stay; those that were started for their sake end.
#[test]
fn however_many_hang_others_are_asked_in_time() {
    let (silent, good) = (server(|_| String::new()), server(|_| answer("200 OK")));
    let (pool, verdicts) = pool();
    let hanging = u32::try_from(limits::PROBE_WORKERS).unwrap() * 3;
    for round in 0..hanging {
        pool.submit(id(round), &http(silent, "/"), LONG).unwrap();
    }
    // What was asked at the same moment may be too late; what is asked once a second is not for long.
    let start = Instant::now();
    let asked = |round| {
        pool.submit(id(round), &http(good, "/"), LONG).unwrap();
        verdicts.recv_timeout(limits::PROBE_HELD_UP).is_ok()
    };
    let first = (hanging..).find(|round| asked(*round)).unwrap();
    assert!(start.elapsed() < LONG / 4, "{:?}", start.elapsed());
    // Now that all who hang have their thread, one is enough for the others.
    while verdicts.recv_timeout(limits::PROBE_HELD_UP).is_ok() {}
    let workers = pool.workers();
    for round in first + 1..first + 100 {
        pool.submit(id(round), &http(good, "/"), LONG).unwrap();
        assert_eq!(verdicts.recv_timeout(LONG / 4).unwrap(), (id(round), Ok(())));
    }
    assert!(pool.workers() < workers + 10 && workers > hanging as usize, "{workers}, then {}", pool.workers());
}

#[test]
fn threads_that_were_started_for_those_that_hang_end() {
    let silent = server(|_| String::new());
    let (pool, verdicts) = pool();
    let hanging = u32::try_from(limits::PROBE_WORKERS).unwrap() * 2;
    let deadline = Instant::now() + LONG;
    let mut round = 0;
    while pool.workers() < hanging as usize {
        assert!(Instant::now() < deadline, "{} workers", pool.workers());
        let missing = hanging.saturating_sub(round).max(1);
        (round..round + missing).for_each(|round| pool.submit(id(round), &http(silent, "/"), LONG / 10).unwrap());
        round += missing;
        thread::sleep(limits::PROBE_HELD_UP);
    }
    for _ in 0..round {
        verdicts.recv_timeout(LONG).unwrap().1.unwrap_err();
    }
    // However much there is to do for all of them.
    while pool.workers() > limits::PROBE_WORKERS {
        assert!(Instant::now() < deadline, "{} workers", pool.workers());
        pool.submit(id(round), &Probe::File(PathBuf::from("/")), LONG).unwrap();
        assert_eq!(verdicts.recv_timeout(LONG).unwrap(), (id(round), Ok(())));
    }
    pool.submit(id(round), &Probe::File(PathBuf::from("/")), LONG).unwrap();
    assert_eq!(verdicts.recv_timeout(LONG).unwrap(), (id(round), Ok(())));
    assert_eq!(pool.workers(), limits::PROBE_WORKERS);
}

#[test]
fn probes_beyond_the_workers_wait_inside_their_own_timeout() {
    let silent = server(|_| String::new());
    let (pool, verdicts) = pool();
    let count = u32::try_from(limits::PROBE_WORKERS).unwrap() * 3;
    for round in 0..count {
        pool.submit(id(round), &http(silent, "/"), Duration::from_millis(300)).unwrap();
    }
    for _ in 0..count {
        let (_, verdict) = verdicts.recv_timeout(LONG).unwrap();
        assert_eq!(verdict, Err("timed out after 300ms".to_owned()));
    }
}

#[test]
fn a_full_queue_fails_the_probe_at_once() {
    let silent = server(|_| String::new());
    let (pool, _verdicts) = pool();
    let held = u32::try_from(limits::PROBE_WORKERS_MOST + limits::PROBE_QUEUE).unwrap();
    let refused = |round| pool.submit(id(round), &http(silent, "/"), Duration::from_secs(3)).err();
    let refused: Vec<String> = (0..held + 100).filter_map(refused).collect();
    assert!(refused.len() >= 100 && refused.iter().all(|why| why == "too many probes waiting"), "{refused:?}");
}

#[test]
fn a_file_probe_passes_once_the_file_exists() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("up");
    let missing = Err(format!("{} does not exist", file.display()));
    assert_eq!(verdict(Probe::File(file.clone()), LONG), missing);
    std::fs::write(&file, "").unwrap();
    assert_eq!(verdict(Probe::File(file.clone()), LONG), Ok(()));
    assert_eq!(
        verdict(Probe::File(file.join("below")), LONG),
        Err(format!("cannot look at {}: not a directory", file.join("below").display()))
    );
    assert_eq!(verdict(Probe::File(PathBuf::from("/")), LONG), Ok(()));
}

#[test]
fn a_command_is_refused() {
    let why = verdict(Probe::Command(Command(vec!["true".to_owned()])), LONG).unwrap_err();
    assert_eq!(why, "true is a command; commands don't run on this pool");
}

#[test]
fn threads_are_started_one_for_each_probe_at_a_time() {
    let (pool, verdicts) = pool();
    assert_eq!(pool.workers(), 0);
    for round in 0..50 {
        pool.submit(id(round), &Probe::File(PathBuf::from("/")), LONG).unwrap();
        verdicts.recv_timeout(LONG).unwrap().1.unwrap();
    }
    assert_eq!(pool.workers(), 1);
}

#[test]
fn a_probe_that_panics_is_a_failed_probe_and_the_worker_lives_on() {
    let (pool, verdicts) = pool();
    let port = server(|_| answer("200 OK"));
    for round in 0..3 {
        pool.break_next_probe();
        pool.submit(id(round), &http(port, "/"), LONG).unwrap();
        let why = verdicts.recv_timeout(LONG).unwrap().1.unwrap_err();
        assert!(why.starts_with("the probe broke"), "{why}");
        pool.submit(id(round), &http(port, "/"), LONG).unwrap();
        assert_eq!(verdicts.recv_timeout(LONG).unwrap(), (id(round), Ok(())));
    }
    assert_eq!(pool.workers(), 1);
}
