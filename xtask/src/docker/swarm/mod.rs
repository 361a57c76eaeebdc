//! Docker Swarm, where one machine ends: a replicated service of a Horust image is updated, rolled back and made smaller,
//! gated by `horust health`, while clients ask it all the time and none is let down.

use super::{Suite, wait_until};
use crate::parts::ensure;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

const SERVICE: &str = "web";
const CLIENTS: usize = 4;
const SETTLE: Duration = Duration::from_secs(60);

impl Suite<'_> {
    pub(super) fn swarm(&self) {
        self.check("Swarm updates, rolls back and drains a service without a failed request", || self.updates());
    }

    fn updates(&self) -> Result<()> {
        self.versions()?;
        let front = self.daemon.dir.join("front");
        fs::create_dir(&front).context("cannot make a directory")?;
        fs::set_permissions(&front, fs::Permissions::from_mode(0o777)).context("cannot set permissions")?;

        let here = ["--advertise-addr", "127.0.0.1", "--listen-addr", "127.0.0.1:2377"];
        self.daemon.run(&[&["swarm", "init"][..], &here].concat())?;
        let mount = format!("type=bind,src={},dst=/front", front.display());
        let mut create = vec!["service", "create", "--quiet", "--name", SERVICE, "--replicas", "2"];
        create.extend(["--network", "host", "--no-resolve-image", "--mount", &mount]);
        create.extend(["--update-order", "start-first", "--update-failure-action", "rollback"]);
        create.extend(["--update-monitor", "1s", "--rollback-order", "start-first", "horust-test-swarm:one"]);
        self.daemon.run(&create)?;

        let clients = Clients::start(&front)?;
        self.update("two")?;
        self.settled("completed")?;
        self.update("broken")?;
        self.settled("rollback_completed")?;
        self.daemon.run(&["service", "scale", "web=1"])?;
        let one = || fs::read_dir(&front).is_ok_and(|sockets| sockets.count() == 1);
        ensure(wait_until(SETTLE, one), || "the second task goes on".to_owned())?;
        let answers = clients.stop();

        println!("docker:   {answers:?}");
        let good = |name: &String| ["one", "two"].contains(&name.as_str());
        ensure(answers.len() == 2 && answers.keys().all(good), || format!("clients got {answers:?}"))?;
        self.daemon.run(&["service", "rm", SERVICE])?;
        self.daemon.run(&["swarm", "leave", "--force"]).map(drop)
    }

    /// Three images of the same server.
    fn versions(&self) -> Result<()> {
        let service = "command = ['perl', '/server.pl']\nenvironment = { re-export = ['VERSION'] }\n\
                       readiness = { notify-fd = 3 }\n";
        let dir = self.services("swarm", &[("web.toml", service), ("server.pl", include_str!("server.pl"))])?;
        for version in ["one", "two", "broken"] {
            self.daemon.build_from(
                &dir,
                &format!("horust-test-swarm:{version}"),
                &[
                    "FROM horust-test-base",
                    "COPY server.pl /",
                    "COPY web.toml /etc/horust/services/",
                    &format!("ENV VERSION={version}"),
                    "HEALTHCHECK --interval=1s --start-period=4s --retries=2 CMD [\"horust\", \"health\"]",
                ],
            )?;
        }
        Ok(())
    }

    fn update(&self, version: &str) -> Result<()> {
        let image = format!("horust-test-swarm:{version}");
        self.daemon.run(&["service", "update", "--quiet", "--no-resolve-image", "--image", &image, SERVICE]).map(drop)
    }

    fn settled(&self, wanted: &str) -> Result<()> {
        let mut state = String::new();
        let settled = wait_until(SETTLE, || {
            state =
                self.daemon.run(&["service", "inspect", "-f", "{{.UpdateStatus.State}}", SERVICE]).unwrap_or_default();
            state.trim() == wanted
        });
        ensure(settled, || format!("the update is not {wanted} but {state}"))
    }
}

/// How often clients got what.
type Answers = BTreeMap<String, u32>;

/// They ask whoever has a socket in the directory, in turn.
struct Clients {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Answers>>,
}

impl Clients {
    fn start(front: &Path) -> Result<Clients> {
        let stop = Arc::new(AtomicBool::new(false));
        let client = |n| {
            let (stop, front) = (Arc::clone(&stop), front.to_owned());
            thread::Builder::new().spawn(move || {
                let mut answers = Answers::new();
                let mut turn = n;
                while !stop.load(Ordering::Relaxed) {
                    turn += 1;
                    let Some(answer) = ask(&front, turn) else { continue };
                    *answers.entry(answer).or_default() += 1;
                }
                answers
            })
        };
        let threads = (0..CLIENTS).map(client).collect::<io::Result<_>>().context("cannot start clients")?;
        Ok(Clients { stop, threads })
    }

    fn stop(self) -> Answers {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Answers::new();
        for thread in self.threads {
            for (answer, times) in thread.join().unwrap_or_else(|_| [("a client fails".to_owned(), 1)].into()) {
                *all.entry(answer).or_default() += times;
            }
        }
        all
    }
}

/// The answer or the error; none if this one has just left.
fn ask(front: &Path, turn: usize) -> Option<String> {
    let servers: Vec<PathBuf> = fs::read_dir(front).ok()?.flatten().map(|entry| entry.path()).collect();
    let servers: Vec<&PathBuf> = servers.iter().filter(|path| path.extension().is_none()).collect();
    if servers.is_empty() {
        return Some("nobody is there".to_owned());
    }
    let mut stream = match UnixStream::connect(servers[turn % servers.len()]) {
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(error) => return Some(error.to_string()),
        Ok(stream) => stream,
    };
    let mut answer = String::new();
    let asked = stream.write_all(b"hello\n").and_then(|()| stream.read_to_string(&mut answer));
    Some(asked.map_or_else(|error| error.to_string(), |_| answer.trim().to_owned()))
}
