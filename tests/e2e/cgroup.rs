//! `[resource-limit]` as far as any machine shows it: the fallback where there is no cgroup v2 to write to, and cgroups as
//! the bounds of a service's tree. That limits are enforced needs a kernel of our own: `cargo xtask test vm`.

use crate::support::*;
use nix::sys::signal::Signal;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A shell that has this many megabytes, and says so.
pub fn with_memory(megabytes: u32, then: &str) -> String {
    format!("x=$(head -c {megabytes}M /dev/zero | tr '\\0' x); echo has $((${{#x}} >> 20)); {then}")
}

/// Horust without any cgroup v2. `{}` in a namespace of its own, so that nobody else misses it.
pub fn without_cgroups() -> Builder {
    let hide = "umount --recursive --lazy /sys/fs/cgroup; exec \"$@\"";
    horust().wrapper(&["unshare", "--mount", "bash", "-c", hide, "bash"])
}

/// Where our cgroup v2 is, if we may write to it. Skips the test otherwise, and says so.
pub fn cgroup() -> Option<PathBuf> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let path = own.lines().find_map(|line| line.strip_prefix("0::/"))?.to_owned();
    let roots = [Path::new("/sys/fs/cgroup"), Path::new("/sys/fs/cgroup/unified")];
    let found = roots.into_iter().map(|root| root.join(&path)).find(|dir| {
        let probe = dir.join(format!("horust-test-probe-{:?}", std::thread::current().id()).replace(['(', ')'], ""));
        dir.join("cgroup.procs").exists() && fs::create_dir(&probe).and_then(|()| fs::remove_dir(&probe)).is_ok()
    });
    if found.is_none() {
        skip("needs a cgroup v2 to write to");
    }
    found
}

#[test]
fn memory_is_watched_where_the_kernel_can_not_limit_it() {
    if needs_root() {
        return;
    }
    let rest = "required = true\n[resource-limit]\nmemory = \"16MiB\"\ncpu = 0.5\npids-max = 9";
    // The main process is small: it is its child that has too much.
    let hog = format!("({}) & wait", with_memory(40, "read -r _ < <(sleep 1000)"));
    let done = without_cgroups().bash("hog", &hog, rest).bash("small", "exec sleep 1000", rest).run();
    done.assert_code(137);
    assert_eq!(
        done.stderr.lines().next().unwrap(),
        "horust: warn: [resource-limit]: cpu and pids-max are not enforced, memory is only looked at every second: \
         no cgroup v2 is mounted"
    );
    assert_eq!(done.stderr.matches("not enforced").count(), 1, "{}", done.stderr);
    let killed = "hog: failed for good: was killed by Horust: out of memory (limit 16 MiB)";
    assert!(done.stderr.contains(killed), "{}", done.stderr);
    assert!(!done.stderr.contains("small: failed"), "{}", done.stderr);
}

/// What forked workers share is not counted for each of them: their sum would be 240 MB.
#[test]
fn shared_memory_counts_once() {
    if needs_root() {
        return;
    }
    let workers = "mkfifo @DIR@/never; for n in 1 2 3 4 5; do (echo worker; read -r _ < @DIR@/never) & done; wait";
    let limit = |mib| format!("[resource-limit]\nmemory = \"{mib}MiB\"");
    let hog = with_memory(40, "read -r _ < <(sleep 1000)");
    let again = format!("[restart]\nstrategy = \"always\"\n{}", limit(16));
    let mut horust = without_cgroups()
        .bash("workers", &with_memory(40, workers), &limit(150))
        .bash("hog", &format!("until [ -e @DIR@/go ]; do sleep 0.05; done; {hog}"), &again)
        .start();
    horust.wait_for_count("worker", 5);
    fs::write(horust.dir().join("go"), "").unwrap();
    // At its second end the workers have been looked at once, and a second has passed since.
    horust.wait_until("the hog is killed", |h| h.stderr().matches("hog: was killed by Horust").count() >= 2);
    assert!(horust.running());
    let (done, _) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    assert!(!done.stderr.contains("workers"), "{}", done.stderr);
}

#[test]
fn strict_does_not_start_without_its_limits() {
    if needs_root() {
        return;
    }
    let limits = "required = true\n[resource-limit]\nmemory = \"16MiB\"\npids-max = 9\nstrict = true";
    let done = without_cgroups().bash("careful", "echo runs", limits).run();
    done.assert_code(126);
    assert_eq!(done.stdout, "");
    let why = "careful: failed for good: Failed spawning the process: cannot limit memory, pids-max, and `strict` is set: \
               no cgroup v2 is mounted";
    assert!(done.stderr.contains(why), "{}", done.stderr);
    assert_eq!(done.stderr.lines().count(), 2, "no line about a fallback that nobody takes: {}", done.stderr);
}

/// The group of a service, as a directory; the service is to print `cgroup 0::/…`.
fn group_of(horust: &Horust, base: &Path) -> PathBuf {
    horust.wait_for("cgroup 0::/");
    let stdout = horust.stdout();
    let path = stdout.lines().find_map(|line| line.strip_prefix("cgroup 0::/")).unwrap();
    // Ours may be the root of a namespace or not; what comes after it is the same.
    let below = path.find("horust").map(|at| &path[at..]).unwrap();
    base.join(below)
}

const SAY: &str = "echo cgroup $(grep ^0:: /proc/self/cgroup); ";
const LIMIT: &str = "[resource-limit]\nmemory = \"1GiB\"\n[termination]\nwait = \"300ms\"\n";

/// Without a cgroup such a process can't be told from others, and lives until Horust ends.
#[test]
fn a_daemonised_child_ends_with_its_service() {
    let Some(base) = cgroup() else { return };
    let daemonise = "(setsid bash -c 'trap \"\" TERM HUP; echo $$ > @DIR@/stray; while true; do sleep 0.05; done' &)\n\
                     until [ -s @DIR@/stray ]; do sleep 0.01; done; until [ -e @DIR@/go ]; do sleep 0.02; done; echo bye";
    let mut horust =
        horust().bash("parent", &format!("{SAY}{daemonise}"), LIMIT).bash("other", "exec sleep 1000", "").start();
    let group = group_of(&horust, &base);
    horust.wait_until("it is in its group", |_| group.ends_with("parent.service") && group.exists());
    horust.wait_until("it has daemonised", |h| !h.read("stray").trim().is_empty());
    let stray: i32 = horust.read("stray").trim().parse().unwrap();
    fs::write(horust.dir().join("go"), "").unwrap();
    horust.wait_until("the stray is gone", |_| !processes().iter().any(|p| p.pid == stray));
    horust.wait_until("the group is gone", |_| !group.exists());
    assert!(horust.running());
    assert!(horust.stderr().contains("parent: did not stop within 300ms: killed"), "{}", horust.stderr());
    // Once it is gone, another Horust may use the name.
    let subtree = || group.parent().and_then(|dir| dir.metadata().ok()).map(|dir| dir.ino());
    let ours = subtree();
    horust.stop(Signal::SIGTERM).0.assert_code(0);
    assert!(ours.is_some() && subtree() != ours, "{group:?}");
}

/// Someone in the group who is no descendant of ours: his end comes as no SIGCHLD.
#[test]
fn the_end_of_a_stranger_in_the_group_is_noticed() {
    let Some(base) = cgroup() else { return };
    let mut horust = horust().bash("host", &format!("{SAY}exec sleep 1000"), &LIMIT.replace("300ms", "1h")).start();
    let group = group_of(&horust, &base);
    let mut stranger = std::process::Command::new("bash")
        .args(["-c", "trap '' TERM; echo; read -r _"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let said = stranger.stdout.as_mut().map(|out| std::io::Read::read(out, &mut [0]));
    assert!(matches!(said, Some(Ok(1))), "it is deaf to TERM from here on: {said:?}");
    fs::write(group.join("cgroup.procs"), stranger.id().to_string()).unwrap();
    horust.signal(Signal::SIGTERM);
    let main = || fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default().lines().count();
    horust.wait_until("the service itself has ended", |_| main() == 1);
    assert!(horust.running());
    drop(stranger.stdin.take());
    stranger.wait().unwrap();
    horust.end().assert_code(0);
    assert!(!group.exists());
}

#[test]
fn a_restarted_service_has_its_group_to_itself() {
    let Some(base) = cgroup() else { return };
    let script = format!(
        "{SAY}setsid sleep 1000 & echo $(wc -l < @GROUP@/cgroup.procs) run; [ -e @DIR@/go ] && exec sleep 1000; exit 1"
    );
    let script = script.replace("@GROUP@", "$(echo @BASE@/$(grep -o 'horust.*' /proc/self/cgroup))");
    let script = script.replace("@BASE@", &base.display().to_string());
    let rest = format!("[restart]\nstrategy = \"always\"\n{LIMIT}");
    let horust = horust().bash("again", &script, &rest).start();
    horust.wait_for_count(" run", 4);
    fs::write(horust.dir().join("go"), "").unwrap();
    let (done, _) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    // The shell, its child, and those of the count; never those of the run before.
    for line in done.stdout.lines().filter(|line| line.ends_with(" run")) {
        let count: u32 = line.trim_end_matches(" run").trim().parse().unwrap();
        assert!(count <= 5, "{}", done.stdout);
    }
}

/// The next Horust ends what one that was killed has left, before it starts anything.
#[test]
fn leftovers_of_a_killed_horust_are_ended() {
    let Some(base) = cgroup() else { return };
    let script = format!("{SAY}trap '' TERM HUP; echo up; while true; do sleep 1000; done");
    let mut first = horust().bash("web", &script, LIMIT).start();
    group_of(&first, &base);
    first.wait_for("up");
    first.signal(Signal::SIGKILL);
    first.wait_exit();
    let alive = |first: &Horust| first.left().iter().any(|line| line.contains("while true"));
    // Another test's Horust may take it over instead of this one, even at once: what matters is that somebody does.
    let second = horust().bash("web", &script, LIMIT).start();
    second.wait_for("up");
    second.wait_until("the leftovers are gone", |_| !alive(&first));
    let (done, _) = second.stop(Signal::SIGTERM);
    done.assert_code(0);
}

#[test]
fn horust_runs_below_horust() {
    let Some(base) = cgroup() else { return };
    let inner = format!("{SAY}trap 'echo inner stops; exit 0' TERM; echo up; while true; do sleep 1000 & wait; done");
    let outer = format!("exec {} --services-path @DIR@/inner", env!("CARGO_BIN_EXE_horust"));
    let inner = format!("command = [\"bash\", \"-c\", '''\n{}\n''']\n{LIMIT}", inner.replace('$', "$$"));
    for (limits, within) in [(LIMIT, true), ("", false)] {
        let horust = horust().file("inner/inner.toml", &inner).bash("outer", &outer, limits).start();
        horust.wait_for("up");
        let group = group_of(&horust, &base);
        let parts: Vec<_> = group.strip_prefix(&base).unwrap().iter().map(|part| part.to_str().unwrap()).collect();
        assert!(parts.last() == Some(&"inner.service"), "{parts:?}");
        assert_eq!(parts.contains(&"outer.service"), within, "{parts:?}");
        let (done, _) = horust.stop(Signal::SIGTERM);
        done.assert_code(0);
        assert!(done.stdout.contains("inner stops"), "{}", done.stdout);
        assert!(!group.exists(), "{group:?}");
    }
}

/// Its cgroup is joined by Horust's rights, before the user changes.
#[test]
fn a_service_of_another_user_is_in_its_group() {
    if needs_root() || cgroup().is_none() {
        return;
    }
    let done = horust().bash("mine", &format!("{SAY}id -u"), &format!("user = \"12345\"\n{LIMIT}")).run();
    done.assert_code(0);
    assert!(done.stdout.contains("/mine.service\n12345\n"), "{}", done.stdout);
}
