//! One request over one connection, and its answer (HTTP/1.1: RFC 9112). A client of reqwest or hyper brings a runtime, and
//! the former a thread too: they take longer to start than a command takes to be carried out.

use crate::connect;
use hyper::{Method, StatusCode};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Of an answer's head no line is longer than this, in bytes, ...
const LINE: u64 = 16 << 10;
/// ... and it has no more lines.
const LINES: usize = 100;

/// The answer. It is read as it comes; `UnexpectedEof` means that it has broken off.
pub struct Answer<S = UnixStream> {
    /// What has become of the request.
    pub status: StatusCode,
    stream: BufReader<S>,
    /// What is still to come of the body, or of the chunk of it, in bytes.
    left: u64,
    more_chunks: bool,
}

/// Asks whoever listens at `socket` for `target`, a path with its query, and waits no longer than `patience` for each piece
/// of the answer.
pub fn ask(socket: &Path, method: &Method, target: &str, patience: Option<Duration>) -> io::Result<Answer> {
    let mut stream = connect::unix(socket)?;
    stream.set_read_timeout(patience)?;
    let length = if method == Method::GET { "" } else { "content-length: 0\r\n" };
    let head = format!("{method} {target} HTTP/1.1\r\nhost: horust\r\nconnection: close\r\n{length}\r\n");
    stream.write_all(head.as_bytes())?;
    Answer::read_head(stream)
}

impl<S: Read> Answer<S> {
    fn read_head(stream: S) -> io::Result<Answer<S>> {
        let mut stream = BufReader::new(stream);
        let status = line(&mut stream)?;
        let status = status.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)).and_then(|code| code.parse().ok());
        let status = status.ok_or_else(not_http)?;
        let (mut length, mut more_chunks) = (None, false);
        let mut lines = 0..LINES;
        loop {
            lines.next().ok_or_else(not_http)?;
            let header = line(&mut stream)?.to_ascii_lowercase();
            match header.split_once(':').map(|(name, value)| (name, value.trim())) {
                Some(("content-length", value)) => length = value.parse().ok(),
                Some(("transfer-encoding", value)) => more_chunks = value == "chunked",
                Some(_) => {}
                None if header.is_empty() => break,
                None => return Err(not_http()),
            }
        }
        // One without either would go on to the end of the connection: what has broken off would look whole.
        let left = if more_chunks { 0 } else { length.ok_or_else(not_http)? };
        Ok(Answer { status, stream, left, more_chunks })
    }

    /// Reads how long the next chunk is. The last one has none.
    fn next_chunk(&mut self) -> io::Result<()> {
        let size = line(&mut self.stream)?;
        let size = size.split(';').next().unwrap_or_default().trim_end();
        self.left = u64::from_str_radix(size, 16).map_err(|_| not_http())?;
        self.more_chunks = self.left > 0;
        Ok(())
    }
}

impl<S: Read> Read for Answer<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 && self.more_chunks {
            self.next_chunk()?;
        }
        let read = self.stream.by_ref().take(self.left).read(buffer)?;
        self.left -= read as u64;
        match (read, self.left, self.more_chunks) {
            (0, 1.., _) if !buffer.is_empty() => return Err(ErrorKind::UnexpectedEof.into()),
            // A chunk ends with an end of line.
            (1.., 0, true) if !line(&mut self.stream)?.is_empty() => return Err(not_http()),
            _ => {}
        }
        Ok(read)
    }
}

/// The next line, without its end.
fn line(stream: &mut BufReader<impl Read>) -> io::Result<String> {
    let mut line = String::new();
    stream.take(LINE).read_line(&mut line)?;
    match line.strip_suffix('\n') {
        Some(text) => Ok(text.strip_suffix('\r').unwrap_or(text).to_owned()),
        None if line.len() as u64 == LINE => Err(not_http()),
        None => Err(ErrorKind::UnexpectedEof.into()),
    }
}

fn not_http() -> io::Error {
    io::Error::new(ErrorKind::InvalidData, "what it says is not HTTP")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn read(text: &str) -> io::Result<(u16, String)> {
        let mut answer = Answer::read_head(text.as_bytes())?;
        let mut body = String::new();
        answer.read_to_string(&mut body)?;
        Ok((answer.status.as_u16(), body))
    }

    #[test]
    fn a_body_is_counted_or_comes_in_chunks() {
        assert_eq!(read("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}more").unwrap(), (200, "{}".to_owned()));
        assert_eq!(read("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").unwrap(), (404, String::new()));
        let chunks = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n1;x=y\r\n!\r\n0\r\n\r\n";
        assert_eq!(read(chunks).unwrap(), (200, "hello!".to_owned()));
    }

    #[test]
    fn what_breaks_off_is_told_from_what_ends() {
        for text in [
            "",
            "HTTP/1.1 200 OK\r\ncontent-",
            "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel",
        ] {
            assert_eq!(read(text).unwrap_err().kind(), ErrorKind::UnexpectedEof, "{text}");
        }
    }

    #[test]
    fn what_is_not_http_is_refused() {
        let long = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(20_000));
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(200));
        let endless = "x".repeat(20_000);
        for text in [
            "220 mail.example.org ESMTP\r\n",
            "HTTP/1.1 abc\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\nto the end",
            "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfive\r\nhello",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello!\r\n",
            &long,
            &endless,
            &many,
        ] {
            assert_eq!(read(text).unwrap_err().kind(), ErrorKind::InvalidData, "{text:.100}");
        }
    }
}
