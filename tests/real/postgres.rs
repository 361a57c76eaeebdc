//! PostgreSQL: ready by its port, by pg_isready and by its own word, hung and crashed.

use crate::needs::{find, lacks, postgres_bin};
use crate::support::*;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;

const NEEDS: &[&str] = &["postgres", "initdb", "pg_isready", "psql"];

/// A cluster below the directory, its server, and a client that starts after it.
struct Setup {
    port: u16,
    readiness: &'static str,
    rest: &'static str,
}

impl Setup {
    fn start(self) -> Horust {
        let port = self.port;
        let client = find("psql").unwrap();
        let server = format!(
            "start-after = [\"init\"]\nuser = \"postgres\"\ncommand = \"postgres -D @DIR@/pg/data -c port={port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=@DIR@/pg\"\n\
             [environment]\nPATH = \"{}:/usr/bin:/bin\"\nPGHOST = \"127.0.0.1\"\nPGPORT = \"{port}\"\n\
             [termination]\nsignal = \"INT\"\nwait = \"{}\"\n[readiness]\n{}\n{}",
            postgres_bin().unwrap().display(),
            if self.rest.is_empty() { "30s" } else { "300ms" },
            self.readiness.replace("PORT", &port.to_string()),
            self.rest,
        );
        let builder = horust();
        // A directory of its own, for the server is not allowed to write in ours.
        let pg = builder.dir().join("pg");
        fs::create_dir(&pg).unwrap();
        nix::unistd::chown(&pg, Some(user("postgres")), None).unwrap();
        let init =
            format!("cd pg && {} --pgdata=data --no-sync --auth=trust > /dev/null", find("initdb").unwrap().display());
        builder
            .bash("init", &init, "kind = \"oneshot\"\nuser = \"postgres\"")
            .service("database", &server)
            .bash(
                "after",
                &format!(
                    "{} -h 127.0.0.1 -p {port} -U postgres -Atc \"select 'asked'\"; exec sleep 1000",
                    client.display()
                ),
                "start-after = [\"database\"]",
            )
            .start()
    }
}

fn user(name: &str) -> nix::unistd::Uid {
    nix::unistd::User::from_name(name).unwrap().unwrap().uid
}

/// The postmaster says so in its lock file.
fn postmaster(horust: &Horust) -> Option<i32> {
    horust.read("pg/data/postmaster.pid").lines().next()?.parse().ok()
}

/// What starts after it can use it at once, without a second try.
#[test]
fn ready_means_that_it_takes_queries() {
    if lacks(NEEDS) {
        return;
    }
    for readiness in [
        "tcp = \"127.0.0.1:PORT\"\ncommand = \"pg_isready --quiet\"\ninterval = \"50ms\"",
        "command = \"pg_isready --quiet\"\ninterval = \"50ms\"",
        "notify = true",
        "log-line = 'database system is ready to accept connections$$'",
    ] {
        let horust = Setup { port: free_port(), readiness, rest: "" }.start();
        horust.wait_for("asked");
        let (done, _) = horust.stop(Signal::SIGTERM);
        done.assert_code(0);
        assert!(done.stderr.contains("database system is shut down"), "{}", done.stderr);
        // (That it ended the session of the client, whose end it had not yet seen, is a FATAL as well.)
        let early = done.stderr.contains("the database system is starting up");
        assert!(!early || readiness.contains("command"), "{}", done.stderr);
    }
}

#[test]
fn one_that_hangs_is_found_by_pg_isready_and_restarted() {
    if lacks(NEEDS) {
        return;
    }
    let readiness = "command = \"pg_isready --quiet\"\ninterval = \"50ms\"";
    let rest = "[healthiness]\ncommand = \"pg_isready --quiet\"\ninterval = \"100ms\"\ntimeout = \"2s\"\nfailure-threshold = 1\n\
                [restart]\nstrategy = \"on-failure\"";
    let horust = Setup { port: free_port(), readiness, rest }.start();
    horust.wait_for("asked");
    let first = postmaster(&horust).unwrap();
    kill(Pid::from_raw(first), Signal::SIGSTOP).unwrap();
    horust.wait_until("it is killed", |h| h.stderr().contains("database: did not stop within 300ms: killed"));
    horust.wait_until("another one is ready", |h| {
        h.stderr().matches("ready to accept connections").count() == 2 && postmaster(h).is_some_and(|pid| pid != first)
    });
    assert!(horust.stderr().contains("database: unhealthy: no answer within 2s"), "{}", horust.stderr());
    horust.stop(Signal::SIGTERM).0.assert_code(0);
}

/// The children of a killed postmaster hold its shared memory: a new one starts only when they are gone, and needs no
/// second try.
#[test]
fn a_killed_postmaster_is_replaced_at_the_first_try() {
    if lacks(NEEDS) {
        return;
    }
    let rest = "[restart]\nstrategy = \"on-failure\"";
    let horust = Setup { port: free_port(), readiness: "notify = true", rest }.start();
    horust.wait_for("asked");
    kill(Pid::from_raw(postmaster(&horust).unwrap()), Signal::SIGKILL).unwrap();
    horust.wait_until("another one is ready", |h| h.stderr().matches("ready to accept connections").count() == 2);
    assert_eq!(horust.stderr().matches("restart 1 in").count(), 1, "{}", horust.stderr());
    assert!(!horust.stderr().contains("restart 2 in"), "{}", horust.stderr());
    horust.stop(Signal::SIGTERM).0.assert_code(0);
}
