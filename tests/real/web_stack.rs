//! `example_services/web-stack` as it stands, below Horust as PID 1: it starts from nothing, heals, and stops in order.

use crate::needs::{ask, find, lacks, postgres_bin};
use crate::support::*;
use crate::web::{Answer, get};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getsid};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

const NEEDS: &[&str] =
    &["postgres", "psql", "pg_isready", "redis-server", "redis-cli", "gunicorn", "nginx", "setpriv", "unshare"];

/// The daemons, each before those that are stopped after it, and what their main processes are called.
const DAEMONS: [(&str, &str); 4] =
    [("web", "nginx: master"), ("app", "gunicorn"), ("database", "postgres -D"), ("cache", "redis-server")];

/// What is kept from one start to the next: a directory that every user can get at.
struct Data {
    dir: TempDir,
    web_port: u16,
    database_port: u16,
}

struct Stack {
    horust: Horust,
    web_port: u16,
    socket_dir: PathBuf,
    database_port: u16,
}

impl Data {
    fn new() -> Data {
        let dir = tempfile::Builder::new().prefix("horust-web-stack-").tempdir().unwrap();
        fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        Data { dir, web_port: free_port(), database_port: free_port() }
    }

    fn stack(&self) -> PathBuf {
        self.dir.path().join("stack")
    }

    fn start(&self) -> Stack {
        self.start_with(&example().join("files"))
    }

    /// The one command of README.md. Only where it is started differs, and so do directory and ports.
    fn start_with(&self, files: &Path) -> Stack {
        let text = |path: &Path| path.display().to_string();
        let horust = horust()
            .pid1()
            .no_services_path()
            .arg("--services-path")
            .arg(&text(&example()))
            .arg("--uds-folder-path")
            .arg("@DIR@/run")
            .env("WEB_STACK", &text(&self.stack()))
            .env("WEB_STACK_FILES", &text(files))
            .env("WEB_PORT", &self.web_port.to_string())
            .env("DATABASE_PORT", &self.database_port.to_string())
            .env("PG_BIN", &text(&postgres_bin().unwrap()))
            .mark(&text(self.dir.path()))
            .start();
        let socket_dir = self.stack().join("database");
        Stack { horust, web_port: self.web_port, socket_dir, database_port: self.database_port }
    }
}

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("example_services/web-stack")
}

impl Stack {
    /// A request through nginx and the application to the database and the cache: the number of the visit, once all of
    /// them have done their part.
    #[track_caller]
    fn visit(&self) -> u64 {
        let mut number = None;
        self.horust.wait_until("a visit is counted", |_| {
            number = get(self.web_port, "/").as_ref().and_then(counted);
            number.is_some()
        });
        number.unwrap()
    }

    /// The main process of each daemon that has one, by its name.
    fn mains(&self) -> BTreeMap<&'static str, i32> {
        let pid = self.horust.pid().as_raw();
        // What a main process leaves behind when it is killed looks the same, but leads no session.
        let leads = |p: &Process| getsid(Some(Pid::from_raw(p.pid))).is_ok_and(|session| session.as_raw() == p.pid);
        let is_main = |p: &Process| p.parent == pid && p.state != 'Z' && leads(p);
        let children: Vec<Process> = processes().into_iter().filter(is_main).collect();
        let main = |title: &str| children.iter().find(|p| p.command.contains(title)).map(|p| p.pid);
        DAEMONS.iter().filter_map(|(name, title)| Some((*name, main(title)?))).collect()
    }

    /// PostgreSQL's client as the owner of the database.
    fn psql(&self) -> Command {
        let mut psql = Command::new("setpriv");
        psql.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]).arg(find("psql").unwrap());
        psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--dbname=visits"]);
        psql.env("PGHOST", &self.socket_dir).env("PGPORT", self.database_port.to_string()).current_dir("/");
        psql
    }

    fn query(&self, query: &str) -> String {
        let out = self.psql().args(["--command", query]).stdin(Stdio::null()).output().unwrap();
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    }

    /// Lets no visit be counted until it is told to.
    fn lock(&self) -> Lock {
        let mut session = self.psql().stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let text = b"BEGIN;\nLOCK TABLE visits IN EXCLUSIVE MODE;\n\\echo locked\n";
        session.stdin.as_mut().unwrap().write_all(text).unwrap();
        let mut said = String::new();
        BufReader::new(session.stdout.as_mut().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "locked\n");
        Lock { session }
    }
}

struct Lock {
    session: Child,
}

impl Lock {
    fn release(mut self) {
        drop(self.session.stdin.take());
        self.session.wait().unwrap();
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = self.session.kill();
        let _ = self.session.wait();
    }
}

/// The number in `{"visit": 7, "requests": 9}`.
fn counted(answer: &Answer) -> Option<u64> {
    let rest = answer.body.strip_prefix("{\"visit\": ")?;
    let (visit, requests) = rest.trim_end().strip_suffix('}')?.split_once(", \"requests\": ")?;
    requests.parse::<u64>().ok()?;
    visit.parse().ok().filter(|_| answer.status == 200)
}

/// Whoever copies it begins without a warning, if the container runtime waits for it.
#[test]
fn check_has_nothing_to_complain_of() {
    if lacks(NEEDS) {
        return;
    }
    let bin = postgres_bin().unwrap().display().to_string();
    let check =
        horust().no_services_path().env("PG_BIN", &bin).arg("check").arg("--strict").arg("--stop-timeout").arg("1m");
    check.arg(&example().display().to_string()).run().assert_code(0);
}

#[test]
fn each_part_is_killed_in_turn_and_heals_and_the_others_go_on() {
    if lacks(NEEDS) {
        return;
    }
    let data = Data::new();
    let stack = data.start();
    let mut visits = stack.visit();
    let run = stack.horust.dir().join("run");
    stack.horust.wait_until("all is well", |_| ask(&run, &["health"]) == "healthy\n");
    for (service, words) in [("app", "Gunicorn arbiter booted"), ("cache", "Ready to accept connections")] {
        let status = ask(&run, &["status", service]);
        assert!(status.contains(words), "what it says of itself (STATUS): {status}");
    }
    // A worker is its master's business: nothing is restarted.
    let mains = stack.mains();
    let worker = processes().into_iter().find(|p| p.parent == mains["app"]).unwrap().pid;
    kill(Pid::from_raw(worker), Signal::SIGKILL).unwrap();
    stack.horust.wait_until("the worker is gone", |_| processes().iter().all(|p| p.pid != worker));
    assert!(stack.visit() > visits);
    for (victim, _) in DAEMONS {
        let before = stack.mains();
        assert_eq!(before.len(), DAEMONS.len(), "{before:?}");
        assert!(victim != DAEMONS[0].0 || before == mains);
        kill(Pid::from_raw(before[victim]), Signal::SIGKILL).unwrap();
        stack.horust.wait_until(&format!("{victim} is there again"), |_| {
            stack.mains().get(victim).is_some_and(|pid| *pid != before[victim])
        });
        let number = stack.visit();
        assert!(number > visits, "visit {number} after {visits}");
        visits = number;
        let mut after = stack.mains();
        after.insert(victim, before[victim]);
        assert_eq!(after, before, "only {victim} has a new main process\n{}", stack.horust.stderr());
    }
    let (done, _) = stack.horust.stop(Signal::SIGTERM);
    done.assert_code(0);
}

/// The order is seen from outside: a request that was under way is answered, so nginx waits for it, and the application and
/// the database wait for nginx.
#[test]
fn it_stops_in_order_and_finishes_what_is_under_way() {
    if lacks(NEEDS) {
        return;
    }
    let data = Data::new();
    let stack = data.start();
    stack.visit();
    let lock = stack.lock();
    let port = stack.web_port;
    let request = std::thread::Builder::new().spawn(move || get(port, "/")).unwrap();
    stack.horust.wait_until("the request waits for the lock", |_| {
        stack.query("SELECT count(*) FROM pg_locks WHERE NOT granted") == "1"
    });
    let before = stack.mains();
    stack.horust.signal(Signal::SIGTERM);
    stack.horust.wait_until("nobody new is let in", |_| std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
    assert!(!request.is_finished());
    assert_eq!(stack.mains(), before, "nginx waits for the request, and all others for nginx");
    lock.release();
    let alive = |name: &str| Path::new(&format!("/proc/{}", before[name])).exists();
    stack.horust.wait_until("all are gone", |_| {
        // Whether the later one is gone is looked at first, so that a moment in between can't make this wrong.
        for (later, earlier) in [("app", "web"), ("database", "app"), ("cache", "app")] {
            let gone = !alive(later);
            assert!(!(gone && alive(earlier)), "{later} was stopped before {earlier}");
        }
        DAEMONS.iter().all(|(name, _)| !alive(name))
    });
    let answer = request.join().unwrap().expect("the request is answered");
    assert!(counted(&answer).is_some(), "{answer:?}");
    let done = stack.horust.end();
    done.assert_code(0);
    assert!(done.stderr.contains("LOG:  database system is shut down"), "no clean shutdown: {}", done.stderr);
    assert!(!done.stderr.contains("killed"), "{}", done.stderr);
    // Who says what is told, even by nginx, which opens /dev/stdout as another user.
    assert!(done.stdout.contains("web | 127.0.0.1 - "), "{}", done.stdout);
    assert!(std::net::TcpStream::connect(("127.0.0.1", data.database_port)).is_err());
    let sockets = ["web/nginx.pid", "app/app.sock", "cache/redis.sock", "database/data/postmaster.pid"];
    for file in sockets {
        assert!(!data.stack().join(file).exists(), "{file} is left behind");
    }
}

#[test]
fn a_second_start_finds_the_data_of_the_first() {
    if lacks(NEEDS) {
        return;
    }
    let data = Data::new();
    let first = data.start();
    let visits = first.visit();
    first.horust.stop(Signal::SIGTERM).0.assert_code(0);
    let second = data.start();
    assert!(second.visit() > visits);
    // A container that is killed leaves lock files and sockets behind.
    let (done, _) = second.horust.stop(Signal::SIGKILL);
    assert!(!done.status.success());
    let third = data.start();
    assert!(third.visit() > visits + 1);
    third.horust.stop(Signal::SIGTERM).0.assert_code(0);
}

/// What can't be migrated is never served, and whoever runs the container is told.
#[test]
fn a_broken_migration_ends_it_with_its_own_code() {
    if lacks(NEEDS) {
        return;
    }
    let data = Data::new();
    let files = data.dir.path().join("files");
    fs::create_dir(&files).unwrap();
    for name in ["app.py", "nginx.conf"] {
        fs::copy(example().join("files").join(name), files.join(name)).unwrap();
    }
    fs::write(files.join("schema.sql"), "SELECT broken;\n").unwrap();
    let done = data.start_with(&files).horust.end();
    // psql(1): 3 is an error in a script.
    done.assert_code(3);
    assert!(done.stderr.contains("migrate: failed for good: exited with code 3"), "{}", done.stderr);
    assert_eq!(done.stderr.matches("psql:database/schema.sql:1: ERROR").count(), 4, "{}", done.stderr);
    for never in ["app/app.sock", "web/nginx.pid"] {
        assert!(!data.stack().join(never).exists(), "{never}");
    }
}
