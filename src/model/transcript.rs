//! What a service has written, as those get it who read it again. Plain data; the logger keeps it.

use std::sync::Arc;
use std::time::Duration;

/// A stream of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

impl Stream {
    /// As it is written in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Stream::Out => "stdout",
            Stream::Err => "stderr",
        }
    }
}

/// Where to begin to read. A place is the number of bytes that have been written before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At this place.
    At(u64),
    /// So that at most these last lines come, none of them older than this time (since 1970).
    Latest {
        /// How many; all if none.
        lines: Option<u64>,
        /// From when on; always if none.
        since: Option<Duration>,
    },
}

/// What somebody wants to read of one service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Its name.
    pub service: Arc<str>,
    /// From there ...
    pub start: Start,
    /// ... to this place at most ...
    pub end: u64,
    /// ... and so many bytes.
    pub most: usize,
}

/// Lines of one stream that were read at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// When, since 1970.
    pub time: Duration,
    /// Which.
    pub stream: Stream,
    /// Whole lines with their newlines; only a part of a long line has none at its end.
    pub text: Vec<u8>,
}

/// What a reader gets of one service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// What there is, the oldest first.
    pub pieces: Vec<Piece>,
    /// How many lines lie between the beginning and the end, for who asked for the latest ones.
    pub lines: u64,
    /// The place to go on reading at.
    pub next: u64,
    /// The place up to which there is something.
    pub end: u64,
    /// How many bytes were asked for but are gone.
    pub lost: u64,
}

/// Text for bytes that are none: a byte that is no UTF-8 becomes `\xNN`, a backslash two, so that nothing is lost.
pub fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().saturating_add(16));
    for chunk in bytes.utf8_chunks() {
        text.push_str(&chunk.valid().replace('\\', "\\\\"));
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02x}")));
    }
    text
}

/// The bytes that [`escaped`] has made text of.
pub fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend(before.as_bytes());
        let number = after.strip_prefix('x').and_then(|after| after.get(..2));
        match number.and_then(|number| u8::from_str_radix(number, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                bytes.push(b'\\');
                rest = after.strip_prefix('\\').unwrap_or(after);
            }
        }
    }
    bytes.extend(rest.as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_being_text() {
        let all: Vec<u8> = (0..=255).chain(*b"a\\x41 \\\\ \xff\\").collect();
        assert_eq!(unescaped(&escaped(&all)), all);
        assert_eq!(escaped(b"a\\\xffb\xc3"), "a\\\\\\xffb\\xc3");
        assert_eq!(unescaped("\\q\\x4"), b"\\q\\x4");
    }
}
