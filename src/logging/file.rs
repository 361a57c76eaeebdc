//! One output file and those that follow it. Lines go to the newest; when it would grow too large or has become too old the
//! next is begun, between two lines. What is no regular file (a named pipe, a device) is written to as it is.

use super::series::{self, Member};
use super::tidy::{Job, Tidy};
use crate::limits;
use crate::model::Rotation;
use memchr::{memchr, memrchr};
use nix::errno::Errno;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// How often it is looked at whether the file of this name is still the one that is open.
const LOOK: Duration = Duration::from_secs(1);

/// The files of one path.
pub struct LogFile {
    path: PathBuf,
    rotation: Rotation,
    member: Option<Member>,
    open: Option<Open>,
    /// The thread that tidies up had no room.
    untidy: bool,
    /// The next file could not be begun; told once.
    stuck: bool,
}

struct Open {
    file: File,
    regular: bool,
    born: SystemTime,
    looked: Instant,
}

/// The time, read once for all that is done in one go.
#[derive(Clone, Copy)]
pub struct Now {
    /// For people.
    pub wall: SystemTime,
    /// For differences.
    pub mono: Instant,
}

impl Now {
    /// Reads it.
    pub fn read() -> Now {
        Now { wall: SystemTime::now(), mono: Instant::now() }
    }
}

impl LogFile {
    /// Nothing is opened yet.
    pub fn new(path: PathBuf, rotation: Rotation) -> LogFile {
        LogFile { path, rotation, member: None, open: None, untidy: false, stuck: false }
    }

    /// What is known about its rotation has changed.
    pub fn configure(&mut self, rotation: &Rotation) {
        if self.rotation != *rotation {
            self.rotation = rotation.clone();
            self.member = None;
            self.open = None;
        }
    }

    /// A run of the service begins. If names hold the time, this is the time for a new one.
    pub fn begin_run(&mut self, time: SystemTime) {
        let stamp = time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        if self.rotation.stamp && self.member.is_none_or(|member| member.stamp != stamp) {
            self.member = Some(Member { stamp, ..self.newest(|member| member.stamp == stamp) });
            self.open = None;
        }
    }

    /// Nobody writes to it for now.
    pub fn close(&mut self) {
        self.open = None;
    }

    /// What can be polled for room, if it can be.
    pub fn pipe(&self) -> Option<&File> {
        self.open.as_ref().filter(|open| !open.regular).map(|open| &open.file)
    }

    /// Opens the file if it is not open, or is no longer what its name stands for. Says whether it is another than before,
    /// and whether it ends in the middle of a line.
    pub fn prepare(&mut self, now: &Now, tidy: &mut Tidy) -> Result<Option<bool>, Errno> {
        if self.untidy {
            self.tidy(tidy);
        }
        if let Some(open) = &mut self.open {
            let metadata = open.file.metadata().map_err(|error| errno(&error))?;
            let mut there = !open.regular || metadata.nlink() > 0;
            if there && open.regular && now.mono.duration_since(open.looked) >= LOOK {
                open.looked = now.mono;
                let path = self.member.unwrap_or_default().path(&self.path);
                there = path.metadata().is_ok_and(|named| same(&named, &metadata));
            }
            if there {
                return Ok(None);
            }
        }
        let member = match self.member {
            Some(member) => member,
            None if self.rotation.rotates() => self.newest(|member| member.stamp == 0),
            None => Member::default(),
        };
        let (open, torn) = Open::new(&member.path(&self.path), now).map_err(|error| errno(&error))?;
        let first = self.member.is_none();
        self.member = Some(member);
        self.open = Some(open);
        if first {
            self.tidy(tidy);
        }
        Ok(Some(torn))
    }

    /// The newest file of those, if it can be written on; else the one after it.
    fn newest(&self, which: impl Fn(&Member) -> bool) -> Member {
        let found = series::members(&self.path).into_iter().filter(which);
        // A compressed one counts as newer than the file it was made of, so that nothing is added to what is complete.
        let newest = found.max_by_key(|member| (member.key(), member.compressed));
        newest.map_or(Member::default(), |member| if member.compressed { member.next() } else { member })
    }

    /// Writes lines. On an error, says how many bytes had been written.
    pub fn write(&mut self, lines: &[u8], now: &Now, tidy: &mut Tidy) -> Result<(), (usize, Errno)> {
        let mut done: usize = 0;
        while let Some(rest) = lines.get(done..).filter(|rest| !rest.is_empty()) {
            let at = |errno| (done, errno);
            let Some(open) = &self.open else { return Err(at(Errno::EBADF)) };
            let mut count = rest.len();
            if open.regular && (self.rotation.size.is_some() || self.rotation.age.is_some()) {
                let size = open.file.metadata().map_err(|error| at(errno(&error)))?.len();
                count = self.fitting(rest, size, open, now);
                if count == 0 {
                    match self.rotate(now, tidy) {
                        Ok(()) => continue,
                        // Better a file that is too large than lines that are lost.
                        Err(error) => self.complain(&error),
                    }
                    count = rest.len();
                }
            }
            let Some(open) = &self.open else { return Err(at(Errno::EBADF)) };
            match nix::unistd::write(&open.file, rest.get(..count).unwrap_or(rest)) {
                Ok(written) => done = done.saturating_add(written),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(at(errno)),
            }
        }
        Ok(())
    }

    /// How much of these lines still goes into a file of this size: whole lines, unless the first alone is too large for
    /// any file. 0: none, another file's turn has come.
    fn fitting(&self, lines: &[u8], size: u64, open: &Open, now: &Now) -> usize {
        // A file of the future is one too: the clock was set back, and may be for years.
        let aged = now.wall.duration_since(open.born).unwrap_or_else(|future| future.duration());
        if self.rotation.age.is_some_and(|age| aged >= age) && size > 0 {
            return 0;
        }
        let room = self.rotation.size.map_or(u64::MAX, |limit| limit.saturating_sub(size));
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let Some(fitting) = lines.get(..room) else { return lines.len() };
        match memrchr(b'\n', fitting) {
            Some(at) => at.saturating_add(1),
            None if size > 0 => 0,
            None => {
                let line = memchr(b'\n', lines).map_or(lines.len(), |at| at.saturating_add(1));
                line.min(limits::LINE.max(room))
            }
        }
    }

    fn rotate(&mut self, now: &Now, tidy: &mut Tidy) -> io::Result<()> {
        let next = self.member.unwrap_or_default().next();
        let (open, _) = Open::new(&next.path(&self.path), now)?;
        self.member = Some(next);
        self.open = Some(open);
        self.stuck = false;
        self.tidy(tidy);
        Ok(())
    }

    fn complain(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.stuck, true) {
            let next = self.member.unwrap_or_default().next().path(&self.path);
            log::error!("cannot begin the log file {}: {error}; the one before it grows on", next.display());
        }
    }

    fn tidy(&mut self, tidy: &mut Tidy) {
        let Rotation { keep, compress, .. } = self.rotation;
        if !self.rotation.rotates() || (keep.is_none() && !compress) {
            return;
        }
        let current = self.member.unwrap_or_default();
        self.untidy = !tidy.ask(Job { path: self.path.clone(), keep, compress, current });
    }
}

impl Open {
    /// Opens or creates a file for appending. Says whether it ends in the middle of a line.
    fn new(path: &Path, now: &Now) -> io::Result<(Open, bool)> {
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(0o640).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC);
        let file = match options.open(path) {
            // A named pipe without a reader (fifo(7)). Opened for both it is there, and takes what fits into it until
            // somebody reads.
            Err(error) if error.raw_os_error() == Some(libc::ENXIO) && is_fifo(path) => {
                options.read(true).open(path)?
            }
            opened => opened?,
        };
        let metadata = file.metadata()?;
        let regular = metadata.is_file();
        let torn = regular && metadata.len() > 0 && last_byte(path).is_ok_and(|last| last != b'\n');
        let born = metadata.created().unwrap_or(now.wall);
        Ok((Open { file, regular, born, looked: now.mono }, torn))
    }
}

fn is_fifo(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.file_type().is_fifo())
}

fn last_byte(path: &Path) -> io::Result<u8> {
    let mut file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    file.seek(SeekFrom::End(-1))?;
    let mut byte = [0];
    file.read_exact(&mut byte)?;
    Ok(byte[0])
}

fn same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// The number of an I/O error.
pub fn errno(error: &io::Error) -> Errno {
    match (error.raw_os_error(), error.kind()) {
        (Some(number), _) => Errno::from_raw(number),
        (None, ErrorKind::NotFound) => Errno::ENOENT,
        (None, _) => Errno::EIO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_begins_the_next_file() {
        let dir = tempfile::tempdir().unwrap();
        let (minute, mut tidy) = (Duration::from_secs(60), Tidy::default());
        let rotation = Rotation { age: Some(minute), ..Rotation::default() };
        let mut file = LogFile::new(dir.path().join("log"), rotation);
        let now = Now::read();
        for (wall, files) in [(now.wall, 1), (now.wall - minute / 2, 1), (now.wall - minute * 2, 2)] {
            let now = Now { wall, ..now };
            file.prepare(&now, &mut tidy).unwrap();
            file.write(b"line\n", &now, &mut tidy).unwrap();
            assert_eq!(dir.path().read_dir().unwrap().count(), files);
        }
    }
}
