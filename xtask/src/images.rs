//! The two images that the Dockerfile starts from, made without an image registry: `debian:bookworm-slim` by debootstrap
//! from the mirror that apt uses here, and `rust:1-bookworm` as that with gcc and this machine's own toolchain.

use crate::tools::{self, capture};
use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const SUITE: &str = "bookworm";

/// A tarball of a minimal Debian with these packages too: from the cache, or made now.
pub fn debian(name: &str, include: &str) -> Result<PathBuf> {
    let cache = cache()?;
    let tarball = cache.join(format!("{SUITE}-{name}.tar"));
    if tarball.exists() {
        return Ok(tarball);
    }
    tools::need("debootstrap", "debootstrap")?;
    let mirror = mirror()?;
    let root = tempdir(&cache, name)?;
    let mut command = Command::new("debootstrap");
    command.arg("--variant=minbase");
    if !include.is_empty() {
        command.arg(format!("--include={include}"));
    }
    let made = capture(command.arg(SUITE).arg(&root).arg(mirror)).and_then(|_| {
        let part = cache.join(format!("{SUITE}-{name}.{}.part", std::process::id()));
        capture(
            Command::new("tar").arg("-cf").arg(&part).arg("--exclude=./var/cache/apt/*").arg("-C").arg(&root).arg("."),
        )?;
        fs::rename(&part, &tarball).context("cannot keep the tarball")
    });
    let _ = fs::remove_dir_all(&root);
    made.map(|()| tarball)
}

/// Copies the tarball of Debian with gcc and appends the toolchain that runs this program, what it needs to reach the
/// crate registry, and says which variables the image sets.
pub fn with_toolchain(debian: &Path, tarball: &Path) -> Result<Vec<String>> {
    fs::copy(debian, tarball).context("cannot copy the tarball of Debian")?;
    let sysroot = PathBuf::from(capture(Command::new("rustc").args(["--print", "sysroot"]))?.trim());
    let version = capture(Command::new("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|l| l.strip_prefix("host: ")).context("rustc does not name its host")?;
    let mut files = vec!["bin/cargo".to_owned(), "bin/rustc".to_owned(), format!("lib/rustlib/{host}")];
    for entry in fs::read_dir(sysroot.join("lib")).context("cannot read the toolchain")? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.contains(".so") {
            files.push(format!("lib/{name}"));
        }
    }
    append(tarball, &sysroot, "usr/local", &files)?;

    let certificates = std::env::var_os("SSL_CERT_FILE")
        .map_or_else(|| PathBuf::from("/etc/ssl/certs/ca-certificates.crt"), PathBuf::from)
        .canonicalize()
        .context("cannot find this machine's certificates")?;
    let dir = certificates.parent().context("certificates without a directory")?;
    let name = certificates.file_name().context("certificates without a name")?.to_string_lossy().into_owned();
    append(tarball, dir, "usr/local/certificates", std::slice::from_ref(&name))?;

    let mut variables = vec![
        "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
        "CARGO_HOME=/usr/local/cargo".to_owned(),
        format!("CARGO_HTTP_CAINFO=/usr/local/certificates/{name}"),
    ];
    let cargo_home =
        std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    if let Some(home) = cargo_home.filter(|home| home.join("config.toml").exists()) {
        append(tarball, &home, "usr/local/cargo", &["config.toml".to_owned()])?;
    }
    for (name, value) in std::env::vars() {
        let wanted = ["CARGO_NET_", "CARGO_SOURCE_"].iter().any(|p| name.starts_with(p));
        if wanted || name.to_lowercase().ends_with("_proxy") {
            variables.push(format!("{name}={value}"));
        }
    }
    Ok(variables)
}

/// Adds files below `from` to the tarball, below `to`.
fn append(tarball: &Path, from: &Path, to: &str, files: &[String]) -> Result<()> {
    let mut tar = Command::new("tar");
    tar.arg("-rf").arg(tarball).arg(format!("--transform=flags=r;s,^,{to}/,")).arg("-C").arg(from).args(files);
    capture(&mut tar).map(drop)
}

/// Makes an image of a tarball.
pub fn import(docker: &dyn Fn() -> Command, tarball: &Path, variables: &[String], image: &str) -> Result<()> {
    let mut command = docker();
    command.arg("import");
    for variable in variables {
        let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
        command.arg("--change").arg(format!("ENV {name}=\"{value}\""));
    }
    command.arg("-").arg(image);
    let input = File::open(tarball).context("cannot open the tarball")?;
    let out = command.stdin(Stdio::from(input)).output().context("cannot run docker import")?;
    if !out.status.success() {
        bail!("docker import: {}", String::from_utf8_lossy(&out.stderr).trim());
    }
    Ok(())
}

/// The first mirror of the suite that apt has here.
fn mirror() -> Result<String> {
    let mut lists = vec![PathBuf::from("/etc/apt/sources.list")];
    lists.extend(fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten().map(|e| e.path()));
    for list in lists {
        let text = fs::read_to_string(&list).unwrap_or_default();
        // One-line style, sources.list(5): deb [options] URI suite component …
        for line in text.lines().filter(|line| line.starts_with("deb ")) {
            let words: Vec<&str> = line.split_whitespace().collect();
            if let Some(at) = words.iter().position(|w| *w == SUITE) {
                return Ok(words[at - 1].to_owned());
            }
        }
        // deb822 style: stanzas of "Field: value".
        for stanza in text.split("\n\n") {
            let field = |name: &str| stanza.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            if field("Suites:").split_whitespace().any(|s| s == SUITE)
                && let Some(uri) = field("URIs:").split_whitespace().next()
            {
                return Ok(uri.to_owned());
            }
        }
    }
    bail!("apt has no mirror of Debian {SUITE} here")
}

/// What is kept from one run to the next.
pub fn cache() -> Result<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME").map_or_else(|| PathBuf::from("/var/cache"), PathBuf::from);
    let dir = base.join("horust-test");
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    Ok(dir)
}

/// A new directory of this process.
pub fn tempdir(base: &Path, name: &str) -> Result<PathBuf> {
    let dir = base.join(format!("horust-{name}-{}", std::process::id()));
    fs::create_dir(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    Ok(dir)
}
