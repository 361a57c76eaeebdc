//! What the tests of `sys` share: starting programs, waiting with a deadline, reading what a child wrote.

use std::ffi::CString;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use horust::sys::reap::{Ended, reap};
use horust::sys::spawn::{Program, Request, Session, Setup, Spawner, StageStatus, StatusPipe, Stdio};
use horust::sys::{Errno, SysError};
use nix::fcntl::OFlag;

pub const DEADLINE: Duration = Duration::from_secs(20);

pub fn c(text: impl AsRef<[u8]>) -> CString {
    CString::new(text.as_ref()).unwrap()
}

/// A spawner, for one test at a time. A file that one test writes to is open in a child that another starts at this
/// moment, until its exec; whoever executes the file then gets ETXTBSY. So take it before writing programs.
pub struct Exclusive {
    spawner: Spawner,
    _turn: MutexGuard<'static, ()>,
}

impl std::ops::Deref for Exclusive {
    type Target = Spawner;

    fn deref(&self) -> &Spawner {
        &self.spawner
    }
}

pub fn spawner() -> Exclusive {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    horust::sys::fds::cloexec_from(3);
    Exclusive { spawner: Spawner::new(c(env!("CARGO_BIN_EXE_horust"))), _turn: turn }
}

pub fn program(words: &[&str]) -> Program {
    Program {
        path: c(words[0]),
        argv: words.iter().map(c).collect(),
        env: vec![c("PATH=/usr/local/bin:/usr/bin:/bin"), c("LC_ALL=C")],
    }
}

pub fn sh(script: &str) -> Program {
    program(&["/bin/sh", "-c", script])
}

pub fn request(program: &Program) -> Request<'_> {
    Request { program, stdio: [Stdio::Null, Stdio::Null, Stdio::Inherit], more: None, cwd: None, session: Session::New }
}

/// Waits until `condition` gives something; panics after the deadline.
pub fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(result) = condition() {
            return result;
        }
        assert!(Instant::now() < end, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Ends a child when its test fails: one that lives on would hold the test run's stderr open.
pub struct Guard(pub u32);

impl Drop for Guard {
    fn drop(&mut self) {
        // Only then: after a success it has been reaped, and its pid may be another's.
        if std::thread::panicking() {
            let _gone = horust::sys::process::kill_pid(self.0, libc::SIGKILL);
        }
    }
}

/// Waits for this child and no other, so that tests may run side by side.
pub fn wait(pid: u32) -> Ended {
    until(&format!("end of {pid}"), || match reap(pid) {
        Ok(ended) => Some(ended),
        Err(SysError { errno: Errno::EAGAIN, .. }) => None,
        Err(error) => panic!("{error}"),
    })
}

/// What a child with this as its stdout writes, until all that hold it have closed it.
pub struct Output {
    reader: OwnedFd,
    pub writer: OwnedFd,
}

impl Output {
    pub fn new() -> Self {
        let (reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC).unwrap();
        Self { reader, writer }
    }

    pub fn text(self) -> String {
        drop(self.writer);
        let mut text = String::new();
        File::from(self.reader).read_to_string(&mut text).unwrap();
        text
    }
}

/// Runs to the end: how it ended and what it wrote to stdout.
pub fn run(spawner: &Spawner, program: &Program) -> (Ended, String) {
    let output = Output::new();
    let request =
        Request { stdio: [Stdio::Null, Stdio::Fd(output.writer.as_fd()), Stdio::Inherit], ..request(program) };
    let pid = spawner.spawn(&request).unwrap();
    let text = output.text();
    (wait(pid), text)
}

/// The same by way of the exec stage, with what the stage said.
pub fn run_staged(
    spawner: &Spawner,
    program: &Program,
    cwd: Option<&str>,
    setup: &Setup,
) -> (Ended, String, StageStatus) {
    let output = Output::new();
    let cwd = cwd.map(c);
    let stdio = [Stdio::Null, Stdio::Fd(output.writer.as_fd()), Stdio::Inherit];
    let request = Request { stdio, cwd: cwd.as_deref(), ..request(program) };
    let (pid, mut pipe) = spawner.spawn_staged(&request, setup).unwrap();
    let status = settled(&mut pipe);
    let text = output.text();
    (wait(pid), text, status)
}

pub fn settled(pipe: &mut StatusPipe) -> StageStatus {
    until("the stage's report", || {
        horust::sys::poll::wait_timeout(&[pipe.as_fd()], DEADLINE).unwrap();
        Some(pipe.read()).filter(|status| *status != StageStatus::Pending)
    })
}

/// A line of /proc/pid/status: its value.
pub fn field(status: &str, name: &str) -> String {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {name} in {status}")).split_whitespace().collect::<Vec<_>>().join(" ")
}
