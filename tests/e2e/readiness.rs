//! What makes a service ready: probes, and what services say by themselves.

use crate::client::{client, say_ready, speaks};
use crate::support::*;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::time::{Duration, Instant};

const NOTIFY: &str = "[readiness]\nnotify = true";
/// A service that says what it found, once the one it starts after is ready.
const AFTER: &str = "test -e @DIR@/late && echo in time || echo too early";

fn after(name: &str) -> String {
    format!("start-after = [\"{name}\"]")
}

fn files_of(horust: &Horust) -> usize {
    fs::read_dir(format!("/proc/{}/fd", horust.pid())).unwrap().count()
}

#[test]
fn ready_is_what_the_service_says_and_nobody_else() {
    let steps = "write-address @DIR@/address; say STATUS=coming up; await @DIR@/go; touch @DIR@/late; say READY=1";
    let horust = horust()
        .service("db", &speaks(steps, NOTIFY))
        .bash("after", AFTER, &after("db"))
        // It knows the address, and is a service, but not this one; nor does it have a NOTIFY_SOCKET of its own.
        .service("stranger", &speaks("say-address @DIR@/address; echo stranger spoke", ""))
        .start();
    horust.wait_for("stranger spoke");
    say_ready(&horust.read("address"));
    // A message of the service itself, which comes after all of those, is read before the test goes on.
    fs::write(horust.dir().join("go"), "").unwrap();
    horust.wait_for("in time");
    let (done, _) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert!(!done.stdout.contains("too early"), "{}", done.stdout);
}

#[test]
fn a_child_of_the_service_may_speak_for_it_and_a_command_probe_may_not() {
    let steps =
        "write-address @DIR@/address; await @DIR@/go; touch @DIR@/late; child say READY=1+barrier+exit 0; echo said";
    let probe = client("say-address @DIR@/address; touch @DIR@/probed; exit 0");
    let rest = format!("[readiness]\nnotify = true\ncommand = {probe}\ntimeout = \"1m\"");
    let horust = horust().service("db", &speaks(steps, &rest)).bash("after", AFTER, &after("db")).start();
    horust.wait_until("the probe has spoken", |h| h.dir().join("probed").exists());
    fs::write(horust.dir().join("go"), "").unwrap();
    horust.wait_for("in time");
    horust.wait_for("said");
    let (done, _) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert!(!done.stdout.contains("too early"), "{}", done.stdout);
}

#[test]
fn garbage_and_giants_do_nothing() {
    let steps =
        "say-garbage; say-big; say-nothing; say READY=0; say NOTREADY=1; say-often 2000; touch @DIR@/late; say READY=1";
    let horust = horust().service("db", &speaks(steps, NOTIFY)).bash("after", AFTER, &after("db")).start();
    horust.wait_for("in time");
    let (done, _) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert_eq!(done.stderr, "");
}

/// What comes with a message is closed, and never by the thread that must not wait.
#[test]
fn descriptors_that_come_with_messages_are_neither_kept_nor_waited_for() {
    let steps = "barrier; touch @DIR@/start; await @DIR@/counted; give-fds 100; barrier; \
                 touch @DIR@/given; await @DIR@/stopped; give-lingering; touch @DIR@/lingers; say READY=1";
    let horust = horust().service("db", &speaks(steps, NOTIFY)).bash("after", "echo after", &after("db")).start();
    horust.wait_until("it has begun", |h| h.dir().join("start").exists());
    let before = files_of(&horust);
    fs::write(horust.dir().join("counted"), "").unwrap();
    horust.wait_until("it has given many", |h| h.dir().join("given").exists());
    // While Horust can't read, the service closes its own copy: the last one is the one in the message.
    horust.signal(Signal::SIGSTOP);
    horust.wait_until("it stands still", |h| {
        fs::read_to_string(format!("/proc/{}/status", h.pid())).unwrap().contains("T (stopped)")
    });
    fs::write(horust.dir().join("stopped"), "").unwrap();
    horust.wait_until("the message is on its way", |h| h.dir().join("lingers").exists());
    horust.signal(Signal::SIGCONT);
    horust.wait_for("after");
    assert!(files_of(&horust) <= before + 3, "{} descriptors, {before} before", files_of(&horust));
    let (done, took) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert!(took < BEFORE_KILL, "{took:?}");
}

/// Not even those for which there is no room, and others can be started meanwhile.
#[test]
fn messages_with_more_descriptors_than_there_is_room_for_take_none() {
    for room in ["64", "400"] {
        let steps = "barrier; touch @DIR@/start; await @DIR@/counted; give-fds 100; say READY=1";
        let horust = horust()
            .wrapper(&["prlimit", &format!("--nofile={room}")])
            .service("db", &speaks(steps, NOTIFY))
            .bash("after", "echo after; exec sleep 1000", &format!("{}\n[log]\ncapture = true", after("db")))
            .start();
        horust.wait_until("it has begun", |h| h.dir().join("start").exists());
        let before = files_of(&horust);
        fs::write(horust.dir().join("counted"), "").unwrap();
        horust.wait_for("after");
        // What captures the output has three of its own.
        horust.wait_until("all are closed", |h| files_of(h) <= before + 8);
        horust.stop(Signal::SIGTERM).0.assert_code(0);
    }
}

#[test]
fn a_newline_on_its_descriptor_makes_it_ready_as_s6_has_it() {
    for number in [3, 4, 10, 255] {
        let steps = format!("await @DIR@/go; touch @DIR@/late; newline {number}");
        let horust = horust()
            .service("db", &speaks(&steps, &format!("[readiness]\nnotify-fd = {number}")))
            .bash("after", AFTER, &after("db"))
            .start();
        fs::write(horust.dir().join("go"), "").unwrap();
        horust.wait_for("in time");
        let (done, _) = horust.stop(Signal::SIGTERM);
        done.assert_code(0);
        assert!(!done.stdout.contains("too early"), "{number}: {}", done.stdout);
    }
}

/// The exec stage has a descriptor of its own where the service's could be.
#[test]
fn a_newline_through_the_exec_stage() {
    if needs_root() {
        return;
    }
    for number in [3, 4, 7] {
        let script = format!("echo >&{number}; exec sleep 1000");
        let horust = horust()
            .bash("db", &script, &format!("user = \"nobody\"\n[readiness]\nnotify-fd = {number}"))
            .bash("after", "echo after", &after("db"))
            .start();
        horust.wait_for("after");
        horust.stop(Signal::SIGTERM).0.assert_code(0);
    }
}

#[test]
fn a_descriptor_that_is_closed_without_a_newline_says_nothing() {
    let horust = horust()
        .bash(
            "db",
            "echo -n x >&3; exec 3>&-; exec sleep 1000",
            "[readiness]\nnotify-fd = 3\nstart-timeout = \"300ms\"",
        )
        .bash("after", "echo too early", &after("db"))
        .arg("--unsuccessful-exit-finished-failed")
        .run();
    horust.assert_code(101);
    assert_eq!(horust.stdout, "");
    let why = "not ready within 300ms: it has written no newline to its notify-fd";
    assert!(horust.stderr.contains(why), "{}", horust.stderr);
}

/// A daemon that goes into the background says who it is from now on.
#[test]
fn a_main_process_can_hand_over_to_another_one() {
    let steps = "hand-over await @DIR@/go+say READY=1+echo ready+await @DIR@/end+exit 7";
    let horust = horust()
        .service("db", &speaks(steps, &format!("required = true\n{NOTIFY}")))
        .bash("after", "echo after; exec sleep 1000", &after("db"))
        .start();
    fs::write(horust.dir().join("go"), "").unwrap();
    horust.wait_for("after");
    fs::write(horust.dir().join("end"), "").unwrap();
    let done = horust.end();
    done.assert_code(7);
    assert_eq!(done.stdout.matches("after").count(), 1);
}

#[test]
fn a_handed_over_service_is_stopped_like_any_other() {
    for pid1 in [false, true] {
        if pid1 && needs_root() {
            return;
        }
        let set = if pid1 { horust().pid1() } else { horust() };
        let set = set.service("db", &speaks("hand-over say READY=1", NOTIFY));
        let horust = set.bash("after", "echo after", &after("db")).start();
        horust.wait_for("after");
        let (done, took) = horust.stop(Signal::SIGTERM);
        done.assert_code(0);
        assert!(took < BEFORE_KILL, "{took:?}");
    }
}

#[test]
fn a_watchdog_that_is_not_heard_of_restarts_the_service() {
    let steps =
        "echo-watchdog; say READY=1|WATCHDOG=1; pause 100; say WATCHDOG=1; pause 100; say WATCHDOG=1; echo alive";
    let rest = "[readiness]\nnotify = true\n[watchdog]\ntimeout = \"2s\"\n[restart]\nattempts = 1";
    let done = horust().service("db", &speaks(steps, rest)).run();
    done.assert_code(0);
    assert_eq!(done.stdout.matches("every 2000000 us").count(), 2, "{}", done.stdout);
    assert_eq!(done.stdout.matches("alive").count(), 2, "{}", done.stdout);
    assert!(done.stderr.contains("no WATCHDOG=1 within 2s"), "{}", done.stderr);
}

#[test]
fn a_start_may_be_given_more_time_by_the_service() {
    let steps = "say EXTEND_TIMEOUT_USEC=60000000; pause 600; say READY=1";
    let rest = "[readiness]\nnotify = true\nstart-timeout = \"500ms\"";
    let horust = horust().service("db", &speaks(steps, rest)).bash("after", "echo after", &after("db")).start();
    horust.wait_for("after");
    horust.stop(Signal::SIGTERM).0.assert_code(0);
}

#[test]
fn every_kind_of_probe_makes_a_service_ready_once_it_passes() {
    let dir = "await @DIR@/go; touch @DIR@/late; ";
    for (serve, probe) in [
        ("touch @DIR@/up", "file-path = \"@DIR@/up\""),
        ("touch @DIR@/up", "command = \"test -e @DIR@/up\""),
        ("listen-tcp @DIR@/port", "command = [\"bash\", \"-c\", \"exec 9<>/dev/tcp/127.0.0.1/$$(< @DIR@/port)\"]"),
        ("listen-unix @DIR@/x.sock", "unix-socket = \"@DIR@/x.sock\""),
        ("serve-unix @DIR@/x.sock", "http-endpoint = \"unix:@DIR@/x.sock:/up\""),
    ] {
        let rest = format!("[readiness]\n{probe}\ninterval = \"20ms\"");
        let horust =
            horust().service("db", &speaks(&format!("{dir}{serve}"), &rest)).bash("after", AFTER, &after("db")).start();
        fs::write(horust.dir().join("go"), "").unwrap();
        horust.wait_for("in time");
        let (done, _) = horust.stop(Signal::SIGTERM);
        done.assert_code(0);
        assert!(!done.stdout.contains("too early"), "{probe}: {}", done.stdout);
    }
}

#[test]
fn a_port_that_is_known_before_is_asked_over_tcp_and_http() {
    // The service binds the port that was free a moment ago: the only way to know it before.
    for probe in ["tcp = \"localhost:PORT\"", "http-endpoint = \"http://127.0.0.1:PORT/up\""] {
        let port = free_port().to_string();
        let steps = format!("await @DIR@/go; touch @DIR@/late; serve-tcp {port}");
        let rest = format!("[readiness]\n{}\ninterval = \"20ms\"", probe.replace("PORT", &port));
        let horust = horust().service("db", &speaks(&steps, &rest)).bash("after", AFTER, &after("db")).start();
        fs::write(horust.dir().join("go"), "").unwrap();
        horust.wait_for("in time");
        let (done, _) = horust.stop(Signal::SIGTERM);
        done.assert_code(0);
        assert!(!done.stdout.contains("too early"), "{probe}: {}", done.stdout);
    }
}

#[test]
fn a_start_that_takes_too_long_fails_and_is_tried_again() {
    let start = Instant::now();
    let done = horust()
        .arg("--unsuccessful-exit-finished-failed")
        .bash(
            "db",
            "echo run; exec sleep 1000",
            "[restart]\nattempts = 2\n[readiness]\nunix-socket = \"@DIR@/never.sock\"\ninterval = \"50ms\"\nstart-timeout = \"200ms\"",
        )
        .run();
    done.assert_code(101);
    assert_eq!(done.stdout.matches("run").count(), 3);
    assert!(done.stderr.contains("not ready within 200ms: cannot connect to"), "{}", done.stderr);
    assert!(start.elapsed() < LONG / 2 && start.elapsed() >= Duration::from_millis(600));
}

#[test]
fn a_service_whose_main_process_dies_before_it_is_ready_is_not_ready() {
    let horust = horust()
        .service("db", &speaks("echo up", &format!("[restart]\nattempts = 1\n{NOTIFY}")))
        .bash("after", "echo too early", &after("db"))
        .start();
    horust.wait_for("up");
    let pid = processes().into_iter().find(|p| p.command.contains("client::") && p.parent == horust.pid().as_raw());
    kill(Pid::from_raw(pid.unwrap().pid), Signal::SIGKILL).unwrap();
    horust.wait_for_count("up", 2);
    let (done, _) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert!(!done.stdout.contains("too early"), "{}", done.stdout);
}

#[test]
fn a_line_that_it_prints_makes_a_service_ready() {
    // By either stream, also as the last of many, and with a format that changes what is passed on.
    for (print, log) in [
        ("echo 'listening on port 80'", ""),
        ("echo 'listening on port 80' >&2", "[log]\nformat = \"json\""),
        ("seq 100000; echo 'now listening on port 80, really'", "stdout = \"NULL\""),
        ("printf 'listening on'; sleep 0.1; printf ' port 80\\n'", "user = \"nobody\""),
        ("printf 'listening on port 80\\r\\n'", ""),
        ("printf 'listening on port 80'; exec >&- 2>&-", ""),
    ] {
        if log.starts_with("user") && needs_root() {
            return;
        }
        let script = format!(
            "echo 'not listening on port x'; until [ -e go ]; do sleep 0.01; done; touch late; {print}; sleep 1000"
        );
        let (main, table) = if log.starts_with('[') { ("", log) } else { (log, "") };
        let rest = format!("{main}\n[readiness]\nlog-line = 'listening on port \\d+(, really)?$$'\n{table}");
        let horust = horust().bash("db", &script, &rest).bash("after", AFTER, &after("db")).start();
        // Whoever runs it may make its file.
        fs::set_permissions(horust.dir(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        fs::write(horust.dir().join("go"), "").unwrap();
        horust.wait_for("in time");
        let (done, _) = horust.stop(Signal::SIGTERM);
        done.assert_code(0);
        assert!(!done.stdout.contains("too early"), "{print}: {}", done.stdout);
    }
}

#[test]
fn a_line_of_an_old_run_says_nothing_about_the_next() {
    let script = "if [ -e second ]; then touch late; echo up; exec sleep 1000; fi; touch second; echo nothing; exit 1";
    let horust = horust()
        .bash("db", script, "[restart]\nattempts = 1\n[readiness]\nlog-line = \"^up$$\"")
        .bash("after", AFTER, &after("db"))
        .start();
    horust.wait_for("in time");
    horust.stop(Signal::SIGTERM).0.assert_code(0);
}

/// The hooks of a captured service are captured with it; its own lines stay in their order, and count alone.
#[test]
fn what_a_hook_prints_makes_nobody_ready() {
    let script = "touch late; echo up; exec sleep 1000";
    let hooks = "[hooks]\nbefore-start = \"echo up\"\n[readiness]\nlog-line = \"^up$$\"\n[log]\nformat = \"prefix\"";
    let horust = horust().bash("db", script, hooks).bash("after", AFTER, &after("db")).start();
    horust.wait_for("in time");
    let (done, _) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert_eq!(done.stdout.matches("db | up\n").count(), 2, "{}", done.stdout);
    assert!(!done.stdout.contains("too early"), "{}", done.stdout);
}
