//! The API: whatever a client sends, it gets an answer of HTTP or none, none of them says that Horust has failed, and the next
//! client is served.
#![no_main]

use horust::control::{Answer, Desk, Door, Gate, NoAnswer, Question, serve};
use horust::model::{Mono, Plan};
use libfuzzer_sys::fuzz_target;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// A server whose runtime thread knows no service.
static SOCKET: LazyLock<PathBuf> = LazyLock::new(|| {
    let path = tempfile::tempdir_in("/dev/shm").unwrap().keep().join("socket");
    let plan = Arc::new(Plan::default());
    let (calls, questions) = crossbeam_channel::bounded(horust::limits::CALLS);
    let plans = tokio::sync::watch::Sender::new(Arc::clone(&plan));
    let desk = Desk {
        plan,
        plans: plans.subscribe(),
        calls,
        steps: Arc::default(),
        pids: Arc::default(),
        usage: |_| Default::default(),
        read_output: Arc::new(|_, reply| {
            reply(vec![]);
            Ok(())
        }),
        output_news: Arc::default(),
        event_news: Arc::default(),
        reload: Arc::new(|_| Err(NoAnswer::Stopping)),
        lost: Default::default,
        orphans: Arc::default(),
        started: std::time::SystemTime::now(),
    };
    let gate: Gate = Box::new(|_| Ok(()));
    let server = serve(vec![Door::Socket(UnixListener::bind(&path).unwrap(), gate)], desk).unwrap();
    std::thread::spawn(move || {
        let _kept = (server, plans);
        for call in questions {
            if let Question::Services(_, reply) = call.question {
                let _gone = reply.send(Answer { now: Mono(1), up: true, services: vec![] });
            }
        }
    });
    path
});

fuzz_target!(|data: &[u8]| {
    let mut stream = UnixStream::connect(&*SOCKET).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    // It may have closed the connection already.
    let _ = stream.write_all(data);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _followed_or_ended = (&stream).take(1 << 20).read_to_end(&mut answer);
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1."), "{:?}", String::from_utf8_lossy(&answer));
    assert!(!answer.starts_with(b"HTTP/1.1 500"), "{:?}", String::from_utf8_lossy(&answer));
});
