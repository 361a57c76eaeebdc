//! A program that speaks sd_notify and s6's protocol for readiness: this test binary itself, run by Horust as a service.

#![allow(clippy::print_stdout, clippy::exit, clippy::disallowed_methods, reason = "it is a program of its own")]

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg, sockopt};
use std::fs::File;
use std::io::{IoSlice, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::path::Path;
use std::process::{Command, exit};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// What comes before the steps on the command line. The test harness takes it for the name of a test that is not there.
const PART: &str = "part:";

/// The command of a service that takes these steps one after the other (see `play`) and hangs in the end.
pub fn client(steps: &str) -> String {
    let program = std::env::current_exe().unwrap();
    format!("[{:?}, \"--exact\", \"client::plays_its_part\", \"--nocapture\", {:?}]", program, format!("{PART}{steps}"))
}

/// A service with that command.
pub fn speaks(steps: &str, rest: &str) -> String {
    format!("command = {}\n{rest}\n", client(steps))
}

/// Not a test, but what such a service runs.
#[test]
fn plays_its_part() {
    let Some(steps) = std::env::args().find_map(|arg| arg.strip_prefix(PART).map(str::to_owned)) else { return };
    steps.split(';').map(str::trim).filter(|step| !step.is_empty()).for_each(play);
    loop {
        sleep(Duration::from_secs(1000));
    }
}

fn play(step: &str) {
    let (verb, rest) = step.split_once(' ').unwrap_or((step, ""));
    match verb {
        "say" => send(rest.replace('|', "\n").as_bytes(), &[]),
        "say-big" => send(&[b"READY=1\n".as_slice(), &[b'x'; 65_536]].concat(), &[]),
        "say-garbage" => (0..=255u8).for_each(|byte| send(&[byte, b'\n', 0, byte, 0xff], &[])),
        "say-nothing" => send(b"", &[]),
        "say-address" => send_to(rest),
        "say-often" => (0..rest.parse().unwrap()).for_each(|n| send(format!("STATUS={n}").as_bytes(), &[])),
        // As many descriptors as a message can carry.
        "give-fds" => {
            let null = File::open("/dev/null").unwrap();
            let all = [null.as_raw_fd(); 253];
            (0..rest.parse().unwrap()).for_each(|_| send(b"STATUS=x", &all));
        }
        "give-lingering" => give_lingering(),
        "barrier" => barrier(),
        "newline" => descriptor(rest).write_all(b"ready\n").unwrap(),
        "listen-tcp" => {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            std::fs::write(rest, listener.local_addr().unwrap().port().to_string()).unwrap();
            std::mem::forget(listener);
        }
        "listen-unix" => std::mem::forget(UnixListener::bind(rest).unwrap()),
        "serve-unix" => {
            let listener = UnixListener::bind(rest).unwrap();
            serve(move || listener.accept().unwrap().0);
        }
        "serve-tcp" => {
            let listener = TcpListener::bind(format!("127.0.0.1:{rest}")).unwrap();
            serve(move || listener.accept().unwrap().0);
        }
        "patient" => patient(rest),
        "touch" => drop(File::create(rest).unwrap()),
        // Renamed into place: who waits for it never finds it empty.
        "write-address" => {
            let new = format!("{rest}.new");
            std::fs::write(&new, std::env::var("NOTIFY_SOCKET").unwrap()).unwrap();
            std::fs::rename(new, rest).unwrap();
        }
        "echo" => println!("{rest}"),
        "ping" => loop {
            send(b"WATCHDOG=1", &[]);
            sleep(Duration::from_millis(rest.parse().unwrap()));
        },
        "echo-watchdog" => println!("every {} us", std::env::var("WATCHDOG_USEC").unwrap()),
        "await" => await_file(rest),
        "pause" => sleep(Duration::from_millis(rest.parse().unwrap())),
        // A child that outlives us does the rest, and is the main process from now on.
        "hand-over" => {
            let child = part(rest);
            send(format!("MAINPID={}", child.id()).as_bytes(), &[]);
            exit(0);
        }
        "child" => assert!(part(rest).wait().unwrap().success()),
        "exit" => exit(rest.parse().unwrap()),
        other => panic!("no such step: {other}"),
    }
}

/// This program, with other steps: `+` stands for `;`.
fn part(steps: &str) -> std::process::Child {
    let args = std::env::args()
        .map(|arg| if arg.starts_with(PART) { format!("{PART}{}", steps.replace('+', ";")) } else { arg });
    let args: Vec<String> = args.collect();
    Command::new(&args[0]).args(&args[1..]).spawn().unwrap()
}

fn address() -> SocketAddr {
    SocketAddr::from_abstract_name(std::env::var("NOTIFY_SOCKET").unwrap().strip_prefix('@').unwrap()).unwrap()
}

fn send(text: &[u8], fds: &[i32]) {
    let socket = UnixDatagram::unbound().unwrap();
    socket.connect_addr(&address()).unwrap();
    let rights = [ControlMessage::ScmRights(fds)];
    let control = if fds.is_empty() { &rights[..0] } else { &rights[..] };
    match sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(text)], control, MsgFlags::empty(), None) {
        Ok(_) => {}
        // Larger than the socket's buffer.
        Err(nix::Error::EMSGSIZE) => println!("too big"),
        Err(e) => panic!("cannot send: {e}"),
    }
}

/// To an address that was written to a file.
fn send_to(file: &str) {
    await_file(file);
    say_ready(&std::fs::read_to_string(file).unwrap());
}

/// READY=1, from whoever calls.
pub fn say_ready(address: &str) {
    let address = SocketAddr::from_abstract_name(address.strip_prefix('@').unwrap()).unwrap();
    UnixDatagram::unbound().unwrap().send_to_addr(b"READY=1", &address).unwrap();
}

/// sd_notify_barrier(3): the descriptor is closed once all that was said before has been read.
fn barrier() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    send(b"BARRIER=1", &[writer.as_raw_fd()]);
    drop(writer);
    assert_eq!(reader.read(&mut [0]).unwrap(), 0);
}

/// A connection whose last close(2) waits for longer than any test, for nobody reads what was written to it.
fn give_lingering() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (peer, _) = listener.accept().unwrap();
    stream.set_nonblocking(true).unwrap();
    while stream.write(&[0; 65_536]).is_ok() {}
    stream.set_nonblocking(false).unwrap();
    let linger = nix::libc::linger { l_onoff: 1, l_linger: 100 };
    nix::sys::socket::setsockopt(&stream, sockopt::Linger, &linger).unwrap();
    send(b"STATUS=x", &[stream.as_raw_fd()]);
    std::mem::forget(peer);
}

/// Answers every request with 200.
fn serve<S: Read + Write>(accept: impl Fn() -> S + Send + 'static) {
    let body = move || {
        loop {
            let mut stream = accept();
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                head.push(byte[0]);
            }
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }
    };
    std::thread::Builder::new().spawn(body).unwrap();
}

/// A server that is as the file `state` says: well, sick or hung.
fn patient(target: &str) {
    let (kind, address) = target.split_once(' ').unwrap();
    std::fs::write("state", "well").unwrap();
    match kind {
        "http" => {
            let listener = TcpListener::bind(address).unwrap();
            answer(move || listener.accept().unwrap().0);
        }
        "http-unix" => {
            let _ = std::fs::remove_file(address);
            let listener = UnixListener::bind(address).unwrap();
            answer(move || listener.accept().unwrap().0);
        }
        "tcp" => open_and_close(|| TcpListener::bind(address)),
        "unix" => open_and_close(|| {
            let _ = std::fs::remove_file(address);
            UnixListener::bind(address)
        }),
        "file" => {
            open_and_close(|| Ok::<_, std::io::Error>(Marker(File::create(address).map(|_| address.into()).unwrap())))
        }
        other => panic!("no such patient: {other}"),
    }
}

/// A file that is there as long as this.
struct Marker(std::path::PathBuf);

impl Drop for Marker {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn state() -> String {
    std::fs::read_to_string("state").unwrap_or_default()
}

/// There while it is well.
fn open_and_close<T>(open: impl Fn() -> std::io::Result<T>) {
    let mut held = None;
    loop {
        match (state() == "well", held.is_some()) {
            (true, false) => held = open().ok(),
            (false, true) => held = None,
            _ => sleep(Duration::from_millis(1)),
        }
    }
}

/// 200 while it is well, 503 while it is sick, and nothing while it hangs.
fn answer<S: Read + Write + Send + 'static>(accept: impl Fn() -> S) {
    let mut hung = Vec::new();
    loop {
        let mut stream = accept();
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
            head.push(byte[0]);
        }
        let code = match state().as_str() {
            "well" => "200 OK",
            "hung" => {
                hung.push(stream);
                continue;
            }
            _ => "503 Busy",
        };
        let _ = stream.write_all(format!("HTTP/1.1 {code}\r\nContent-Length: 0\r\n\r\n").as_bytes());
    }
}

fn descriptor(number: &str) -> File {
    // SAFETY: inherited from Horust, and used by nobody else in this process.
    #[allow(unsafe_code)]
    File::from(unsafe { OwnedFd::from_raw_fd(number.parse().unwrap()) })
}

fn await_file(name: &str) {
    let deadline = Instant::now() + crate::support::LONG;
    while !Path::new(name).exists() {
        assert!(Instant::now() < deadline, "never: {name}");
        sleep(Duration::from_millis(2));
    }
}
