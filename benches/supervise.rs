//! What supervision costs, beside the least that is possible here: spawning and waiting for the same programs from this
//! benchmark. Ratios mean something, absolute times belong to the machine. Run it with `cargo bench`. It asserts nothing.
#![allow(clippy::disallowed_types, clippy::unwrap_used, clippy::print_stdout, clippy::indexing_slicing)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const HORUST: &str = env!("CARGO_BIN_EXE_horust");
const REPETITIONS: usize = 15;

fn main() {
    println!("{:<44} {:>10} {:>10} {:>7}", "median of several runs", "Horust", "floor", "ratio");
    let floor = median(REPETITIONS, || time(|| run_all(1)));
    row(
        "one command, start to end, ms (-- true)",
        median(REPETITIONS, || time(|| wait(Command::new(HORUST).args(["--", "true"])))),
        floor,
    );
    for count in [1, 100, 1000] {
        let services = services(count, "command = \"true\"\n");
        let ours = median(REPETITIONS.min(5), || time(|| wait(supervise(services.path()))));
        row(&format!("{count} services of true, start to end, ms"), ours, median(5, || time(|| run_all(count))));
    }
    let checked = services(1000, CHECKED);
    let check = || {
        let mut check = Command::new(HORUST);
        time(|| wait(check.arg("check").arg(checked.path()).stdout(Stdio::null())))
    };
    println!("{:<44} {:>10.2}", "check of 1000 files, ms", ms(median(REPETITIONS, check)));
    for count in [1, 1000] {
        let services = services(count, "command = \"sleep 1000\"\n");
        let mut horust = supervise(services.path()).spawn().unwrap();
        while children(horust.id()) < count {
            std::thread::yield_now();
        }
        let memory = pss(horust.id());
        std::thread::sleep(Duration::from_millis(500));
        let before = switches(horust.id());
        std::thread::sleep(Duration::from_secs(3));
        let woken = switches(horust.id()) - before;
        let stop = time(|| stop(&mut horust));
        println!("{:<44} {memory:>10}", format!("{count} services: PSS, KiB"));
        println!("{:<44} {woken:>10}", format!("{count} services: wake-ups in 3 idle seconds"));
        println!("{:<44} {:>10.2}", format!("{count} services: stop, ms"), ms(stop));
    }
}

/// A service with something to look up in each of its parts.
const CHECKED: &str = r#"command = "sleep infinity"
user = "nobody"
working-directory = "/tmp"
[restart]
strategy = "always"
backoff = "1s"
[healthiness]
command = "test -e /tmp"
[environment]
CACHE = "$HOME/cache"
"#;

fn row(what: &str, ours: Duration, floor: Duration) {
    println!("{what:<44} {:>10.2} {:>10.2} {:>7.2}", ms(ours), ms(floor), ms(ours) / ms(floor));
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn median(times: usize, mut run: impl FnMut() -> Duration) -> Duration {
    let mut all: Vec<Duration> = (0..times).map(|_| run()).collect();
    all.sort();
    all[times / 2]
}

/// The floor: the same programs, spawned and waited for.
fn run_all(count: usize) {
    let all: Vec<Child> = (0..count).map(|_| Command::new("true").spawn().unwrap()).collect();
    for mut child in all {
        child.wait().unwrap();
    }
}

fn wait(command: &mut Command) {
    assert!(command.status().unwrap().success());
}

fn services(count: usize, text: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for i in 0..count {
        fs::write(dir.path().join(format!("s{i}.toml")), text).unwrap();
    }
    dir
}

fn supervise(services: &Path) -> &'static mut Command {
    let mut command = Command::new(HORUST);
    command.arg("--services-path").arg(services).stdin(Stdio::null()).stdout(Stdio::null());
    Box::leak(Box::new(command))
}

fn stop(horust: &mut Child) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(horust.id().try_into().unwrap()), nix::sys::signal::SIGTERM)
        .unwrap();
    assert!(horust.wait().unwrap().success());
}

fn tasks(pid: u32) -> Vec<PathBuf> {
    fs::read_dir(format!("/proc/{pid}/task")).unwrap().map(|task| task.unwrap().path()).collect()
}

fn children(pid: u32) -> usize {
    let of =
        |task: &PathBuf| fs::read_to_string(task.join("children")).map_or(0, |text| text.split_whitespace().count());
    tasks(pid).iter().map(of).sum()
}

fn number(text: &str, key: &str) -> u64 {
    let line = text.lines().find(|line| line.starts_with(key)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn pss(pid: u32) -> u64 {
    number(&fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap(), "Pss:")
}

fn switches(pid: u32) -> u64 {
    tasks(pid).iter().map(|task| number(&fs::read_to_string(task.join("status")).unwrap(), "voluntary_ctxt")).sum()
}
