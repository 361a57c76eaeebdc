//! The web addresses: binds them, and gets the token that guards them. That they can't be had is no reason not to
//! supervise. What may be done there is decided in `control`.

use super::control::OwnFile;
use crate::control::{Door, Guard};
use crate::limits;
use crate::model::Web;
use crate::sys::process;
use nix::unistd::{Gid, chown};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Bytes of a token that is made up.
const TOKEN: usize = 24;

/// Opens what the settings ask for. `folder` is where a token may be left, for this group.
pub fn open(web: &Web, folder: Option<&Path>, group: Option<u32>, doors: &mut Vec<Door>, files: &mut Vec<OwnFile>) {
    if web.page.is_none() && web.metrics.is_none() {
        return;
    }
    let mut guard = Guard { for_reading: web.token_for_reading, hosts: Some(web.hosts.clone()), ..Guard::default() };
    if web.page.is_some() || web.token_for_reading {
        match token(web, folder, group, files) {
            Ok((token, at)) => (guard.token, guard.token_at) = (Some(token), Some(at)),
            Err(why) => log::warn!("without a token nobody can start or stop anything at `web-server`: {why}"),
        }
    }
    if let Some(at) = web.page {
        match bind(at, &guard, "the page") {
            Ok(listener) => doors.push(Door::Web(listener, guard.clone())),
            Err(why) => log::warn!("no page at {at}: {why}"),
        }
    }
    if let Some(at) = web.metrics {
        // There is nothing to steer. Who scrapes it from elsewhere comes by any name; only a browser on this machine could
        // be led to a loopback address by one that is not ours.
        let hosts = guard.hosts.take().filter(|_| at.ip().to_canonical().is_loopback());
        let guard = Guard { hosts, token_at: None, ..guard };
        match bind(at, &guard, "metrics") {
            Ok(listener) => doors.push(Door::Metrics(listener, guard)),
            Err(why) => log::warn!("no metrics at {at}: {why}"),
        }
    }
}

fn bind(at: SocketAddr, guard: &Guard, what: &str) -> Result<TcpListener, String> {
    if guard.for_reading && guard.token.is_none() {
        return Err("reading needs a token, and there is none".to_owned());
    }
    let listener = TcpListener::bind(at).map_err(|error| error.to_string())?;
    log::info!("{what} is at http://{}/", listener.local_addr().unwrap_or(at));
    Ok(listener)
}

/// The token, and where people find it.
fn token(
    web: &Web,
    folder: Option<&Path>,
    group: Option<u32>,
    files: &mut Vec<OwnFile>,
) -> Result<(String, String), String> {
    if let Some(path) = &web.token_file {
        let token = read(path).map_err(|why| format!("cannot use the token in {}: {why}", path.display()))?;
        return Ok((token, path.display().to_string()));
    }
    let folder = folder.ok_or("there is no control socket beside which it could be left")?;
    let token = process::secret(TOKEN).map_err(|error| error.to_string())?;
    let path = folder.join(format!("horust-{}.token", process::own_pid()));
    write(&path, &token, group).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    files.push(OwnFile::new(&path));
    Ok((token, path.display().to_string()))
}

fn read(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    // A named pipe must not hold up the start.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path);
    file.and_then(|file| file.take(limits::TOKEN_FILE_BYTES).read_to_string(&mut text)).map_err(|e| e.to_string())?;
    let token = text.trim();
    let odd = |c: char| c.is_whitespace() || c.is_control() || !c.is_ascii();
    match (token.len() < limits::TOKEN, token.contains(odd)) {
        (true, _) => Err(format!("it has fewer than {} characters", limits::TOKEN)),
        (_, true) => Err("it has to be one word of ASCII characters".to_owned()),
        (false, false) => Ok(token.to_owned()),
    }
}

/// A new file in the place of what is there: nobody else has it open, and it is nobody's link.
fn write(path: &Path, token: &str, group: Option<u32>) -> io::Result<()> {
    fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    if let Some(gid) = group {
        chown(path, None, Some(Gid::from_raw(gid)))?;
        file.set_permissions(Permissions::from_mode(0o640))?;
    }
    file.write_all(format!("{token}\n").as_bytes())
}
