//! The page in a real browser: Debian's Chromium, headless. `cargo xtask test web` installs what these tests need and runs
//! them; `cargo test` alone does not. With `HORUST_SCREENSHOTS=DIR` each view is left there as a picture.

#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "these tests are the parent of Horust, not Horust"
)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail so")]
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

#[allow(dead_code, reason = "the end-to-end tests use all of it")]
#[path = "../e2e/support.rs"]
mod support;

mod driver;
mod looks;
mod page;
mod strangers;

use support::{Builder, Horust, horust};

/// What allows everything.
pub const TOKEN: &str = "a-token-of-these-tests";

/// Horust with the page at this port.
pub fn web(port: u16) -> Builder {
    let settings =
        format!("web-server = \"127.0.0.1:{port}\"\n[control]\nsocket = false\ntoken-file = \"@DIR@/token\"\n");
    let set = horust().file("horust.toml", &settings).file("token", TOKEN).arg("--config-path");
    set.arg("@DIR@/horust.toml")
}

/// A shop: what there is on the pictures.
pub fn shop(port: u16) -> Horust {
    let daemon = |says: &str| format!("echo {says}; trap 'echo bye; exit 0' TERM; while :; do sleep 1000 & wait; done");
    let ready = |file: &str| format!("[readiness]\nfile-path = \"@DIR@/{file}\"\ninterval = \"20ms\"");
    let set =
        web(port).bash("database", &format!("sleep 0.2; touch db; {}", daemon("listening on 5432")), &ready("db"));
    let set = set.bash("cache", &daemon("ready to accept connections"), "");
    let set = set.bash(
        "migration",
        "echo 3 migrations applied; sleep 0.1",
        "kind = \"oneshot\"\nstart-after = [\"database\"]",
    );
    let app =
        format!("{}; {}", "for i in 1 2 3; do echo GET /item/$i 200; done; echo slow query >&2", daemon("serving"));
    let needs = "start-after = [{ name = \"migration\", condition = \"completed-successfully\" }, { name = \"cache\", required = false }]\n\
                 [healthiness]\ncommand = \"true\"\ninterval = \"1s\"";
    let set = set.bash("app", &app, needs);
    let set = set.bash("proxy", &daemon("worker started"), "start-after = [\"app\"]");
    let set = set.bash("mailer", "echo cannot reach smtp.example: no route to host >&2; exit 3", "");
    let set = set.bash("reports", "sleep 1000", "start-after = [\"warehouse\"]");
    let set = set.bash("warehouse", "echo waiting for the lake; exec sleep 1000", &ready("never"));
    set.service("backup", "command = \"sleep 1000\"\nautostart = false").start()
}
