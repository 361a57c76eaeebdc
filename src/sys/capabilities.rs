//! Which of root's powers this process and what it executes have: capabilities(7). Sets are bits by number, so that
//! those which a newer kernel knows are dealt with like all others.

use std::fmt;
use std::str::FromStr;

use nix::errno::Errno;
use nix::sys::prctl;
use nix::unistd::Uid;

use super::raw::{self, CapData};
use super::status::Failure;

/// What a program is to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// What it can have at all.
    pub bounding: u64,
    /// What it has from the start, also as an ordinary user; those that we don't have ourselves are left out.
    pub ambient: u64,
}

impl fmt::Display for Capabilities {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:x}:{:x}", self.bounding, self.ambient)
    }
}

impl FromStr for Capabilities {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (bounding, ambient) = text.split_once(':').ok_or(())?;
        let number = |text| u64::from_str_radix(text, 16).map_err(drop);
        Ok(Self { bounding: number(bounding)?, ambient: number(ambient)? })
    }
}

/// Those that this process has, and so can give.
pub fn own() -> u64 {
    raw::capget().map_or(0, |own| own.permitted)
}

fn failing(what: &str) -> impl FnOnce(Errno) -> Failure {
    let message = format!("cannot {what}");
    move |errno| Failure::of("capabilities", &message, errno, "CAP_SETPCAP")
}

impl Capabilities {
    /// The part that needs our rights, before the change of user: what is lost for good, and that the rest is not lost
    /// with the change.
    pub(super) fn restrict(self) -> Result<(), Failure> {
        // Numbers that the kernel does not know are EINVAL.
        for number in (0..64).take_while(|number| raw::bounding_has(*number).is_ok()) {
            if self.bounding >> number & 1 == 0 && raw::bounding_has(number) == Ok(true) {
                raw::bounding_drop(number).map_err(failing("take capabilities out of the bounding set"))?;
            }
        }
        if self.ambient == 0 {
            return Ok(());
        }
        prctl::set_keepcaps(true).map_err(failing("keep capabilities across the change of user"))
    }

    /// The part after it: exactly those that the program shall have.
    pub(super) fn settle(self) -> Result<(), Failure> {
        let ambient = self.ambient & own();
        // Root gets its own by executing anything, as far as the bounding set goes; not with no_new_privs, though, which
        // gives nothing that it did not have before.
        let permitted = if Uid::effective().is_root() { own() & self.bounding } else { ambient };
        let failed = || failing("set capabilities");
        raw::capset(CapData { effective: permitted, permitted, inheritable: ambient }).map_err(failed())?;
        raw::ambient_clear().map_err(failed())?;
        for number in (0..64).filter(|number| ambient >> number & 1 == 1) {
            raw::ambient_raise(number).map_err(failed())?;
        }
        Ok(())
    }
}
