//! Runs Horust in a directory of its own, watches what it does, and leaves nothing behind.

#[path = "poll.rs"]
mod poll;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use poll::polled;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longer than anything here takes on a busy machine.
pub const LONG: Duration = Duration::from_secs(60);
/// Between two looks at what is waited for.
const PAUSE: Duration = Duration::from_millis(5);
/// The default of `termination.wait` is 5 s; what took less was not killed.
pub const BEFORE_KILL: Duration = Duration::from_secs(4);

/// How Horust is to be run.
pub struct Builder {
    dir: TempDir,
    wrapper: Vec<String>,
    flags: Vec<String>,
    command: Vec<String>,
    env: Vec<(String, String)>,
    stdin: Option<Stdio>,
    stdout: Option<Stdio>,
    marks: Vec<String>,
    services: bool,
    pid1: bool,
    /// As uid 1000, which is root in a user namespace of its own.
    unprivileged: bool,
    copied: bool,
}

/// A running Horust. Dropping it kills it and everything it has started.
pub struct Horust {
    dir: TempDir,
    child: Child,
    marks: Vec<String>,
    pid1: bool,
    unprivileged: bool,
}

/// An ended one.
pub struct Done {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Done {
    #[track_caller]
    pub fn assert_code(&self, code: i32) {
        assert_eq!(
            self.status.code(),
            Some(code),
            "{}\n--- stdout\n{}\n--- stderr\n{}",
            self.status,
            self.stdout,
            self.stderr
        );
    }
}

/// Horust in a new directory, in which it is started and which `@DIR@` stands for in the text of services and in
/// arguments.
pub fn horust() -> Builder {
    let dir = tempfile::Builder::new().prefix("horust-e2e-").tempdir().unwrap();
    // Other users have to get at their services' files.
    fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    Builder {
        dir,
        wrapper: vec![],
        flags: vec![],
        command: vec![],
        env: vec![],
        stdin: None,
        stdout: None,
        marks: vec![],
        services: true,
        pid1: false,
        unprivileged: false,
        copied: false,
    }
}

impl Builder {
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    fn fill(&self, text: &str) -> String {
        text.replace("@DIR@", &self.dir.path().display().to_string())
    }

    /// A file below the directory.
    pub fn file(self, name: &str, text: &str) -> Builder {
        let path = self.dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, self.fill(text)).unwrap();
        self
    }

    /// A service: `services/NAME.toml`.
    pub fn service(self, name: &str, text: &str) -> Builder {
        self.file(&format!("services/{name}.toml"), text)
    }

    /// A service that is a bash script: `rest` is the TOML beside its command. Horust's own expansion is kept off it.
    pub fn bash(self, name: &str, script: &str, rest: &str) -> Builder {
        let script = script.replace('$', "$$");
        self.service(name, &format!("command = [\"bash\", \"-c\", '''\n{script}\n''']\n{rest}\n"))
    }

    /// A flag of Horust.
    pub fn arg(mut self, flag: &str) -> Builder {
        let flag = self.fill(flag);
        self.flags.push(flag);
        self
    }

    /// `-- COMMAND ARGS…` instead of services.
    pub fn command(mut self, words: &[&str]) -> Builder {
        self.command = words.iter().map(|w| self.fill(w)).collect();
        self.services = false;
        self
    }

    /// Doesn't name the directory of the services on the command line.
    pub fn no_services_path(mut self) -> Builder {
        self.services = false;
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Builder {
        let value = self.fill(value);
        self.env.push((name.to_owned(), value));
        self
    }

    /// Standard input is open, for what the test will [`say`](Horust::say); otherwise it is `/dev/null`.
    pub fn interactive(mut self) -> Builder {
        self.stdin = Some(Stdio::piped());
        self
    }

    /// Standard output goes there, not into the file `stdout`.
    pub fn stdout_to(mut self, stdout: impl Into<Stdio>) -> Builder {
        self.stdout = Some(stdout.into());
        self
    }

    /// Run by this command: `setpriv …`.
    pub fn wrapper(mut self, words: &[&str]) -> Builder {
        self.wrapper = words.iter().map(|w| self.fill(w)).collect();
        self
    }

    /// A copy of the binary in the directory, for a user who can't get at the one that was built.
    pub fn copied(mut self) -> Builder {
        // By another process: a file that this one writes to is open in children that other tests start meanwhile, and
        // can't be executed until their exec (ETXTBSY).
        let to = self.dir.path().join("horust");
        assert!(Command::new("cp").arg(env!("CARGO_BIN_EXE_horust")).arg(to).status().unwrap().success());
        self.copied = true;
        self
    }

    /// As PID 1 of a namespace of its own.
    pub fn pid1(mut self) -> Builder {
        self.pid1 = true;
        self
    }

    /// The same by a user without rights, in a user namespace: rootless Podman has it so.
    pub fn rootless_pid1(mut self) -> Builder {
        fs::set_permissions(self.dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        self.unprivileged = true;
        self.pid1().copied()
    }

    /// A process with this text in its command line or its working directory is one of ours too.
    pub fn mark(mut self, text: &str) -> Builder {
        self.marks.push(text.to_owned());
        self
    }

    pub fn start(mut self) -> Horust {
        let mut words: Vec<String> = Vec::new();
        if self.unprivileged {
            words.extend(without_rights());
        }
        if self.pid1 {
            words.extend(["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"].map(str::to_owned));
        }
        if self.unprivileged {
            words.extend(["--user", "--map-root-user"].map(str::to_owned));
        }
        words.append(&mut self.wrapper);
        let copy = self.dir.path().join("horust").display().to_string();
        words.push(if self.copied { copy } else { env!("CARGO_BIN_EXE_horust").to_owned() });
        if self.services {
            words.extend(["--services-path".to_owned(), self.dir.path().join("services").display().to_string()]);
        }
        words.append(&mut self.flags);
        if !self.command.is_empty() {
            words.push("--".to_owned());
            words.append(&mut self.command);
        }
        let out = |name: &str| File::create(self.dir.path().join(name)).unwrap();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).current_dir(self.dir.path()).stdout(out("stdout")).stderr(out("stderr"));
        command.env_remove("HORUST_LOG").envs(self.env.iter().map(|(n, v)| (n, v)));
        command.stdin(self.stdin.unwrap_or_else(Stdio::null));
        if let Some(stdout) = self.stdout {
            command.stdout(stdout);
        }
        let child = command.spawn().unwrap_or_else(|e| panic!("cannot run {words:?}: {e}"));
        let mut marks = self.marks;
        marks.push(self.dir.path().display().to_string());
        Horust { dir: self.dir, child, marks, pid1: self.pid1, unprivileged: self.unprivileged }
    }

    /// Runs it to its end, and checks that it leaves no process.
    #[track_caller]
    pub fn run(self) -> Done {
        self.start().end()
    }
}

impl Horust {
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The binary, to be run by the user that Horust runs as.
    pub fn binary(&self) -> Command {
        let mut words = if self.unprivileged { without_rights() } else { vec![] };
        let copy = self.dir.path().join("horust").display().to_string();
        words.push(if self.unprivileged { copy } else { env!("CARGO_BIN_EXE_horust").to_owned() });
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        command
    }

    pub fn stdout(&self) -> String {
        self.read("stdout")
    }

    pub fn stderr(&self) -> String {
        self.read("stderr")
    }

    /// A file below the directory; empty if there is none.
    pub fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.dir.path().join(name)).unwrap_or_default()).into_owned()
    }

    /// Horust's own pid, seen from here.
    pub fn pid(&self) -> Pid {
        let child = i32::try_from(self.child.id()).unwrap();
        if !self.pid1 {
            return Pid::from_raw(child);
        }
        let mut found = None;
        wait_until("unshare has started Horust", || {
            found = processes().into_iter().find(|p| p.parent == child).map(|p| Pid::from_raw(p.pid));
            found.is_some()
        });
        found.unwrap()
    }

    /// Writes to its standard input.
    pub fn say(&mut self, text: &str) {
        self.child.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// Closes its standard input.
    pub fn say_no_more(&mut self) {
        self.child.stdin = None;
    }

    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// Waits until stdout holds this.
    #[track_caller]
    pub fn wait_for(&self, text: &str) {
        self.wait_for_count(text, 1);
    }

    /// Waits until stdout holds this so many times.
    #[track_caller]
    pub fn wait_for_count(&self, text: &str, count: usize) {
        self.wait_until(&format!("{count} × {text:?} on stdout"), |h| h.stdout().matches(text).count() >= count);
    }

    #[track_caller]
    pub fn wait_until(&self, what: &str, mut condition: impl FnMut(&Horust) -> bool) {
        if !polled(LONG, PAUSE, || condition(self)) {
            panic!("never: {what}\n--- stdout\n{}\n--- stderr\n{}", self.stdout(), self.stderr());
        }
    }

    pub fn running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait_exit(&mut self) -> ExitStatus {
        let mut status = None;
        let ended = polled(LONG, PAUSE, || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        assert!(ended, "Horust does not end\n--- stdout\n{}\n--- stderr\n{}", self.stdout(), self.stderr());
        status.unwrap()
    }

    /// Waits for its end, and checks that it leaves no process.
    #[track_caller]
    pub fn end(mut self) -> Done {
        let status = self.wait_exit();
        let left = self.left();
        let done = Done { status, stdout: self.stdout(), stderr: self.stderr() };
        assert!(left.is_empty(), "left behind: {left:?}\n--- stdout\n{}\n--- stderr\n{}", done.stdout, done.stderr);
        done
    }

    /// Sends a signal and waits for the end; also says how long it took.
    #[track_caller]
    pub fn stop(self, signal: Signal) -> (Done, Duration) {
        let start = Instant::now();
        self.signal(signal);
        let done = self.end();
        (done, start.elapsed())
    }

    /// The command lines of its processes, itself and `unshare` apart: those that run in its directory, or name it (or a
    /// mark) on their command line. Zombies count.
    pub fn left(&self) -> Vec<String> {
        self.left_pids().into_iter().map(|p| format!("{} ({}) {}", p.pid, p.state, p.command)).collect()
    }

    fn left_pids(&self) -> Vec<Process> {
        let own = [i32::try_from(self.child.id()).unwrap(), i32::try_from(std::process::id()).unwrap()];
        let mut ours = Vec::new();
        for process in processes() {
            let cwd = process.cwd.as_ref().map(|cwd| cwd.display().to_string()).unwrap_or_default();
            let here = self.marks.iter().any(|mark| process.command.contains(mark) || cwd.contains(mark));
            if here && !own.contains(&process.pid) {
                ours.push(process);
            }
        }
        ours
    }
}

impl Drop for Horust {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        for _ in 0..100 {
            let left = self.left_pids();
            if left.iter().all(|p| p.state == 'Z') {
                break;
            }
            for process in left {
                let _ = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
            }
            sleep(Duration::from_millis(5));
        }
    }
}

/// A process, from /proc.
#[derive(Debug)]
pub struct Process {
    pub pid: i32,
    pub parent: i32,
    pub state: char,
    pub command: String,
    pub cwd: Option<PathBuf>,
}

pub fn processes() -> Vec<Process> {
    let mut all = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse() else { continue };
        // It may be gone by now. proc(5): the name, in parentheses, can hold anything; state and parent follow it.
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let Some((_, rest)) = stat.rsplit_once(") ") else { continue };
        let mut fields = rest.split(' ');
        let state = fields.next().and_then(|s| s.chars().next()).unwrap();
        let parent = fields.next().and_then(|s| s.parse().ok()).unwrap();
        let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        all.push(Process { pid, parent, state, command, cwd: fs::read_link(entry.path().join("cwd")).ok() });
    }
    all
}

/// The values of one field of /proc/PID/task/*/status, summed up.
pub fn sum_of_threads(pid: Pid, field: &str) -> u64 {
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten() {
        let status = fs::read_to_string(task.path().join("status")).unwrap();
        sum += status_field(&status, field).parse::<u64>().unwrap();
    }
    sum
}

/// One field of a /proc/PID/status.
pub fn status_field<'a>(status: &'a str, field: &str) -> &'a str {
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {field} in {status}")).trim()
}

/// A bash script that writes what it is told to: the test's hand in a service. See [`Horust::tell`].
pub const PUPPET: &str = r#"mkfifo "tell-$NAME"; exec 3<>"tell-$NAME"
    while IFS= read -r text <&3; do printf "$text"; echo >> "told-$NAME"; done"#;

impl Horust {
    /// Has the service whose script is [`PUPPET`], with this `NAME`, write a text as printf(1) does, and waits until it has:
    /// what others are told after that comes after it.
    #[track_caller]
    pub fn tell(&self, name: &str, text: &str) {
        let pipe = self.dir.path().join(format!("tell-{name}"));
        let told = format!("told-{name}");
        self.wait_until("the puppet is there", |_| pipe.exists());
        let before = self.read(&told).len();
        File::options().write(true).open(pipe).unwrap().write_all(format!("{text}\n").as_bytes()).unwrap();
        self.wait_until("the puppet has written", |h| h.read(&told).len() > before);
    }
}

/// A TCP port that nobody uses at the moment.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[track_caller]
pub fn wait_until(what: &str, condition: impl FnMut() -> bool) {
    assert!(polled(LONG, PAUSE, condition), "never: {what}");
}

/// Whether the calling test has to be skipped because this is not root: said on stderr, and counted by `cargo xtask test`.
pub fn needs_root() -> bool {
    if nix::unistd::geteuid().is_root() {
        return false;
    }
    skip("needs root");
    true
}

/// Has the command that follows run as uid 1000, or as whoever this is.
fn without_rights() -> Vec<String> {
    match nix::unistd::geteuid().is_root() {
        true => ["setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups"].map(str::to_owned).to_vec(),
        false => vec![],
    }
}

/// Horust as PID 1 in each way that this machine has: root's, and that of a user without rights. Those that it does not have
/// are said.
pub fn pid1_ways() -> Vec<fn(Builder) -> Builder> {
    let mut ways: Vec<fn(Builder) -> Builder> = Vec::new();
    if !needs_root() {
        ways.push(Builder::pid1);
    }
    let mut words = without_rights();
    words
        .extend(["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "true"].map(str::to_owned));
    match Command::new(&words[0]).args(&words[1..]).stderr(Stdio::null()).status() {
        Ok(status) if status.success() => ways.push(Builder::rootless_pid1),
        _ => skip("users may not make namespaces"),
    }
    ways
}

/// Says why the calling test is skipped.
pub fn skip(why: &str) {
    eprintln!("skipped: {why}");
    if let Some(list) = std::env::var_os("HORUST_TEST_SKIPS") {
        let line = format!("{}: {why}\n", std::thread::current().name().unwrap_or("a test"));
        File::options().append(true).open(list).unwrap().write_all(line.as_bytes()).unwrap();
    }
}

/// The lines of a text in which a needle stands, as indices; panics unless each needle is on exactly one line, and the
/// lines come in this order.
#[track_caller]
pub fn assert_order(text: &str, needles: &[&str]) {
    let mut last = None;
    for needle in needles {
        let at: Vec<usize> = text.lines().enumerate().filter(|(_, l)| l.contains(needle)).map(|(i, _)| i).collect();
        assert_eq!(at.len(), 1, "{needle:?} in {text}");
        assert!(last < Some(at[0]), "{needle:?} comes too early in {text}");
        last = Some(at[0]);
    }
}

/// The canary of all these tests: what is left behind is found and cleared away.
#[test]
fn what_is_left_behind_is_found_and_cleared_away() {
    // The wrapper takes Horust's place, and leaves two: one in the directory, one elsewhere that names it.
    let script = "sleep 1000 & cd /; (exec -a x-@DIR@ sleep 1000) & exit 0";
    let mut sloppy = horust().wrapper(&["bash", "-c", script]).start();
    let dir = sloppy.dir().display().to_string();
    sloppy.wait_exit();
    // Until its exec, each is still the shell that left it.
    wait_until("both run", || sloppy.left().iter().all(|l| !l.contains("bash")));
    let left = sloppy.left();
    assert_eq!(left.iter().filter(|l| l.contains("sleep 1000")).count(), 1, "{left:?}");
    assert_eq!(left.iter().filter(|l| l.contains(&format!("x-{dir}"))).count(), 1, "{left:?}");
    drop(sloppy);
    let gone = || !processes().iter().any(|p| p.command.contains(&dir) && p.state != 'Z');
    wait_until("the processes are gone", gone);
}
