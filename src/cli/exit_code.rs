//! Every code that Horust ends with, and what it means. No other number is made up anywhere else.

/// How Horust ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitCode {
    /// All went well.
    Ok,
    /// `check --strict` has found warnings, and no errors.
    Warnings,
    /// The command line makes no sense: EX_USAGE of sysexits.h.
    Usage,
    /// Horust itself failed: EX_SOFTWARE.
    Internal,
    /// The configuration has errors, nothing was started: EX_CONFIG.
    Configuration,
    /// A service failed for good, and `--unsuccessful-exit-finished-failed` was given.
    FinishedFailed,
    /// The code of the command or service that decided the end.
    Of(u8),
}

impl ExitCode {
    /// As a number.
    pub fn number(self) -> u8 {
        match self {
            ExitCode::Ok => 0,
            ExitCode::Warnings => 1,
            ExitCode::Usage => 64,
            ExitCode::Internal => 70,
            ExitCode::Configuration => 78,
            ExitCode::FinishedFailed => 101,
            ExitCode::Of(code) => code,
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        code.number().into()
    }
}
