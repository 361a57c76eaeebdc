//! The socket at which services say what they are doing (sd_notify(3)). Who sent a message is the kernel's word, by
//! SCM_CREDENTIALS (unix(7)); what it means is decided elsewhere. Reading never waits.

use std::io::IoSliceMut;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, UnixCredentials, bind, recvmsg, setsockopt, socket, sockopt,
};

use super::{SysError, process, raw};

/// A message longer than this is none: systemd takes no more either (NOTIFY_BUFFER_MAX is PIPE_BUF).
const MESSAGE: usize = 4096;

/// As many descriptors as one message can carry (SCM_MAX_FD in the kernel). Those without room would be closed by the kernel
/// while we read.
const DESCRIPTORS: usize = 253;

/// A datagram socket with an abstract address: it needs no directory that can be written to and leaves nothing behind.
#[derive(Debug)]
pub struct NotifySocket {
    fd: OwnedFd,
    address: String,
}

/// One message.
#[derive(Debug)]
pub struct Message {
    /// Who sent it.
    pub pid: u32,
    /// What it says; empty if it was too long.
    pub text: Vec<u8>,
    /// What came with it. Closing one can block, even now that no socket of them lingers: close(2) of a file of FUSE does.
    pub descriptors: Vec<OwnedFd>,
}

impl NotifySocket {
    /// Opens it. Two containers can share one network namespace and so one space of names, and each has its own pid 1:
    /// the time makes the name unique.
    pub fn new() -> Result<Self, SysError> {
        let name = format!("horust-notify-{}-{:x}", process::own_pid(), process::mono_now());
        let open = || {
            let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
            let fd = socket(AddressFamily::Unix, SockType::Datagram, flags, None)?;
            setsockopt(&fd, sockopt::PassCred, &true)?;
            bind(fd.as_raw_fd(), &UnixAddr::new_abstract(name.as_bytes())?)?;
            Ok(fd)
        };
        let fd = open().map_err(SysError::on("open", "the socket for notifications"))?;
        Ok(Self { fd, address: format!("@{name}") })
    }

    /// What services find in `NOTIFY_SOCKET`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The next message, if there is one.
    pub fn read(&self) -> Option<Message> {
        loop {
            match self.receive() {
                Err(Errno::EINTR) => {}
                Err(_) => return None,
                Ok(message) => return Some(message),
            }
        }
    }

    fn receive(&self) -> Result<Message, Errno> {
        let mut buffer = vec![0; MESSAGE];
        let mut control = cmsg_space!(UnixCredentials, [RawFd; DESCRIPTORS]);
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
        let mut message = Message { pid: 0, text: Vec::new(), descriptors: Vec::new() };
        let mut slices = [IoSliceMut::new(&mut buffer)];
        let received = recvmsg::<()>(self.fd.as_raw_fd(), &mut slices, Some(&mut control), flags)?;
        let (length, whole) = (received.bytes, !received.flags.contains(MsgFlags::MSG_TRUNC));
        for (level, kind, data) in parts(&control) {
            match (level, kind) {
                (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) => {
                    message.pid = integers(data).next().and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0);
                }
                (libc::SOL_SOCKET, libc::SCM_RIGHTS) => message.descriptors.extend(integers(data).map(raw::own_fd)),
                _ => {}
            }
        }
        // The last close of a lingering socket waits, and may happen in a child of ours on the way to its exec.
        let off = libc::linger { l_onoff: 0, l_linger: 0 };
        for fd in &message.descriptors {
            let _mostly_no_socket = setsockopt(fd, sockopt::Linger, &off);
        }
        buffer.truncate(if whole { length } else { 0 });
        message.text = buffer;
        Ok(message)
    }
}

impl AsFd for NotifySocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The control messages in a buffer that was all zeros before (cmsg(3)): level, type and data of each. Not by nix, which tells
/// of none if the kernel had no descriptor left for one that was sent, although it has opened some before.
fn parts(mut buffer: &[u8]) -> impl Iterator<Item = (i32, i32, &[u8])> {
    const LENGTH: usize = size_of::<usize>();
    const HEADER: usize = size_of::<libc::cmsghdr>();
    std::iter::from_fn(move || {
        let length = usize::from_ne_bytes(*buffer.first_chunk::<LENGTH>()?);
        let mut kind = integers(buffer.get(LENGTH..HEADER)?);
        let (level, kind) = (kind.next()?, kind.next()?);
        let data = buffer.get(HEADER..length)?;
        buffer = buffer.get(length.next_multiple_of(LENGTH)..).unwrap_or_default();
        Some((level, kind, data))
    })
}

fn integers(data: &[u8]) -> impl Iterator<Item = i32> {
    data.chunks_exact(size_of::<i32>()).filter_map(|bytes| bytes.try_into().ok()).map(i32::from_ne_bytes)
}
