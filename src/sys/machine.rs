//! The machine itself, for an init that is not in a container: who is told of Ctrl-Alt-Delete, and how it is switched
//! off. In a container none of this does anything.

use std::convert::Infallible;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sys::reboot::{RebootMode, reboot, set_cad_enabled};
use nix::unistd::sync;

use super::{SysError, process};

/// What becomes of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// It is switched off.
    Off,
    /// It begins anew.
    Reboot,
    /// It stops, with the power on.
    Halt,
}

/// Proof that this process is the machine's own init.
#[derive(Debug)]
pub struct Machine(());

impl Machine {
    /// The machine, if we are its init. From then on the kernel sends us SIGINT at Ctrl-Alt-Delete, instead of starting
    /// the machine anew at once.
    ///
    /// Asking for that is how to tell: in any pid namespace but the first reboot(2) refuses it with EINVAL, and without
    /// CAP_SYS_BOOT with EPERM. Unlike a look at /proc it also works before anything is mounted.
    pub fn own() -> Option<Machine> {
        (process::is_pid1() && set_cad_enabled(false).is_ok()).then_some(Machine(()))
    }

    /// Ends the machine. Call it when no other process is left. Returns only if the kernel will not.
    pub fn end(&self, how: Power) -> Result<Infallible, SysError> {
        sync();
        // A root that can't be made read-only was synchronised, and journals do the rest.
        let _ = mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY, None::<&str>);
        let mode = match how {
            Power::Off => RebootMode::RB_POWER_OFF,
            Power::Reboot => RebootMode::RB_AUTOBOOT,
            Power::Halt => RebootMode::RB_HALT_SYSTEM,
        };
        reboot(mode).map_err(|errno: Errno| SysError::new("end", "the machine", errno))
    }
}
