//! Real shells complete what is typed to services of the running Horust, by the scripts of `horust completions`.

use crate::control::{controlled, socket};
use crate::support::*;
use nix::sys::signal::Signal;
use std::path::Path;
use std::process::Command;

/// What a shell says, with `horust` in its `PATH` and the script of this name evaluated first.
fn shell(program: &str, args: &[&str], script: &str) -> Option<Vec<String>> {
    let binary = Path::new(env!("CARGO_BIN_EXE_horust"));
    let path = format!("{}:{}", binary.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let Ok(output) = Command::new(program).args(args).arg("-c").arg(script).env("PATH", path).output() else {
        skip(&format!("needs {program}"));
        return None;
    };
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.stderr.is_empty(), "{}{said}", String::from_utf8_lossy(&output.stderr));
    // fish tells the kind of each after a tab.
    Some(said.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect())
}

#[test]
fn shells_complete_services_of_the_running_horust() {
    let sleeper = "command = \"sleep 1000\"\n";
    let horust = controlled().service("web", sleeper).service("web@1", sleeper).service("db", sleeper).start();
    socket(&horust);
    let at = format!("--uds-folder-path {}/run", horust.dir().display());
    let bash = |words: &str, typed: &[&str]| {
        // As readline splits it.
        let (words, line) = (format!("horust {words}"), typed.join(" "));
        let script = format!(
            "eval \"$(horust completions bash)\"\nCOMP_LINE='{words}' COMP_POINT={} COMP_WORDS=(horust {line}) \
             COMP_CWORD={}\n_horust horust\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"",
            words.len(),
            typed.len(),
        );
        shell("bash", &["--norc"], &script).unwrap()
    };
    assert_eq!(bash("resta", &["resta"]), ["restart"]);
    assert_eq!(bash(&format!("{at} restart w"), &[&at, "restart", "w"]), ["web", "web@1"]);
    // Bash is to put the rest behind the `@` that is there.
    assert_eq!(bash(&format!("{at} restart web@"), &[&at, "restart", "web", "@"]), ["1"]);
    assert_eq!(bash(&format!("{at} status web "), &[&at, "status", "web", "''"]), ["db", "web", "web@1"]);
    assert_eq!(bash("status --format=j", &["status", "--format", "=", "j"]), ["json"]);
    // Without a Horust there are no names, and nothing is said about it.
    assert_eq!(bash("status --pid 999999999 w", &["status", "--pid", "999999999", "w"]), [""]);

    // Outside of its line editor zsh has no compadd.
    let zsh = "compdef() { }; compadd() { shift; print -l -- $@ }; _files() { print files }\n\
               eval \"$(horust completions zsh)\"\n";
    let zsh = |words: &str| {
        let script = format!("{zsh}words=(horust {words}); CURRENT=${{#words}}; _horust");
        shell("zsh", &["-f"], &script)
    };
    if let Some(said) = zsh(&format!("{at} restart w")) {
        assert_eq!(said, ["web", "web@1"]);
        assert_eq!(zsh(&format!("{at} restart ''")).unwrap(), ["db", "web", "web@1"]);
        assert_eq!(zsh("check /").unwrap(), ["files"]);
    }

    let fish = |line: &str| {
        shell("fish", &["--no-config"], &format!("horust completions fish | source\ncomplete -C 'horust {line}'"))
    };
    if let Some(said) = fish(&format!("{at} restart w")) {
        assert_eq!(said, ["web", "web@1"]);
        assert!(fish(&format!("{at} status ")).unwrap().contains(&"db".to_owned()));
        assert_eq!(fish("status --format j").unwrap(), ["json"]);
    }
    horust.stop(Signal::SIGTERM).0.assert_code(0);
}
