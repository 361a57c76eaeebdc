//! What a service finds in its environment, told by the service itself: who wins, files, secrets, defaults.

use crate::support::*;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;

/// Prints its environment, and ends.
const PRINT: &str = "command = \"env -0\"\n";

/// The variables that `env -0` has printed.
fn variables(done: &Done) -> BTreeMap<&str, &str> {
    done.stdout.split_terminator('\0').map(|line| line.split_once('=').unwrap_or((line, "?"))).collect()
}

/// A service that can't be started: all these texts on stderr, and `hidden` nowhere.
#[track_caller]
fn not_started(builder: Builder, texts: &[&str], hidden: &str) {
    let done = builder
        .arg("--unsuccessful-exit-finished-failed")
        .env("HORUST_LOG", "trace")
        .bash("other", "echo the other runs", "")
        .run();
    done.assert_code(101);
    assert_eq!(done.stdout, "the other runs\n");
    for text in texts.iter().chain(&["Failed spawning the process"]) {
        assert!(done.stderr.contains(text), "no {text:?} in:\n{}", done.stderr);
    }
    assert!(hidden.is_empty() || !done.stderr.contains(hidden), "{}", done.stderr);
}

#[test]
fn five_variables_are_always_set() {
    let done = horust().wrapper(&["env", "-i"]).service("web", PRINT).run();
    done.assert_code(0);
    let seen = variables(&done);
    assert_eq!(seen.keys().copied().collect::<Vec<_>>(), ["HOME", "HOSTNAME", "PATH", "TERM", "USER"]);
    let hostname = nix::unistd::gethostname().unwrap();
    assert_eq!((seen["TERM"], seen["HOSTNAME"]), ("dumb", hostname.to_str().unwrap().trim()));
    let user = nix::unistd::User::from_uid(nix::unistd::getuid()).unwrap().unwrap();
    assert_eq!((seen["USER"], seen["HOME"]), (user.name.as_str(), user.dir.to_str().unwrap()));
}

/// Each source gives its own and all stronger ones' variables; the stronger one is seen. HOSTNAME is set anew even if all
/// of Horust's environment is kept, unless somebody asks for it.
#[test]
fn the_stronger_source_of_a_variable_wins() {
    let set = |re_export: &str| {
        let mut horust = horust()
            .env("HOSTNAME", "own")
            .file("weak.env", "LOAD1=file1\nLOAD2=file1\nSECRET=file1\nADDITIONAL=file1\nDIRECT=file1\n")
            .file("strong.env", "LOAD2=file2\nSECRET=file2\nADDITIONAL=file2\nDIRECT=file2\nPATH=/usr/bin:/bin:/file2\n")
            .file("secret", "secret\n")
            .service(
                "web",
                &format!(
                    "{PRINT}[environment]\nkeep-env = true\nload = [\"weak.env\", \"-missing.env\", \"strong.env\"]\n{re_export}\n\
                     secrets = {{ SECRET = \"secret\", ADDITIONAL = \"@DIR@/secret\", HOME = \"secret\" }}\n\
                     DIRECT = \"direct\"\nadditional = {{ ADDITIONAL = \"additional\", DIRECT = \"additional\" }}\n"
                ),
            );
        for name in ["KEPT", "LOAD1", "LOAD2", "SECRET", "ADDITIONAL", "DIRECT"] {
            horust = horust.env(name, "own");
        }
        horust.run()
    };
    let done = set("");
    done.assert_code(0);
    let seen = variables(&done);
    for (name, wanted) in [
        ("KEPT", "own"),
        ("LOAD1", "file1"),
        ("LOAD2", "file2"),
        ("PATH", "/usr/bin:/bin:/file2"),
        ("SECRET", "secret"),
        ("HOME", "secret"),
        ("ADDITIONAL", "additional"),
        ("DIRECT", "direct"),
    ] {
        assert_eq!(seen.get(name), Some(&wanted), "{name}");
    }
    assert_ne!(seen["HOSTNAME"], "own");
    let done = set("re-export = [\"HOSTNAME\", \"LOAD1\", \"NOT_THERE\"]");
    let seen = variables(&done);
    assert_eq!((seen["HOSTNAME"], seen["LOAD1"]), ("own", "file1"));
    assert!(!seen.contains_key("NOT_THERE"));
}

#[test]
fn defaults_and_drop_ins_reach_the_service() {
    let done = horust()
        .env("INHERITED", "own")
        .file(
            "horust.toml",
            "[defaults]\nenvironment.keep-env = true\nenvironment.A = \"everywhere\"\nenvironment.B = \"everywhere\"\n",
        )
        .arg("--config-path=@DIR@/horust.toml")
        .file("services/_defaults.toml", "[environment]\nB = \"directory\"\nC = \"directory\"\n")
        .service("web", "command = \"false\"\n[environment]\nC = \"service\"\nD = \"service\"\n")
        .file("services/web.toml.d/50-site.toml", &format!("{PRINT}environment.D = \"site\"\n"))
        .run();
    done.assert_code(0);
    let seen = variables(&done);
    assert_eq!(
        ["INHERITED", "A", "B", "C", "D"].map(|name| seen[name]),
        ["own", "everywhere", "directory", "service", "site"]
    );
}

/// dotenvy would put Horust's own variables in, and take a part of a password for one.
#[test]
fn a_file_is_taken_as_it_is_written() {
    let file = "\u{feff}# comment\r\nexport PASSWORD=pa$$word$HOME#1\r\nQUOTED=\"a \\\"b\\\"\r\n# no comment $USER\" # comment\r\nSINGLE='C:\\'\r\nSPACES = a b \r\n";
    let done = horust()
        .file("web.env", file)
        .service("web", &format!("{PRINT}environment.env-file = \"@DIR@/web.env\"\n"))
        .run();
    done.assert_code(0);
    let seen = variables(&done);
    assert_eq!(
        ["PASSWORD", "QUOTED", "SINGLE", "SPACES"].map(|name| seen[name]),
        ["pa$$word$HOME#1", "a \"b\"\n# no comment $USER", "C:\\", "a b"]
    );
}

/// Like that of `stdout`, a relative path starts at Horust's directory, wherever the service runs.
#[test]
fn files_are_read_at_each_start_from_horusts_directory() {
    let done = horust()
        .file("count.env", "COUNT=1")
        .file("secret", "s1")
        .bash(
            "web",
            "echo $COUNT $SECRET; echo COUNT=$((COUNT + 1)) > @DIR@/count.env; echo s$((COUNT + 1)) > @DIR@/secret; [ $COUNT = 3 ]",
            "working-directory = \"/\"\nrestart = { strategy = \"on-failure\" }\nenvironment = { load = \"count.env\", secrets.SECRET = \"secret\" }",
        )
        .run();
    done.assert_code(0);
    assert_eq!(done.stdout, "1 s1\n2 s2\n3 s3\n");
}

#[test]
fn a_file_that_cannot_be_read_stops_that_start_only() {
    let web = |keys: &str| horust().service("web", &format!("{PRINT}environment = {{ {keys} }}\n"));
    let file = "the environment file";
    not_started(web("load = \"@DIR@/none.env\""), &[file, "/none.env: No such file"], "");
    not_started(web("load = \"@DIR@\""), &[file, "it is a directory"], "");
    not_started(
        web("load = \"bad.env\"").file("bad.env", "A=1\nB='HIDDEN\n"),
        &["bad.env: line 2: ", "quote"],
        "HIDDEN",
    );
    not_started(web("load = \"-bad.env\"").file("bad.env", "A=1\nHIDDEN\n"), &["bad.env: line 2: ", "`=`"], "HIDDEN");
    not_started(
        web("load = \"big.env\"").file("big.env", &"#HIDDEN\n".repeat(200_000)),
        &["big.env: it is larger"],
        "HIDDEN",
    );
    not_started(web("secrets.A = \"@DIR@/none\""), &["the secret A from ", "/none: No such file"], "");
    not_started(web("secrets.A = \"@DIR@\""), &["the secret A from ", "it is a directory"], "");
    not_started(web("secrets.A = \"nul\"").file("nul", "HIDDEN\0x"), &["the secret A from nul: ", "NUL"], "HIDDEN");
    let big = "HIDDEN".repeat(30_000);
    not_started(web("secrets.A = \"big\"").file("big", &big), &["the secret A from big: it is larger"], "HIDDEN");
    // Larger than this no variable can be, its name included: execve(2) says so.
    let full = "HIDDEN".repeat(21_845);
    not_started(web("secrets.A = \"full\"").file("full", &full), &["too large"], "HIDDEN");
    for key in ["load = \"pipe\"", "secrets.A = \"pipe\""] {
        let builder = web(key);
        nix::unistd::mkfifo(&builder.dir().join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        not_started(builder, &["pipe: it is no regular file"], "");
    }
}

#[test]
fn a_secret_is_its_file_without_the_last_line_end() {
    let texts = [
        ("A", "s3cret\n"),
        ("B", "s3cret"),
        ("C", "two\nlines\n\n"),
        ("D", "dos\r\n"),
        ("E", ""),
        ("F", "\n"),
        ("G", "$HOME \"'\\ é"),
    ];
    let wanted = ["s3cret", "s3cret", "two\nlines\n", "dos", "", "", "$HOME \"'\\ é"];
    let mut horust = horust();
    let mut secrets = String::new();
    for (name, text) in texts {
        horust = horust.file(name, text);
        secrets.push_str(&format!("secrets.{name} = \"{name}\"\n"));
    }
    let done = horust.service("web", &format!("{PRINT}[environment]\n{secrets}")).run();
    done.assert_code(0);
    let seen = variables(&done);
    assert_eq!(texts.map(|(name, _)| seen[name]), wanted);
}

/// Only Horust has to be able to read it: the service has another user, and the file is root's.
#[test]
fn a_secret_of_root_reaches_a_service_of_another_user() {
    if needs_root() {
        return;
    }
    let builder = horust().file("secret", "hidden\n").bash(
        "web",
        "cat @DIR@/secret 2> /dev/null || echo not readable; echo $PASSWORD",
        "user = \"nobody\"\nenvironment.secrets.PASSWORD = \"@DIR@/secret\"",
    );
    std::fs::set_permissions(builder.dir().join("secret"), PermissionsExt::from_mode(0o600)).unwrap();
    let done = builder.run();
    done.assert_code(0);
    assert_eq!(done.stdout, "not readable\nhidden\n");
}

/// Through a whole life with failures, probes and restarts, on the most talkative level.
#[test]
fn horust_never_shows_a_secret() {
    let secret = "environment.secrets.PASSWORD = \"@DIR@/secret\"";
    let rest = format!("restart.attempts = 2\nhealthiness.command = \"false\"\n{secret}");
    let done = horust()
        .env("HORUST_LOG", "trace")
        .file("secret", "TOPSECRET\n")
        .bash("fails", "[ ${#PASSWORD} = 9 ] && exit 3", &rest)
        .service("missing", &format!("command = \"/no/such/program\"\n{rest}"))
        .service("denied", &format!("command = \"/etc/passwd\"\nuser = \"nobody\"\n{secret}"))
        .run();
    done.assert_code(0);
    assert!(done.stderr.contains("fails"), "{}", done.stderr);
    assert!(!done.stderr.contains("TOPSECRET") && !done.stdout.contains("TOPSECRET"), "{}", done.stderr);
    let check = horust()
        .file("secret", "TOPSECRET\n")
        .file("services/web.toml", "command = \"x\"\nunknown = 1\nenvironment.secrets.PASSWORD = \"@DIR@/secret\"\n")
        .run();
    check.assert_code(78);
    assert!(!check.stderr.contains("TOPSECRET"), "{}", check.stderr);
}
