//! The command line: what each form of it means.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // also in the helpers of tests

use horust::cli::{CheckOptions, CommandOptions, ExitCode, Format, Invocation, SuperviseOptions, parse};
use horust::config::FileKind;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

fn parsed(args: &[&str]) -> Invocation {
    parse(std::iter::once("horust").chain(args.iter().copied()).map(OsString::from))
}

fn command(args: &[&str]) -> Vec<OsString> {
    match parsed(args) {
        Invocation::Command(CommandOptions { argv, .. }) => argv,
        other => panic!("{args:?}: {other:?}"),
    }
}

#[test]
fn flags_select_what_to_supervise() {
    assert_eq!(parsed(&[]), Invocation::Supervise(SuperviseOptions::default()));
    let args = ["--services-path", "/a", "--services-path=b.toml", "--config-path", "/c", "--uds-folder-path", "/u"];
    let all = [&args[..], &["--unsuccessful-exit-finished-failed", "--skip-invalid", "--watch"]].concat();
    let wanted = SuperviseOptions {
        services: vec!["/a".into(), "b.toml".into()],
        config: Some("/c".into()),
        uds_folder: Some("/u".into()),
        unsuccessful_exit_finished_failed: true,
        skip_invalid: true,
        watch: true,
    };
    assert_eq!(parsed(&all), Invocation::Supervise(wanted));
}

#[test]
fn a_command_is_passed_on_untouched() {
    assert_eq!(command(&["--", "sh", "-c", "exit 7"]), ["sh", "-c", "exit 7"]);
    assert_eq!(command(&["--", "sh", "--help", "--", ""]), ["sh", "--help", "--", ""]);
    assert_eq!(command(&["--", "check"]), ["check"]);
    assert_eq!(command(&["--", ""]), [""]);
    let raw = OsString::from_vec(vec![0xff, b' ', 0xfe]);
    let args = ["horust".into(), "--".into(), raw.clone()];
    assert_eq!(
        parse(args),
        Invocation::Command(CommandOptions { argv: vec![raw], options: SuperviseOptions::default() })
    );
}

#[test]
fn a_single_argument_with_blanks_is_split() {
    assert_eq!(command(&["--", "sh -c 'exit 7'"]), ["sh", "-c", "exit 7"]);
    for bad in ["sh -c 'exit", "  "] {
        let Invocation::Print { text, to_stdout: false, code } = parsed(&["--", bad]) else { panic!("{bad}") };
        assert_eq!(code, ExitCode::Usage);
        assert!(text.starts_with("Failed spawning the process: Invalid command: "), "{text}");
    }
}

#[test]
fn verbs_and_pages() {
    let defaults = || CheckOptions {
        paths: vec![],
        config: None,
        strict: false,
        format: Format::Text,
        effective: None,
        stop_timeout: Duration::from_secs(10),
    };
    assert_eq!(parsed(&["check"]), Invocation::Check(defaults()));
    let paths = vec!["a".into(), "b".into()];
    assert_eq!(parsed(&["check", "a", "b"]), Invocation::Check(CheckOptions { paths, ..defaults() }));
    let wanted = CheckOptions {
        paths: vec!["a".into()],
        config: Some("c".into()),
        strict: true,
        format: Format::Json,
        stop_timeout: Duration::from_secs(90),
        ..defaults()
    };
    let args = ["check", "--config-path", "c", "a", "--strict", "--format", "json", "--stop-timeout", "1m 30s"];
    assert_eq!(parsed(&args), Invocation::Check(wanted));
    let wanted = CheckOptions { effective: Some("web".into()), ..defaults() };
    assert_eq!(parsed(&["check", "--effective", "web"]), Invocation::Check(wanted));
    assert_eq!(parsed(&["schema"]), Invocation::Schema(FileKind::Service));
    assert_eq!(parsed(&["schema", "drop-in"]), Invocation::Schema(FileKind::Part));
    assert_eq!(parsed(&["schema", "settings"]), Invocation::Schema(FileKind::Settings));
    assert_eq!(parsed(&["--sample-service"]), Invocation::SampleService);
    for (args, word) in
        [(&["--help"][..], "--services-path"), (&["--version"], env!("CARGO_PKG_VERSION")), (&["check", "-h"], "PATHS")]
    {
        let Invocation::Print { text, to_stdout: true, code: ExitCode::Ok } = parsed(args) else { panic!("{args:?}") };
        assert!(text.contains(word), "{text}");
    }
}

#[test]
fn usage_errors_end_with_64_and_say_why() {
    for (args, word) in [
        (&["--bogus"][..], "--bogus"),
        (&["--"], "a command is missing"),
        (&["sleep", "1"], "horust -- COMMAND"),
        (&["--services-path"], "a value is required"),
        (&["--service-path", "x"], "--services-path"),
        (&["chek"], "chek"),
        (&["--skip-invalid", "check"], "cannot be used with a verb"),
        (&["--watch", "status"], "cannot be used with a verb"),
        (&["--pid", "1"], "go with a verb"),
        (&["--pid", "1", "check"], "reaches no running Horust"),
        (&["check", "--format", "yaml"], "json"),
        (&["check", "--stop-timeout", "10"], "time unit needed"),
        (&["check", "--effective", "a", "--format", "json"], "cannot be used with"),
        (&["schema", "services"], "drop-in"),
        (&["--sample-service", "--skip-invalid"], "cannot be used with"),
    ] {
        let Invocation::Print { text, to_stdout: false, code } = parsed(args) else { panic!("{args:?}") };
        assert_eq!(code.number(), 64);
        assert!(text.contains(word), "{args:?}: {text}");
    }
}
