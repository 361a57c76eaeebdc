//! A place where lines go. What it can't take now waits here (and with it those who write to it, but nobody else); what it
//! will not take is dropped, counted, and the count told. A line is never torn by that: what was begun is ended first.

use super::file::{LogFile, Now};
use super::stdio::Stdio;
use super::tidy::Tidy;
use memchr::{memchr, memchr_iter};
use nix::errno::Errno;
use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// A place that works again is believed after this time; then the number of lost lines is told.
const SETTLED: Duration = Duration::from_secs(1);

/// Who has begun a line that nobody here has begun.
const NOBODY: u64 = u64::MAX;

/// What kind of place it is.
pub enum Kind {
    /// Lines go nowhere.
    Null,
    /// Horust's own.
    Own(Stdio),
    /// A file.
    File(LogFile),
}

/// A place for lines.
pub struct Sink {
    /// What it is.
    pub kind: Kind,
    name: String,
    /// Waits for room ...
    out: Vec<u8>,
    /// ... but for its first bytes, which have been written.
    sent: usize,
    /// The end of a line whose beginning was written before the disk was full.
    rest: Vec<u8>,
    /// Whose line has no end yet: the next who writes has to end it.
    begun_by: Option<u64>,
    trouble: bool,
    lost: Lost,
    tell_at: Option<Instant>,
    /// Those who wait until it has room.
    pub waiting: BTreeSet<u64>,
    /// How many write to it.
    pub users: usize,
    /// It is polled for room.
    pub polled: bool,
    /// How often services were read anew since one of them named it.
    pub unnamed: u32,
}

#[derive(Default)]
struct Lost {
    lines: u64,
    bytes: u64,
}

impl Sink {
    /// A new place.
    pub fn new(kind: Kind, name: String) -> Sink {
        Sink {
            kind,
            name,
            out: Vec::new(),
            sent: 0,
            rest: Vec::new(),
            begun_by: None,
            trouble: false,
            lost: Lost::default(),
            tell_at: None,
            waiting: BTreeSet::new(),
            users: 0,
            polled: false,
            unnamed: 0,
        }
    }

    /// Whether something waits for room.
    pub fn is_full(&self) -> bool {
        !self.out.is_empty()
    }

    /// Whether it is a terminal.
    pub fn is_terminal(&self) -> bool {
        matches!(&self.kind, Kind::Own(stdio) if stdio.terminal)
    }

    /// What can be polled for room.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.kind {
            Kind::Null => None,
            Kind::Own(stdio) => Some(stdio.fd()),
            Kind::File(file) => file.pipe().map(AsFd::as_fd),
        }
    }

    /// Takes lines of `from`. Only the last may lack its newline.
    pub fn put(&mut self, from: u64, lines: &[u8], now: &Now, tidy: &mut Tidy) {
        if lines.is_empty() || matches!(self.kind, Kind::Null) {
            return;
        }
        if let Kind::File(file) = &mut self.kind {
            match file.prepare(now, tidy) {
                Ok(None) => {}
                Ok(Some(torn)) => {
                    self.polled = false;
                    self.begun_by = torn.then_some(NOBODY);
                    let rest = std::mem::take(&mut self.rest);
                    self.lost.count(&rest);
                }
                Err(errno) => return self.lose(lines, errno),
            }
        }
        if self.is_full() {
            // Asked for all the same: nobody should, and it is not much.
            return self.out.extend(lines);
        }
        if !self.rest.is_empty() {
            let rest = std::mem::take(&mut self.rest);
            if let Err((done, errno)) = self.write(&rest, now, tidy) {
                self.rest = rest.get(done..).unwrap_or_default().to_vec();
                return self.lose(lines, errno);
            }
        }
        match self.begun_by.is_some_and(|by| by != from) {
            true => self.append(from, &[b"\n", lines].concat(), now, tidy),
            false => self.append(from, lines, now, tidy),
        }
    }

    /// Tries again to write what waits.
    pub fn flush(&mut self, now: &Now, tidy: &mut Tidy) {
        let out = std::mem::take(&mut self.out);
        let sent = std::mem::take(&mut self.sent);
        let left = out.get(sent..).unwrap_or_default();
        if left.is_empty() {
            return;
        }
        match self.write(left, now, tidy) {
            Err((done, Errno::EAGAIN)) => (self.out, self.sent) = (out, sent.saturating_add(done)),
            result => self.written(self.begun_by.unwrap_or(NOBODY), left, result, now),
        }
    }

    fn append(&mut self, from: u64, lines: &[u8], now: &Now, tidy: &mut Tidy) {
        let result = self.write(lines, now, tidy);
        self.written(from, lines, result, now);
    }

    /// What follows from an attempt to write lines.
    fn written(&mut self, from: u64, lines: &[u8], result: Result<(), (usize, Errno)>, now: &Now) {
        let open_end = |text: &[u8]| (text.last() != Some(&b'\n')).then_some(from);
        match result {
            Ok(()) => {
                self.begun_by = open_end(lines);
                if std::mem::take(&mut self.trouble) {
                    self.tell_at = now.mono.checked_add(SETTLED);
                }
            }
            Err((done, Errno::EAGAIN)) => {
                self.begun_by = open_end(lines);
                self.out = lines.get(done..).unwrap_or_default().to_vec();
            }
            Err((done, errno)) => {
                let (written, lost) = lines.split_at_checked(done).unwrap_or((lines, &[]));
                let torn = written.last().is_some_and(|last| *last != b'\n');
                let keep = match &self.kind {
                    Kind::File(_) if torn => memchr(b'\n', lost).map_or(lost.len(), |at| at.saturating_add(1)),
                    Kind::File(_) | Kind::Own(_) | Kind::Null => 0,
                };
                let (rest, lost) = lost.split_at_checked(keep).unwrap_or((lost, &[]));
                if !written.is_empty() {
                    self.begun_by = if rest.is_empty() { open_end(written) } else { open_end(rest) };
                }
                self.rest = rest.to_vec();
                self.lose(lost, errno);
            }
        }
    }

    fn write(&mut self, lines: &[u8], now: &Now, tidy: &mut Tidy) -> Result<(), (usize, Errno)> {
        match &mut self.kind {
            Kind::Null => Ok(()),
            Kind::Own(stdio) => stdio.write(lines),
            Kind::File(file) => {
                let written = file.write(lines, now, tidy);
                if matches!(written, Err((_, Errno::EPIPE))) {
                    // The reader of a named pipe is gone; opened anew it waits for the next.
                    file.close();
                }
                written
            }
        }
    }

    fn lose(&mut self, lines: &[u8], errno: Errno) {
        if !self.trouble && self.tell_at.is_none() {
            log::error!("cannot write to {}: {}; output is dropped until that is over", self.name, errno.desc());
        }
        self.trouble = true;
        self.tell_at = None;
        self.lost.count(lines);
    }

    /// When there is something to tell.
    pub fn due(&self) -> Option<Instant> {
        self.tell_at
    }

    /// Tells how much was lost since it was told last.
    pub fn tell(&mut self) {
        self.tell_at = None;
        let Lost { lines, bytes } = std::mem::take(&mut self.lost);
        if lines > 0 {
            let were = if lines == 1 { "line of output was" } else { "lines of output were" };
            log::warn!("{}: {lines} {were} dropped ({bytes} bytes)", self.name);
        }
    }

    /// This will not be passed on any more.
    pub fn count_lost(&mut self, lines: &[u8]) {
        self.lost.count(lines);
    }

    /// Counts all that waits as lost, and tells.
    pub fn give_up(&mut self) {
        let (out, rest) = (std::mem::take(&mut self.out), std::mem::take(&mut self.rest));
        self.lost.count(out.get(std::mem::take(&mut self.sent)..).unwrap_or_default());
        self.lost.count(&rest);
        self.tell();
    }
}

impl Lost {
    fn count(&mut self, lines: &[u8]) {
        let open = u64::from(lines.last().is_some_and(|last| *last != b'\n'));
        let lines_ended = memchr_iter(b'\n', lines).count() as u64;
        self.lines = self.lines.saturating_add(lines_ended).saturating_add(open);
        super::count_refused(lines_ended.saturating_add(open));
        self.bytes = self.bytes.saturating_add(lines.len() as u64);
    }
}
