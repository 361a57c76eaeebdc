//! Probes that connect to TCP addresses and to sockets in the file system.

use super::{LONG, answer, server, verdict};
use crate::model::Probe;
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

fn tcp(address: String) -> Result<(), String> {
    verdict(Probe::Tcp(address), LONG)
}

fn ask(socket: &Path, path: &str, timeout: Duration) -> Result<(), String> {
    verdict(Probe::HttpUnix { socket: socket.to_owned(), path: path.to_owned() }, timeout)
}

/// Answers each connection at this socket by a function of its request's head; an empty answer is silence.
fn unix_server(path: &Path, answer: impl Fn(&str) -> String + Send + 'static) {
    let listener = UnixListener::bind(path).unwrap();
    let serve = move || {
        let mut silent: Vec<UnixStream> = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                head.push(byte[0]);
            }
            match answer(&String::from_utf8_lossy(&head)) {
                text if text.is_empty() => silent.push(stream),
                text => drop(stream.write_all(text.as_bytes())),
            }
        }
    };
    thread::Builder::new().spawn(serve).unwrap();
}

#[test]
fn a_port_that_accepts_passes_and_a_closed_one_does_not() {
    let port = server(|_| String::new());
    assert_eq!(tcp(format!("127.0.0.1:{port}")), Ok(()));
    assert_eq!(tcp(format!("localhost:{port}")), Ok(()));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = listener.local_addr().unwrap();
    drop(listener);
    assert_eq!(tcp(closed.to_string()), Err(format!("cannot connect to {closed}: connection refused")));
    assert!(tcp(format!("localhost:{}", closed.port())).unwrap_err().contains("connection refused"));
    let nowhere = tcp("no-such-host.invalid:1".to_owned()).unwrap_err();
    assert!(nowhere.starts_with("cannot look up no-such-host.invalid:1: "), "{nowhere}");
}

#[test]
fn localhost_is_asked_for_both_kinds_of_address() {
    // Where there is no IPv6 this can't be shown.
    let Ok(listener) = TcpListener::bind("[::1]:0") else { return };
    let port = listener.local_addr().unwrap().port();
    assert_eq!(tcp(format!("localhost:{port}")), Ok(()));
    assert_eq!(tcp(format!("[::1]:{port}")), Ok(()));
}

#[test]
fn a_socket_that_accepts_passes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.sock");
    let probe = |path: PathBuf| verdict(Probe::Unix(path), LONG);
    let cannot = |why: &str| Err(format!("cannot connect to {}: {why}", path.display()));
    assert_eq!(probe(path.clone()), cannot("no such file or directory"));
    let listener = UnixListener::bind(&path).unwrap();
    assert_eq!(probe(path.clone()), Ok(()));
    drop(listener);
    assert_eq!(probe(path.clone()), cannot("connection refused"));
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "").unwrap();
    assert_eq!(probe(path.clone()), cannot("connection refused"));
}

/// A server whose queue of connections is full does not answer at all: the kernel drops what comes.
#[test]
fn a_port_that_accepts_nobody_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listen(&listener, Backlog::new(0).unwrap()).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let probe = || verdict(Probe::Tcp(address.clone()), Duration::from_millis(200));
    let seen = (0..5).map(|_| probe()).find(Result::is_err);
    assert_eq!(seen, Some(Err("timed out after 200ms".to_owned())));
}

/// A blocking connect(2) would wait for ever for a server that hangs.
#[test]
fn a_server_that_accepts_nobody_fails_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hung.sock");
    let fd: OwnedFd = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    bind(fd.as_raw_fd(), &UnixAddr::new(&path).unwrap()).unwrap();
    listen(&fd, Backlog::new(0).unwrap()).unwrap();
    let start = Instant::now();
    let mut seen = Ok(());
    for _ in 0..5 {
        seen = verdict(Probe::Unix(path.clone()), LONG);
        if seen.is_err() {
            break;
        }
    }
    assert_eq!(seen, Err(format!("cannot connect to {}: nobody accepts its connections", path.display())));
    assert!(start.elapsed() < LONG / 4);
}

#[test]
fn http_through_a_socket() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.sock");
    unix_server(&path, |head| match head {
        h if h.starts_with("HEAD /405 ") => answer("405 No"),
        h if h.starts_with("GET /405 ") && h.contains("\r\nHost: localhost\r\n") => answer("204 No Content"),
        h if h.starts_with("HEAD /up?full=1 HTTP/1.1\r\n") => "HTTP/1.0 200\r\n\r\n".to_owned(),
        h if h.starts_with("HEAD /away ") => answer("301 Moved"),
        h if h.starts_with("HEAD /garbage ") => "what?\r\n".to_owned(),
        h if h.starts_with("HEAD /long ") => "x".repeat(100_000),
        h if h.starts_with("HEAD /code ") => answer("2000 OK"),
        h if h.starts_with("HEAD /silent ") => String::new(),
        _ => answer("503 Busy"),
    });
    assert_eq!(ask(&path, "/up?full=1", LONG), Ok(()));
    assert_eq!(ask(&path, "/405", LONG), Ok(()));
    assert_eq!(ask(&path, "/else", LONG), Err("answered 503".to_owned()));
    let away = "answered 301 and leads elsewhere, which a probe does not follow";
    assert_eq!(ask(&path, "/away", LONG), Err(away.to_owned()));
    for garbage in ["/garbage", "/long", "/code"] {
        let why = format!("no proper HTTP answer from {}", path.display());
        assert_eq!(ask(&path, garbage, LONG), Err(why), "{garbage}");
    }
    let silent = ask(&path, "/silent", Duration::from_millis(200));
    assert_eq!(silent, Err("timed out after 200ms".to_owned()));
    assert!(ask(&dir.path().join("none"), "/", LONG).unwrap_err().starts_with("cannot connect to "));
}
