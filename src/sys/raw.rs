//! The only `unsafe` code of the program: one thin safe function per system call that nix does not offer safely, or
//! offers with a type that can't hold what Linux sends (its `Signal` has no real-time signals, so its `waitpid` fails
//! for a child that one of them killed). No decisions are made here.

#![allow(unsafe_code)]

use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use nix::errno::Errno;

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

/// wait4(2) with WNOHANG for one child: its wait status and what it used. None: it lives.
pub fn wait4(pid: i32) -> Result<Option<(i32, libc::rusage)>, Errno> {
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: both pointers are to writable memory of the right size that outlives the call.
    let result = unsafe { libc::wait4(pid, &raw mut status, libc::WNOHANG | libc::__WALL, usage.as_mut_ptr()) };
    if Errno::result(result)? == 0 {
        return Ok(None);
    }
    // SAFETY: zeroed above, and every field of rusage is a plain integer, so it is initialised whatever was written.
    Ok(Some((status, unsafe { usage.assume_init() })))
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

/// posix_spawn* functions return a positive error number and leave errno alone (posix_spawn(3)).
fn check(code: libc::c_int) -> Result<(), Errno> {
    if code == 0 { Ok(()) } else { Err(Errno::from_raw(code)) }
}

/// A posix_spawnattr_t: empty signal mask, every disposition default, and the process group or session asked for.
pub struct SpawnAttr(libc::posix_spawnattr_t);

impl SpawnAttr {
    /// `extra` is POSIX_SPAWN_SETSID, POSIX_SPAWN_SETPGROUP (a new group) or 0.
    pub fn new(extra: libc::c_int) -> Result<Self, Errno> {
        let mut attr = MaybeUninit::<libc::posix_spawnattr_t>::zeroed();
        // SAFETY: memory for an attr object; init writes it, so that it is initialised afterwards.
        let mut attr = unsafe {
            check(libc::posix_spawnattr_init(attr.as_mut_ptr()))?;
            Self(attr.assume_init())
        };
        let flags = libc::POSIX_SPAWN_SETSIGMASK | libc::POSIX_SPAWN_SETSIGDEF | extra;
        let flags = libc::c_short::try_from(flags).map_err(|_| Errno::EINVAL)?;
        let mut none = MaybeUninit::<libc::sigset_t>::zeroed();
        let mut all = MaybeUninit::<libc::sigset_t>::zeroed();
        // SAFETY: the sets are writable and are initialised by sigemptyset; `all` is then overwritten with ones, for
        // sigset_t is an array of integers on every Linux libc and has no invalid bits. By hand, since sigfillset(3)
        // leaves out the two signals that glibc keeps for itself, and they must be default in a child as well.
        // `attr` was initialised above; the setters copy what they are given.
        unsafe {
            libc::sigemptyset(none.as_mut_ptr());
            ptr::write_bytes(all.as_mut_ptr(), 0xff, 1);
            check(libc::posix_spawnattr_setsigmask(&raw mut attr.0, none.as_ptr()))?;
            check(libc::posix_spawnattr_setsigdefault(&raw mut attr.0, all.as_ptr()))?;
            check(libc::posix_spawnattr_setpgroup(&raw mut attr.0, 0))?;
            check(libc::posix_spawnattr_setflags(&raw mut attr.0, flags))?;
        }
        Ok(attr)
    }
}

impl Drop for SpawnAttr {
    fn drop(&mut self) {
        // SAFETY: initialised in `new` and destroyed once, here.
        unsafe { libc::posix_spawnattr_destroy(&raw mut self.0) };
    }
}

/// A posix_spawn_file_actions_t: what the child does with its descriptors and directory before the exec, in order.
pub struct FileActions(libc::posix_spawn_file_actions_t);

impl FileActions {
    pub fn new() -> Result<Self, Errno> {
        let mut actions = MaybeUninit::<libc::posix_spawn_file_actions_t>::zeroed();
        // SAFETY: memory for the object; init writes it, so that it is initialised afterwards.
        unsafe {
            check(libc::posix_spawn_file_actions_init(actions.as_mut_ptr()))?;
            Ok(Self(actions.assume_init()))
        }
    }

    /// dup2(2) in the child. When both are the same number, FD_CLOEXEC is cleared (POSIX.1-2024; glibc 2.29, musl).
    pub fn dup2(&mut self, from: BorrowedFd<'_>, to: RawFd) -> Result<(), Errno> {
        // SAFETY: the object is initialised; the numbers are only stored. A descriptor that is closed before the spawn
        // makes the spawn fail and nothing worse.
        check(unsafe { libc::posix_spawn_file_actions_adddup2(&raw mut self.0, from.as_raw_fd(), to) })
    }

    /// chdir(2) in the child; glibc 2.29, musl 1.1.24.
    pub fn chdir(&mut self, to: &CStr) -> Result<(), Errno> {
        // SAFETY: the object is initialised, `to` ends with a NUL, and the text is copied before the call returns.
        check(unsafe { libc::posix_spawn_file_actions_addchdir_np(&raw mut self.0, to.as_ptr()) })
    }
}

impl Drop for FileActions {
    fn drop(&mut self) {
        // SAFETY: initialised in `new` and destroyed once, here.
        unsafe { libc::posix_spawn_file_actions_destroy(&raw mut self.0) };
    }
}

/// posix_spawn(3). The pid is the child's, and its exec has taken place.
pub fn posix_spawn(
    path: &CStr,
    actions: &FileActions,
    attr: &SpawnAttr,
    argv: &[CString],
    env: &[CString],
) -> Result<u32, Errno> {
    let pointers = |words: &[CString]| -> Vec<*mut libc::c_char> {
        words.iter().map(|word| word.as_ptr().cast_mut()).chain([ptr::null_mut()]).collect()
    };
    let (argv, env) = (pointers(argv), pointers(env));
    let mut pid = 0;
    // SAFETY: both arrays end with a null pointer and point to NUL-terminated strings that outlive the call, as do path,
    // actions and attr, which are initialised. The pointers are mutable by an accident of C: exec writes to none.
    check(unsafe {
        libc::posix_spawn(
            &raw mut pid,
            path.as_ptr(),
            &raw const actions.0,
            &raw const attr.0,
            argv.as_ptr(),
            env.as_ptr(),
        )
    })?;
    u32::try_from(pid).map_err(|_| Errno::ESRCH)
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
