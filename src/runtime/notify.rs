//! What services say about themselves, from their datagrams to events. Only what comes from a process of the service
//! counts. It must not wait, and what it is sent must not make it: descriptors that come along are closed elsewhere.

use super::table::Table;
use crate::chaos;
use crate::limits;
use crate::model::RunId;
use crate::supervisor::{Event, Notice, Watchdog};
use crate::sys::SysError;
use crate::sys::notify::NotifySocket;
use crate::sys::wake::EventFd;
use crossbeam_channel::{Sender, bounded};
use nix::errno::Errno;
use nix::unistd::read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The socket and what is behind it.
pub struct Notices {
    socket: NotifySocket,
    closer: Closer,
}

impl Notices {
    /// Opens the socket. `wake` is for when there is room again.
    pub fn new(wake: Arc<EventFd>) -> Result<Notices, SysError> {
        Ok(Notices { socket: NotifySocket::new()?, closer: Closer { wake, held: Arc::default(), queue: None } })
    }

    /// What services find in `NOTIFY_SOCKET`.
    pub fn address(&self) -> &str {
        self.socket.address()
    }

    /// What to wait for. Not while it can't be read.
    pub fn to_wait_for(&self) -> Option<BorrowedFd<'_>> {
        (!self.closer.is_full()).then(|| self.socket.as_fd())
    }

    /// Takes the messages that are there, a bounded number, and makes one event of those of one run.
    pub fn read(&mut self, table: &mut Table) -> Vec<Event> {
        let mut heard: Vec<(RunId, Notice)> = Vec::new();
        for _ in 0..limits::NOTICES_PER_TURN {
            if self.closer.is_full() {
                break;
            }
            let Some(message) = self.socket.read() else { break };
            if !message.descriptors.is_empty() {
                self.closer.close(message.descriptors);
            }
            let Some((notice, main)) = parse(&message.text) else { continue };
            let Some(run) = table.notifier(message.pid) else {
                log::debug!("a notification from process {}, which is of no service that sends any", message.pid);
                continue;
            };
            if let Some(pid) = main.filter(|pid| table.notifier(*pid) == Some(run)) {
                table.set_next_leader(run, pid);
            }
            match heard.iter_mut().find(|(other, _)| *other == run) {
                Some((_, earlier)) => merge(earlier, notice),
                None => heard.push((run, notice)),
            }
        }
        heard.into_iter().map(|(run, notice)| Event::Notified(run, notice)).collect()
    }
}

pub(super) fn merge(earlier: &mut Notice, later: Notice) {
    earlier.reloading = later.reloading || (earlier.reloading && !later.ready);
    earlier.ready |= later.ready;
    earlier.stopping |= later.stopping;
    earlier.status = later.status.or(earlier.status.take());
    earlier.extend = earlier.extend.max(later.extend);
    earlier.watchdog_every = later.watchdog_every.or(earlier.watchdog_every);
    if earlier.watchdog != Some(Watchdog::Trigger) {
        earlier.watchdog = later.watchdog.or(earlier.watchdog);
    }
}

/// Reads a message, and the pid in its `MAINPID=`. Lines that are not known are for others than us.
pub(super) fn parse(text: &[u8]) -> Option<(Notice, Option<u32>)> {
    let mut notice = Notice::default();
    let mut main = None;
    let usec = |value: &str| value.parse().ok().map(Duration::from_micros);
    for line in std::str::from_utf8(text).ok()?.lines() {
        match line.split_once('=') {
            Some(("READY", "1")) => notice.ready = true,
            Some(("STOPPING", "1")) => notice.stopping = true,
            Some(("RELOADING", "1")) => notice.reloading = true,
            Some(("STATUS", text)) => notice.status = Some(printable(text)),
            Some(("WATCHDOG", "1")) => notice.watchdog = Some(Watchdog::Alive),
            Some(("WATCHDOG", "trigger")) => notice.watchdog = Some(Watchdog::Trigger),
            Some(("WATCHDOG_USEC", value)) => notice.watchdog_every = usec(value).filter(|every| !every.is_zero()),
            Some(("EXTEND_TIMEOUT_USEC", value)) => notice.extend = usec(value),
            Some(("MAINPID", value)) => main = value.parse().ok(),
            Some(_) | None => {}
        }
    }
    (notice != Notice::default() || main.is_some()).then_some((notice, main))
}

/// Whether a newline has come through this pipe; none as long as it may still come.
pub fn newline(pipe: &OwnedFd) -> Option<bool> {
    let mut buffer = [0; 512];
    loop {
        match read(pipe, &mut buffer) {
            Ok(0) => return Some(false),
            Ok(count) if buffer.iter().take(count).any(|byte| *byte == b'\n') => return Some(true),
            // More of something else can wait for the next turn.
            Ok(_) | Err(Errno::EAGAIN) => return None,
            Err(Errno::EINTR) => {}
            Err(_) => return Some(false),
        }
    }
}

/// It may be shown on a terminal.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(limits::STATUS_TEXT).collect()
}

/// A thread that closes descriptors, started when there is one to close. Until it has, whoever sent them with `BARRIER=1`
/// waits; so it is done after the message was read.
struct Closer {
    wake: Arc<EventFd>,
    /// How many descriptors wait.
    held: Arc<AtomicUsize>,
    queue: Option<Sender<Vec<OwnedFd>>>,
}

impl Closer {
    fn is_full(&self) -> bool {
        self.held.load(Ordering::SeqCst) >= limits::CLOSING
    }

    fn close(&mut self, descriptors: Vec<OwnedFd>) {
        if self.queue.is_none() {
            let (sender, queue) = bounded::<Vec<OwnedFd>>(limits::CLOSING);
            let (wake, held) = (Arc::clone(&self.wake), Arc::clone(&self.held));
            let body = move || {
                let close = || {
                    for descriptors in &queue {
                        let _after = Closed { wake: &wake, held: &held, count: descriptors.len() };
                        chaos::point("closer");
                        drop(descriptors);
                    }
                };
                while catch_unwind(AssertUnwindSafe(close)).is_err() {}
            };
            let thread = std::thread::Builder::new().name("closer".into()).stack_size(64 << 10).spawn(body);
            self.queue = thread.ok().map(|_| sender);
        }
        if let Some(queue) = &self.queue {
            // There is room: nobody else sends, and each holds one at least.
            self.held.fetch_add(descriptors.len(), Ordering::SeqCst);
            let _ = queue.try_send(descriptors);
        }
    }
}

/// So many descriptors less wait, also if closing them went wrong.
struct Closed<'a> {
    wake: &'a EventFd,
    held: &'a AtomicUsize,
    count: usize,
}

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        self.held.fetch_sub(self.count, Ordering::SeqCst);
        self.wake.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(text: &str) -> Notice {
        parse(text.as_bytes()).unwrap().0
    }

    #[test]
    fn messages_are_read_line_by_line() {
        let seen = notice("READY=1\nSTATUS=a=b \u{1b}[1mc\t\nWATCHDOG=1\nX_FOO=1\nEXTEND_TIMEOUT_USEC=1500000\n");
        assert_eq!(
            seen,
            Notice {
                ready: true,
                status: Some("a=b [1mc".into()),
                watchdog: Some(Watchdog::Alive),
                extend: Some(Duration::from_millis(1500)),
                ..Notice::default()
            }
        );
        assert_eq!(parse(b"MAINPID=77").unwrap().1, Some(77));
        assert_eq!(notice("WATCHDOG=trigger").watchdog, Some(Watchdog::Trigger));
        assert_eq!(notice("WATCHDOG_USEC=20").watchdog_every, Some(Duration::from_micros(20)));
        assert!(notice("STOPPING=1").stopping && notice("RELOADING=1").reloading);
        assert_eq!(
            notice(&format!("STATUS={}", "ä".repeat(4000))).status.unwrap().chars().count(),
            limits::STATUS_TEXT
        );
    }

    #[test]
    fn what_is_not_understood_says_nothing() {
        let long = "x".repeat(65_536);
        for text in [
            "",
            "\n",
            "READY",
            "READY=0",
            "READY=10",
            " READY=1",
            "ready=1",
            "=",
            "==",
            "WATCHDOG=2",
            "BARRIER=1",
            "WATCHDOG_USEC=0",
            "WATCHDOG_USEC=-1",
            "EXTEND_TIMEOUT_USEC=99999999999999999999999",
            "MAINPID=-1",
            &long,
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text:.40}");
        }
        assert_eq!(parse(b"READY=1\n\xff\xfe"), None);
    }

    #[test]
    fn messages_of_one_turn_are_one() {
        let mut all = notice("RELOADING=1\nSTATUS=a\nEXTEND_TIMEOUT_USEC=9");
        merge(&mut all, notice("READY=1\nWATCHDOG=trigger\nEXTEND_TIMEOUT_USEC=3"));
        merge(&mut all, notice("STATUS=b\nWATCHDOG=1"));
        let extend = Some(Duration::from_micros(9));
        let watchdog = Some(Watchdog::Trigger);
        assert_eq!(all, Notice { ready: true, status: Some("b".into()), extend, watchdog, ..Notice::default() });
        merge(&mut all, notice("RELOADING=1"));
        assert!(all.ready && all.reloading, "it was ready first");
    }
}
