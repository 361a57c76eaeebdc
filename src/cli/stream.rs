//! Answers that go on and on: server-sent events, as they come. Nothing is kept of them.

use super::client::{Client, Failure};
use hyper::Method;
use std::io::{self, BufRead, BufReader, BufWriter, Read, StdoutLock, Write};

/// What people see of it. Once nobody reads it any more there is no reason to go on.
pub struct Screen(BufWriter<StdoutLock<'static>>);

impl Screen {
    /// Standard output.
    pub fn new() -> Screen {
        Screen(BufWriter::new(io::stdout().lock()))
    }

    /// Writes something. It is seen after the next [`flush`](Screen::flush) at the latest.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    /// Shows what was written.
    pub fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Asks for server-sent events and hands on each: its kind and its data. It ends when Horust does, or when there is nobody to
/// show anything to.
pub fn follow(
    client: &Client,
    path: &str,
    query: &[(&str, &str)],
    screen: &mut Screen,
    mut each: impl FnMut(&mut Screen, &str, &str) -> io::Result<()>,
) -> Result<(), Failure> {
    let answer = client.send(Method::GET, path, query)?;
    let mut events = Events { lines: BufReader::new(answer), kind: String::new(), data: String::new() };
    loop {
        match events.next() {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(_) => return Err(client.broken_off()),
        }
        let shown = each(screen, &events.kind, &events.data);
        // While more is at hand, it is shown together.
        let waits = events.lines.buffer().is_empty();
        if shown.and_then(|()| if waits { screen.flush() } else { Ok(()) }).is_err() {
            return Ok(());
        }
    }
}

struct Events<R> {
    lines: BufReader<R>,
    kind: String,
    data: String,
}

impl<R: Read> Events<R> {
    /// Reads the next event. False at the end.
    fn next(&mut self) -> io::Result<bool> {
        self.kind.clear();
        self.data.clear();
        let mut line = String::new();
        loop {
            line.clear();
            if self.lines.read_line(&mut line)? == 0 {
                return Ok(false);
            }
            let text = line.trim_end_matches(['\r', '\n']);
            match text.split_once(": ") {
                Some(("event", kind)) => kind.clone_into(&mut self.kind),
                Some(("data", data)) => data.clone_into(&mut self.data),
                _ if text.is_empty() && !self.data.is_empty() => return Ok(true),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn events_are_told_apart() {
        let text =
            ":\n\nevent: log\nid: 7\ndata: {\"a\": 1}\n\n:\n\nevent: note\r\ndata: x\r\n\r\nevent: log\ndata: cut";
        let mut events = Events { lines: BufReader::new(text.as_bytes()), kind: String::new(), data: String::new() };
        let mut seen = Vec::new();
        while events.next().unwrap() {
            seen.push((events.kind.clone(), events.data.clone()));
        }
        assert_eq!(seen, [("log", "{\"a\": 1}"), ("note", "x")].map(|(kind, data)| (kind.to_owned(), data.to_owned())));
    }
}
