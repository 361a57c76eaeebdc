//! One stream of one run, read from its pipe: what has come but is not passed on yet. What a service writes faster than its
//! place takes it waits in the pipe, so that the service itself waits, as it would with a plain pipe.

use super::frame;
use super::relay::Relay;
use crate::limits;
use crate::model::{RunId, Stream};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use regex_lite::Regex;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// One stream of one run.
pub struct Source {
    pipe: OwnedFd,
    /// Which stream.
    pub stream: Stream,
    /// Whose: an index of the logger's services.
    pub service: usize,
    /// Where it goes: an index of the logger's sinks.
    pub sink: usize,
    /// Read, but not passed on: the beginning of a line, or what its sink had no room for.
    pub carry: Vec<u8>,
    /// How much the pipe holds.
    size: usize,
    /// The pipe was made larger.
    pub big: bool,
    /// It was tried, at least.
    asked: bool,
    /// Nobody writes to it any more: it has an end to be read.
    pub left: bool,
    /// All of it has been read.
    pub ended: bool,
    /// How much has been read since the end of Horust began.
    pub last_bytes: usize,
    /// The line that is awaited of this run.
    pub awaited: Option<(RunId, Regex)>,
}

/// What one read gave.
pub enum Read {
    /// So many bytes, after what was carried.
    Some(usize),
    /// Nothing for now.
    Nothing,
    /// Nothing any more.
    End,
}

impl Source {
    /// A stream whose first bytes are still to come.
    pub fn new(pipe: OwnedFd, stream: Stream, service: usize, sink: usize) -> Source {
        let size = size(pipe.as_fd());
        Source {
            pipe,
            stream,
            service,
            sink,
            carry: Vec::new(),
            size,
            big: false,
            asked: false,
            left: false,
            ended: false,
            last_bytes: 0,
            awaited: None,
        }
    }

    /// The run whose awaited line is among these, which have just been read whole. It is told once.
    pub fn awaited_in(&mut self, mut lines: &[u8]) -> Option<RunId> {
        let (_, pattern) = self.awaited.as_ref()?;
        while !lines.is_empty() {
            let (line, rest) = lines.split_at_checked(frame::first(lines))?;
            let text = line.strip_suffix(b"\n").unwrap_or(line);
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            if pattern.is_match(&String::from_utf8_lossy(text)) {
                return self.awaited.take().map(|(run, _)| run);
            }
            lines = rest;
        }
        None
    }

    /// The pipe.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }

    /// Reads into `buffer`, behind its first `from` bytes, and by way of `relay` if there is one.
    pub fn read(&mut self, buffer: &mut [u8], from: usize, relay: Option<&Relay>) -> Read {
        let Some(space) = buffer.get_mut(from..) else { return Read::Nothing };
        loop {
            let read = match relay {
                Some(relay) => relay.read(&self.pipe, space),
                None => nix::unistd::read(&self.pipe, space),
            };
            return match read {
                Ok(0) => Read::End,
                Ok(count) => Read::Some(count),
                Err(Errno::EINTR) => continue,
                Err(Errno::EAGAIN) => Read::Nothing,
                // No error of a pipe is one that goes away.
                Err(_) => Read::End,
            };
        }
    }

    /// Whether a read of so many bytes shows that the pipe fills quickly. (One that is full may hold less than its size:
    /// small writes leave gaps.)
    pub fn is_hot(&self, count: usize) -> bool {
        count.saturating_mul(2) >= self.size.min(limits::OUTPUT_READ)
    }

    /// Makes the pipe of a service that fills it larger: fewer switches between the two of us. It may be refused.
    pub fn grow(&mut self, count: usize) -> bool {
        if self.asked || !self.is_hot(count) {
            return false;
        }
        self.asked = true;
        self.big = enlarge(&self.pipe);
        self.size = size(self.pipe.as_fd());
        self.big
    }
}

/// Makes a pipe as large as is allowed for any. False if it is refused.
pub fn enlarge(pipe: &OwnedFd) -> bool {
    let wanted = i32::try_from(limits::BIG_PIPE).unwrap_or(i32::MAX);
    fcntl(pipe, FcntlArg::F_SETPIPE_SZ(wanted)).is_ok()
}

fn size(pipe: BorrowedFd<'_>) -> usize {
    let size = fcntl(pipe, FcntlArg::F_GETPIPE_SZ).ok();
    size.and_then(|size| usize::try_from(size).ok()).unwrap_or(limits::LINE)
}
