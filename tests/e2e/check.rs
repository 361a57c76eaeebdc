//! `horust check` on this machine: what it finds, in which form, and its exit codes. It never starts anything.

use crate::support::*;
use std::os::unix::fs::PermissionsExt;

fn check(set: Builder, args: &[&str]) -> Done {
    let set = set.no_services_path().arg("check").arg("@DIR@/services");
    args.iter().fold(set, |set, arg| set.arg(arg)).run()
}

fn executable(set: &Builder, name: &str, mode: u32) {
    let path = set.dir().join(name);
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn programs_are_looked_up_as_a_start_would() {
    let path = "[environment]\nPATH = \"@DIR@/bin\"\n";
    let set = horust()
        .file("bin/here", "#!/bin/sh\n")
        .file("bin/text", "not executable\n")
        .file("bin/lost", "#!/no/interpreter\n")
        .service("found", &format!("command = \"here\"\n{path}"))
        .service("absent", "command = \"here\"\n")
        .service("relative", "command = \"./here\"\nworking-directory = \"@DIR@/bin\"\n")
        .service("text", "command = \"@DIR@/bin/text\"\n")
        .service("lost", &format!("command = \"lost\"\n{path}"))
        .service(
            "probed",
            &format!("command = \"here\"\nrequired = true\n{path}[healthiness]\ncommand = \"no-such-probe\"\n"),
        )
        // Files that can't be read are told, and hide nothing else.
        .service("files", "command = \"here\"\n[environment]\nload = \"/no/file\"\n");
    executable(&set, "bin/here", 0o755);
    executable(&set, "bin/lost", 0o755);
    executable(&set, "bin/text", 0o644);
    let done = check(set, &[]);
    done.assert_code(0);
    for (file, word) in [
        ("absent", "Program \"here\" not found in any of the PATH directories"),
        ("text", "is not executable (its mode is 0644)"),
        ("lost", "/no/interpreter, the interpreter of the script"),
        ("probed", "Program \"no-such-probe\" not found"),
        ("files", "Program \"here\" not found"),
        ("files", "/no/file"),
    ] {
        let pages: Vec<_> = done.stdout.split("\n\n").filter(|page| page.contains(word)).collect();
        assert!(pages.iter().any(|page| page.contains(&format!("{file}.toml:"))), "{file}: {word} in\n{}", done.stdout);
    }
    assert!(!done.stdout.contains("found.toml:") && !done.stdout.contains("relative.toml:"), "{}", done.stdout);
    assert!(done.stdout.ends_with("6 warnings\n7 services can be started\n"), "{}", done.stdout);
}

#[test]
fn users_are_looked_up() {
    let set = horust()
        .service("nobody", "command = \"/bin/true\"\nuser = \"nobody\"\n")
        .service("number", "command = \"/bin/true\"\nuser = 54321\n")
        .service("stranger", "command = \"/bin/true\"\nuser = \"no-such-user\"\n");
    let done = check(set, &[]);
    done.assert_code(0);
    assert!(done.stdout.contains("there is no user `no-such-user` on this machine"), "{}", done.stdout);
    assert!(done.stdout.contains("stranger.toml:2:8") && done.stdout.contains("1 warning\n"), "{}", done.stdout);
}

#[test]
fn exit_codes_tell_warnings_from_errors() {
    let good = || horust().service("a", "command = \"/bin/true\"\n");
    let warned = || horust().service("a", "command = \"/no/such/program\"\n");
    let wrong = || horust().service("a", "command = \"/no/such/program\"\nnonsense = 1\n");
    for (set, args, code) in [
        (good(), &[][..], 0),
        (good(), &["--strict"], 0),
        (warned(), &[], 0),
        (warned(), &["--strict"], 1),
        (warned(), &["--strict", "--format", "json"], 1),
        (wrong(), &[], 78),
        (wrong(), &["--strict"], 78),
        (wrong(), &["--effective", "a"], 78),
        (good(), &["--effective", "b"], 64),
    ] {
        check(set, args).assert_code(code);
    }
}

#[test]
fn json_is_one_array_and_nothing_else() {
    let set = horust()
        .service("a", "command = \"/bin/true\"\nname = \"größe\"\nstart-after = \"b\"\n")
        .service("b", "command = \"/bin/true\"\nattempts = 1\n[restart]\nbackoff = 1\nbackoff = 2\n");
    let done = check(set, &["--format", "json"]);
    done.assert_code(78);
    let found: Vec<serde_json::Value> = serde_json::from_str(&done.stdout).unwrap();
    let name = &found[0];
    assert!(name["message"].as_str().unwrap().contains("can't be the name of a service"), "{name}");
    assert_eq!(
        (name["severity"].as_str(), name["line"].as_u64(), name["column"].as_u64()),
        (Some("error"), Some(2), Some(8))
    );
    assert_eq!((name["end_line"].as_u64(), name["end_column"].as_u64()), (Some(2), Some(15)));
    assert!(name["file"].as_str().unwrap().ends_with("/services/a.toml") && name["help"].is_string(), "{name}");
    assert!(name["label"].is_null() && name["notes"].as_array().unwrap().is_empty(), "{name}");
    let twice = &found[1];
    assert_eq!((twice["line"].as_u64(), twice["notes"][0]["line"].as_u64()), (Some(5), Some(4)), "{twice}");
    assert_eq!(twice["notes"][0]["message"].as_str(), Some("first here"));
    let done = check(horust().service("a", "command = \"/bin/true\"\n"), &["--format", "json"]);
    assert_eq!(done.stdout, "[]\n");
}

#[test]
fn a_service_can_be_seen_as_horust_sees_it() {
    let set = horust()
        .service("web", "path = \"serve $PORT $DB_TOKEN\"\n[environment]\nDB_PASSWORD = \"$DB_TOKEN\"\n")
        .env("PORT", "80")
        .env("DB_TOKEN", "s3cret");
    let done = check(set, &["--effective", "web.toml"]);
    done.assert_code(0);
    let page = &done.stdout;
    assert!(page.contains("command = [\"serve\", \"80\", \"${DB_TOKEN}\"]\n"), "{page}");
    assert!(page.contains("DB_PASSWORD = \"${DB_TOKEN}\"\n") && page.contains("strategy = \"never\"\n"), "{page}");
    assert!(!page.contains("s3cret") && done.stderr.is_empty(), "{page}\n{}", done.stderr);
}

#[test]
fn the_schema_is_json() {
    for kind in [&[][..], &["service"], &["drop-in"], &["settings"]] {
        let schema = horust().no_services_path().arg("schema");
        let done = kind.iter().fold(schema, |set, arg| set.arg(arg)).run();
        done.assert_code(0);
        let schema: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
        assert_eq!(schema["additionalProperties"].as_bool(), Some(false));
    }
}
