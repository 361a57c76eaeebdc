//! `horust -- COMMAND ARGS…`: Horust as the init of one command.

use crate::support::*;
use nix::sys::signal::Signal;

const COUNT_UP: &str = "trap 'echo got NAME; exit 0' NAME; echo up; while true; do sleep 1000 & wait; done";

#[test]
fn arguments_are_passed_on_untouched() {
    let done = horust().command(&["bash", "-c", "echo 'hello  world'"]).run();
    done.assert_code(0);
    assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("hello  world\n", ""));
    let odd = ["a b", "", "$HOME", "${NONE}", "--help", "-x", "\"", "*"];
    let done = horust().command(&[&["printf", "<%s>"], &odd[..]].concat()).run();
    assert_eq!(done.stdout, odd.iter().map(|w| format!("<{w}>")).collect::<String>());
}

/// As Horust 0.1 did: one argument that holds blanks is a command line.
#[test]
fn a_single_argument_with_blanks_is_split() {
    let done = horust().command(&["bash -c 'echo \"hello  world\"'"]).run();
    done.assert_code(0);
    assert_eq!(done.stdout, "hello  world\n");
}

#[test]
fn environment_stdin_and_directory_are_inherited() {
    let script = "echo $INHERITED; cat; [ $PWD = @DIR@ ] && echo here";
    let mut horust = horust().env("INHERITED", "yes").interactive().command(&["bash", "-c", script]).start();
    horust.say("from stdin\n");
    horust.say_no_more();
    let done = horust.end();
    done.assert_code(0);
    assert_eq!(done.stdout, "yes\nfrom stdin\nhere\n");
}

/// tini has such a test for all 256 codes.
#[test]
fn every_exit_code_is_passed_on() {
    for code in 0..=255 {
        horust().command(&["sh", "-c", &format!("exit {code}")]).run().assert_code(code);
    }
}

#[test]
fn every_exit_code_is_passed_on_by_pid_1() {
    if needs_root() {
        return;
    }
    for code in 0..=255 {
        horust().pid1().command(&["sh", "-c", &format!("exit {code}")]).run().assert_code(code);
    }
}

#[test]
fn a_death_by_signal_is_128_and_its_number() {
    for signal in [Signal::SIGKILL, Signal::SIGTERM, Signal::SIGSEGV, Signal::SIGUSR1] {
        let number = signal as i32;
        horust().command(&["bash", "-c", &format!("kill -{number} $$; sleep 10")]).run().assert_code(128 + number);
    }
}

fn every_signal(pid1: bool) {
    for signal in Signal::iterator() {
        let name = signal.as_str().trim_start_matches("SIG");
        // KILL and STOP can't be caught; CHLD is Horust's own; bash itself lives on the synchronous ones, which Horust
        // must not block either.
        let own = ["KILL", "STOP", "CHLD", "SEGV", "BUS", "FPE", "ILL", "TRAP", "ABRT", "SYS"];
        if own.contains(&name) {
            continue;
        }
        let mut builder = horust().command(&["bash", "-c", &COUNT_UP.replace("NAME", name)]);
        if pid1 {
            builder = builder.pid1();
        }
        let horust = builder.start();
        horust.wait_for("up");
        let (done, _) = horust.stop(signal);
        assert_eq!(done.stdout, format!("up\ngot {name}\n"), "{signal}: {}", done.stderr);
        done.assert_code(0);
    }
}

#[test]
fn every_signal_is_forwarded() {
    every_signal(false);
}

#[test]
fn every_signal_is_forwarded_by_pid_1() {
    if !needs_root() {
        every_signal(true);
    }
}

/// systemd as a container's command is stopped by one of these. The C library keeps 32 and 33 for itself.
#[test]
fn real_time_signals_are_forwarded() {
    for pid1 in [false, true] {
        if pid1 && needs_root() {
            return;
        }
        for number in 34..=64 {
            let script = COUNT_UP.replace("NAME", &number.to_string());
            let builder = horust().command(&["bash", "-c", &script]);
            let horust = if pid1 { builder.pid1() } else { builder }.start();
            horust.wait_for("up");
            let mut kill = std::process::Command::new("kill");
            assert!(kill.arg(format!("-{number}")).arg(horust.pid().to_string()).status().unwrap().success());
            let done = horust.end();
            assert_eq!(done.stdout, format!("up\ngot {number}\n"), "{number}: {}", done.stderr);
            done.assert_code(0);
        }
    }
}

#[test]
fn a_signal_is_forwarded_again_and_again() {
    let horust = horust()
        .command(&["bash", "-c", "trap 'echo got' USR1; echo up; while true; do sleep 1000 & wait; done"])
        .start();
    horust.wait_for("up");
    for n in 1..=5 {
        horust.signal(Signal::SIGUSR1);
        horust.wait_for_count("got", n);
    }
    // A command that ignores TERM is the business of whoever sent it; bash's default is to die of it.
    horust.stop(Signal::SIGTERM).0.assert_code(143);
}

#[test]
fn what_the_command_leaves_behind_is_ended() {
    let done = horust().command(&["bash", "-c", "sleep 1000 & setsid sleep 1000 & exit 5"]).run();
    done.assert_code(5);
}

#[test]
fn a_command_that_is_not_there() {
    let done = horust().command(&["no-such-program-here", "x"]).run();
    assert_eq!(done.status.code(), Some(127), "{}", done.stderr);
    assert!(
        done.stderr.contains("Program \"no-such-program-here\" not found in any of the PATH directories"),
        "{}",
        done.stderr
    );
    let done = horust().command(&["/etc/passwd"]).run();
    assert_eq!(done.status.code(), Some(126), "{}", done.stderr);
    assert!(done.stderr.contains("/etc/passwd is not executable"), "{}", done.stderr);
}

/// `docker run -it`: the terminal is the command's, for input and for Ctrl-C.
#[test]
fn a_terminal_belongs_to_the_command() {
    let script =
        "trap 'echo got INT; exit 3' INT; echo up; read line; echo line is $line; while true; do sleep 1000; done";
    let mut horust = horust()
        .wrapper(&["bash", "-c", "script -qefc \"$(printf '%q ' \"$@\")\" /dev/null", "bash"])
        .interactive()
        .command(&["bash", "-c", script])
        .start();
    horust.wait_for("up");
    horust.say("hello\n");
    horust.wait_for("line is hello");
    horust.say("\x03");
    horust.wait_for("got INT");
    horust.end().assert_code(3);
}
