//! What becomes of complete log files: the oldest are removed, the others compressed. On a thread of its own that may lag
//! behind and is never waited for. Each job looks at the directory anew, so a job that was lost is made up for by the next.

use super::series::{self, Member};
use crate::chaos;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Jobs that may wait.
const QUEUE: usize = 256;

/// The files of one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// As it is configured.
    pub path: PathBuf,
    /// How many files there may be.
    pub keep: Option<u32>,
    /// Whether complete ones are compressed.
    pub compress: bool,
    /// The one being written.
    pub current: Member,
}

/// The way to the thread, which starts with the first job.
#[derive(Default)]
pub struct Tidy {
    jobs: Option<Sender<Message>>,
}

enum Message {
    Job(Job),
    Done(Sender<()>),
}

impl Tidy {
    /// Has a job done some time. False if there is no room for it now: ask again later.
    pub fn ask(&mut self, job: Job) -> bool {
        if self.jobs.is_none() {
            self.jobs = start();
        }
        let sent = self.jobs.as_ref().map(|jobs| jobs.try_send(Message::Job(job)));
        matches!(sent, Some(Ok(())))
    }

    /// Waits until all jobs are done, but not longer than this.
    pub fn finish(&self, patience: Duration) {
        let Some(jobs) = &self.jobs else { return };
        let (done, wait) = bounded(1);
        match jobs.try_send(Message::Done(done)) {
            Ok(()) => drop(wait.recv_timeout(patience)),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
        }
    }
}

fn start() -> Option<Sender<Message>> {
    let (sender, jobs) = bounded(QUEUE);
    let body = move || {
        // A panic costs the work at hand, and nothing else.
        while catch_unwind(AssertUnwindSafe(|| work(&jobs))).is_err() {}
    };
    match std::thread::Builder::new().name("log-files".into()).stack_size(1 << 20).spawn(body) {
        Ok(_) => Some(sender),
        Err(error) => {
            log::warn!("cannot start the thread that removes and compresses log files: {error}");
            None
        }
    }
}

fn work(jobs: &Receiver<Message>) {
    while let Ok(first) = jobs.recv() {
        // Of several jobs for one path the latest says it all.
        let (mut wanted, mut waiting): (Vec<Job>, Vec<Sender<()>>) = (Vec::new(), Vec::new());
        for message in std::iter::once(first).chain(jobs.try_iter().take(QUEUE)) {
            match message {
                Message::Job(job) => {
                    wanted.retain(|other| other.path != job.path);
                    wanted.push(job);
                }
                Message::Done(done) => waiting.push(done),
            }
        }
        chaos::point("log-files");
        wanted.iter().for_each(tidy);
        drop(waiting);
    }
}

/// Does one job.
pub fn tidy(job: &Job) {
    let mut members = series::members(&job.path);
    members.retain(|member| *member != job.current && member.key() < job.current.key());
    members.sort_by_key(Member::key);
    let mut names: Vec<(u64, u64)> = members.iter().map(Member::key).collect();
    names.dedup();
    let keep = job.keep.map_or(usize::MAX, |keep| usize::try_from(keep).unwrap_or(usize::MAX)).saturating_sub(1);
    let gone = names.get(..names.len().saturating_sub(keep)).unwrap_or_default();
    for member in members {
        let path = member.path(&job.path);
        let result = match gone.contains(&member.key()) {
            true => fs::remove_file(&path),
            false if job.compress && !member.compressed => compress(&path, &member.packed().path(&job.path)),
            false => Ok(()),
        };
        if let Err(error) = result.or_else(|e| if e.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(e) }) {
            log::warn!("cannot tidy up the log file {}: {error}", path.display());
        }
    }
}

/// Puts a compressed file in place of a complete one. At every moment one of the two is there and whole.
fn compress(from: &Path, to: &Path) -> io::Result<()> {
    let mut name = OsString::from(to);
    name.push(".tmp");
    let half = PathBuf::from(name);
    let mut source = File::open(from)?;
    let target = OpenOptions::new().write(true).create(true).truncate(true).mode(0o640).open(&half)?;
    let mut encoder = GzEncoder::new(target, Compression::default());
    let written = io::copy(&mut source, &mut encoder).and_then(|_| encoder.finish());
    if let Err(error) = written.and_then(|_| fs::rename(&half, to)) {
        let _ = fs::remove_file(&half);
        return Err(error);
    }
    fs::remove_file(from)
}
