//! What an exec stage is ordered to do, and how the order travels: as words of its own argument vector, one for each
//! setting, in text. Doing it is `stage`'s business.

use std::ffi::{CString, OsString};
use std::fmt::Display;
use std::os::fd::RawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::str::FromStr;

use super::capabilities::Capabilities;
use super::limits::Limit;
use super::spawn::Request;
use super::stage::MODE;
use super::users::{GroupRef, UserRef};

/// Declares `Setup`: each setting once, with the word by which it travels.
macro_rules! settings {
    ($( $(#[doc = $doc:literal])+ $field:ident: $type:ty = $word:literal; )+) => {
        /// What a child has to become before its exec. Nothing by default.
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        pub struct Setup { $( $(#[doc = $doc])+ pub $field: $type, )+ }

        impl Setup {
            fn words(&self) -> Vec<String> {
                let mut words = Vec::new();
                $( words.extend(self.$field.texts().into_iter().map(|text| format!("{}={text}", $word))); )+
                words
            }

            fn set(&mut self, word: &str, text: &str) -> Option<()> {
                match word {
                    $( $word => self.$field.read(text), )+
                    _ => None,
                }
            }
        }
    };
}

settings! {
    /// Join the cgroup of this directory, before anything else.
    cgroup: Option<String> = "cgroup";
    /// Remove these files. What can't be removed stays.
    remove: Vec<String> = "remove";
    /// Change to this user, its primary group and its supplementary groups.
    user: Option<UserRef> = "user";
    /// Set USER to that user's name, whatever it was.
    set_user: bool = "set-user";
    /// Set HOME to that user's home directory, whatever it was.
    set_home: bool = "set-home";
    /// Change to this group; without it, to the user's.
    group: Option<GroupRef> = "group";
    /// Supplementary groups on top of the user's.
    groups: Vec<GroupRef> = "supplementary";
    /// Without a user: these groups alone, instead of those that we have.
    only_groups: bool = "only-groups";
    /// Make its process group the foreground one of the controlling terminal, if there is one.
    foreground_tty: bool = "foreground-tty";
    /// Resource limits.
    limits: Vec<Limit> = "limit";
    /// Its nice value.
    nice: Option<i8> = "nice";
    /// How soon the kernel kills it when memory is short.
    oom_score_adj: Option<i16> = "oom-score-adj";
    /// Its file mode creation mask.
    umask: Option<u16> = "umask";
    /// Its capabilities, whoever it is.
    capabilities: Option<Capabilities> = "capabilities";
    /// No exec gives it rights any more.
    no_new_privs: bool = "no-new-privs";
}

/// How the kinds of setting are written as texts, one for each word, and read from them.
trait Setting {
    fn texts(&self) -> Vec<String>;
    fn read(&mut self, text: &str) -> Option<()>;
}

impl Setting for bool {
    fn texts(&self) -> Vec<String> {
        if *self { vec![String::new()] } else { Vec::new() }
    }

    fn read(&mut self, _: &str) -> Option<()> {
        *self = true;
        Some(())
    }
}

impl<T: Display + FromStr> Setting for Option<T> {
    fn texts(&self) -> Vec<String> {
        self.iter().map(T::to_string).collect()
    }

    fn read(&mut self, text: &str) -> Option<()> {
        *self = Some(text.parse().ok()?);
        Some(())
    }
}

impl<T: Display + FromStr> Setting for Vec<T> {
    fn texts(&self) -> Vec<String> {
        self.iter().map(T::to_string).collect()
    }

    fn read(&mut self, text: &str) -> Option<()> {
        self.push(text.parse().ok()?);
        Some(())
    }
}

/// The argument vector that asks our image for this. The environment is passed as it is.
pub(super) fn encode(request: &Request<'_>, setup: &Setup, status: RawFd) -> Vec<CString> {
    let mut words = vec![b"horust".to_vec(), MODE.into(), status.to_string().into_bytes()];
    words.extend(setup.words().into_iter().map(String::into_bytes));
    words.extend(request.cwd.map(|cwd| [b"cwd=", cwd.to_bytes()].concat()));
    words.push(b"--".to_vec());
    // A NUL can only be in a name, and nothing has such a name: the stage refuses the whole order.
    let words = words.into_iter().map(|word| CString::new(word).unwrap_or_else(|_| c"a NUL".to_owned()));
    words.chain([request.program.path.clone()]).chain(request.program.argv.iter().cloned()).collect()
}

/// An order.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// What to become.
    pub setup: Setup,
    /// Where to go.
    pub cwd: Option<CString>,
    /// What to run there, a path or a bare name, ...
    pub program: OsString,
    /// ... and with which arguments.
    pub argv: Vec<CString>,
}

/// Reads an order: the words after the status pipe's number.
pub(super) fn decode(mut args: impl Iterator<Item = OsString>) -> Option<Order> {
    let mut order = Order::default();
    for word in args.by_ref() {
        if word == "--" {
            break;
        }
        let word = word.as_bytes();
        if let Some(cwd) = word.strip_prefix(b"cwd=") {
            order.cwd = Some(CString::new(cwd).ok()?);
            continue;
        }
        let (word, text) = std::str::from_utf8(word).ok()?.split_once('=')?;
        order.setup.set(word, text)?;
    }
    order.program = args.next()?;
    order.argv = args.map(|word| CString::new(word.into_vec()).ok()).collect::<Option<_>>()?;
    Some(order)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::spawn::{Program, Session, Stdio};

    fn there_and_back(setup: &Setup) -> Option<Order> {
        let argv = vec![c"name".to_owned(), c"--".to_owned(), c"user=x".to_owned()];
        let program = Program { path: c"/bin/x".to_owned(), argv, env: vec![] };
        let stdio = [Stdio::Null; 3];
        let request = Request { program: &program, stdio, more: None, cwd: Some(c"/a=b"), session: Session::New };
        let words = encode(&request, setup, 3);
        assert_eq!(words[..3], [c"horust", c"__exec-stage", c"3"].map(std::borrow::ToOwned::to_owned));
        decode(words[3..].iter().map(|word| OsString::from_vec(word.to_bytes().to_vec())))
    }

    #[test]
    fn an_order_arrives_as_it_was_given() {
        let setup = Setup {
            cgroup: Some("/a b/c=d".into()),
            remove: vec!["/run/up".into(), "b=c d".into()],
            user: Some(UserRef::Name("a=b c".into())),
            set_user: true,
            set_home: true,
            group: Some(GroupRef::Id(u32::MAX)),
            groups: vec![GroupRef::Id(0), GroupRef::Name("x,y".into())],
            only_groups: true,
            foreground_tty: true,
            limits: vec![
                Limit { name: "core".into(), soft: 0, hard: u64::MAX },
                Limit { name: "nofile".into(), soft: 1, hard: 2 },
            ],
            nice: Some(-20),
            oom_score_adj: Some(-1000),
            umask: Some(0o777),
            capabilities: Some(Capabilities { bounding: u64::MAX, ambient: 0x400 }),
            no_new_privs: true,
        };
        for setup in [Setup::default(), setup] {
            let order = there_and_back(&setup).unwrap();
            assert_eq!((order.setup, order.cwd.as_deref()), (setup, Some(c"/a=b")));
            assert_eq!((order.program.to_str().unwrap(), order.argv.len()), ("/bin/x", 3));
        }
    }

    #[test]
    fn an_order_that_is_not_understood_is_refused() {
        assert!(there_and_back(&Setup { user: Some(UserRef::Name("a\0b".into())), ..Setup::default() }).is_none());
        for words in
            [&["nice=x", "--", "x"][..], &["what=1", "--", "x"], &["--"], &["set-user"], &["limit=core:1", "--", "x"]]
        {
            assert!(decode(words.iter().map(OsString::from)).is_none(), "{words:?}");
        }
    }
}
