//! Probes that connect: to a TCP address, to a socket in the file system, and HTTP through the latter. `Err(None)` means
//! that the deadline passed. A connection is closed at once; nothing is kept.

use super::pool::plain;
use crate::connect;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// A status line is some twenty bytes; a server that sends more than this without a newline does not speak HTTP.
const STATUS_LINE: usize = 1024;

/// Connects to one of the addresses of `address`. (A name other than `localhost` is looked up first, which can take longer
/// than the deadline; the probe has failed by then.)
pub(super) fn tcp(address: &str, deadline: Instant) -> Result<(), Option<String>> {
    let mut failure = None;
    for address in addresses(address).map_err(|e| format!("cannot look up {address}: {}", plain(&e)))? {
        let Some(left) = left(deadline) else { return Err(None) };
        match TcpStream::connect_timeout(&address, left) {
            Ok(_closed_at_once) => return Ok(()),
            Err(e) if is_timeout(&e) => {}
            Err(e) => failure = Some(format!("cannot connect to {address}: {}", plain(&e))),
        }
    }
    Err(failure)
}

fn addresses(address: &str) -> io::Result<Vec<SocketAddr>> {
    // RFC 6761, section 6.3, without asking anybody.
    if let Some(port) = address.strip_prefix("localhost:").and_then(|port| port.parse::<u16>().ok()) {
        return Ok(vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()]);
    }
    address.to_socket_addrs().map(Iterator::collect)
}

/// Connects to the socket at `path`.
pub(super) fn unix(path: &Path) -> Result<(), Option<String>> {
    connected(path).map(drop)
}

fn connected(path: &Path) -> Result<UnixStream, Option<String>> {
    connect::unix(path).map_err(|error| {
        let why = match error.kind() {
            io::ErrorKind::WouldBlock => "nobody accepts its connections".to_owned(),
            _ => plain(&error),
        };
        Some(format!("cannot connect to {}: {why}", path.display()))
    })
}

/// Asks the server at this socket for a 2xx answer: HEAD, or GET where HEAD is not allowed.
pub(super) fn http(path: &Path, target: &str, deadline: Instant) -> Result<(), Option<String>> {
    let mut status = ask(path, "HEAD", target, deadline)?;
    if matches!(status, 405 | 501) {
        status = ask(path, "GET", target, deadline)?;
    }
    match status {
        200..=299 => Ok(()),
        300..=399 => Err(Some(format!("answered {status} and leads elsewhere, which a probe does not follow"))),
        _ => Err(Some(format!("answered {status}"))),
    }
}

fn ask(path: &Path, method: &str, target: &str, deadline: Instant) -> Result<u16, Option<String>> {
    let broken = |e: io::Error| match is_timeout(&e) {
        true => None,
        false => Some(format!("no proper HTTP answer from {}: {}", path.display(), plain(&e))),
    };
    let mut stream = connected(path)?;
    let agent = concat!("horust/", env!("CARGO_PKG_VERSION"));
    let request =
        format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: {agent}\r\nConnection: close\r\n\r\n");
    stream.set_write_timeout(Some(left(deadline).ok_or(None)?)).map_err(broken)?;
    stream.write_all(request.as_bytes()).map_err(broken)?;
    let mut head = Vec::new();
    let mut buffer = [0; 256];
    while !head.contains(&b'\n') && head.len() < STATUS_LINE {
        stream.set_read_timeout(Some(left(deadline).ok_or(None)?)).map_err(broken)?;
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => head.extend_from_slice(buffer.get(..count).unwrap_or_default()),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(broken(e)),
        }
    }
    status(&head).ok_or_else(|| Some(format!("no proper HTTP answer from {}", path.display())))
}

/// The code in the first line: `HTTP/1.1 200 OK`.
fn status(head: &[u8]) -> Option<u16> {
    let line = String::from_utf8_lossy(head.split(|byte| *byte == b'\n').next()?);
    let mut words = line.split_ascii_whitespace();
    let (version, code) = (words.next()?, words.next()?);
    if !version.starts_with("HTTP/1.") || code.len() != 3 {
        return None;
    }
    code.parse().ok()
}

fn left(deadline: Instant) -> Option<Duration> {
    Some(deadline.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
}

fn is_timeout(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
