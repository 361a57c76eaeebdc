//! Writes `.cargo/layout.ld`, which tells the linker to put the code that a supervisor runs from its start to its end, and the
//! constants that it reads, side by side. The kernel maps 64 KiB of a program around each page that is touched (fault-around),
//! so what is spread over all of the program costs most of it; together it is a fifth. What is touched is seen by valgrind's
//! `lackey`, which logs each access to memory.

use crate::tools::{self, capture, run};
use anyhow::{Context, Result, bail};
use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const FILE: &str = ".cargo/layout.ld";
const HEAD: &str = "\
/* Written by `cargo xtask layout`: the code that runs in a supervisor's ordinary life, and the constants that it reads: what all
   have run when they are idle, in the order of its first use, then the rest by size, then what verbs run. A name that no longer
   exists does no harm. (First what valgrind can't show: the vDSO of a real kernel is looked at, lists of thousands of services
   grow, and PID 1 sees to Ctrl-Alt-Delete.) */
";
const CODE: &str = "\
SECTIONS { .text.life : {
  *libc.a:dl-object.o(.text)
  *libc.a:dl-setup_hash.o(.text)
  *libc.a:strstr-*.o(.text .text.*)
  *libc.a:mremap.o(.text)
  *libc.a:reboot.o(.text)
";
/// The logs, first of all, of supervisors that were looked at only until they were idle.
const IDLE: &str = "0-idle-";
/// After them, that of one that ends: it is in a hurry then.
const END: &str = "1-end";
/// Those of verbs, last of all.
const VERB: &str = "z-verb-";
/// Code of which the linker may find the like elsewhere is seldom larger, in bytes.
const SMALL: u64 = 256;
/// What the kernel maps around a page that is touched.
const WINDOW: u64 = 64 << 10;
/// How many services the supervisor has that is looked at: code that only many need belongs to its life.
const SERVICES: usize = 24;

#[derive(PartialEq, Debug)]
enum Kind {
    Code,
    Constant,
}

/// An input section of the link.
struct Section {
    kind: Kind,
    address: u64,
    size: u64,
    /// What stands for it in a linker script, whatever the hashes in its name.
    pattern: String,
}

pub fn write() -> Result<()> {
    let valgrind = tools::need("valgrind", "valgrind")?;
    let dir = PathBuf::from("target/layout");
    fs::create_dir_all(&dir)?;
    // The map, which `build.rs` asks for then, must be that of a link without a layout: sections that were placed by a script
    // say less in it.
    fs::write(FILE, "")?;
    let map = dir.join("map");
    let mut build = Command::new("cargo");
    build.args(["build", "--release", "--locked", "--bin", "horust", "--target-dir"]).arg(&dir);
    run(&mut build)?;
    let target = capture(Command::new("rustc").args(["--print", "host-tuple"]))?;
    let horust = dir.join(target.trim()).join("release/horust");
    let sections = sections(&fs::read_to_string(&map)?)?;
    let mut touched = Vec::new();
    let mut seen = HashSet::new();
    let (mut idle, mut end, mut verbs) = (0, 0, None);
    for log in lives(&valgrind, &horust, &dir)? {
        if is_of(&log, VERB) {
            verbs.get_or_insert(touched.len());
        }
        for line in BufReader::new(File::open(&log)?).lines() {
            let Some(address) = access(&line?) else { continue };
            let found = sections.partition_point(|section| section.address <= address).checked_sub(1);
            let Some(section) = found.and_then(|at| sections.get(at)) else { continue };
            if address < section.address + section.size && seen.insert(section.pattern.as_str()) {
                touched.push(section);
            }
        }
        if is_of(&log, IDLE) {
            // Of a function as large as this only some pages are used: the others may be mapped with what comes after.
            touched.sort_by_key(|section| section.size > WINDOW);
            idle = touched.len();
        }
        if is_of(&log, END) {
            end = touched.len();
        }
    }
    // Among the small ones are those of which the linker finds the like in the first part, and keeps these instead.
    let verbs = touched.split_off(verbs.unwrap_or(touched.len()));
    let (small, large): (Vec<_>, Vec<_>) = verbs.into_iter().partition(|section| section.size <= SMALL);
    touched.extend(small);
    touched[idle..end].sort_by_key(|section| section.size);
    touched[end..].sort_by_key(|section| section.size);
    touched.extend(large);
    // What only the kernel reads valgrind does not show: that is the empty path of a file that is open already (statx(2)).
    let tiny = |section: &&Section| section.kind == Kind::Constant && section.size == 1;
    let tiny = sections.iter().filter(tiny).filter(|section| seen.insert(section.pattern.as_str()));
    touched.splice(idle..idle, tiny);
    let mut script = HEAD.to_owned();
    for (kind, open, close) in [
        (Kind::Code, CODE, "} } INSERT BEFORE .text;\nSECTIONS { .iplt : { *(.iplt) } } INSERT BEFORE .text.life;\n"),
        (Kind::Constant, "SECTIONS { .rodata.life : {\n", "} } INSERT BEFORE .gcc_except_table;\n"),
    ] {
        script.push_str(open);
        let (mut count, mut bytes) = (0, 0);
        for section in touched.iter().filter(|section| section.kind == kind) {
            writeln!(script, "  {}", section.pattern)?;
            (count, bytes) = (count + 1, bytes + section.size);
        }
        script.push_str(close);
        println!("{FILE}: {count} sections of {kind:?}, {} KiB", bytes / 1024);
        if count < 50 {
            bail!("only {count} sections were seen to be used: has the form of the map or of lackey's log changed?");
        }
    }
    // What the linker has merged, which can't be moved one by one, is first among the other constants: beside those.
    script.push_str("SECTIONS { .rodata : { *(.rodata .rodata.*) } } INSERT AFTER .rodata.life;\n");
    fs::write(FILE, script)?;
    Ok(())
}

fn is_of(log: &Path, lives: &str) -> bool {
    log.file_name().is_some_and(|name| name.to_string_lossy().starts_with(lives))
}

/// Runs what happens to a supervisor every day: a start, an exit and its restart, an end; a single command; an exec stage; and
/// verbs. Gives the logs.
fn lives(valgrind: &Path, horust: &Path, dir: &Path) -> Result<Vec<PathBuf>> {
    let services = dir.join("services");
    let _ = fs::remove_dir_all(&services);
    fs::create_dir_all(&services)?;
    let sign = fs::canonicalize(dir)?.join("second-run");
    let _ = fs::remove_file(&sign);
    let script = format!("[ -e {0}.1 ] && exec sh -c 'touch {0}; exec sleep 60'; touch {0}.1; exit 1", sign.display());
    let _ = fs::remove_file(sign.with_extension("1"));
    let restart = "\n[restart]\nstrategy = \"always\"\nbackoff = \"100ms\"\n[environment]\nkeep-env = true\n";
    fs::write(services.join("a.toml"), format!("command = [\"sh\", \"-c\", {script:?}]{restart}"))?;
    // Ourselves as a user: anybody may be that.
    let user = format!("user = {}\n", fs::metadata("/proc/self")?.uid());
    for number in 1..SERVICES {
        let settings = if number == 1 { user.as_str() } else { "" };
        let text = format!("command = \"sleep 60\"\nstart-after = [\"a\"]\nstdout = \"NULL\"\n{settings}");
        fs::write(services.join(format!("{number}.toml")), text)?;
    }
    let logs = dir.join("logs");
    let _ = fs::remove_dir_all(&logs);
    fs::create_dir_all(&logs)?;
    let watched = |name: &str| {
        let mut command = Command::new(valgrind);
        // A child has a log of its own. What it does until it executes it does in our memory.
        command.args(["-q", "--tool=lackey", "--trace-mem=yes"]);
        command.arg(format!("--log-file={}", logs.join(format!("{name}.%p")).display())).arg(horust);
        command
    };
    // First what every supervisor has run once it is idle, so that the rest need not be in memory as well.
    let (plain, begun) = (dir.join("plain"), fs::canonicalize(dir)?.join("plain-run"));
    let _ = fs::remove_dir_all(&plain);
    fs::create_dir_all(&plain)?;
    let script = format!("touch {}; exec sleep 9", begun.display());
    let ordinary = "start-after = [\"00\"]\n[restart]\nstrategy = \"always\"\nbackoff = \"0s\"\nattempts = 3\n";
    fs::write(plain.join("1.toml"), format!("name = \"one\"\ncommand = [\"sh\", \"-c\", \"{script}\"]\n{ordinary}"))?;
    fs::write(
        plain.join("2.toml"),
        "command = \"/bin/sleep 9\"\n[restart]\nstrategy = \"on-failure\"\nthrottle = false\n",
    )?;
    // Small and large environments and lists of services are sorted by other code, and the shortest file is read by other code.
    for (variables, services) in [(2, 1), (20, 2), (40, 100)] {
        for number in 0..services {
            fs::write(plain.join(format!("0{number}.toml")), "command = \"/bin/sleep 9\"")?;
        }
        let mut supervisor = watched(&format!("{IDLE}{variables}"));
        supervisor.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", "/root").env("HOSTNAME", "layout");
        supervisor.envs((0..variables).map(|n| (format!("LAYOUT_{}", n * 7 % 40), "x")));
        supervisor.arg("--services-path").arg(&plain).arg("--uds-folder-path").arg(dir.join("uds"));
        let _ = fs::remove_file(&begun);
        let mut supervisor = supervisor.spawn()?;
        wait(&mut supervisor, &begun)?;
        // Nothing tells that it is idle.
        std::thread::sleep(Duration::from_secs(2));
        supervisor.kill()?;
        supervisor.wait()?;
    }
    let _ = fs::remove_file(&begun);
    let mut ending = watched(END);
    ending.arg("--services-path").arg(&plain).arg("--uds-folder-path").arg(dir.join("uds"));
    supervise(ending.spawn()?, &begun)?;
    let mut supervisor = watched("services");
    supervisor.arg("--services-path").arg(&services).arg("--uds-folder-path").arg(dir.join("uds"));
    supervise(supervisor.spawn()?, &sign)?;
    // Settings are read by code of their own.
    let (settings, once) = (dir.join("horust.toml"), dir.join("once"));
    fs::create_dir_all(&once)?;
    fs::write(&settings, "[control]\nsocket = true\n[shutdown]\nwhen-init = \"exit\"\n")?;
    fs::write(once.join("true.toml"), "command = \"true\"\n")?;
    let mut configured = watched("with-settings");
    configured.arg("--config-path").arg(&settings).arg("--services-path").arg(&once);
    run(configured.arg("--uds-folder-path").arg(dir.join("uds")))?;
    run(watched("command").args(["--", "true"]))?;
    run(watched("small").env_clear().env("PATH", "/usr/bin:/bin").args(["--", "true"]))?;
    let mut stage = watched("stage");
    stage.args(["__exec-stage", "2", "user=65534", "set-user=", "set-home=", "cwd=/tmp", "--", "true", "true"]);
    run(&mut stage)?;
    verbs(&watched, horust, &plain, dir)?;
    let mut found = fs::read_dir(&logs)?.map(|log| log.map(|log| log.path())).collect::<Result<Vec<_>, _>>()?;
    found.sort();
    Ok(found)
}

/// Verbs that scripts and a container's health check call, and a supervisor, which is not looked at, to answer.
fn verbs(watched: &dyn Fn(&str) -> Command, horust: &Path, services: &Path, dir: &Path) -> Result<()> {
    let folder = dir.join("uds-of-verbs");
    let _ = fs::remove_dir_all(&folder);
    let mut supervisor = Command::new(horust);
    let mut supervisor =
        supervisor.arg("--services-path").arg(services).arg("--uds-folder-path").arg(&folder).spawn()?;
    let socket = folder.join(format!("horust-{}.sock", supervisor.id()));
    wait(&mut supervisor, &socket)?;
    for verb in [&["restart", "one"][..], &["health"], &["status"], &["shutdown"]] {
        let mut client = watched(&format!("{VERB}{}", verb[0]));
        client.args(verb).arg("--uds-folder-path").arg(&folder).stdout(Stdio::null());
        // Whether all are well does not matter here.
        client.status()?;
    }
    supervisor.wait()?;
    Ok(())
}

/// Waits for the sign of a service, then ends the supervisor in order.
fn supervise(mut supervisor: Child, sign: &Path) -> Result<()> {
    wait(&mut supervisor, sign)?;
    run(Command::new("kill").args(["-TERM", &supervisor.id().to_string()]))?;
    let ended = supervisor.wait()?;
    if !ended.success() {
        bail!("the supervisor under valgrind ended with {ended}");
    }
    Ok(())
}

fn wait(supervisor: &mut Child, sign: &Path) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !sign.exists() && supervisor.try_wait()?.is_none() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
    }
    if !sign.exists() {
        bail!("the supervisor under valgrind has not started what it should");
    }
    Ok(())
}

/// The address in a line of lackey's log such as `I  002c8b40,4` or ` L 1ffefff8,8`.
fn access(line: &str) -> Option<u64> {
    let (kind, access) = line.split_at_checked(3)?;
    matches!(kind, "I  " | " L " | " S " | " M ").then_some(())?;
    u64::from_str_radix(access.split_once(',')?.0, 16).ok()
}

/// The sections of code and of constants in LLD's map, by address. Its columns: address, load address, size, alignment,
/// input section.
fn sections(map: &str) -> Result<Vec<Section>> {
    let mut sections = Vec::new();
    for line in map.lines() {
        let mut words = line.split_whitespace();
        let (Some(address), Some(_), Some(size), Some(_), Some(input), None) =
            (words.next(), words.next(), words.next(), words.next(), words.next(), words.next())
        else {
            continue;
        };
        let Some((file, section)) = input.strip_suffix(')').and_then(|input| input.rsplit_once(":(")) else { continue };
        let kind = match section {
            _ if section.starts_with(".text") => Kind::Code,
            // Those that the linker has merged of many have no name that a script could move.
            _ if section.starts_with(".rodata") && file != "<internal>" => Kind::Constant,
            _ => continue,
        };
        let number = |hex| u64::from_str_radix(hex, 16).with_context(|| format!("no number in {line:?}"));
        sections.push(Section {
            kind,
            address: number(address)?,
            size: number(size)?,
            pattern: pattern(file, section),
        });
    }
    sections.sort_by_key(|section| section.address);
    Ok(sections)
}

/// Functions of Rust have a section each, named after them with hashes that change with the compiler; objects of C in an
/// archive are named by their file.
fn pattern(file: &str, section: &str) -> String {
    let member = Path::new(file).file_name().unwrap_or_default().to_string_lossy();
    match member.split_once('(') {
        _ if section.contains("._R") => format!("*({})", without_crate_hashes(section)),
        Some((archive, member)) => match member.split_once('-') {
            // The C library has each string function once for every kind of processor, and valgrind's is not the user's.
            Some((function, _)) if section.starts_with(".text.") => format!("*{archive}:{function}-*.o(.text.*)"),
            _ => format!("*{archive}:{}({section})", member.trim_end_matches(')')),
        },
        None if section == ".text" => format!("*{member}({section})"),
        None => format!("*({section})"),
    }
}

/// `_RNvCs9ltgdHTiPiY_4core…` → `_RNvCs*_4core…`. The crate that a generic function was made for and a number, which may stand at
/// the end, match any: of instances that are alike the compiler keeps one, now this and now that.
fn without_crate_hashes(name: &str) -> String {
    let (name, number) = match name.rsplit_once('.') {
        Some((before, tail)) if tail.bytes().all(|byte| byte.is_ascii_digit()) => (before, true),
        _ => (name, false),
    };
    let mut out = String::new();
    let mut rest = name;
    while let Some(at) = rest.find("Cs") {
        let (before, from) = rest.split_at(at);
        let hash = from[2..].find(|c: char| !c.is_ascii_alphanumeric()).map_or(from.len(), |n| n + 2);
        out.push_str(before);
        let is_hash = hash > 8 && from[hash..].starts_with('_');
        out.push_str(if is_hash { "Cs*" } else { &from[..hash] });
        rest = &from[hash..];
    }
    let last = rest.trim_start_matches('_').trim_start_matches(|c: char| c.is_ascii_digit());
    if !out.ends_with("Cs*") || rest != format!("_{}{last}", last.len()) {
        out.push_str(rest);
    }
    if number { format!("{out} {out}.*") } else { out }
}
