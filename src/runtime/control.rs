//! The control socket: where it lies, and who may use it. That it can't be had is no reason not to supervise.

use super::web;
use crate::connect;
use crate::control::{Desk, Door, Gate, Server, serve};
use crate::limits;
use crate::model::{ControlSocket, IdOrName, Settings};
use crate::sys::{peer, process, users};
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::{Gid, Uid, chown};
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// The thread that serves clients, and the files by which they find it.
pub struct Control {
    server: Server,
    files: Vec<OwnFile>,
}

/// Opens what the settings ask for. None if they ask for nothing, or nothing can be had.
pub fn open(settings: &Settings, desk: Desk) -> Option<Control> {
    let (path, level) = match &settings.socket {
        ControlSocket::Off => (None, log::Level::Warn),
        ControlSocket::Default => (Some(in_folder(Path::new(limits::SOCKET_FOLDER))), log::Level::Info),
        ControlSocket::Folder(folder) => (Some(in_folder(folder)), log::Level::Warn),
        ControlSocket::At(path) => (Some(path.clone()), log::Level::Warn),
    };
    let (mut doors, mut files) = (Vec::new(), Vec::new());
    let mut folder = Some(Path::new(limits::SOCKET_FOLDER));
    if let Some(path) = &path {
        folder = path.parent();
        match try_open(path, settings.socket_group.as_ref()) {
            Ok((door, file)) => {
                doors.push(door);
                files.push(file);
            }
            Err(why) => {
                log::log!(level, "no control socket at {}: {why}", path.display());
                // Another Horust may be at home there.
                folder = None;
            }
        }
    }
    let group = settings.socket_group.as_ref().and_then(|group| group_id(group).ok());
    web::open(&settings.web, folder, group, &mut doors, &mut files);
    if doors.is_empty() {
        return None;
    }
    match serve(doors, desk) {
        Ok(server) => Some(Control { server, files }),
        Err(error) => {
            log::warn!("cannot start a thread for clients: {error}");
            files.iter().for_each(OwnFile::remove);
            None
        }
    }
}

fn in_folder(folder: &Path) -> PathBuf {
    folder.join(format!("horust-{}.sock", process::own_pid()))
}

fn try_open(path: &Path, group: Option<&IdOrName>) -> Result<(Door, OwnFile), String> {
    let group = group.map(group_id).transpose()?;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    }
    remove_stale(path)?;
    let listener = listen_at(path, group).map_err(|errno| errno.desc().to_owned())?;
    let own = Uid::effective().as_raw();
    let gate: Gate = Box::new(move |stream| match peer::of(stream.as_fd()) {
        Ok(peer) if peer.uid == 0 || peer.uid == own || group.is_some_and(|gid| peer.is_in(gid)) => Ok(()),
        Ok(peer) => Err(format!("user {} may not use the control socket", peer.uid)),
        Err(error) => Err(error.to_string()),
    });
    Ok((Door::Socket(listener, gate), OwnFile::new(path)))
}

fn group_id(group: &IdOrName) -> Result<u32, String> {
    match group {
        IdOrName::Id(id) => Ok(*id),
        IdOrName::Name(name) => users::find_group(name)
            .map_err(|error| error.to_string())?
            .ok_or_else(|| format!("there is no group `{name}`")),
    }
}

/// Removes a socket that nobody listens at any more. A Horust in another pid namespace may have our pid, and this path.
fn remove_stale(path: &Path) -> Result<(), String> {
    match connect::unix(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(|error| error.to_string())
        }
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error.to_string()),
        _ => Err("somebody listens there".to_owned()),
    }
}

fn listen_at(path: &Path, group: Option<u32>) -> Result<UnixListener, Errno> {
    let fd = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    let mode = Mode::from_bits_truncate(if group.is_some() { 0o660 } else { 0o600 });
    // The file gets the socket's own mode: nobody else can connect even before the chmod, which undoes the umask.
    fchmod(&fd, mode)?;
    bind(std::os::fd::AsRawFd::as_raw_fd(&fd), &UnixAddr::new(path)?)?;
    let opened = || {
        if let Some(gid) = group {
            chown(path, None, Some(Gid::from_raw(gid)))?;
        }
        let permissions = fs::Permissions::from_mode(mode.bits());
        fs::set_permissions(path, permissions).map_err(|e| Errno::from_raw(e.raw_os_error().unwrap_or_default()))?;
        listen(&fd, Backlog::new(limits::BACKLOG)?)
    };
    if let Err(errno) = opened() {
        let _ = fs::remove_file(path);
        return Err(errno);
    }
    Ok(UnixListener::from(fd))
}

/// A file that we have made, and remove at the end.
pub struct OwnFile {
    path: PathBuf,
    /// Its device and inode: by then another Horust may have put its own there.
    id: Option<(u64, u64)>,
}

impl OwnFile {
    /// The file that is there now.
    pub fn new(path: &Path) -> OwnFile {
        OwnFile { path: path.to_owned(), id: identity(path) }
    }

    fn remove(&self) {
        if self.id.is_some() && identity(&self.path) == self.id {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

impl Control {
    /// Removes the files, and lets clients have their answers.
    pub fn close(self) {
        self.files.iter().for_each(OwnFile::remove);
        self.server.finish();
    }
}
