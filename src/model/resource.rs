//! What a service may use of the machine.

/// `[resource-limit]`: at least one limit is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceLimit {
    /// Thousandths of a processor.
    pub cpu: Option<u32>,
    /// Bytes.
    pub memory: Option<u64>,
    /// Processes and threads.
    pub pids_max: Option<u32>,
    /// Where a limit can't be enforced, the service must not start.
    pub strict: bool,
}

impl ResourceLimit {
    /// Whether nothing is limited.
    pub fn is_empty(&self) -> bool {
        self.cpu.is_none() && self.memory.is_none() && self.pids_max.is_none()
    }
}
