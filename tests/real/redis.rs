//! Redis: asked through its socket and by its client, and speaking for itself.

use crate::needs::lacks;
use crate::support::*;
use nix::sys::signal::Signal;
use std::process::Command;

const NEEDS: &[&str] = &["redis-server", "redis-cli"];
const SERVER: &str = "command = \"redis-server --port 0 --unixsocket @DIR@/redis.sock --save '' --loglevel warning\"";
const ASKED: &str = "unix-socket = \"@DIR@/redis.sock\"\ncommand = \"redis-cli -e -s @DIR@/redis.sock ping\"";

fn redis_cli(horust: &Horust, words: &[&str]) -> String {
    let mut client = Command::new("redis-cli");
    client.arg("-s").arg(horust.dir().join("redis.sock")).args(words);
    String::from_utf8(client.output().unwrap().stdout).unwrap().trim().to_owned()
}

/// What starts after it can use it at once.
#[test]
fn ready_means_that_it_answers() {
    if lacks(NEEDS) {
        return;
    }
    let supervised = SERVER.replace("--port", "--supervised systemd --port");
    for (server, readiness) in
        [(SERVER.to_owned(), format!("{ASKED}\ninterval = \"50ms\"")), (supervised, "notify = true".to_owned())]
    {
        let horust = horust()
            .service("redis", &format!("{server}\n[readiness]\n{readiness}"))
            .bash("after", "redis-cli -e -s @DIR@/redis.sock set key value", "start-after = [\"redis\"]")
            .start();
        horust.wait_for("OK");
        assert_eq!(redis_cli(&horust, &["get", "key"]), "value");
        let (done, took) = horust.stop(Signal::SIGTERM);
        done.assert_code(0);
        assert!(took < BEFORE_KILL, "{took:?}");
    }
}

/// The kernel still accepts connections for it, so the socket alone would not tell.
#[test]
fn one_that_hangs_is_found_by_its_client_and_restarted() {
    if lacks(NEEDS) {
        return;
    }
    let rest = format!(
        "[healthiness]\n{ASKED}\ninterval = \"100ms\"\ntimeout = \"2s\"\nfailure-threshold = 1\n[termination]\nwait = \"300ms\"\n[restart]\nstrategy = \"on-failure\""
    );
    let horust = horust()
        .service("redis", &format!("{SERVER}\n{rest}"))
        .bash("after", "echo up; exec sleep 1000", "start-after = [\"redis\"]")
        .start();
    horust.wait_for("up");
    let run = |horust: &Horust| -> String {
        let info = redis_cli(horust, &["info", "server"]);
        info.lines().find_map(|line| line.strip_prefix("run_id:")).unwrap_or_default().to_owned()
    };
    let first = run(&horust);
    let pid = redis_cli(&horust, &["info", "server"]);
    let pid = pid.lines().find_map(|line| line.strip_prefix("process_id:")).unwrap().trim().parse().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGSTOP).unwrap();
    horust.wait_until("it is killed", |h| h.stderr().contains("redis: did not stop within 300ms: killed"));
    horust.wait_until("another one answers", |h| ![String::new(), first.clone()].contains(&run(h)));
    let stderr = horust.stderr();
    assert!(stderr.contains("redis: unhealthy: no answer within 2s"), "{stderr}");
    horust.stop(Signal::SIGTERM).0.assert_code(0);
}
