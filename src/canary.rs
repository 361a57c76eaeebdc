//! Small bugs on purpose, so that the simulation can prove that it finds them. Only with the feature `canary`, which no build
//! for people has; without it nothing of this is left.

/// A bug that supervisors have had, each of them rare: in most runs nothing is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Canary {
    /// The end of a main process goes unnoticed, in each third run.
    LostExit,
    /// The second run of a service is started twice.
    DoubleStart,
    /// In a shutdown, a service that is just being executed is not told to stop.
    ForgottenStop,
    /// In a shutdown, one of those that must stop before is not waited for.
    EarlyStop,
    /// What is told of an older run is taken for news of the present one.
    StaleFact,
    /// What a service needs has gone while its `before-start` ran, and it starts all the same.
    ShutGate,
    /// What a reload removes does not wait for those that use it.
    EarlyRemoval,
    /// A request to reload is taken twice, if services have been forgotten before.
    TwoAnswers,
    /// Of a service that waits until another one is healthy `why` says that nobody wants it.
    FalseCause,
    /// The journal does not note what a service was that has failed more than once in a row.
    WrongMemory,
}

impl Canary {
    /// All of them.
    pub const ALL: [Canary; 10] = [
        Canary::LostExit,
        Canary::DoubleStart,
        Canary::ForgottenStop,
        Canary::EarlyStop,
        Canary::StaleFact,
        Canary::ShutGate,
        Canary::EarlyRemoval,
        Canary::TwoAnswers,
        Canary::FalseCause,
        Canary::WrongMemory,
    ];
}

#[cfg(feature = "canary")]
static OUT: std::sync::Mutex<Option<Canary>> = std::sync::Mutex::new(None);

/// From now on this bug is there, and no other.
#[cfg(feature = "canary")]
pub fn release(canary: Option<Canary>) {
    *OUT.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = canary;
}

/// Whether this bug is there.
#[cfg(feature = "canary")]
pub fn sings(canary: Canary) -> bool {
    *OUT.lock().unwrap_or_else(std::sync::PoisonError::into_inner) == Some(canary)
}

/// It is not.
#[cfg(not(feature = "canary"))]
#[inline(always)]
pub fn sings(_canary: Canary) -> bool {
    false
}
