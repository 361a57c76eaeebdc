//! What people ask of a container beside the plain `docker run`: few rights, a terminal, a restart, a whole application.

use super::{Container, IMAGE, Suite, wait_until};
use crate::images;
use crate::parts::ensure;
use crate::tools::{self, capture};
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

/// An image of `example_services/web-stack` with what its services need.
const STACK: &str = "horust-test-stack";
const STACK_PACKAGES: &str = "postgresql,redis-server,nginx-light,gunicorn,python3-psycopg2,python3-redis";

impl Suite<'_> {
    pub(super) fn hard(&self) {
        self.check("the example without rights, on a read-only root", || {
            let few = ["--read-only", "--user", "1000", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"];
            self.example(&[&few[..], &["--tmpfs", "/tmp:mode=1777"]].concat())
        });
        self.check("a service that gives up ends the container with its exit code", || self.gives_up());
        self.check("a container that was killed starts again, and can be asked", || self.starts_again());
        self.check("`docker run -it`: a shell with a terminal, job control and window size", || self.terminal());
        self.check("the web stack comes up, answers, and stops within docker's ten seconds", || self.web_stack());
    }

    fn gives_up(&self) -> Result<()> {
        let files = [
            ("works.toml", "command = 'sleep infinity'\n"),
            ("fails.toml", "command = ['sh', '-c', 'exit 9']\nfailure = { strategy = 'shutdown' }\n"),
        ];
        let dir = self.services("gives-up", &files)?;
        let container = self.start(&["-v", &format!("{}:/etc/horust/services:ro", dir.display()), IMAGE])?;
        let ended = wait_until(Duration::from_secs(10), || container.is("false"));
        let code = container.exit_code()?;
        ensure(ended && code == 9, || format!("ended: {ended}, exit code {code}: {:?}", container.logs()))
    }

    fn starts_again(&self) -> Result<()> {
        let container = self.start(&[IMAGE])?;
        container.wait_for("clock: it is")?;
        // Nobody is left who could remove the socket, and the next Horust has the same pid.
        self.daemon.run(&["kill", &container.name])?;
        ensure(wait_until(Duration::from_secs(10), || container.is("false")), || "it survives KILL".to_owned())?;
        self.daemon.run(&["start", &container.name])?;
        let mut status = String::new();
        let answers = wait_until(Duration::from_secs(10), || {
            status = container.exec(&["horust", "status"]).unwrap_or_else(|error| format!("{error:#}"));
            status.lines().any(|line| line.starts_with("clock") && line.contains("Running"))
        });
        ensure(answers, || format!("no clock is running:\n{status}"))?;
        self.daemon.run(&["stop", &container.name])?;
        ensure(container.exit_code()? == 0, || format!("exit code {:?}", container.exit_code()))
    }

    fn terminal(&self) -> Result<()> {
        let mut shell = Terminal::open(self, &["bash", "--norc"])?;
        shell.say("echo \"I have $((40+2))\"", "I have 42")?;
        shell.say("stty size", "33 111")?;
        shell.say("sleep 1000 & wait", "[1] ")?;
        // Ctrl-C reaches the shell: it gives up waiting.
        shell.key(b"\x03")?;
        shell.say("fg", "sleep 1000\r\n")?;
        shell.key(b"\x1a")?;
        shell.wait_for("Stopped")?;
        shell.say("jobs; echo \"jobs $((6*7))\"", "jobs 42")?;
        shell.resize(44, 122)?;
        // Docker passes the new size on in its own time.
        let resized = wait_until(Duration::from_secs(20), || shell.try_say("stty size", "44 122", 1).is_ok());
        ensure(resized, || shell.text())?;
        shell.say("kill -KILL %1; wait; echo \"gone $((6*7))\"", "gone 42")?;
        let text = shell.text();
        ensure(!text.contains("no job control"), || text)?;
        ensure(shell.leave("exit 5")? == Some(5), || "its exit code is not the shell's".to_owned())
    }

    fn web_stack(&self) -> Result<()> {
        let debian = images::debian("stack", STACK_PACKAGES)?;
        images::import(&|| self.daemon.docker(), &debian, &[], "debian-test-stack")?;
        let dir = self.daemon.dir.join("stack");
        fs::create_dir(&dir).context("cannot make a directory")?;
        capture(Command::new("cp").args(["-r", "example_services/web-stack"]).arg(&dir))?;
        self.daemon.build_from(
            &dir,
            STACK,
            &[
                "FROM debian-test-stack",
                "COPY --from=horust-test-binary /sbin/horust /sbin/horust",
                "COPY web-stack /etc/horust/services",
                "ENV WEB_STACK_FILES=/etc/horust/services/files",
                "ENTRYPOINT [\"/sbin/horust\"]",
            ],
        )?;
        let container = self.start(&[STACK])?;
        let ask = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8080/', timeout=5).read().decode())";
        let mut answer = String::new();
        let visited = wait_until(Duration::from_secs(90), || {
            answer = container.exec(&["python3", "-c", ask]).unwrap_or_else(|error| format!("{error:#}"));
            answer.contains("visit")
        });
        ensure(visited, || format!("no visit: {answer}\n{}", container.logs().unwrap_or_default()))?;
        self.daemon.run(&["stop", &container.name])?;
        // Docker kills what has not ended after ten seconds, which would be 137.
        ensure(container.exit_code()? == 0, || format!("exit code {:?}: {:?}", container.exit_code(), container.logs()))
    }
}

impl Container<'_> {
    fn is(&self, running: &str) -> bool {
        self.inspect("{{.State.Running}}").is_ok_and(|state| state == running)
    }
}

/// A container at a terminal, which script(1) makes.
struct Terminal {
    child: Child,
    input: Option<ChildStdin>,
    typescript: PathBuf,
    name: PathBuf,
}

impl Terminal {
    fn open(suite: &Suite<'_>, command: &[&str]) -> Result<Terminal> {
        let dir = suite.daemon.dir.join("terminal");
        fs::create_dir(&dir).context("cannot make a directory")?;
        let (typescript, name) = (dir.join("typescript"), dir.join("name"));
        let inside = format!(
            "tty > {}; stty rows 33 cols 111; exec docker run --rm -it --network none {IMAGE} -- {}",
            name.display(),
            command.join(" ")
        );
        // `docker` itself only for its environment.
        let docker = suite.daemon.docker();
        let mut script = Command::new(tools::find("script").context("no script")?);
        for (variable, value) in docker.get_envs() {
            match value {
                Some(value) => script.env(variable, value),
                None => script.env_remove(variable),
            };
        }
        script.args(["--quiet", "--flush", "--return", "--command", &inside, "/dev/null"]);
        script.env("SHELL", "/bin/sh").stdin(Stdio::piped()).stdout(File::create(&typescript)?);
        let mut child = script.spawn().context("cannot run script")?;
        let input = child.stdin.take();
        let terminal = Terminal { child, input, typescript, name };
        terminal.wait_for("# ")?;
        Ok(terminal)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.typescript).unwrap_or_default()).into_owned()
    }

    fn key(&mut self, bytes: &[u8]) -> Result<()> {
        let input = self.input.as_mut().context("the terminal is closed")?;
        input.write_all(bytes).and_then(|()| input.flush()).context("cannot type")
    }

    fn say(&mut self, line: &str, answer: &str) -> Result<()> {
        self.try_say(line, answer, 10)
    }

    /// Types a line, and waits for a new occurrence of this text in what follows.
    fn try_say(&mut self, line: &str, answer: &str, seconds: u64) -> Result<()> {
        let before = self.text().matches(answer).count();
        self.key(format!("{line}\n").as_bytes())?;
        let seen = wait_until(Duration::from_secs(seconds), || self.text().matches(answer).count() > before);
        ensure(seen, || format!("no {answer:?} after {line:?}:\n{}", self.text()))
    }

    fn wait_for(&self, text: &str) -> Result<()> {
        let seen = wait_until(Duration::from_secs(10), || self.text().contains(text));
        ensure(seen, || format!("no {text:?} at the terminal:\n{}", self.text()))
    }

    fn resize(&self, rows: u16, columns: u16) -> Result<()> {
        let tty = fs::read_to_string(&self.name).context("script has not said which terminal it made")?;
        let (rows, columns) = (rows.to_string(), columns.to_string());
        capture(Command::new("stty").args(["-F", tty.trim(), "rows", &rows, "cols", &columns])).map(drop)
    }

    fn leave(mut self, line: &str) -> Result<Option<i32>> {
        self.key(format!("{line}\n").as_bytes())?;
        let ended = wait_until(Duration::from_secs(10), || self.child.try_wait().is_ok_and(|status| status.is_some()));
        ensure(ended, || format!("it does not end:\n{}", self.text()))?;
        Ok(self.child.wait()?.code())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // The end of its input hangs up the terminal.
        drop(self.input.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
