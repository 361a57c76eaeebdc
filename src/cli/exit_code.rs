//! Every code that Horust ends with, and what it means. No other number is made up anywhere else.

/// How Horust ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitCode {
    /// All went well.
    Ok,
    /// `check --strict` has found warnings, and no errors.
    Warnings,
    /// A running Horust did not do what it was asked for.
    Failed,
    /// The service does not run: as `service status` has it in the Linux Standard Base.
    NotRunning,
    /// There is no such service: the same.
    NoService,
    /// There is no Horust to ask: EX_UNAVAILABLE.
    NoHorust,
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
            ExitCode::Warnings | ExitCode::Failed => 1,
            ExitCode::NotRunning => 3,
            ExitCode::NoService => 4,
            ExitCode::NoHorust => 69,
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
