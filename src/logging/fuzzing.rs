//! Doors for `fuzz/` to what is nobody else's business.

use super::json::Facts;
use super::{frame, json, ring};
use crate::model::{Ask, Start, Stream};
use std::time::SystemTime;

/// How much can be passed on.
pub fn whole(data: &[u8], from: usize) -> usize {
    frame::whole(data, from)
}

/// The length of the first line.
pub fn first(data: &[u8]) -> usize {
    frame::first(data)
}

/// A line as JSON.
pub fn json(line: &[u8], partial: bool) -> Vec<u8> {
    let mut out = Vec::new();
    json::write(line, &Facts { service: "a", stream: Stream::Out, time: "", partial }, &mut out);
    out
}

/// The latest output.
pub struct Ring(ring::Ring);

impl Ring {
    /// An empty one.
    pub fn new(capacity: usize) -> Ring {
        Ring(ring::Ring::new(capacity))
    }

    /// Keeps these lines.
    pub fn push(&mut self, text: &[u8]) {
        self.0.push(SystemTime::now(), Stream::Out, text);
    }

    /// How much can be read of it.
    pub fn held(&self) -> usize {
        let ask = Ask { service: "a".into(), start: Start::At(0), end: u64::MAX, most: usize::MAX };
        self.0.read(&ask).pieces.iter().map(|piece| piece.text.len()).sum()
    }
}
