//! The latest output of a service in memory: whole lines of both streams, in the order in which they came, in bounded
//! space. The oldest goes first. It is written by the logger thread alone.

use crate::limits;
use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

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

/// Lines of one stream that were read at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// When.
    pub time: SystemTime,
    /// Which.
    pub stream: Stream,
    /// Whole lines with their newlines; only a line that was never ended, or is passed on in parts, has none.
    pub text: Vec<u8>,
}

/// What a reader gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// What there is, the oldest first.
    pub pieces: Vec<Piece>,
    /// Where to go on reading.
    pub next: u64,
    /// How many bytes before these were asked for but are gone.
    pub lost: u64,
}

struct Mark {
    time: SystemTime,
    stream: Stream,
    length: usize,
}

/// See above.
pub struct Ring {
    /// As large as it may become; its pages cost nothing before they are written to.
    bytes: Vec<u8>,
    /// Where the next byte goes.
    head: usize,
    /// What is in it, the oldest first.
    marks: VecDeque<Mark>,
    held: usize,
    /// The oldest line that is held has lost its beginning.
    torn: bool,
    /// All bytes that were ever put in.
    total: u64,
}

/// Lines that come closer together than this are told as one piece.
const TOGETHER: Duration = Duration::from_millis(1);

impl Ring {
    /// An empty one that holds so many bytes.
    pub fn new(capacity: usize) -> Ring {
        Ring { bytes: vec![0; capacity], head: 0, marks: VecDeque::new(), held: 0, torn: false, total: 0 }
    }

    /// Keeps these lines.
    pub fn push(&mut self, time: SystemTime, stream: Stream, text: &[u8]) {
        let capacity = self.bytes.len();
        // Of more than it can hold, the end.
        let whole = text;
        let text = text.get(text.len().saturating_sub(capacity)..).unwrap_or_default();
        if text.is_empty() {
            self.total = self.total.saturating_add(whole.len() as u64);
            return;
        }
        self.make_room(capacity.saturating_sub(text.len()));
        if self.held == 0 {
            let before = whole.len().checked_sub(text.len().saturating_add(1)).and_then(|at| whole.get(at));
            self.torn = before.is_some_and(|byte| *byte != b'\n');
        }
        let (first, second) = text.split_at_checked(capacity.saturating_sub(self.head)).unwrap_or((text, &[]));
        self.copy_in(first);
        self.copy_in(second);
        self.held = self.held.saturating_add(text.len());
        self.total = self.total.saturating_add(whole.len() as u64);
        match self.marks.back_mut() {
            Some(last)
                if last.stream == stream && time.duration_since(last.time).is_ok_and(|since| since < TOGETHER) =>
            {
                last.length = last.length.saturating_add(text.len());
            }
            _ => self.marks.push_back(Mark { time, stream, length: text.len() }),
        }
    }

    fn copy_in(&mut self, text: &[u8]) {
        let end = self.head.saturating_add(text.len());
        if let Some(place) = self.bytes.get_mut(self.head..end) {
            place.copy_from_slice(text);
            self.head = if end == self.bytes.len() { 0 } else { end };
        }
    }

    /// Forgets the oldest until no more than this is held.
    fn make_room(&mut self, keep: usize) {
        while self.held > keep || self.marks.len() >= limits::OUTPUT_PIECES {
            let excess = if self.held > keep { self.held.saturating_sub(keep) } else { usize::MAX };
            let Some(oldest) = self.marks.front_mut() else { return };
            let gone = excess.min(oldest.length);
            oldest.length = oldest.length.saturating_sub(gone);
            let done = oldest.length == 0;
            self.held = self.held.saturating_sub(gone);
            if done {
                self.marks.pop_front();
            }
            let first = self.held_from();
            self.torn = !done && self.copy_out(first.saturating_sub(1), first) != b"\n";
        }
    }

    /// What was put in after the first `from` bytes, as far as it is still there; at most the last `most` bytes of it.
    pub fn read(&self, from: u64, most: usize) -> Reading {
        let first = self.held_from();
        let least = self.total.saturating_sub(most as u64);
        let mut reading = Reading { pieces: Vec::new(), next: self.total, lost: first.saturating_sub(from) };
        let start = first.max(from).max(least);
        let mut at = first;
        for mark in &self.marks {
            let end = at.saturating_add(mark.length as u64);
            if end > start {
                let mut text = self.copy_out(at.max(start), end);
                // What is left of a line is no line.
                let torn = match at < start {
                    true => self.copy_out(start.saturating_sub(1), start) != b"\n",
                    false => at == first && self.torn,
                };
                if torn {
                    let cut = memchr::memchr(b'\n', &text).map_or(0, |newline| newline.saturating_add(1));
                    text.drain(..cut);
                }
                if !text.is_empty() {
                    reading.pieces.push(Piece { time: mark.time, stream: mark.stream, text });
                }
            }
            at = end;
        }
        reading
    }

    /// The count of bytes before the oldest that is held.
    fn held_from(&self) -> u64 {
        self.total.saturating_sub(self.held as u64)
    }

    /// The bytes from one count to another, which are held.
    fn copy_out(&self, from: u64, to: u64) -> Vec<u8> {
        let back = |count: u64| usize::try_from(self.total.saturating_sub(count)).unwrap_or(usize::MAX);
        let capacity = self.bytes.len();
        let place = |count: u64| {
            let back = back(count);
            if back <= self.head {
                self.head.saturating_sub(back)
            } else {
                self.head.saturating_add(capacity).saturating_sub(back)
            }
        };
        let length = back(from).saturating_sub(back(to));
        let start = place(from);
        let first = self.bytes.get(start..start.saturating_add(length).min(capacity)).unwrap_or_default();
        let second = self.bytes.get(..length.saturating_sub(first.len())).unwrap_or_default();
        [first, second].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(ms)
    }

    fn shown(reading: &Reading) -> String {
        reading.pieces.iter().map(|piece| String::from_utf8_lossy(&piece.text).into_owned()).collect()
    }

    #[test]
    fn the_latest_lines_are_kept_in_their_order() {
        let mut ring = Ring::new(20);
        ring.push(at(0), Stream::Out, b"one\n");
        ring.push(at(5), Stream::Err, b"two\n");
        ring.push(at(5), Stream::Err, b"three\n");
        let all = ring.read(0, usize::MAX);
        assert_eq!((shown(&all).as_str(), all.next, all.lost), ("one\ntwo\nthree\n", 14, 0));
        assert_eq!(all.pieces.iter().map(|p| p.stream).collect::<Vec<_>>(), [Stream::Out, Stream::Err]);
        ring.push(at(9), Stream::Out, b"four\nfive\n");
        // Of 24 bytes 20 are held: `one\n` is gone as a whole.
        let rest = ring.read(0, usize::MAX);
        assert_eq!((rest.next, rest.lost), (24, 4));
        assert_eq!(shown(&rest), "two\nthree\nfour\nfive\n");
        ring.push(at(20), Stream::Out, b"6\n");
        // Of `two` a part is left, which is no line.
        assert_eq!(shown(&ring.read(0, usize::MAX)), "three\nfour\nfive\n6\n");
        assert_eq!(shown(&ring.read(14, usize::MAX)), "four\nfive\n6\n");
        assert_eq!(shown(&ring.read(26, usize::MAX)), "");
        assert_eq!(shown(&ring.read(0, 9)), "five\n6\n");
    }

    #[test]
    fn it_holds_what_it_should_whatever_comes() {
        for capacity in [0, 1, 7, 64, 1000] {
            let mut ring = Ring::new(capacity);
            let mut all: Vec<u8> = Vec::new();
            for i in 0..500_usize {
                let line = format!("{}\n", "x".repeat(i * 7 % 90));
                ring.push(at(i as u64 * 3), Stream::Out, line.as_bytes());
                all.extend(line.as_bytes());
                let held = ring.held;
                assert!(held <= capacity);
                assert_eq!(ring.copy_out(ring.total - held as u64, ring.total), all[all.len() - held..]);
            }
            assert_eq!(ring.held.min(1), capacity.min(1));
        }
    }

    #[test]
    fn many_tiny_pieces_are_bounded_too() {
        let mut ring = Ring::new(1 << 20);
        for i in 0..20_000 {
            ring.push(at(i * 2), Stream::Out, b"\n");
        }
        assert!(ring.marks.len() <= limits::OUTPUT_PIECES);
    }
}
