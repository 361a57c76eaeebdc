//! nginx, asked over HTTP: through TCP and through a socket of the file system.

use crate::needs::lacks;
use crate::support::*;
use crate::web::get;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;

/// `/health` is well unless there is a file `sick`; `/get-only` knows no HEAD; `/moved` leads to the former.
const CONF: &str = "
worker_processes 2;
pid nginx.pid;
events {}
http {
    access_log access.log;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {
        listen 127.0.0.1:@PORT@;
        listen unix:@DIR@/nginx.sock;
        location = /health { if (-f @DIR@/sick) { return 503; } return 204; }
        location = /get-only { if ($request_method = HEAD) { return 405; } return 200 fine; }
        location = /moved { return 301 http://127.0.0.1:@PORT@/health; }
    }
}
";

fn nginx(port: u16, endpoint: &str, rest: &str) -> Builder {
    let script = "rm -f nginx.sock; echo began; exec nginx -p @DIR@ -c nginx.conf -e stderr -g 'daemon off;'";
    let health =
        format!("[healthiness]\nhttp-endpoint = \"{endpoint}\"\ninterval = \"50ms\"\ntimeout = \"2s\"\n{rest}");
    horust()
        .file("nginx.conf", &CONF.replace("@PORT@", &port.to_string()))
        .bash("web", script, &format!("{health}\n[termination]\nsignal = \"QUIT\"\nwait = \"500ms\""))
        .bash("after", "echo ready; exec sleep 1000", "start-after = [\"web\"]")
}

/// Where the page at this path can be asked for.
fn endpoints(port: u16, path: &str) -> [String; 2] {
    [format!("http://127.0.0.1:{port}{path}"), format!("unix:@DIR@/nginx.sock:{path}")]
}

#[test]
fn it_is_ready_once_it_answers_over_tcp_and_over_its_socket() {
    if lacks(&["nginx"]) {
        return;
    }
    let port = free_port();
    let [tcp, unix] = endpoints(port, "/health");
    let [get_only, get_only_unix] = endpoints(port, "/get-only");
    let moved = format!("http://127.0.0.1:{port}/moved");
    for endpoint in [tcp, unix, get_only, get_only_unix, moved] {
        let horust = nginx(port, &endpoint, "").start();
        horust.wait_for("ready");
        assert_eq!(get(port, "/health").unwrap().status, 204);
        let (done, took) = horust.stop(Signal::SIGTERM);
        done.assert_code(0);
        assert!(took < BEFORE_KILL, "{took:?}");
        assert!(!done.stderr.contains("[error]"), "{}", done.stderr);
    }
}

#[test]
fn a_sick_one_is_restarted_once() {
    if lacks(&["nginx"]) {
        return;
    }
    let port = free_port();
    for endpoint in endpoints(port, "/health") {
        // Its next run finds a clean directory.
        let horust =
            nginx(port, &endpoint, "failure-threshold = 2\n[restart]\nstrategy = \"on-failure\"\nbackoff = \"100ms\"")
                .start();
        horust.wait_for("ready");
        fs::write(horust.dir().join("sick"), "").unwrap();
        horust.wait_until("it is found sick", |h| h.stderr().contains("web: unhealthy: answered 503"));
        fs::remove_file(horust.dir().join("sick")).unwrap();
        horust.wait_for_count("began", 2);
        horust.wait_until("it answers again", |_| get(port, "/health").is_some_and(|answer| answer.status == 204));
        let (done, _) = horust.stop(Signal::SIGTERM);
        done.assert_code(0);
        assert_eq!(done.stdout.matches("began").count(), 2, "{}", done.stderr);
        assert_eq!(done.stdout.matches("ready").count(), 1);
    }
}

/// Stopped, all of it: the kernel takes connections, and nobody answers.
#[test]
fn a_hung_one_is_killed_with_its_workers_and_restarted() {
    if lacks(&["nginx"]) {
        return;
    }
    let port = free_port();
    for endpoint in endpoints(port, "/health") {
        let horust = nginx(port, &endpoint, "failure-threshold = 0\n[restart]\nstrategy = \"on-failure\"").start();
        horust.wait_for("ready");
        let master: i32 = horust.read("nginx.pid").trim().parse().unwrap();
        kill(Pid::from_raw(-master), Signal::SIGSTOP).unwrap();
        horust.wait_for_count("began", 2);
        horust.wait_until("it answers again", |_| get(port, "/health").is_some_and(|answer| answer.status == 204));
        let (done, _) = horust.stop(Signal::SIGTERM);
        done.assert_code(0);
        // Who is first, the pool or the supervisor, says it in its own words.
        let said = ["no answer within 2s", "timed out after 2s"].map(|why| format!("web: unhealthy: {why}"));
        assert!(said.iter().any(|line| done.stderr.contains(line)), "{}", done.stderr);
        assert!(done.stderr.contains("web: did not stop within 500ms: killed"), "{}", done.stderr);
    }
}
