//! An HTTP client of twenty lines: what these tests ask needs no more, and a client of its own shows that the answers do not
//! come from Horust's.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// An answer of a web server.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: String,
}

/// Asks for a page on this port; none if nobody answers properly.
pub fn get(port: u16, path: &str) -> Option<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(crate::support::LONG)).ok()?;
    stream.set_write_timeout(Some(Duration::from_secs(10))).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, body: body.to_owned() })
}
