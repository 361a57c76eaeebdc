//! The Dockerfile as it stands, built and run by a real Docker daemon: one of our own, with its own directories and socket,
//! so that no other daemon is disturbed. Whatever it starts it ends.

mod hard;
mod healthcheck;
mod swarm;

use crate::images;
use crate::parts::{Outcome, check, ensure};
use crate::poll::polled;
use crate::tools::{self, capture, root};
use anyhow::{Context, Result, bail};
use std::cell::Cell;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const IMAGE: &str = "horust-test";

pub fn part() -> Result<Outcome> {
    if !root() {
        return Ok(Outcome::Skipped("starting a Docker daemon needs root".to_owned()));
    }
    for (program, package) in
        [("dockerd", "docker.io"), ("docker", "docker.io"), ("tar", "tar"), ("script", "bsdutils")]
    {
        if let Err(e) = tools::need(program, package) {
            return Ok(Outcome::Skipped(format!("{e:#}")));
        }
    }
    let daemon = Daemon::start()?;
    let suite = Suite { daemon: &daemon, failed: Cell::new(0), containers: Cell::new(0) };
    suite.check("the stand-ins for the base images are made", || daemon.base_images());
    suite.check("the Dockerfile builds", || daemon.build(&[], IMAGE));
    if suite.failed.get() == 0 {
        suite.all();
    }
    match suite.failed.get() {
        0 => Ok(Outcome::Passed),
        n => bail!("{n} checks of the image failed"),
    }
}

/// A Docker daemon of our own.
struct Daemon {
    dir: PathBuf,
    child: Child,
}

impl Daemon {
    fn start() -> Result<Daemon> {
        let dir = images::tempdir(&std::env::temp_dir(), "docker")?;
        let log = File::create(dir.join("log")).context("cannot make the daemon's log")?;
        let file = |name: &str| dir.join(name).display().to_string();
        let child = Command::new(tools::find("dockerd").context("no dockerd")?)
            .args(["--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=overlay2"])
            .arg(format!("--data-root={}", file("data")))
            .arg(format!("--exec-root={}", file("exec")))
            .arg(format!("--pidfile={}", file("pid")))
            .arg(format!("--host=unix://{}", file("socket")))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start dockerd")?;
        let mut daemon = Daemon { dir, child };
        let answers = wait_until(Duration::from_secs(60), || {
            daemon.child.try_wait().is_ok_and(|s| s.is_some()) || capture(daemon.docker().arg("version")).is_ok()
        });
        if let Some(status) = daemon.child.try_wait()? {
            let log = fs::read_to_string(daemon.dir.join("log")).unwrap_or_default();
            bail!("dockerd ended with {status}: {}", log.lines().last().unwrap_or_default());
        }
        ensure(answers, || "dockerd does not answer".to_owned())?;
        Ok(daemon)
    }

    fn docker(&self) -> Command {
        let mut docker = Command::new("docker");
        // The classic builder: BuildKit is a plugin of newer clients, which may be missing.
        docker.env("DOCKER_BUILDKIT", "0").env_remove("DOCKER_CONTEXT");
        docker.env("DOCKER_CONFIG", self.dir.join("config"));
        docker.env("DOCKER_HOST", format!("unix://{}", self.dir.join("socket").display()));
        docker
    }

    /// Runs the client, and returns what it wrote.
    fn run(&self, args: &[&str]) -> Result<String> {
        capture(self.docker().args(args))
    }

    fn base_images(&self) -> Result<()> {
        let slim = images::debian("minbase", "")?;
        images::import(&|| self.docker(), &slim, &[], "debian:bookworm-slim")?;
        let gcc = images::debian("gcc", "gcc,libc6-dev,ca-certificates")?;
        let tarball = self.dir.join("rust.tar");
        let variables = images::with_toolchain(&gcc, &tarball)?;
        images::import(&|| self.docker(), &tarball, &variables, "rust:1-bookworm")?;
        fs::remove_file(&tarball).context("cannot remove the tarball")
    }

    /// Builds the Dockerfile. Its output is shown if it fails.
    fn build(&self, args: &[&str], image: &str) -> Result<()> {
        let mut build = self.docker();
        build.args(["build", "--network", "host", "--tag", image]).args(args).arg(".");
        let out = build.stdin(Stdio::null()).output().context("cannot run docker build")?;
        if !out.status.success() {
            let text = [out.stdout, out.stderr].concat();
            let text = String::from_utf8_lossy(&text);
            let lines: Vec<&str> = text.lines().collect();
            bail!("docker build failed:\n{}", lines[lines.len().saturating_sub(40)..].join("\n"));
        }
        Ok(())
    }

    /// Writes a Dockerfile into the directory, and builds it.
    fn build_from(&self, dir: &Path, image: &str, lines: &[&str]) -> Result<()> {
        fs::write(dir.join("Dockerfile"), lines.join("\n") + "\n").context("cannot write a Dockerfile")?;
        capture(self.docker().args(["build", "--network", "none", "--tag", image]).arg(dir)).map(drop)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // TERM lets it stop its containerd and unmount; the shell's kill, for std can only send KILL.
        let _ = Command::new("sh").args(["-c", "kill -TERM \"$1\"", "sh", &self.child.id().to_string()]).status();
        if !wait_until(Duration::from_secs(30), || self.child.try_wait().is_ok_and(|s| s.is_some())) {
            println!("dockerd does not end; killing it");
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        // It leaves the network namespace of `--network host` mounted.
        for line in fs::read_to_string("/proc/self/mounts").unwrap_or_default().lines() {
            if let Some(mounted) = line.split(' ').nth(1).filter(|m| Path::new(m).starts_with(&self.dir)) {
                let _ = capture(Command::new("umount").arg(mounted));
            }
        }
        if let Err(e) = fs::remove_dir_all(&self.dir) {
            println!("cannot remove {}: {e}", self.dir.display());
        }
    }
}

struct Suite<'a> {
    daemon: &'a Daemon,
    failed: Cell<u32>,
    containers: Cell<u32>,
}

impl Suite<'_> {
    fn check(&self, name: &str, body: impl FnOnce() -> Result<()>) {
        if !check(name, body) {
            self.failed.set(self.failed.get() + 1);
        }
    }

    fn all(&self) {
        self.check("`docker run` starts the example, `docker stop` ends it in order", || self.example(&[]));
        self.check("the same below docker's own init", || self.example(&["--init"]));
        self.check("the exit code of a command is the container's", || self.exit_codes());
        self.check("`docker kill --signal` reaches the services", || self.signals());
        self.check("an unknown user on a read-only root", || self.unprivileged());
        self.check("`HEALTHCHECK` turns healthy, and unhealthy when a service gives up", || self.healthcheck());
        self.check("the binary alone runs in an empty image", || self.scratch());
        self.check("the base image takes services and is small", || self.base());
        self.hard();
        self.swarm();
    }

    /// Starts a container in the background.
    fn start(&self, args: &[&str]) -> Result<Container<'_>> {
        let n = self.containers.get();
        self.containers.set(n + 1);
        let container = Container { daemon: self.daemon, name: format!("horust-{n}") };
        capture(self.daemon.docker().args(["run", "-d", "--network", "none", "--name", &container.name]).args(args))?;
        Ok(container)
    }

    fn example(&self, flags: &[&str]) -> Result<()> {
        let container = self.start(&[flags, &[IMAGE]].concat())?;
        for line in ["prepare: making", "clock: it is", "visitor: the clock is up", "flaky: third run"] {
            container.wait_for(line)?;
        }
        // Everything else is awake by now, and the flaky one has crashed twice on its way.
        capture(self.daemon.docker().args(["stop", &container.name]))?;
        let logs = container.logs()?;
        ensure(container.exit_code()? == 0, || format!("exit code {:?}; logs:\n{logs}", container.exit_code()))?;
        let at = |line: &str| logs.find(line).with_context(|| format!("no {line:?} in the logs:\n{logs}"));
        ensure(at("visitor: stopped")? < at("clock: stopped")?, || format!("the stop order is wrong:\n{logs}"))?;
        ensure(logs.matches("flaky: crashing").count() == 2, || format!("not two crashes:\n{logs}"))?;
        // The end of the container, by the daemon's clock, against the last words of the last service.
        let last = logs.lines().rfind(|l| l.contains(": stopped")).unwrap_or_default();
        let last = seconds_of_day(last.split(' ').next().unwrap_or_default())?;
        let end = container.inspect("{{.State.FinishedAt}}")?;
        // Midnight may lie between. And the daemon stamps a line when it reads it, which may be just after the end.
        let took = (seconds_of_day(&end)? - last + 43_200.0).rem_euclid(86_400.0) - 43_200.0;
        println!("docker:   the container ended {:.0} ms after the last service", took * 1000.0);
        ensure(took < 1.0, || format!("it took {took} s to end after the last service"))
    }

    fn exit_codes(&self) -> Result<()> {
        for code in [0, 1, 7, 255] {
            let mut run = self.daemon.docker();
            run.args(["run", "--rm", "--network", "none", IMAGE, "--", "sh", "-c", &format!("exit {code}")]);
            let status = run.stdin(Stdio::null()).output().context("cannot run docker run")?.status;
            ensure(status.code() == Some(code), || format!("exit {code} became {status}"))?;
        }
        let killed = self
            .daemon
            .docker()
            .args(["run", "--rm", "--network", "none", IMAGE, "--", "sh", "-c", "kill -9 $$"])
            .output()?;
        ensure(killed.status.code() == Some(137), || format!("a death by KILL became {}", killed.status))
    }

    fn signals(&self) -> Result<()> {
        let service = "command = [\"bash\", \"-c\", '''\ntrap 'echo got USR1' USR1\ntrap 'echo got HUP' HUP\n\
                       trap 'echo bye; exit 0' TERM\necho ready\nwhile true; do sleep 60 & wait; done\n''']\n";
        let dir = self.services("signals", &[("trap.toml", service)])?;
        let container = self.start(&["-v", &format!("{}:/etc/horust/services:ro", dir.display()), IMAGE])?;
        container.wait_for("ready")?;
        capture(self.daemon.docker().args(["kill", "--signal", "USR1", &container.name]))?;
        container.wait_for("got USR1")?;
        capture(self.daemon.docker().args(["stop", &container.name]))?;
        ensure(container.exit_code()? == 0 && container.logs()?.contains("bye"), || {
            format!("exit code {:?}, logs {:?}", container.exit_code(), container.logs())
        })
    }

    fn unprivileged(&self) -> Result<()> {
        let service = "command = [\"bash\", \"-c\", \"echo uid $(id -u); touch /x || echo read-only; exit 0\"]\n";
        let dir = self.services("unprivileged", &[("id.toml", service)])?;
        let mount = format!("{}:/etc/horust/services:ro", dir.display());
        let container = self.start(&["--user", "12345", "--read-only", "--cap-drop", "ALL", "-v", &mount, IMAGE])?;
        container.wait_for("uid 12345")?;
        container.wait_for("read-only")?;
        wait_until(Duration::from_secs(10), || container.inspect("{{.State.Running}}").is_ok_and(|s| s == "false"));
        ensure(container.exit_code()? == 0, || format!("exit code {:?}: {:?}", container.exit_code(), container.logs()))
    }

    fn scratch(&self) -> Result<()> {
        self.daemon.build(&["--target", "binary"], "horust-test-binary")?;
        let mut run = self.daemon.docker();
        let out = capture(run.args(["run", "--rm", "--network", "none", "horust-test-binary", "--version"]))?;
        ensure(out.starts_with("horust "), || format!("--version printed {out:?}"))?;
        let mut run = self.daemon.docker();
        run.args(["run", "--rm", "--network", "none", "horust-test-binary", "--", "/sbin/horust", "--version"]);
        ensure(capture(&mut run)?.starts_with("horust "), || "it does not supervise itself".to_owned())
    }

    fn base(&self) -> Result<()> {
        self.daemon.build(&["--target", "base"], "horust-test-base")?;
        let size = |image: &str| -> Result<u64> {
            let text = capture(self.daemon.docker().args(["image", "inspect", "-f", "{{.Size}}", image]))?;
            text.trim().parse().context("docker prints no size")
        };
        let added = size("horust-test-base")?.saturating_sub(size("debian:bookworm-slim")?);
        println!("docker:   Horust adds {:.1} MB to its base image", added as f64 / 1e6);
        ensure(added < 20_000_000, || format!("Horust adds {added} bytes to its base image"))?;
        let mut list = self.daemon.docker();
        list.args(["run", "--rm", "--network", "none", "horust-test-base", "--", "ls", "-A", "/etc/horust/services"]);
        let files = capture(&mut list)?;
        ensure(files.is_empty(), || format!("it holds services already: {files}"))
    }

    fn services(&self, name: &str, files: &[(&str, &str)]) -> Result<PathBuf> {
        let dir = self.daemon.dir.join(name);
        fs::create_dir(&dir).context("cannot make the directory of the services")?;
        for (file, text) in files {
            fs::write(dir.join(file), text).context("cannot write a service")?;
        }
        readable(&self.daemon.dir)?;
        Ok(dir)
    }
}

/// Lets any user into the directory: a container's user has to read what is mounted from there.
fn readable(dir: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).context("cannot set permissions")
}

struct Container<'a> {
    daemon: &'a Daemon,
    name: String,
}

impl Container<'_> {
    /// Both streams, each line after the time at which the daemon got it.
    fn logs(&self) -> Result<String> {
        let out = self.daemon.docker().args(["logs", "--timestamps", &self.name]).output()?;
        Ok(String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned())
    }

    fn wait_for(&self, text: &str) -> Result<()> {
        let seen = wait_until(Duration::from_secs(30), || self.logs().is_ok_and(|logs| logs.contains(text)));
        ensure(seen, || format!("no {text:?} in the logs:\n{}", self.logs().unwrap_or_default()))
    }

    fn exec(&self, command: &[&str]) -> Result<String> {
        self.daemon.run(&[&["exec", &self.name], command].concat())
    }

    fn inspect(&self, format: &str) -> Result<String> {
        Ok(capture(self.daemon.docker().args(["inspect", "-f", format, &self.name]))?.trim().to_owned())
    }

    fn exit_code(&self) -> Result<i32> {
        self.inspect("{{.State.ExitCode}}")?.parse().context("docker prints no exit code")
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        let _ = capture(self.daemon.docker().args(["rm", "--force", &self.name]));
    }
}

/// The seconds since midnight of `2026-01-31T12:34:56.789Z`.
fn seconds_of_day(time: &str) -> Result<f64> {
    let clock = time.split('T').nth(1).and_then(|t| t.strip_suffix('Z'));
    let numbers: Option<Vec<f64>> = clock.map(|c| c.split(':').filter_map(|n| n.parse().ok()).collect());
    match numbers.as_deref() {
        Some([hours, minutes, seconds]) => Ok(hours * 3600.0 + minutes * 60.0 + seconds),
        _ => bail!("cannot read the time {time:?}"),
    }
}

fn wait_until(limit: Duration, condition: impl FnMut() -> bool) -> bool {
    polled(limit, Duration::from_millis(50), condition)
}
