//! Writes `.cargo/layout.ld`, which tells the linker to put the code that a supervisor runs from its start to its end side
//! by side. The kernel maps 64 KiB of a program around each page that is touched (fault-around), so code that is spread
//! over all of the text costs most of the text; together it is a fifth of it. What runs is seen by qemu's user-mode
//! emulator, which logs each block of code when it first meets it.

use crate::tools::{self, capture, run};
use anyhow::{Context, Result, bail};
use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

const FILE: &str = ".cargo/layout.ld";
const HEAD: &str = "\
/* Written by `cargo xtask layout`: the code that runs in a supervisor's ordinary life, in the order of its first use.
   A name that no longer exists does no harm. (First what qemu can't show: the vDSO of a real kernel is looked at.) */
SECTIONS { .text.life : {
  *libc.a:dl-object.o(.text)
  *libc.a:dl-setup_hash.o(.text)
  *libc.a:strstr-*.o(.text .text.*)
";

/// An input section of the link.
struct Section {
    address: u64,
    size: u64,
    /// What stands for it in a linker script, whatever the hashes in its name.
    pattern: String,
}

pub fn write() -> Result<()> {
    let qemu = tools::need("qemu-x86_64", "qemu-user")?;
    let dir = PathBuf::from("target/layout");
    fs::create_dir_all(&dir)?;
    // The map must be that of a link without a layout: sections that were placed by a script say less in it.
    fs::write(FILE, "")?;
    let map = dir.join("map");
    let mut build = Command::new("cargo");
    build.args(["rustc", "--release", "--locked", "--bin", "horust", "--target-dir"]).arg(&dir);
    build.args(["--", "-C"]).arg(format!("link-arg=-Wl,-Map={}", fs::canonicalize(&dir)?.join("map").display()));
    run(build.env("CARGO_PROFILE_RELEASE_STRIP", "none"))?;
    let target = capture(Command::new("rustc").args(["--print", "host-tuple"]))?;
    let horust = dir.join(target.trim()).join("release/horust");
    let sections = sections(&fs::read_to_string(&map)?)?;
    let mut script = HEAD.to_owned();
    let (mut seen, mut bytes) = (HashSet::new(), 0);
    for log in lives(&qemu, &horust, &dir)? {
        for address in fs::read_to_string(&log)?.lines().filter_map(block) {
            let found = sections.partition_point(|section| section.address <= address).checked_sub(1);
            let Some(section) = found.and_then(|at| sections.get(at)) else { continue };
            if address < section.address + section.size && seen.insert(section.pattern.as_str()) {
                writeln!(script, "  {}", section.pattern)?;
                bytes += section.size;
            }
        }
    }
    if seen.len() < 300 {
        bail!("only {} sections were seen to run: has the form of the map or of qemu's log changed?", seen.len());
    }
    script.push_str("} } INSERT BEFORE .text;\n");
    fs::write(FILE, script)?;
    println!("{FILE}: {} sections, {} KiB", seen.len(), bytes / 1024);
    Ok(())
}

/// Runs what happens to a supervisor every day: a start, an exit and its restart, an end; a single command; an exec stage.
fn lives(qemu: &Path, horust: &Path, dir: &Path) -> Result<Vec<PathBuf>> {
    let services = dir.join("services");
    let _ = fs::remove_dir_all(&services);
    fs::create_dir_all(&services)?;
    let sign = fs::canonicalize(dir)?.join("second-run");
    let _ = fs::remove_file(&sign);
    let script = format!("[ -e {0}.1 ] && exec sh -c 'touch {0}; exec sleep 60'; touch {0}.1; exit 1", sign.display());
    let _ = fs::remove_file(sign.with_extension("1"));
    let restart = "\n[restart]\nstrategy = \"always\"\nbackoff = \"100ms\"\n[environment]\nkeep-env = true\n";
    fs::write(services.join("a.toml"), format!("command = [\"sh\", \"-c\", {script:?}]{restart}"))?;
    fs::write(services.join("b.toml"), "command = \"sleep 60\"\nstart-after = [\"a\"]\nstdout = \"NULL\"\n")?;
    let log = |name: &str| dir.join(name).with_extension("log");
    let emulate = |name: &str| {
        let mut command = Command::new(qemu);
        command.args(["-d", "in_asm", "-D"]).arg(log(name)).arg(horust);
        // An environment as large as those of containers: a small one is sorted by other code.
        command.envs((0..40).map(|n| (format!("LAYOUT_{}", n * 7 % 40), "x")));
        command
    };
    let supervisor = emulate("services").arg("--services-path").arg(&services).spawn()?;
    supervise(supervisor, &sign)?;
    run(emulate("command").args(["--", "true"]))?;
    let mut stage = emulate("stage");
    stage.args(["__exec-stage", "2", "user=65534", "set-user=", "set-home=", "cwd=/tmp", "--", "true", "true"]);
    run(&mut stage)?;
    Ok(["services", "command", "stage"].map(log).into())
}

/// Waits for the second run of the service, then ends the supervisor in order.
fn supervise(mut supervisor: Child, sign: &Path) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !sign.exists() && supervisor.try_wait()?.is_none() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
    }
    run(Command::new("kill").args(["-TERM", &supervisor.id().to_string()]))?;
    let ended = supervisor.wait()?;
    if !sign.exists() || !ended.success() {
        bail!("the supervisor under qemu ended with {ended}");
    }
    Ok(())
}

/// The address in a line of qemu's log such as `0x002c8b40:  48 83 ec 28  subq …`.
fn block(line: &str) -> Option<u64> {
    u64::from_str_radix(line.strip_prefix("0x")?.split_once(':')?.0, 16).ok()
}

/// The sections of code in LLD's map, by address. Its columns: address, load address, size, alignment, input section.
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
        if !section.starts_with(".text") {
            continue;
        }
        let number = |hex| u64::from_str_radix(hex, 16).with_context(|| format!("no number in {line:?}"));
        sections.push(Section { address: number(address)?, size: number(size)?, pattern: pattern(file, section) });
    }
    sections.sort_by_key(|section| section.address);
    Ok(sections)
}

/// Functions of Rust have a section each, named after them with hashes that change with the compiler; objects of C in an
/// archive are named by their file.
fn pattern(file: &str, section: &str) -> String {
    let member = Path::new(file).file_name().unwrap_or_default().to_string_lossy();
    match (section.rfind("17h"), member.split_once('(')) {
        (Some(legacy), _) if section.contains("._ZN") => format!("*({}17h*)", &section[..legacy]),
        _ if section.contains("._R") => format!("*({})", without_crate_hashes(section)),
        (_, Some((archive, member))) => match member.split_once('-') {
            // The C library has each string function once for every kind of processor, and qemu's is not the user's.
            Some((function, _)) if section.starts_with(".text.") => format!("*{archive}:{function}-*.o(.text.*)"),
            _ => format!("*{archive}:{}({section})", member.trim_end_matches(')')),
        },
        (_, None) if section == ".text" => format!("*{member}({section})"),
        (_, None) => format!("*({section})"),
    }
}

/// `_RNvCs9ltgdHTiPiY_4core…` → `_RNvCs*_4core…`.
fn without_crate_hashes(name: &str) -> String {
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
    out + rest
}
