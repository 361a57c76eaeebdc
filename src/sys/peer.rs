//! Who is at the other end of a unix socket, as the kernel noted when they connected.

use std::os::fd::BorrowedFd;

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};

use super::{SysError, raw};

/// The peer's rights at the time of its connect(2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its effective user.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
    /// Its supplementary groups.
    pub groups: Vec<u32>,
}

impl Peer {
    /// Whether it belongs to this group.
    pub fn is_in(&self, gid: u32) -> bool {
        self.gid == gid || self.groups.contains(&gid)
    }
}

/// SO_PEERCRED and SO_PEERGROUPS of unix(7). Before Linux 4.13 no supplementary groups are known.
pub fn of(socket: BorrowedFd<'_>) -> Result<Peer, SysError> {
    let credentials =
        getsockopt(&socket, PeerCredentials).map_err(SysError::on("identify", "who has connected to a socket"))?;
    let groups = raw::peer_groups(socket).unwrap_or_default();
    Ok(Peer { uid: credentials.uid(), gid: credentials.gid(), groups })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_peer_of_our_own_has_our_rights() {
        let (one, _other) = UnixStream::pair().unwrap();
        let peer = of(one.as_fd()).unwrap();
        assert_eq!((peer.uid, peer.gid), (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw()));
        let own: Vec<u32> = nix::unistd::getgroups().unwrap().into_iter().map(|gid| gid.as_raw()).collect();
        let mut groups = peer.groups.clone();
        groups.sort_unstable();
        let mut own = own;
        own.sort_unstable();
        assert_eq!(groups, own);
        assert!(peer.is_in(peer.gid) && !peer.is_in(u32::MAX));
    }
}
