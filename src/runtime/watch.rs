//! `--watch`: has the configuration read again when one of its files has changed, for development. The thread sleeps in
//! inotify(7) until then; without the flag there is none.

use super::reload::Reloader;
use crate::chaos;
use crate::limits;
use crate::sys::poll;
use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What has changed counts once it is whole: a file that is written to when its writer has closed it, one that is put in the
/// place of another when it is there.
const WHOLE: AddWatchFlags = AddWatchFlags::IN_CLOSE_WRITE
    .union(AddWatchFlags::IN_MOVE)
    .union(AddWatchFlags::IN_DELETE)
    .union(AddWatchFlags::IN_DELETE_SELF)
    .union(AddWatchFlags::IN_CREATE);

/// Watches these files and directories from now on. They need not be there yet.
pub fn start(paths: Vec<PathBuf>, reloader: Arc<Reloader>) {
    let body = move || {
        let error = match Inotify::init(InitFlags::IN_CLOEXEC) {
            // A panic costs one change.
            Ok(inotify) => loop {
                if let Ok(errno) = catch_unwind(AssertUnwindSafe(|| watch(&inotify, &paths, &reloader))) {
                    break errno;
                }
            },
            Err(errno) => errno,
        };
        log::error!("--watch: cannot wait for changes: {}; `horust reload` reads them", error.desc());
    };
    if let Err(error) = std::thread::Builder::new().name("watch".into()).stack_size(limits::SMALL_STACK).spawn(body) {
        log::error!("--watch: no thread for it: {error}; `horust reload` reads changes");
    }
}

/// Directories that are watched, and what their events are marked with.
type Watched = Vec<(WatchDescriptor, PathBuf)>;

fn watch(inotify: &Inotify, paths: &[PathBuf], reloader: &Arc<Reloader>) -> Errno {
    let mut untold = true;
    loop {
        let mut watched = Watched::new();
        // Each time, since what was taken away may be there again. What changes from here on is noticed.
        for directory in paths.iter().flat_map(|path| directories(path)) {
            match inotify.add_watch(&directory, WHOLE | AddWatchFlags::IN_ONLYDIR) {
                Ok(descriptor) => watched.push((descriptor, directory)),
                Err(errno) if directory.is_dir() && std::mem::take(&mut untold) => {
                    let (directory, why) = (directory.display(), errno.desc());
                    log::error!("--watch: cannot watch {directory}: {why}; `horust reload` reads what changes there");
                }
                _ => {}
            }
        }
        if let Err(errno) = change(inotify, paths, &watched) {
            return errno;
        }
        chaos::point("watch");
        reloader.start();
    }
}

/// Waits for a change, and until it is over: several files are often written together.
fn change(inotify: &Inotify, paths: &[PathBuf], watched: &Watched) -> Result<(), Errno> {
    while !read(inotify)?.iter().any(|event| counts(event, paths, watched)) {}
    for _ in 0..limits::WATCH_LONGEST {
        match poll::wait_timeout(&[inotify.as_fd()], limits::WATCH_QUIET).as_deref() {
            Ok([true]) => drop(read(inotify)?),
            _ => break,
        }
    }
    Ok(())
}

fn read(inotify: &Inotify) -> Result<Vec<InotifyEvent>, Errno> {
    loop {
        match inotify.read_events() {
            Err(Errno::EINTR) => {}
            read => return read,
        }
    }
}

/// Whether it is about a file that is read, or one of the directories. Not about what editors keep beside it.
fn counts(event: &InotifyEvent, paths: &[PathBuf], watched: &Watched) -> bool {
    let Some(name) = event.name.as_deref() else { return true };
    let is_link = || watched.iter().any(|(descriptor, at)| *descriptor == event.wd && at.join(name).is_symlink());
    // A file itself may still be empty; a link is whole.
    let created = event.mask.contains(AddWatchFlags::IN_CREATE);
    let begun = created && !event.mask.contains(AddWatchFlags::IN_ISDIR) && !is_link();
    let bytes = name.as_encoded_bytes();
    let is_read = (bytes.ends_with(b".toml") || bytes.ends_with(b".toml.d")) && !bytes.starts_with(b".");
    // All files of a ConfigMap that Kubernetes has mounted are links through this one.
    let is_version = bytes == b"..data";
    !begun && (is_read || is_version || paths.iter().any(|path| path.file_name() == Some(name)))
}

/// Where a change of this file or directory shows: in it, in its drop-ins, and beside it.
fn directories(path: &Path) -> Vec<PathBuf> {
    let beside = path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
    let mut drop_ins = path.as_os_str().to_owned();
    drop_ins.push(".d");
    let mut all = vec![beside.to_owned(), path.to_owned(), drop_ins.into()];
    let entries = path.read_dir().into_iter().flatten().flatten().map(|entry| entry.path());
    all.extend(entries.filter(|path| path.extension().is_some_and(|extension| extension == "d")));
    all
}
