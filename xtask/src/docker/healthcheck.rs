//! `HEALTHCHECK CMD ["horust", "health"]` in a Dockerfile, as Docker itself sees it.

use super::{Container, Suite, wait_until};
use crate::parts::ensure;
use anyhow::Result;
use std::time::Duration;

/// The image with other services.
const DOCKERFILE: [&str; 4] = [
    "FROM horust-test",
    "RUN rm -rf /etc/horust/services",
    "COPY *.toml /etc/horust/services/",
    "HEALTHCHECK --interval=1s --retries=1 CMD [\"horust\", \"health\"]",
];

/// Runs until it is told to give up.
const WORKER: &str = "command = [\"bash\", \"-c\", \"until [ -e /give-up ]; do sleep 0.1; done; exit 3\"]\n\
                      [readiness]\nfile-path = \"/ready\"\ninterval = \"100ms\"\n";
const OTHER: &str = "command = \"sleep infinity\"\n";

impl Suite<'_> {
    /// Not healthy until all are ready, and not any more once one has given up.
    pub fn healthcheck(&self) -> Result<()> {
        let context = self.services("healthcheck", &[("worker.toml", WORKER), ("other.toml", OTHER)])?;
        self.daemon.build_from(&context, "horust-test-health", &DOCKERFILE)?;
        let container = self.start(&["horust-test-health"])?;
        becomes(&container, "unhealthy")?;
        container.exec(&["touch", "/ready"])?;
        becomes(&container, "healthy")?;
        container.exec(&["touch", "/give-up"])?;
        becomes(&container, "unhealthy")?;
        let log = container.inspect("{{json .State.Health.Log}}")?;
        ensure(log.contains("worker: exited with code 3"), || format!("the reason is missing: {log}"))
    }
}

fn becomes(container: &Container<'_>, health: &str) -> Result<()> {
    let status = || container.inspect("{{.State.Health.Status}}");
    let there = wait_until(Duration::from_secs(60), || status().is_ok_and(|status| status == health));
    ensure(there, || format!("it is {:?}, not {health}; {:?}", status(), container.logs()))
}
