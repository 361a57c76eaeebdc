//! The latest output of a service in memory: whole lines of both streams, in the order in which they came, in bounded
//! space. The oldest goes first. It is written by the logger thread alone.

use super::frame;
use crate::limits;
use crate::model::{Ask, Piece, Reading, Start, Stream};
use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

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

    /// From now on it holds so many bytes.
    pub fn resize(&mut self, capacity: usize) {
        if capacity == self.bytes.len() {
            return;
        }
        self.make_room(capacity);
        let held = self.copy_out(self.held_from(), self.total);
        self.bytes = vec![0; capacity];
        self.head = 0;
        self.copy_in(&held);
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

    /// What is asked for, as far as it is still there.
    pub fn read(&self, ask: &Ask) -> Reading {
        let (held, end) = (self.held_from(), ask.end.min(self.total));
        let (from, mut start) = match ask.start {
            Start::At(at) => (at, at.max(held)),
            Start::Latest { lines, since } => {
                let start = self.latest(lines, since);
                (start, start)
            }
        };
        if from < held && self.torn {
            start = self.after_line(held);
        }
        let end = end.max(start);
        let next = self.cut(start, end, ask.most);
        let lines = if matches!(ask.start, Start::Latest { .. }) { self.lines(start, end) } else { 0 };
        Reading { pieces: self.pieces(start, next), lines, next, end, lost: start.saturating_sub(from) }
    }

    fn pieces(&self, from: u64, to: u64) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut at = self.held_from();
        for mark in &self.marks {
            let (start, end) = (at.max(from), at.saturating_add(mark.length as u64).min(to));
            if start < end {
                let time = since_1970(mark.time);
                pieces.push(Piece { time, stream: mark.stream, text: self.copy_out(start, end) });
            }
            at = at.saturating_add(mark.length as u64);
        }
        pieces
    }

    /// Where these last lines begin, the first of which came at this time or later.
    fn latest(&self, lines: Option<u64>, since: Option<Duration>) -> u64 {
        let mut start = self.held_from();
        if let Some(since) = since {
            let old = self.marks.iter().take_while(|mark| since_1970(mark.time) < since);
            start = start.saturating_add(old.map(|mark| mark.length as u64).sum());
        }
        if start == self.held_from() && self.torn {
            start = self.after_line(start);
        }
        let Some(lines) = lines else { return start };
        let mut end = self.total;
        for _ in 0..lines {
            if end <= start {
                return start;
            }
            let (first, second) = self.slices(start, end.saturating_sub(1));
            let in_second = || memchr::memrchr(b'\n', second).map(|at| first.len().saturating_add(at));
            let newline = in_second().or_else(|| memchr::memrchr(b'\n', first));
            end = newline.map_or(start, |at| start.saturating_add(at as u64).saturating_add(1));
        }
        end
    }

    /// How many lines there are between two places; one that has no end counts.
    fn lines(&self, from: u64, to: u64) -> u64 {
        let (first, second) = self.slices(from, to);
        let newlines =
            memchr::memchr_iter(b'\n', first).count().saturating_add(memchr::memchr_iter(b'\n', second).count());
        let last = if second.is_empty() { first.last() } else { second.last() };
        (newlines as u64).saturating_add(u64::from(last.is_some_and(|byte| *byte != b'\n')))
    }

    /// The end of the line at this place.
    fn after_line(&self, at: u64) -> u64 {
        let (first, second) = self.slices(at, self.total);
        let in_second = || memchr::memchr(b'\n', second).map(|at| first.len().saturating_add(at));
        let newline = memchr::memchr(b'\n', first).or_else(in_second);
        newline.map_or(self.total, |newline| at.saturating_add(newline as u64).saturating_add(1))
    }

    /// The last place to which not too many bytes lead: at the end of a line, or, in a long one, of a character.
    fn cut(&self, from: u64, to: u64, most: usize) -> u64 {
        let reach = from.saturating_add(most as u64);
        if reach >= to {
            return to;
        }
        let text = self.copy_out(from, reach.saturating_add(1));
        let end = match text.get(..most).and_then(|text| memchr::memrchr(b'\n', text)) {
            Some(newline) => newline.saturating_add(1),
            None => frame::part(&text, most),
        };
        from.saturating_add(end as u64)
    }

    /// The count of bytes before the oldest that is held.
    fn held_from(&self) -> u64 {
        self.total.saturating_sub(self.held as u64)
    }

    /// The bytes from one place to another, which are held.
    fn copy_out(&self, from: u64, to: u64) -> Vec<u8> {
        let (first, second) = self.slices(from, to);
        [first, second].concat()
    }

    fn slices(&self, from: u64, to: u64) -> (&[u8], &[u8]) {
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
        (first, second)
    }
}

fn since_1970(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn at(ms: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(ms)
    }

    fn shown(reading: &Reading) -> String {
        reading.pieces.iter().map(|piece| String::from_utf8_lossy(&piece.text).into_owned()).collect()
    }

    fn ask(start: Start, most: usize) -> Ask {
        Ask { service: "web".into(), start, end: u64::MAX, most }
    }

    fn from(ring: &Ring, at: u64) -> Reading {
        ring.read(&ask(Start::At(at), usize::MAX))
    }

    fn last(ring: &Ring, lines: u64) -> Reading {
        ring.read(&ask(Start::Latest { lines: Some(lines), since: None }, usize::MAX))
    }

    #[test]
    fn the_latest_lines_are_kept_in_their_order() {
        let mut ring = Ring::new(20);
        ring.push(at(0), Stream::Out, b"one\n");
        ring.push(at(5), Stream::Err, b"two\n");
        ring.push(at(5), Stream::Err, b"three\n");
        let all = from(&ring, 0);
        assert_eq!((shown(&all).as_str(), all.next, all.lost), ("one\ntwo\nthree\n", 14, 0));
        assert_eq!(all.pieces.iter().map(|p| p.stream).collect::<Vec<_>>(), [Stream::Out, Stream::Err]);
        ring.push(at(9), Stream::Out, b"four\nfive\n");
        // Of 24 bytes 20 are held: `one\n` is gone as a whole.
        let rest = from(&ring, 0);
        assert_eq!((rest.next, rest.lost), (24, 4));
        assert_eq!(shown(&rest), "two\nthree\nfour\nfive\n");
        ring.push(at(20), Stream::Out, b"6\n");
        // Of `two` a part is left, which is no line.
        assert_eq!(shown(&from(&ring, 0)), "three\nfour\nfive\n6\n");
        assert_eq!(shown(&from(&ring, 14)), "four\nfive\n6\n");
        assert_eq!(shown(&from(&ring, 26)), "");
        let two = last(&ring, 2);
        assert_eq!((shown(&two).as_str(), two.lines, two.lost), ("five\n6\n", 2, 0));
        assert_eq!(shown(&last(&ring, 99)), "three\nfour\nfive\n6\n");
        assert_eq!(shown(&last(&ring, 0)), "");
        let since = |ms| Start::Latest { lines: None, since: Some(Duration::from_millis(ms)) };
        assert_eq!(shown(&ring.read(&ask(since(9), usize::MAX))), "four\nfive\n6\n");
        assert_eq!(shown(&ring.read(&ask(since(21), usize::MAX))), "");
        // No more than was there when somebody began to read.
        assert_eq!(shown(&ring.read(&Ask { end: 19, ..ask(Start::At(14), usize::MAX) })), "four\n");
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

    /// Whatever was written and however it is read, whole lines come, each once; only a line that is longer than what is
    /// read at once comes in parts, and no character is cut.
    #[test]
    fn all_is_read_in_pieces_of_any_size() {
        for most in [4, 10, 100, 5000] {
            let (mut ring, mut all, mut read) = (Ring::new(700), String::new(), String::new());
            let (mut next, mut lost) = (0, 0);
            for i in 0..400_u64 {
                let line = format!("{i}{}\n", "ü".repeat(usize::try_from(i * 7 % 40).unwrap()));
                ring.push(at(i), if i % 3 == 0 { Stream::Err } else { Stream::Out }, line.as_bytes());
                all.push_str(&line);
                // A reader that is slow at times.
                let mut more = i % 50 > 25;
                while more {
                    let reading = ring.read(&ask(Start::At(next), most));
                    for piece in &reading.pieces {
                        let text = std::str::from_utf8(&piece.text).unwrap();
                        assert!(text.len() <= most);
                        read.push_str(text);
                    }
                    (next, lost) = (reading.next, lost + reading.lost);
                    more = reading.next < reading.end;
                }
            }
            assert_eq!(read.len() as u64 + lost, next);
            // What was lost was whole lines.
            let known: std::collections::HashSet<&str> = all.lines().collect();
            assert!(read.lines().all(|line| known.contains(line)), "{read}");
            assert!(lost > 0 && read.lines().count() > 200);
            for lines in [1, 5, 10] {
                let wanted: Vec<&str> = all.lines().rev().take(lines).collect();
                let latest = last(&ring, lines as u64);
                let got = shown(&latest);
                assert_eq!((got.lines().rev().collect::<Vec<_>>(), latest.lines), (wanted, lines as u64));
            }
        }
    }

    #[test]
    fn it_becomes_larger_and_smaller_and_keeps_the_latest() {
        let mut ring = Ring::new(12);
        for (n, line) in ["one\n", "two\n", "three\n", "four\n"].iter().enumerate() {
            ring.push(at(n as u64 * 10), Stream::Out, line.as_bytes());
        }
        assert_eq!(shown(&from(&ring, 0)), "three\nfour\n");
        for (capacity, left) in [(100, "three\nfour\n"), (11, "three\nfour\n"), (10, "four\n"), (100, "four\n")] {
            ring.resize(capacity);
            assert_eq!(shown(&from(&ring, 0)), left, "{capacity}");
        }
        ring.push(at(90), Stream::Out, b"five\n");
        assert_eq!(shown(&from(&ring, 0)), "four\nfive\n");
        ring.resize(0);
        assert_eq!(shown(&from(&ring, 0)), "");
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
