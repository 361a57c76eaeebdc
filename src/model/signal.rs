//! Signals by number and by name.

use std::fmt;

/// A Linux signal number, 1 to 64 (signal(7)). The numbers are those of x86, ARM and RISC-V.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(u8);

const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM",
    "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO",
    "PWR", "SYS",
];
/// What glibc gives to programs as SIGRTMIN; the kernel's own 32 and 33 belong to the C library (signal(7)).
const RTMIN: u8 = 34;
const MAX: u8 = 64;

impl Signal {
    /// Hang-up.
    pub const HUP: Signal = Signal(1);
    /// Interrupt: Ctrl-C.
    pub const INT: Signal = Signal(2);
    /// Quit.
    pub const QUIT: Signal = Signal(3);
    /// Kill; can't be caught.
    pub const KILL: Signal = Signal(9);
    /// Polite request to end.
    pub const TERM: Signal = Signal(15);
    /// A child has ended.
    pub const CHLD: Signal = Signal(17);
    /// Continue, if stopped.
    pub const CONT: Signal = Signal(18);

    /// The signal of this number, if there is one.
    pub fn new(number: i32) -> Option<Signal> {
        u8::try_from(number).ok().filter(|n| (1..=MAX).contains(n)).map(Signal)
    }

    /// Its number, 1 to 64.
    pub fn number(self) -> u8 {
        self.0
    }

    /// Reads a name with or without `SIG`, in any case, `RTMIN+n`, `RTMAX-n`, or a number.
    pub fn parse(text: &str) -> Option<Signal> {
        let upper = text.trim().to_ascii_uppercase();
        if let Ok(number) = upper.parse::<i32>() {
            return Signal::new(number);
        }
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        if let Some(i) = NAMES.iter().position(|n| *n == name) {
            return Signal::new(i32::try_from(i).ok()?.saturating_add(1));
        }
        let number = match name {
            "IOT" => 6,
            "CLD" => 17,
            "POLL" => 29,
            "RTMIN" => i32::from(RTMIN),
            "RTMAX" => i32::from(MAX),
            _ => {
                if let Some(n) = name.strip_prefix("RTMIN+") {
                    i32::from(RTMIN).checked_add(n.parse::<u8>().ok()?.into())?
                } else {
                    let n: i32 = name.strip_prefix("RTMAX-")?.parse::<u8>().ok()?.into();
                    i32::from(MAX).checked_sub(n).filter(|n| *n >= i32::from(RTMIN))?
                }
            }
        };
        Signal::new(number)
    }

    /// The names that [`parse`](Signal::parse) knows, without `SIG`.
    pub fn names() -> &'static [&'static str] {
        &NAMES
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.get(usize::from(self.0).saturating_sub(1)) {
            Some(name) => write!(f, "SIG{name}"),
            None if self.0 >= RTMIN => write!(f, "SIGRTMIN+{}", self.0.saturating_sub(RTMIN)),
            None => write!(f, "signal {}", self.0),
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_go_both_ways() {
        for n in 1..=64 {
            let s = Signal::new(n).unwrap();
            if (32..34).contains(&n) {
                continue; // glibc's own: no name
            }
            assert_eq!(Signal::parse(&s.to_string()), Some(s), "{s}");
        }
        assert_eq!(Signal::parse("term"), Some(Signal::TERM));
        assert_eq!(Signal::parse("SIGTERM"), Some(Signal::TERM));
        assert_eq!(Signal::parse(" 15 "), Some(Signal::TERM));
        assert_eq!(Signal::parse("RTMAX-1"), Signal::new(63));
    }

    #[test]
    fn what_is_no_signal_is_refused() {
        for bad in ["", "SIG", "0", "65", "-1", "TERMINATE", "RTMIN+31", "RTMAX-31", "99999999999"] {
            assert_eq!(Signal::parse(bad), None, "{bad}");
        }
    }
}
