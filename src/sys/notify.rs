//! The socket at which services say what they are doing (sd_notify(3)). Who sent a message is the kernel's word, by
//! SCM_CREDENTIALS (unix(7)); what it means is decided elsewhere. Reading never waits.

use std::io::IoSliceMut;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixAddr, UnixCredentials, bind, recvmsg,
    setsockopt, socket, sockopt,
};

use super::{SysError, process, raw};

/// A message longer than this is none: systemd takes no more either (NOTIFY_BUFFER_MAX is PIPE_BUF).
const MESSAGE: usize = 4096;

/// As many descriptors as one message can carry (SCM_MAX_FD in the kernel). With less room the kernel would still give us
/// some of them, and nix would not tell which.
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
        for part in received.cmsgs()? {
            match part {
                ControlMessageOwned::ScmCredentials(sender) => message.pid = u32::try_from(sender.pid()).unwrap_or(0),
                ControlMessageOwned::ScmRights(fds) => message.descriptors.extend(fds.into_iter().map(raw::own_fd)),
                _ => {}
            }
        }
        // The last close of a lingering socket waits, and may happen in a child of ours on the way to its exec.
        let off = libc::linger { l_onoff: 0, l_linger: 0 };
        for fd in &message.descriptors {
            let _mostly_no_socket = setsockopt(fd, sockopt::Linger, &off);
        }
        let whole = !received.flags.contains(MsgFlags::MSG_TRUNC);
        let length = if whole { received.bytes } else { 0 };
        buffer.truncate(length);
        message.text = buffer;
        Ok(message)
    }
}

impl AsFd for NotifySocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
