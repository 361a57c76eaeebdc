//! The environment of a service, made anew at each start. It reads files, changes nothing, and never names a value.

use super::dotenv;
use crate::config::{reason, regular_file};
use crate::limits;
use crate::model::{Environment, IdOrName};
use crate::sys::users;
use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::io::ErrorKind;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

/// What `PATH` is if Horust itself has none: as in Debian's and Docker's images.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Horust's own environment and the facts that don't change, read once.
pub struct Base {
    own: BTreeMap<OsString, OsString>,
    hostname: String,
    user: Option<(String, OsString)>,
}

/// The environment of one start.
pub struct Env {
    variables: BTreeMap<OsString, OsString>,
    /// `USER` was asked for by name: the user's own must not replace it.
    pub user_given: bool,
    /// The same for `HOME`.
    pub home_given: bool,
}

impl Base {
    /// Reads Horust's environment.
    pub fn read() -> Base {
        let own: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
        // The user database is asked only if the environment, which is cheaper, does not tell.
        let user = match own.contains_key(OsStr::new("USER")) && own.contains_key(OsStr::new("HOME")) {
            true => None,
            false => look_up_user(),
        };
        Base { own, hostname: users::hostname(), user }
    }

    /// The environment of a service that runs as `user`, or as Horust. From the weakest: Horust's own, what is always
    /// set, `re-export`, files, secrets, and what the service file says itself.
    pub fn build(&self, wanted: &Environment, user: Option<&IdOrName>) -> Result<Env, String> {
        let mut env = Env { variables: BTreeMap::new(), user_given: false, home_given: false };
        if wanted.keep {
            env.variables.clone_from(&self.own);
            // Of a Horust that is a service itself: they are for nobody else (sd_notify(3)).
            for name in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"] {
                env.variables.remove(OsStr::new(name));
            }
        }
        self.set_always(&mut env, user.is_some());
        for name in &wanted.re_export {
            if let Some(value) = self.own.get(OsStr::new(name)) {
                env.give(name.into(), value.clone());
            }
        }
        for (path, optional) in &wanted.load {
            for (name, value) in read_file(path, *optional)? {
                env.give(name.into(), value.into());
            }
        }
        for (name, path) in &wanted.secrets {
            env.give(name.into(), secret(name, path)?);
        }
        for (name, value) in &wanted.additional {
            env.give(name.into(), value.into());
        }
        Ok(env)
    }

    fn set_always(&self, env: &mut Env, other_user: bool) {
        let mut set = |name: &str, fallback: OsString| {
            env.variables.insert(name.into(), self.own.get(OsStr::new(name)).cloned().unwrap_or(fallback));
        };
        set("PATH", PATH.into());
        set("TERM", "dumb".into());
        // For another user the exec stage fills these in, from the user database.
        let (name, home) = match &self.user {
            Some((name, home)) => (name.into(), home.clone()),
            None => ("root".into(), "/".into()),
        };
        if !other_user {
            set("USER", name);
            set("HOME", home);
        } else {
            env.variables.remove(OsStr::new("USER"));
            env.variables.remove(OsStr::new("HOME"));
        }
        env.variables.insert("HOSTNAME".into(), self.hostname.clone().into());
    }
}

impl Env {
    fn give(&mut self, name: OsString, value: OsString) {
        self.user_given |= name == "USER";
        self.home_given |= name == "HOME";
        self.variables.insert(name, value);
    }

    /// Sets a variable of Horust's.
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.insert(name.into(), value.into());
    }

    /// Where programs are looked up.
    pub fn path(&self) -> &OsStr {
        self.variables.get(OsStr::new("PATH")).map_or(OsStr::new(PATH), OsString::as_os_str)
    }

    /// As execve(2) wants it. A value with a NUL byte can't be passed on to any program.
    pub fn to_c(&self) -> Result<Vec<CString>, String> {
        let join = |(name, value): (&OsString, &OsString)| {
            let bytes = [name.as_bytes(), b"=", value.as_bytes()].concat();
            CString::new(bytes).map_err(|_| format!("the variable {} holds a NUL byte", name.display()))
        };
        self.variables.iter().map(join).collect()
    }
}

fn look_up_user() -> Option<(String, OsString)> {
    users::static_nss();
    users::lookup(&users::UserRef::Id(users::current_uid())).map(|user| (user.name, user.home.into_os_string()))
}

/// Reads a file of variables. With `optional` it may be missing, but not wrong.
fn read_file(path: &Path, optional: bool) -> Result<Vec<(String, String)>, String> {
    let cannot = |why: &str| format!("cannot read the environment file {}: {why}", path.display());
    match regular_file(path, limits::ENVIRONMENT_FILE_BYTES) {
        Ok(bytes) => dotenv::parse(&bytes).map_err(|why| cannot(&why)),
        Err(error) if optional && error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(cannot(&reason(&error))),
    }
}

/// Reads the value of a secret: the file's bytes, without the line end that editors and `echo` leave.
fn secret(name: &str, path: &Path) -> Result<OsString, String> {
    let cannot = |why: &str| format!("cannot read the secret {name} from {}: {why}", path.display());
    let mut bytes = regular_file(path, limits::SECRET_BYTES).map_err(|error| cannot(&reason(&error)))?;
    if bytes.contains(&0) {
        return Err(cannot("it holds a NUL byte, which no variable can hold"));
    }
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        bytes.pop_if(|byte| *byte == b'\r');
    }
    Ok(OsString::from_vec(bytes))
}

/// A word of a command as execve(2) wants it.
pub fn c_word(word: &OsStr) -> Result<CString, String> {
    CString::new(word.to_os_string().into_vec()).map_err(|_| format!("{} holds a NUL byte", word.display()))
}
