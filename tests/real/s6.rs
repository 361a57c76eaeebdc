//! s6's notification descriptor, written to by s6's own programs.

use crate::needs::lacks;
use crate::support::*;
use nix::sys::signal::Signal;
use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

/// Says whether the service it starts after was ready too early.
const AFTER: &str = "test -e @DIR@/late && echo in time || echo too early";

fn watched(name: &str, script: &str, fd: u32) -> Builder {
    horust().bash(name, script, &format!("[readiness]\nnotify-fd = {fd}")).bash(
        "after",
        AFTER,
        &format!("start-after = [\"{name}\"]"),
    )
}

#[track_caller]
fn ends_well(horust: Horust) {
    horust.wait_for("in time");
    let (done, took) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert!(!done.stdout.contains("too early"), "{}", done.stdout);
    assert!(took < BEFORE_KILL, "{took:?}");
}

/// The way of s6's own run scripts: what the program writes to its standard output goes to that descriptor.
#[test]
fn s6_ipcserver_tells_that_it_listens() {
    if lacks(&["s6-ipcserver"]) {
        return;
    }
    for fd in [3, 7] {
        let script = format!("echo up; touch @DIR@/late; exec s6-ipcserver -1 @DIR@/echo.sock cat >&{fd}");
        let horust = watched("echo", &script, fd)
            .bash("client", "test -S @DIR@/echo.sock && echo it listens", "start-after = [\"echo\"]")
            .start();
        horust.wait_for("it listens");
        let mut stream = UnixStream::connect(horust.dir().join("echo.sock")).unwrap();
        stream.write_all(b"hello").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut echo = String::new();
        stream.read_to_string(&mut echo).unwrap();
        assert_eq!(echo, "hello");
        ends_well(horust);
    }
}

#[test]
fn s6_log_tells_that_it_logs() {
    if lacks(&["s6-log"]) {
        return;
    }
    // Each line that it is given is in its file once it has a newline; the first one makes `after` content.
    let script = "(echo first; exec sleep 1000) 3>&- | (touch @DIR@/late; exec s6-log -d 3 n3 ./log)";
    let horust = watched("logger", script, 3).start();
    horust.wait_until("the line is in the file", |h| h.read("log/current").contains("first"));
    ends_well(horust);
}

/// Another supervisor below Horust: it is ready once its own services can be, and takes them along when it ends.
#[test]
fn s6_svscan_is_a_service_like_any_other() {
    if lacks(&["s6-svscan"]) {
        return;
    }
    let script = "touch @DIR@/late; exec s6-svscan -d 4 scan";
    let horust = watched("s6", script, 4).file("scan/inner/run", "#!/bin/sh\nexec sleep 1000\n");
    let run = horust.dir().join("scan/inner/run");
    fs::set_permissions(run, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let horust = horust.start();
    horust.wait_until("its service runs", |h| h.left().iter().any(|p| p.contains("sleep 1000")));
    ends_well(horust);
}
