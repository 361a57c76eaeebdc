//! Real programs below Horust: installs them, then runs the tests of `tests/real`, which `cargo test` leaves out.

use crate::parts::{Outcome, cargo, counting_skips};
use crate::tools::{self, capture, run};
use anyhow::Result;
use std::fs;
use std::process::Command;

const PROGRAMS: [(&str, &str); 11] = [
    ("unshare", "util-linux"),
    ("setpriv", "util-linux"),
    ("psql", "postgresql-client"),
    ("pg_isready", "postgresql-client"),
    ("redis-server", "redis-server"),
    ("redis-cli", "redis-tools"),
    ("nginx", "nginx"),
    ("gunicorn", "gunicorn"),
    ("systemd-notify", "systemd"),
    ("s6-log", "s6"),
    ("s6-ipcserver", "s6"),
];

pub fn part() -> Result<Outcome> {
    if !tools::root() {
        return Ok(Outcome::Skipped("its services run as users of their own, which needs root".to_owned()));
    }
    if let Err(e) = install() {
        return Ok(Outcome::Skipped(format!("{e:#}")));
    }
    // It is not among `--all-targets` either.
    run(&mut cargo(&["clippy", "--locked", "--test", "real", "--", "-D", "warnings"]))?;
    counting_skips(&mut cargo(&["test", "--locked", "--test", "real"]))
}

fn install() -> Result<()> {
    for (program, package) in PROGRAMS {
        tools::need(program, package)?;
    }
    tools::install_unless(postgres, "PostgreSQL server", "postgresql")?;
    for (module, package) in [("psycopg2", "python3-psycopg2"), ("redis", "python3-redis")] {
        // gunicorn runs with Debian's Python, whichever comes first in the PATH.
        let import = || capture(Command::new("/usr/bin/python3").args(["-c", &format!("import {module}")])).is_ok();
        tools::install_unless(import, module, package)?;
    }
    Ok(())
}

/// Debian keeps the programs of each version in a directory of its own, and none of them in the PATH.
fn postgres() -> bool {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    versions.map(|version| version.path().join("bin/postgres")).any(|server| server.is_file())
}

/// The test of many probes with more time, and the binary that is released.
pub fn soak_probes() -> Result<()> {
    let mut test = cargo(&["test", "--release", "--locked", "--test", "real", "--", "probes::", "--nocapture"]);
    run(test.env("HORUST_SOAK_SECONDS", "300"))
}
