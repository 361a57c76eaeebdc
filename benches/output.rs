//! What captured output costs, beside a file that the writer has itself and a pipe to `cat`. One service writes a GiB, in
//! blocks of 64 KiB or in one write for each line of 100 bytes. Run it with `cargo bench --bench output`. It asserts that
//! all bytes have arrived, and nothing else.
#![allow(clippy::disallowed_types, clippy::unwrap_used, clippy::print_stdout)]

use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use std::fs;
use std::io::Write;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

const BYTES: usize = 1 << 30;
const LINE: usize = 100;
const REPETITIONS: usize = 3;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if args.get(1).is_some_and(|mode| mode == "write") {
        return write(args.get(2).unwrap().parse().unwrap());
    }
    println!("{:<56} {:>8} {:>12}", "1 GiB; the best of three runs", "MB/s", "CPU s per GB");
    for (chunk, name) in [(65_500, "64 KiB writes"), (LINE, "100-byte lines")] {
        let writer = format!("{} write {chunk}", std::env::current_exe().unwrap().display());
        row(&format!("{name}: straight into a file"), |dir| shell(&format!("{writer} > {}", dir.join("x").display())));
        row(&format!("{name}: a pipe to cat"), |dir| shell(&format!("{writer} | cat > {}", dir.join("x").display())));
        for (what, keys) in [
            ("captured", "capture = true"),
            ("captured, rotated by 10 MB", "rotate-size = '10MB'"),
            ("captured, with prefix", "format = 'prefix'\nrotate-size = '10MB'"),
            ("captured, as JSON", "format = 'json'\nrotate-size = '10MB'"),
        ] {
            row(&format!("{name}: {what}"), |dir| {
                let service = format!("command = '{writer}'\nstdout = '{}/x'\n[log]\n{keys}\n", dir.display());
                fs::write(dir.join("writer.toml"), service).unwrap();
                let mut horust = Command::new(env!("CARGO_BIN_EXE_horust"));
                horust.arg("--services-path").arg(dir.join("writer.toml"));
                horust
            });
        }
    }
}

/// The writer: whole lines, `chunk` bytes a write.
fn write(chunk: usize) {
    let line = [&[b'x'; LINE - 1][..], b"\n"].concat();
    let block = line.repeat((chunk / LINE).max(1));
    let mut file = fs::File::from(std::io::stdout().as_fd().try_clone_to_owned().unwrap());
    for _ in 0..BYTES / block.len() {
        file.write_all(&block).unwrap();
    }
}

fn shell(script: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", script]);
    shell
}

fn cpu(usage: &Usage) -> f64 {
    let seconds = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    f64::from(i32::try_from(seconds).unwrap()) / 1e6
}

fn row(name: &str, command: impl Fn(&Path) -> Command) {
    let (mut fastest, mut least) = (0.0_f64, f64::MAX);
    for _ in 0..REPETITIONS {
        // In memory, so that no disk is measured.
        let place = Some(Path::new("/dev/shm")).filter(|path| path.is_dir());
        let dir = tempfile::tempdir_in(place.unwrap_or(&std::env::temp_dir())).unwrap();
        let before = cpu(&getrusage(UsageWho::RUSAGE_CHILDREN).unwrap());
        let start = Instant::now();
        let status = command(dir.path()).stdin(Stdio::null()).status().unwrap();
        let seconds = start.elapsed().as_secs_f64();
        assert!(status.success());
        let files = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len());
        assert!(files.sum::<u64>() >= (BYTES - 65_500) as u64);
        fastest = fastest.max(BYTES as f64 / 1e6 / seconds);
        least = least.min((cpu(&getrusage(UsageWho::RUSAGE_CHILDREN).unwrap()) - before) / (BYTES as f64 / 1e9));
    }
    println!("{name:<56} {fastest:>8.0} {least:>12.2}");
}
