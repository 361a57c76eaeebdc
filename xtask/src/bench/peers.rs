//! The supervisors that are compared, and how each is told what to run. Each has the leanest form that its manual knows: no
//! shell runs where none is needed, nobody has a control socket or a log that the others don't have.

use super::trial::{Kit, Services};
use crate::process::signal;
use crate::tools::{self, capture};
use anyhow::Result;
use rustix::process::Signal;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Peer {
    /// No supervisor but the least that one can do: `floor.c`.
    Floor,
    Horust,
    Supervisord,
    S6,
    Runit,
    Tini,
    DumbInit,
    Catatonit,
}

pub const PEERS: [Peer; 8] =
    [Peer::Floor, Peer::Horust, Peer::Supervisord, Peer::S6, Peer::Runit, Peer::Tini, Peer::DumbInit, Peer::Catatonit];

impl Peer {
    pub fn name(self) -> &'static str {
        match self {
            Peer::Floor => "floor",
            Peer::Horust => "horust",
            Peer::Supervisord => "supervisord",
            Peer::S6 => "s6",
            Peer::Runit => "runit",
            Peer::Tini => "tini",
            Peer::DumbInit => "dumb-init",
            Peer::Catatonit => "catatonit",
        }
    }

    /// What is installed for it, the program that runs first: each with its Debian package.
    fn programs(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Peer::Floor | Peer::Horust => &[],
            Peer::Supervisord => &[("supervisord", "supervisor")],
            Peer::S6 => &[("s6-svscan", "s6"), ("execlineb", "execline")],
            Peer::Runit => &[("runsvdir", "runit")],
            Peer::Tini => &[("tini", "tini")],
            Peer::DumbInit => &[("dumb-init", "dumb-init")],
            Peer::Catatonit => &[("catatonit", "catatonit")],
        }
    }

    /// Makes sure that it is there.
    pub fn need(self) -> Result<()> {
        self.programs().iter().try_for_each(|(program, package)| tools::need(program, package).map(drop))
    }

    /// What the package manager calls its version.
    pub fn version(self, kit: &Kit) -> String {
        if self == Peer::Horust {
            let said = capture(Command::new(&kit.horust).arg("--version")).unwrap_or_default();
            return said.trim().trim_start_matches("horust ").to_owned();
        }
        let Some((_, package)) = self.programs().first() else { return String::new() };
        capture(Command::new("dpkg-query").args(["-W", "-f", "${Version}", package])).unwrap_or_default()
    }

    /// Whether it runs services that it is told of by files.
    pub fn supervises(self) -> bool {
        !matches!(self, Peer::Tini | Peer::DumbInit | Peer::Catatonit)
    }

    /// Whether it runs one command as PID 1, and ends with it.
    pub fn runs_commands(self) -> bool {
        !matches!(self, Peer::Supervisord | Peer::S6 | Peer::Runit)
    }

    /// Whether it can set user and limits for a service by itself.
    pub fn limits(self) -> bool {
        matches!(self, Peer::Floor | Peer::Horust | Peer::S6 | Peer::Runit)
    }

    fn program(self, kit: &Kit) -> Result<String> {
        let path = match (self, self.programs()) {
            (Peer::Horust, _) => kit.horust.clone(),
            (_, [(program, package), ..]) => tools::need(program, package)?,
            _ => kit.floor.clone(),
        };
        Ok(path.display().to_string())
    }

    /// The command line that runs this one command.
    pub fn command(self, kit: &Kit, command: &[String]) -> Result<Vec<String>> {
        Ok([&[self.program(kit)?, "--".to_owned()], command].concat())
    }

    /// Writes what it reads into this directory. Gives the command line that runs the services.
    pub fn services(self, kit: &Kit, dir: &Path, services: &Services) -> Result<Vec<String>> {
        let program = self.program(kit)?;
        let path = |name: &str| dir.join(name).display().to_string();
        Ok(match self {
            Peer::Supervisord => {
                fs::write(dir.join("supervisord.ini"), supervisord(kit, dir, services))?;
                vec![program, "-c".to_owned(), path("supervisord.ini")]
            }
            Peer::S6 => {
                run_files(self, kit, dir, services)?;
                // By default it takes 500 services.
                vec![program, "-c".to_owned(), (2 * services.count + 100).to_string(), path("services")]
            }
            Peer::Runit => {
                run_files(self, kit, dir, services)?;
                // It waits until the next second if the directory has changed in this one.
                let old = SystemTime::now() - Duration::from_secs(3600);
                fs::File::open(dir.join("services"))?.set_modified(old)?;
                vec![program, "-P".to_owned(), path("services")]
            }
            Peer::Horust => {
                horust(kit, dir, services)?;
                vec![
                    program,
                    "--services-path".to_owned(),
                    path("services"),
                    "--uds-folder-path".to_owned(),
                    path("uds"),
                ]
            }
            _ if services.log => {
                let writer = format!("{} {}", kit.probe.display(), services.argument(dir, 0));
                vec!["/bin/sh".to_owned(), "-c".to_owned(), format!("{writer} | exec cat > {}", path("log"))]
            }
            _ => {
                let line = |id| format!("{} {}\n", kit.probe.display(), services.argument(dir, id));
                fs::write(dir.join("commands"), (0..services.count).map(line).collect::<String>())?;
                let session = services.sessions.then(|| "setsid".to_owned());
                [program, path("commands")].into_iter().chain(session).collect()
            }
        })
    }

    /// Asks it to stop all services and to end.
    pub fn stop(self, dir: &Path, pid: u32) -> Result<()> {
        if self != Peer::Runit || !dir.join("services").exists() {
            return signal(pid, Signal::TERM);
        }
        // runsvdir would not wait for its services. `sv` does; it looks every 420 ms.
        let mut services = fs::read_dir(dir.join("services"))?.map(|e| Ok(e?.path())).collect::<Result<Vec<_>>>()?;
        services.sort();
        capture(Command::new("sv").args(["-w", "60", "force-stop"]).args(services))?;
        signal(pid, Signal::HUP)
    }
}

fn horust(kit: &Kit, dir: &Path, services: &Services) -> Result<()> {
    let files = dir.join("services");
    fs::create_dir(&files)?;
    let mut keys = String::new();
    if services.limited {
        keys += "user = \"nobody\"\n";
    }
    if services.log {
        keys += &format!("stdout = \"{}\"\n[log]\nrotate-size = \"10MB\"\nkeep = 5\n", dir.join("log").display());
    }
    if services.captured {
        keys += "[log]\ncapture = true\n";
    }
    keys += "[restart]\nstrategy = \"always\"\nbackoff = \"0s\"\nthrottle = false\n";
    if services.limited {
        keys += "[limits]\nnofile = \"1000:2000\"\ncore = 0\n";
    }
    for id in 0..services.count {
        let command = format!("command = [\"{}\", \"{}\"]\n", kit.probe.display(), services.argument(dir, id));
        fs::write(files.join(format!("s{id}.toml")), command + &keys)?;
    }
    Ok(())
}

fn supervisord(kit: &Kit, dir: &Path, services: &Services) -> String {
    let mut text = format!(
        "[supervisord]\nnodaemon=true\nuser=root\nlogfile=/dev/null\nlogfile_maxbytes=0\nloglevel=critical\npidfile={}\nminfds={}\n",
        dir.join("pid").display(),
        4 * services.count + 200,
    );
    let output = match services.log {
        true => format!("{}\nstdout_logfile_maxbytes=10000000\nstdout_logfile_backups=5", dir.join("log").display()),
        false => "NONE".to_owned(),
    };
    for id in 0..services.count {
        text += &format!(
            "[program:s{id}]\ncommand={} {}\nautorestart=true\nstartsecs=0\nstderr_logfile=NONE\nstdout_logfile={output}\n",
            kit.probe.display(),
            services.argument(dir, id),
        );
    }
    text
}

/// A directory for each service, as s6 and runit want it. The kernel runs the service by its first line: there is no shell.
fn run_files(peer: Peer, kit: &Kit, dir: &Path, services: &Services) -> Result<()> {
    let s6 = peer == Peer::S6;
    for id in 0..services.count {
        let service = dir.join("services").join(format!("s{id}"));
        fs::create_dir_all(&service)?;
        let mut argument = services.argument(dir, id);
        if s6 && argument.starts_with("wait,") {
            // Only services that tell when they are ready are run again without a wait of a second.
            argument = argument.replacen("wait,", "notify,", 1);
            fs::write(service.join("notification-fd"), "3\n")?;
        }
        let command = format!("{} {argument}", kit.probe.display());
        let script = match (services.limited, s6) {
            (false, _) => format!("#!{command}\n"),
            (true, true) => {
                format!("#!/bin/execlineb -P\ns6-softlimit -o 1000 -c 0 s6-setuidgid nobody {command}\n")
            }
            (true, false) => format!("#!/bin/sh\nexec chpst -o 1000 -c 0 -u nobody {command}\n"),
        };
        executable(service.join("run"), &script)?;
        if services.log {
            let log = dir.join("log");
            fs::create_dir_all(service.join("log"))?;
            fs::create_dir(&log)?;
            fs::write(log.join("config"), "s10000000\nn5\n")?;
            let logger = if s6 { "s6-log n5 s10000000" } else { "svlogd -b 65536" };
            executable(service.join("log/run"), &format!("#!/bin/sh\nexec {logger} {}\n", log.display()))?;
        }
    }
    Ok(())
}

fn executable(path: PathBuf, text: &str) -> Result<()> {
    fs::write(&path, text)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(())
}
