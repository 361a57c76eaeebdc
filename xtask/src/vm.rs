//! Horust as the init of a booted kernel, which has the cgroup v2 with all its controllers that a developer's machine may
//! not have: Debian's kernel in QEMU, without acceleration, on an initramfs of Horust, busybox and `tests/vm`. What the
//! services print on the console, and what Horust says there, is checked here.

use crate::images;
use crate::parts::{Outcome, ensure};
use crate::tools::{self, capture, root};
use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// It takes some 15 seconds; more on a busy machine.
const DEADLINE: Duration = Duration::from_secs(240);
const KERNEL: &str = "linux-image-cloud-amd64";

/// What has to stand on the console.
const WANTED: &[&str] = &[
    "ok a service with limits has a cgroup",
    "ok cpu.max is in force",
    "ok memory.max is in force",
    "ok memory.oom.group is set",
    "ok pids.max is in force",
    "ok a busy loop is throttled",
    "ok nobody watches what the kernel limits",
    "ok one process too many can't be forked",
    "ok a service without limits stays in Horust's cgroup",
    "ok Horust stays in the root",
    "hog: was killed by the kernel: out of memory (limit 32 MiB); restart 1",
    "hog: failed for good: was killed by the kernel: out of memory (limit 32 MiB)",
    "ok the fork bomb is at its limit",
    "bomb: did not stop within 500ms: killed",
    "ok the stop ends the fork bomb",
    "daemon: did not stop within 500ms: killed",
    "ok a daemonised process ends with its service",
    "ok its cgroup is removed",
    "ok orphans are reaped",
    // With the time of that clock before them.
    "Z ok restarts go on after the clock was set back",
    "Z ok checks go on after the clock was set back",
    "2001-02-03T04:05:",
    "ok a limited service in the box has a cgroup below it",
    "ok its cpu.max is in force",
    "ok its memory.max is in force",
    "ok Horust has moved within the box",
    "ok services without limits have moved with it",
    "hog: failed for good: was killed by the kernel: the container or the machine is out of memory",
    "ok nothing of Horust is left in the box",
    "ok the box hands out no controllers any more",
    "ok a limited service in a cgroup namespace has a cgroup",
    "ok its pids.max is in force",
    "ok who started Horust has moved with it",
    "ok all have moved back at the end",
    "[resource-limit]: pids-max is not enforced: there are other processes in Horust's cgroup /sys/fs/cgroup/shared",
    "ok the tree has a cgroup without limits",
    "ok nothing of Horust is left in the shared cgroup",
    "reboot: Power down",
];

pub fn part() -> Result<Outcome> {
    if !cfg!(target_arch = "x86_64") {
        return Ok(Outcome::Skipped(format!("{KERNEL} is for another processor")));
    }
    if !root() {
        return Ok(Outcome::Skipped("making the devices of an initramfs needs root".to_owned()));
    }
    let needs = [("qemu-system-x86_64", "qemu-system-x86"), ("busybox", "busybox-static"), ("cpio", "cpio")];
    for (program, package) in needs.into_iter().chain([("dpkg", "dpkg"), ("apt-get", "apt")]) {
        if let Err(e) = tools::need(program, package) {
            return Ok(Outcome::Skipped(format!("{e:#}")));
        }
    }
    let kernel = match kernel() {
        Ok(kernel) => kernel,
        Err(e) => return Ok(Outcome::Skipped(format!("no kernel: {e:#}"))),
    };
    let dir = images::tempdir(&std::env::temp_dir(), "vm")?;
    let result = boots(&kernel, &dir);
    let _ = fs::remove_dir_all(&dir);
    result.map(|()| Outcome::Passed)
}

/// The machine with all that is to be looked at, and then small ones for each of the ways in which a machine can end.
fn boots(kernel: &Path, dir: &Path) -> Result<()> {
    let tree = dir.join("root");
    base(&tree)?;
    copy(&[("bin", "vm"), ("small", "etc/horust/services")], &tree)?;
    let small = pack(&tree, &dir.join("small"))?;
    for (setting, keys, wanted) in ENDS {
        fs::write(tree.join("etc/horust/horust.toml"), setting).context("cannot write the settings")?;
        let initramfs = if setting.is_empty() { small.clone() } else { pack(&tree, &dir.join("set"))? };
        let console = boot(kernel, &initramfs, dir, |text| text.contains("ok up").then_some(*keys))?;
        check(&console, &[&["ok down"], *wanted].concat())?;
    }
    fs::remove_dir_all(&tree).context("cannot make room")?;
    base(&tree)?;
    with_libraries("unshare", &tree)?;
    copy(SERVICES, &tree)?;
    check(&boot(kernel, &pack(&tree, &dir.join("large"))?, dir, |_| None)?, WANTED)
}

/// A setting, a key that is pressed once all is up, and what the console has to say then.
const ENDS: &[(&str, &str, &[&str])] = &[
    ("", "sendkey ctrl-alt-delete\n", &["reboot: Restarting system"]),
    // Init may not end on a real kernel; how it did is told by the panic, and 0 is a clean end.
    (
        "[shutdown]\nwhen-init = \"exit\"\n",
        "sendkey ctrl-alt-delete\n",
        &["Attempted to kill init! exitcode=0x00000000"],
    ),
];

/// What of `tests/vm` goes where.
const SERVICES: &[(&str, &str)] = &[
    ("services", "etc/horust/services"),
    ("bin", "vm"),
    ("box", "vm/services/box"),
    ("namespace", "vm/services/namespace"),
    ("shared", "vm/services/shared"),
];

/// Debian's kernel, from the cache or by apt-get.
fn kernel() -> Result<PathBuf> {
    let kept = images::cache()?.join("vmlinuz");
    if kept.exists() {
        return Ok(kept);
    }
    // A package of that name depends on the one with the kernel of today.
    let depends = || capture(Command::new("apt-cache").args(["depends", "--no-recommends", KERNEL]));
    let named = |text: String| {
        let word = text.lines().find_map(|line| line.trim().strip_prefix("Depends: "))?.trim().to_owned();
        word.starts_with("linux-image-").then_some(word)
    };
    let package = match depends().ok().and_then(named) {
        Some(package) => package,
        None => {
            capture(Command::new("apt-get").arg("update"))?;
            depends().ok().and_then(named).with_context(|| format!("apt does not know {KERNEL}"))?
        }
    };
    let dir = images::tempdir(&std::env::temp_dir(), "kernel")?;
    let fetch = || capture(Command::new("apt-get").args(["download", &package]).current_dir(&dir));
    let unpacked =
        fetch().or_else(|_| capture(Command::new("apt-get").arg("update")).and_then(|_| fetch())).and_then(|_| {
            let deb = only(&dir, ".deb")?;
            capture(Command::new("dpkg").arg("-x").arg(&deb).arg(dir.join("root")))?;
            let part = kept.with_extension(std::process::id().to_string());
            fs::copy(only(&dir.join("root/boot"), "")?, &part).context("cannot copy the kernel")?;
            fs::rename(&part, &kept).context("cannot keep the kernel")
        });
    let _ = fs::remove_dir_all(&dir);
    unpacked.map(|()| kept)
}

/// The file of a package, or the kernel in its directory.
fn only(dir: &Path, end: &str) -> Result<PathBuf> {
    let wanted = |name: &str| if end.is_empty() { name.starts_with("vmlinuz") } else { name.ends_with(end) };
    let mut entries = fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?.flatten();
    let found = entries.find(|entry| wanted(&entry.file_name().to_string_lossy()));
    Ok(found.with_context(|| format!("{} does not hold it", dir.display()))?.path())
}

/// Horust as the tests have it: the build that `cargo test` has made already.
fn horust() -> Result<PathBuf> {
    let mut build = Command::new("cargo");
    build.args(["build", "--quiet", "--locked", "--bin", "horust", "--message-format=json"]);
    let messages = capture(&mut build)?;
    let executable = messages.lines().rev().find_map(|line| line.split("\"executable\":\"").nth(1)?.split('"').next());
    Ok(PathBuf::from(executable.context("cargo does not say where horust is")?))
}

/// Horust as init, and busybox.
fn base(tree: &Path) -> Result<()> {
    for sub in ["bin", "dev", "etc/horust", "proc", "sys", "tmp", "vm/services"] {
        fs::create_dir_all(tree.join(sub)).context("cannot make the initramfs")?;
    }
    for (name, major, minor) in [("console", "5", "1"), ("null", "1", "3")] {
        capture(Command::new("mknod").arg(tree.join("dev").join(name)).args(["c", major, minor]))?;
    }
    fs::copy(horust()?, tree.join("bin/horust")).context("cannot copy horust")?;
    let busybox = tools::find("busybox").context("no busybox")?;
    fs::copy(&busybox, tree.join("bin/busybox")).context("cannot copy busybox")?;
    for applet in capture(Command::new(&busybox).arg("--list"))?.lines() {
        if applet != "busybox" {
            symlink("busybox", tree.join("bin").join(applet)).context("cannot make the initramfs")?;
        }
    }
    symlink("bin/horust", tree.join("init")).context("cannot make the initramfs")?;
    Ok(())
}

fn copy(what: &[(&str, &str)], tree: &Path) -> Result<()> {
    let tests = Path::new("tests/vm");
    for (from, to) in what {
        fs::create_dir_all(tree.join(to)).context("cannot make the initramfs")?;
        for entry in fs::read_dir(tests.join(from)).context("cannot read tests/vm")?.flatten() {
            fs::copy(entry.path(), tree.join(to).join(entry.file_name())).context("cannot copy a service")?;
        }
    }
    Ok(())
}

/// Makes an initramfs of the tree.
fn pack(tree: &Path, image: &Path) -> Result<PathBuf> {
    let names = capture(Command::new("find").arg(".").current_dir(tree))?;
    let mut cpio = Command::new("cpio")
        .args(["--create", "--format=newc", "--quiet", "--owner=0:0"])
        .current_dir(tree)
        .stdin(Stdio::piped())
        .stdout(File::create(image).context("cannot make the initramfs")?)
        .spawn()
        .context("cannot run cpio")?;
    cpio.stdin.take().context("cpio takes no names")?.write_all(names.as_bytes()).context("cannot talk to cpio")?;
    ensure(cpio.wait()?.success(), || "cpio failed".to_owned())?;
    Ok(image.to_owned())
}

/// A program of this machine, for what busybox's namesake can't do.
fn with_libraries(program: &str, tree: &Path) -> Result<()> {
    let program = tools::find(program).with_context(|| format!("no {program}"))?;
    let libraries = capture(Command::new("ldd").arg(&program))?;
    let libraries = libraries.split_whitespace().filter(|word| word.starts_with('/')).map(Path::new);
    for file in libraries.chain([program.as_path()]) {
        let to = tree.join(file.strip_prefix("/")?);
        fs::create_dir_all(to.parent().context("a file without a directory")?)?;
        fs::copy(file, to).with_context(|| format!("cannot copy {}", file.display()))?;
    }
    Ok(())
}

/// A child that does not outlive us.
struct Machine(Child);

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs the machine to its end, and returns what it wrote on its console. `keys` says, looking at that, what QEMU's monitor
/// is told, once.
fn boot(kernel: &Path, initramfs: &Path, dir: &Path, keys: impl Fn(&str) -> Option<&'static str>) -> Result<String> {
    let console = &dir.join("console");
    let _ = fs::remove_file(console);
    let mut qemu = Command::new("qemu-system-x86_64");
    // KVM would be faster where it works; where it does not, it hangs.
    qemu.args(["-accel", "tcg", "-cpu", "max", "-m", "512", "-display", "none", "-no-reboot", "-nic", "none"]);
    qemu.arg("-serial").arg(format!("file:{}", console.display()));
    qemu.arg("-kernel").arg(kernel).arg("-initrd").arg(initramfs);
    // What the kernel does not know, it gives to init as environment. Init's end is a panic, which ends the machine.
    qemu.args(["-append", "console=ttyS0 quiet panic=-1 HORUST_LOG=info"]);
    qemu.args(["-monitor", "stdio"]).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut machine = Machine(qemu.spawn().context("cannot run qemu")?);
    let mut monitor = machine.0.stdin.take();
    let start = Instant::now();
    let status = loop {
        let read = || String::from_utf8_lossy(&fs::read(console).unwrap_or_default()).replace('\r', "");
        if let Some(status) = machine.0.try_wait()? {
            println!("vm: ran for {:.1} s", start.elapsed().as_secs_f64());
            ensure(status.success(), || format!("qemu ended with {status}; the console:\n{}", read()))?;
            break read();
        }
        if let Some(word) = keys(&read())
            && let Some(mut monitor) = monitor.take()
        {
            monitor.write_all(word.as_bytes()).context("cannot talk to qemu")?;
        }
        if start.elapsed() > DEADLINE {
            bail!("it did not end within {DEADLINE:?}; the console:\n{}", read());
        }
        sleep(Duration::from_millis(100));
    };
    Ok(status)
}

fn check(console: &str, wanted: &[&str]) -> Result<()> {
    let stands = |wanted: &str| {
        console.lines().any(|line| if wanted.starts_with("ok ") { line == wanted } else { line.contains(wanted) })
    };
    let (said, missing): (Vec<&str>, Vec<&str>) = wanted.iter().partition(|wanted| stands(wanted));
    for line in &said {
        println!("vm: {}", line.strip_prefix("ok ").unwrap_or(line));
    }
    let failed: Vec<&str> = console.lines().filter(|line| line.contains("not ok ")).collect();
    ensure(missing.is_empty() && failed.is_empty(), || {
        format!("missing: {missing:#?}\nfailed: {failed:#?}\nthe console:\n{console}")
    })
}
