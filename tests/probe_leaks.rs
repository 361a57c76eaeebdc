//! Guards against probes that leak: file descriptors (a known failure of another supervisor over a day of probes) or
//! threads. It is a process of its own, so that no other test opens files beside it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use horust::healthcheck::Pool;
use horust::model::{Probe, ProbeId, RunId, ServiceId};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

fn entries(dir: &str) -> usize {
    std::fs::read_dir(dir).unwrap().count()
}

#[test]
fn five_hundred_probes_leak_no_file_descriptor_and_no_thread() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let up = listener.local_addr().unwrap().port();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let hanging = silent.local_addr().unwrap().port();
    thread::Builder::new()
        .spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 1024]);
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
            }
        })
        .unwrap();

    let (send, verdicts) = channel();
    let pool = Pool::new(move |_, verdict| send.send(verdict).unwrap());
    let round = |round: u32| {
        let id = ProbeId { run: RunId { service: ServiceId(0), generation: 1 }, round, ready: false, probe: 0 };
        for port in [up, up, closed, hanging] {
            pool.submit(id, &Probe::Http(format!("http://localhost:{port}/")), Duration::from_millis(50)).unwrap();
        }
        for _ in 0..4 {
            verdicts.recv_timeout(Duration::from_secs(20)).unwrap().ok();
        }
    };
    round(0);
    let (fds, threads) = (entries("/proc/self/fd"), entries("/proc/self/task"));
    for n in 1..125 {
        round(n);
        // What hung is closed by the client; take it off the listener's queue, and drop it.
        drop(silent.accept().unwrap());
    }
    // A worker that has just reported may still be closing its socket.
    for _ in 0..1000 {
        if entries("/proc/self/fd") <= fds {
            break;
        }
        thread::yield_now();
    }
    let (fds_now, threads_now) = (entries("/proc/self/fd"), entries("/proc/self/task"));
    assert!(fds_now <= fds + 2, "{fds_now} file descriptors, {fds} after the first round");
    assert!(threads_now <= threads + 3, "{threads_now} threads, {threads} after the first round");
}
