//! The only `unsafe` code of the program: one thin safe function per system call that nix does not offer safely, or
//! offers with a type that can't hold what Linux sends (its `Signal` has no real-time signals, so its `waitpid` fails
//! for a child that one of them killed). No decisions are made here.

#![allow(unsafe_code)]

use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

use nix::errno::Errno;

use super::spawn::Session;

/// waitid(2) with P_ALL: a child that has ended, left as it is (`WNOWAIT`). None: children, but no dead one. ECHILD:
/// no children.
pub fn peek_dead() -> Result<Option<u32>, Errno> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: `info` is writable memory of the right size for the whole call; the other arguments are plain numbers.
    let result = unsafe {
        libc::waitid(libc::P_ALL, 0, info.as_mut_ptr(), libc::WEXITED | libc::WNOHANG | libc::WNOWAIT | libc::__WALL)
    };
    Errno::result(result)?;
    // SAFETY: zeroed above and all-zero bytes are a valid siginfo_t; after a successful waitid the kernel has filled
    // in the SIGCHLD variant, whose pid `si_pid` reads, or left the pid zero when nobody was waitable (Linux does).
    let pid = unsafe { info.assume_init().si_pid() };
    Ok(u32::try_from(pid).ok().filter(|&pid| pid != 0))
}

/// waitpid(2) with WNOHANG for one child, or with -1 for any: its pid and wait status. None: it lives, or all do.
pub fn waitpid(pid: i32) -> Result<Option<(u32, i32)>, Errno> {
    let mut status = 0;
    // SAFETY: the pointer is to a writable integer that outlives the call.
    let reaped = Errno::result(unsafe { libc::waitpid(pid, &raw mut status, libc::WNOHANG | libc::__WALL) })?;
    Ok(u32::try_from(reaped).ok().filter(|&pid| pid != 0).map(|pid| (pid, status)))
}

/// pidfd_open(2), Linux 5.3. The descriptor is close-on-exec by the kernel's own rule.
pub fn pidfd_open(pid: i32) -> Result<OwnedFd, Errno> {
    // SAFETY: both arguments are plain integers; no memory is passed.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let fd = RawFd::try_from(Errno::result(result)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just made this descriptor for us and nobody else knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// pidfd_send_signal(2), Linux 5.1, with the siginfo that kill(2) would make.
pub fn pidfd_send_signal(fd: BorrowedFd<'_>, signo: i32) -> Result<(), Errno> {
    let no_info = ptr::null::<libc::siginfo_t>();
    // SAFETY: the descriptor is borrowed, so open; a null siginfo is allowed (pidfd_send_signal(2)).
    let result = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd.as_raw_fd(), signo, no_info, 0) };
    Errno::result(result).map(drop)
}

/// kill(2), with any signal number: 0 probes, real-time ones are allowed.
pub fn kill(pid: i32, signo: i32) -> Result<(), Errno> {
    // SAFETY: plain integers; kill touches no memory of ours.
    Errno::result(unsafe { libc::kill(pid, signo) }).map(drop)
}

/// clock_gettime(CLOCK_MONOTONIC) in nanoseconds; 0 if the clock can't be read, which Linux does not do.
pub fn monotonic() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a writable timespec that outlives the call.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}

/// getrandom(2): fills the buffer, which is at most 256 bytes long: that much comes whole. It waits for the kernel's
/// generator to be ready, which it is long before a container starts.
pub fn random(buffer: &mut [u8]) -> Result<(), Errno> {
    let length = buffer.len().min(256);
    // SAFETY: the buffer is writable memory of at least this length for the whole call.
    let result = unsafe { libc::getrandom(buffer.as_mut_ptr().cast(), length, 0) };
    match Errno::result(result)? == length.cast_signed() {
        true => Ok(()),
        false => Err(Errno::EIO),
    }
}

/// close_range(2) with CLOSE_RANGE_CLOEXEC, Linux 5.11: marks every descriptor from `first` on, closes none.
pub fn close_range_cloexec(first: u32) -> Result<(), Errno> {
    // SAFETY: plain integers; with this flag the call changes descriptor flags only, so no owner loses a descriptor.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    Errno::result(result).map(drop)
}

/// getsockopt(2) SO_PEERGROUPS, Linux 4.13: the supplementary groups of who is at the other end of a unix socket.
pub fn peer_groups(socket: BorrowedFd<'_>) -> Result<Vec<u32>, Errno> {
    // NGROUPS_MAX is 65536; whoever is in more than 1024 is asked a second time, with as much room as is needed.
    let mut groups: Vec<libc::gid_t> = vec![0; 1024];
    for _ in 0..2 {
        let bytes = std::mem::size_of_val(groups.as_slice());
        let mut length = libc::socklen_t::try_from(bytes).map_err(|_| Errno::EINVAL)?;
        // SAFETY: `groups` has room for `length` bytes and any bytes are gids; both outlive the call, and the descriptor is
        // open while it is borrowed.
        let result = unsafe {
            let value = groups.as_mut_ptr().cast();
            libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PEERGROUPS, value, &raw mut length)
        };
        let count = usize::try_from(length).unwrap_or(0) / size_of::<libc::gid_t>();
        match Errno::result(result) {
            Err(Errno::ERANGE) => groups.resize(count, 0),
            Err(errno) => return Err(errno),
            Ok(_) => {
                groups.truncate(count);
                return Ok(groups);
            }
        }
    }
    Err(Errno::ERANGE)
}

/// fcntl(2) F_SETOWN: a pid, or a negative process group.
pub fn set_owner(fd: BorrowedFd<'_>, owner: i32) -> Result<(), Errno> {
    // SAFETY: F_SETOWN takes a plain integer; the descriptor is open while it is borrowed.
    Errno::result(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETOWN, owner) }).map(drop)
}

/// fcntl(2) F_GETFD by number, for descriptors that somebody else handed to us.
pub fn is_open(fd: RawFd) -> bool {
    // SAFETY: F_GETFD takes no pointer and changes nothing; any number is allowed.
    unsafe { libc::fcntl(fd, libc::F_GETFD) != -1 }
}

/// fcntl(2) F_SETFD by number, for descriptors that somebody else handed to us.
pub fn set_cloexec(fd: RawFd) -> Result<(), Errno> {
    // SAFETY: F_SETFD takes a plain integer; it closes nothing, so no owner is affected.
    Errno::result(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) }).map(drop)
}

/// Takes ownership of a descriptor that the parent put at a number agreed upon. Call it once per number, before
/// anything else in this process could have opened it. None for 0 to 2 and for closed ones.
pub fn take_inherited(fd: RawFd) -> Option<OwnedFd> {
    if fd <= 2 || !is_open(fd) {
        return None;
    }
    // SAFETY: the descriptor is open, was open before this program began, and by the contract above nobody owns it.
    Some(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Takes ownership of a descriptor that the kernel has just given to us: with a message (SCM_RIGHTS in unix(7)), or as a
/// copy (F_DUPFD_CLOEXEC in fcntl(2)). Call it once for each such number.
pub fn own_fd(fd: RawFd) -> OwnedFd {
    // SAFETY: the kernel has made this descriptor for us, and by the contract above nobody else owns it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// What a signal does when nobody catches it.
#[derive(Debug, Clone, Copy)]
pub enum Disposition {
    Default,
    Ignore,
}

/// sigaction(2) to SIG_DFL or SIG_IGN; never to a handler.
pub fn set_disposition(signo: i32, to: Disposition) -> Result<(), Errno> {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: all-zero bytes are a valid sigaction (no flags, an empty mask, SIG_DFL); the handler set is one of the
    // two constants, so no code of ours ever runs as a signal handler. The pointers outlive the call.
    let result = unsafe {
        (*action.as_mut_ptr()).sa_sigaction = match to {
            Disposition::Default => libc::SIG_DFL,
            Disposition::Ignore => libc::SIG_IGN,
        };
        libc::sigaction(signo, action.as_ptr(), ptr::null_mut())
    };
    Errno::result(result).map(drop)
}

/// setpriority(2) for this process: its nice value.
pub fn set_nice(value: i8) -> Result<(), Errno> {
    // SAFETY: three plain numbers; 0 is the calling process.
    Errno::result(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, value.into()) }).map(drop)
}

/// prctl(2) with an operation on capabilities, which all take plain numbers and touch no memory.
fn capability_prctl(operation: libc::c_int, first: libc::c_int, second: u8) -> Result<libc::c_int, Errno> {
    let [first, second, none] = [libc::c_long::from(first), second.into(), 0];
    // SAFETY: this function is private, and its callers pass PR_CAPBSET_READ, PR_CAPBSET_DROP and PR_CAP_AMBIENT only;
    // none of them takes a pointer. Every argument has the register's width, as a variadic function needs.
    Errno::result(unsafe { libc::prctl(operation, first, second, none, none) })
}

/// Whether the bounding set has this capability; EINVAL if the kernel knows none of this number.
pub fn bounding_has(number: u8) -> Result<bool, Errno> {
    capability_prctl(libc::PR_CAPBSET_READ, number.into(), 0).map(|has| has == 1)
}

/// Takes a capability out of the bounding set.
pub fn bounding_drop(number: u8) -> Result<(), Errno> {
    capability_prctl(libc::PR_CAPBSET_DROP, number.into(), 0).map(drop)
}

/// Empties the ambient set (Linux 4.3).
pub fn ambient_clear() -> Result<(), Errno> {
    capability_prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0).map(drop)
}

/// Adds a capability, which must be permitted and inheritable, to the ambient set.
pub fn ambient_raise(number: u8) -> Result<(), Errno> {
    capability_prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE, number).map(drop)
}

/// The capability sets of a thread, as bits by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CapData {
    pub effective: u64,
    pub permitted: u64,
    pub inheritable: u64,
}

/// _LINUX_CAPABILITY_VERSION_3 and "this thread": what capget(2) and capset(2) begin with.
const CAP_HEADER: [u32; 2] = [0x2008_0522, 0];

/// capget(2) of this thread.
pub fn capget() -> Result<CapData, Errno> {
    let mut header = CAP_HEADER;
    // Two structs of effective, permitted and inheritable: the lower and the upper 32 bits.
    let mut data = [[0_u32; 3]; 2];
    // SAFETY: both are arrays of the size and alignment that version 3 asks for, and outlive the call.
    Errno::result(unsafe { libc::syscall(libc::SYS_capget, header.as_mut_ptr(), data.as_mut_ptr()) })?;
    let [low, high] = data;
    let whole = |low: u32, high: u32| u64::from(high) << 32 | u64::from(low);
    Ok(CapData {
        effective: whole(low[0], high[0]),
        permitted: whole(low[1], high[1]),
        inheritable: whole(low[2], high[2]),
    })
}

/// capset(2) of this thread.
pub fn capset(sets: CapData) -> Result<(), Errno> {
    let mut header = CAP_HEADER;
    let half = |set: u64, shift: u32| u32::try_from(set >> shift & u64::from(u32::MAX)).unwrap_or(0);
    let halves = |shift| [sets.effective, sets.permitted, sets.inheritable].map(|set| half(set, shift));
    let data = [halves(0), halves(32)];
    // SAFETY: both are arrays of the size and alignment that version 3 asks for, and outlive the call, which writes at
    // most the header's version.
    Errno::result(unsafe { libc::syscall(libc::SYS_capset, header.as_mut_ptr(), data.as_ptr()) }).map(drop)
}

/// Signals that this process ignores now, those that libc keeps for itself among them.
pub fn ignored_signals() -> Vec<i32> {
    let is_ignored = |signo: &i32| {
        let mut action = KernelAction::default();
        let none = ptr::null::<KernelAction>();
        // SAFETY: rt_sigaction(2) with no new action only writes the present one, for which there is room.
        let result = unsafe { libc::syscall(libc::SYS_rt_sigaction, *signo, none, &raw mut action, SIGSET) };
        result == 0 && action[0] == libc::SIG_IGN
    };
    (1..=64).filter(is_ignored).collect()
}

/// The kernel's struct sigaction, the handler first: no larger than this on any machine. All zero is SIG_DFL.
type KernelAction = [usize; 8];

/// Bytes of the kernel's sigset_t.
const SIGSET: usize = 8;

/// A new process until its exec, in the order in which this is done.
pub struct Birth<'a> {
    /// These are to do what they do by default. (A handler does not survive the exec.)
    pub ignored: &'a [i32],
    pub session: Session,
    /// dup2(2) from the first to the second, in order; if both are the same number, FD_CLOEXEC is cleared.
    pub streams: &'a [(RawFd, RawFd)],
    pub cwd: Option<&'a CStr>,
    pub path: &'a CStr,
    pub argv: &'a [CString],
    pub env: &'a [CString],
}

/// What parent and child share.
struct Shared<'a> {
    birth: &'a Birth<'a>,
    argv: *const *const libc::c_char,
    env: *const *const libc::c_char,
    /// The error number of what has failed, in the child.
    failure: AtomicI32,
}

/// The child's stack until its exec, 16 KiB, of which it needs some hundred bytes. Of a type that is aligned as stacks are.
type Stack = [u128; 1 << 10];

/// clone(2) as vfork(2) does it, on a stack of its own, and execve(2): what posix_spawn(3) of glibc and musl does, without
/// looking at 64 dispositions, mapping a stack and asking for the limit of open files each time, which costs 30 µs. The pid is
/// the child's, and its exec has taken place; on an error there is no child.
pub fn vfork_exec(birth: &Birth<'_>) -> Result<u32, Errno> {
    let (argv, env) = (pointers(birth.argv), pointers(birth.env));
    let shared = Shared { birth, argv: argv.as_ptr(), env: env.as_ptr(), failure: AtomicI32::new(0) };
    let mut stack = MaybeUninit::<Stack>::uninit();
    let (all, mut before) = (u64::MAX, 0_u64);
    // SAFETY: CLONE_VFORK holds this thread up until the child has executed another program or has ended, so all that the child
    // reads lives that long, nobody else writes it (the failure is atomic), and its stack, whose end is aligned as every
    // ABI asks for, is used by nobody else, and by nobody afterwards. The child makes system calls only: it allocates nothing, takes no
    // lock and does not unwind. All signals are blocked meanwhile, so that no handler runs in it while it shares our memory.
    // What it does to errno, which is this thread's, does not matter: errno is read only if there is no child.
    let pid = unsafe {
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const all, &raw mut before, SIGSET);
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
        let top = stack.as_mut_ptr().add(1).cast();
        let pid = Errno::result(libc::clone(child, top, flags, (&raw const shared).cast_mut().cast()));
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const before, ptr::null::<u64>(), SIGSET);
        pid?
    };
    match shared.failure.load(Ordering::Relaxed) {
        0 => u32::try_from(pid).map_err(|_| Errno::ESRCH),
        failure => {
            // It has ended by itself, or is just about to.
            // SAFETY: a pid that nobody else waits for; no status is asked for.
            while unsafe { libc::waitpid(pid, ptr::null_mut(), libc::__WALL) } == -1 && Errno::last() == Errno::EINTR {}
            Err(Errno::from_raw(failure))
        }
    }
}

/// The child of `vfork_exec`.
extern "C" fn child(shared: *mut libc::c_void) -> libc::c_int {
    // SAFETY: this is the `Shared` of `vfork_exec`, which waits. The strings and arrays end as execve wants them to. _exit runs
    // nothing of ours.
    unsafe {
        let shared = &*shared.cast::<Shared<'_>>();
        if until_exec(shared.birth) {
            libc::execve(shared.birth.path.as_ptr(), shared.argv, shared.env);
        }
        shared.failure.store(Errno::last_raw(), Ordering::Relaxed);
        libc::_exit(127)
    }
}

/// False if something has failed; errno says what.
fn until_exec(birth: &Birth<'_>) -> bool {
    // SAFETY: system calls with plain numbers, and with memory of the right size and strings with a NUL that outlive them.
    unsafe {
        let default = KernelAction::default();
        for signo in birth.ignored {
            libc::syscall(libc::SYS_rt_sigaction, *signo, &raw const default, ptr::null_mut::<KernelAction>(), SIGSET);
        }
        let settled = match birth.session {
            Session::New => libc::setsid() != -1,
            Session::OwnGroup => libc::setpgid(0, 0) != -1,
            Session::Inherit => true,
        };
        let connected = settled
            && birth.streams.iter().all(|&(from, to)| match from == to {
                true => libc::fcntl(to, libc::F_SETFD, 0) != -1,
                false => libc::dup2(from, to) != -1,
            });
        let none = 0_u64;
        connected
            && birth.cwd.is_none_or(|cwd| libc::chdir(cwd.as_ptr()) != -1)
            && libc::syscall(
                libc::SYS_rt_sigprocmask,
                libc::SIG_SETMASK,
                &raw const none,
                ptr::null_mut::<u64>(),
                SIGSET,
            ) != -1
    }
}

/// What a child changes about itself.
#[derive(Debug)]
pub enum Change {
    /// prlimit(2): which, the soft and the hard limit.
    Limit(libc::c_int, u64, u64),
    /// umask(2).
    Umask(libc::mode_t),
    /// setgroups(2).
    Groups(Vec<libc::gid_t>),
    /// setresgid(2): all three.
    Gid(libc::gid_t),
    /// setresuid(2): all three, so that there is no way back.
    Uid(libc::uid_t),
    /// PR_SET_NO_NEW_PRIVS(2const).
    NoNewPrivs,
}

/// What a forked child tries: these changes, then the first of `paths` that it may execute. If anything fails it becomes `stage`,
/// which does all of it again, and says why.
pub struct Try<'a> {
    /// The stage's status pipe among its streams: close-on-exec for the program.
    pub status: RawFd,
    pub changes: &'a [Change],
    pub cwd: Option<&'a CStr>,
    pub paths: &'a [CString],
    pub argv: &'a [CString],
    pub env: &'a [CString],
    pub stage: &'a Birth<'a>,
}

/// fork(2), and all that `Try` says. The pid is the child's; what becomes of it its status pipe tells.
pub fn fork_exec(wanted: &Try<'_>) -> Result<u32, Errno> {
    let (argv, env) = (pointers(wanted.argv), pointers(wanted.env));
    let (stage_argv, stage_env) = (pointers(wanted.stage.argv), pointers(wanted.stage.env));
    // SAFETY: the system call itself, for the C library's fork would take locks and run handlers in the child. The child has a
    // copy of our memory as it is now, in which a lock may be held for ever: it makes system calls only, allocates nothing, takes
    // no lock and does not unwind. It never returns from this block. Strings and arrays end as execve wants them to.
    let pid = unsafe {
        let pid = libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0);
        if pid == 0 {
            if until_exec(wanted.stage) {
                if wanted.changes.iter().all(change)
                    && wanted.cwd.is_none_or(|cwd| libc::chdir(cwd.as_ptr()) != -1)
                    && libc::fcntl(wanted.status, libc::F_SETFD, libc::FD_CLOEXEC) != -1
                {
                    let may = |path: &&CString| libc::faccessat(libc::AT_FDCWD, path.as_ptr(), libc::X_OK, 0) == 0;
                    if let Some(path) = wanted.paths.iter().find(may) {
                        libc::execve(path.as_ptr(), argv.as_ptr(), env.as_ptr());
                    }
                }
                libc::fcntl(wanted.status, libc::F_SETFD, 0);
                libc::execve(wanted.stage.path.as_ptr(), stage_argv.as_ptr(), stage_env.as_ptr());
                let failure = Errno::last_raw();
                libc::write(wanted.status, (&raw const failure).cast(), size_of_val(&failure));
            }
            libc::_exit(127);
        }
        pid
    };
    Errno::result(pid).and_then(|pid| u32::try_from(pid).map_err(|_| Errno::ESRCH))
}

/// By system calls of its own: the C library's functions would have all threads change that it believes there are. False if it has
/// failed.
fn change(change: &Change) -> bool {
    // SAFETY: system calls with plain numbers, and with memory of the right size that outlives them.
    let done = unsafe {
        match change {
            Change::Limit(resource, soft, hard) => {
                let (limit, none) = ([*soft, *hard], ptr::null_mut::<[u64; 2]>());
                libc::syscall(libc::SYS_prlimit64, 0, *resource, &raw const limit, none)
            }
            Change::Umask(mask) => libc::syscall(libc::SYS_umask, *mask),
            Change::Groups(groups) => libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()),
            Change::Gid(gid) => libc::syscall(libc::SYS_setresgid, *gid, *gid, *gid),
            Change::Uid(uid) => libc::syscall(libc::SYS_setresuid, *uid, *uid, *uid),
            Change::NoNewPrivs => libc::syscall(libc::SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        }
    };
    done != -1
}

fn pointers(words: &[CString]) -> Vec<*const libc::c_char> {
    words.iter().map(|word| word.as_ptr()).chain([ptr::null()]).collect()
}

/// getauxval(3) AT_EXECFN: the name by which the kernel was asked to run us.
pub fn exec_name() -> Option<CString> {
    // SAFETY: getauxval takes a number. AT_EXECFN's value is zero or the address of a NUL-terminated string above the
    // stack, which stays there, unchanged, as long as the process; it is copied at once.
    unsafe {
        let address = libc::getauxval(libc::AT_EXECFN) as *const libc::c_char;
        if address.is_null() { None } else { Some(CStr::from_ptr(address).to_owned()) }
    }
}

/// Tells a static glibc to read users and groups from the files alone. Elsewhere it does nothing.
#[cfg(all(target_feature = "crt-static", target_env = "gnu"))]
pub fn nss_files_only() {
    unsafe extern "C" {
        /// In <nss.h> and exported since glibc 2.0, for programs like nscd; libc does not bind it.
        fn __nss_configure_lookup(database: *const libc::c_char, services: *const libc::c_char) -> libc::c_int;
    }
    for (database, services) in
        [(c"passwd", c"files"), (c"group", c"files"), (c"initgroups", c"files"), (c"hosts", c"files dns")]
    {
        // SAFETY: two NUL-terminated constant strings, which glibc copies; it takes its own lock. A failure (an unknown
        // database) leaves that one as it was.
        unsafe { __nss_configure_lookup(database.as_ptr(), services.as_ptr()) };
    }
}

/// See above.
#[cfg(not(all(target_feature = "crt-static", target_env = "gnu")))]
pub fn nss_files_only() {}

/// Makes malloc use one arena for all threads, as we have two busy ones at most, and give large blocks back at once: the
/// lists of a start with many services are large, and needed only then. (glibc would raise the threshold by itself, and
/// keep the blocks.)
#[cfg(target_env = "gnu")]
pub fn small_heap() {
    for (parameter, value) in
        [(libc::M_ARENA_MAX, 1), (libc::M_MMAP_THRESHOLD, LARGE_BLOCK), (libc::M_TRIM_THRESHOLD, LARGE_BLOCK)]
    {
        // SAFETY: mallopt(3) takes two numbers and may be called at any time.
        unsafe { libc::mallopt(parameter, value) };
    }
}

/// Bytes: blocks from here on are mapped by themselves.
#[cfg(target_env = "gnu")]
const LARGE_BLOCK: libc::c_int = 64 << 10;

/// See above.
#[cfg(not(target_env = "gnu"))]
pub fn small_heap() {}
