//! Programs that the tests need: found, or installed where that is possible.

use anyhow::{Context, Result, bail};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Whether this is root.
pub fn root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0)
}

/// Runs a command with its output shown.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot run {}", shown(command)))?;
    if !status.success() {
        bail!("{} ended with {status}", shown(command));
    }
    Ok(())
}

/// Runs a command and returns what it wrote to stdout; stderr is part of the error.
pub fn capture(command: &mut Command) -> Result<String> {
    let out = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {}", shown(command)))?;
    if !out.status.success() {
        bail!("{} ended with {}: {}", shown(command), out.status, String::from_utf8_lossy(&out.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

fn shown(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy()];
    words.extend(command.get_args().map(|a| a.to_string_lossy()));
    words.join(" ")
}

/// Where a program is, in `PATH` or one of root's directories.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|dir| dir.join(program))
        .find(|file| file.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0))
}

/// Makes sure that a program is there, by apt-get if need be.
pub fn need(program: &str, package: &str) -> Result<PathBuf> {
    install_unless(|| find(program).is_some(), program, package)?;
    find(program).with_context(|| format!("{package} is installed, but there is no {program}"))
}

/// Makes sure that something is there, by apt-get if need be.
pub fn install_unless(there: impl Fn() -> bool, what: &str, package: &str) -> Result<()> {
    if there() {
        return Ok(());
    }
    if !root() || find("apt-get").is_none() {
        bail!("there is no {what} here (Debian package {package})");
    }
    println!("installing {package} for {what}");
    let apt = |args: &[&str]| {
        // RUNLEVEL=1 keeps a package from starting its service.
        capture(Command::new("apt-get").args(args).env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1"))
    };
    let install = ["install", "-y", "--no-install-recommends", package];
    if apt(&install).is_err() {
        apt(&["update"])?;
        apt(&install)?;
    }
    if !there() {
        bail!("{package} is installed, but there is no {what}");
    }
    Ok(())
}

/// Builds Horust's release. Gives where it is.
pub fn built() -> Result<PathBuf> {
    let build = ["build", "--release", "--locked", "--bin", "horust"];
    run(Command::new("cargo").args(build))?;
    let lines = capture(Command::new("cargo").args(build).args(["--message-format", "json"]))?;
    let path = lines.lines().filter_map(|line| line.split("\"executable\":\"").nth(1)?.split('"').next()).next();
    path.map(PathBuf::from).context("cargo does not tell where it has put the binary")
}

/// Makes sure that a program of a package of npm is there, below `target`.
pub fn npm(package: &str, version: &str, program: &str) -> Result<PathBuf> {
    let npm = need("npm", "npm")?;
    let dir = std::env::current_dir()?.join("target/npm").join(program);
    let there = dir.join("node_modules/.bin").join(program);
    if !there.exists() {
        std::fs::create_dir_all(&dir)?;
        let what = format!("{package}@{version}");
        capture(Command::new(npm).args(["install", "--no-audit", "--no-fund", "--prefix"]).arg(&dir).arg(what))?;
    }
    Ok(there)
}

/// Makes sure that cargo-llvm-cov is there, and the programs of LLVM that it runs.
pub fn llvm_cov() -> Result<()> {
    // Without rustup they come with the compiler, or cargo-llvm-cov says what is missing.
    if find("rustup").is_some() {
        run(Command::new("rustup").args(["component", "add", "llvm-tools"]))?;
    }
    cargo_tool("cargo-llvm-cov")
}

/// Makes sure that a program that cargo can build is there.
pub fn cargo_tool(name: &str) -> Result<()> {
    if find(name).is_some() {
        return Ok(());
    }
    println!("installing {name}");
    let mut install = Command::new("cargo");
    // Its releases are built for speed; what runs for a second here should rather be there soon.
    install.args(["install", "--locked", name]).env("CARGO_PROFILE_RELEASE_LTO", "off");
    install.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1").env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    install.env_remove("CARGO_TARGET_DIR").current_dir("/");
    run(&mut install).with_context(|| format!("cannot install {name}"))
}
