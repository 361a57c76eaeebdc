//! The JSON Schemas, held against what loads and what does not by a validator of somebody else.

use super::broken::cases;

use super::support::{Set, assert_page, root};
use horust::config::{FileKind, json_schema};
use jsonschema::Validator;
use serde_json::Value;
use std::fmt::Write as _;

/// The validator of one kind of file.
pub fn validator(kind: FileKind) -> Validator {
    let schema: Value = serde_json::from_str(&json_schema(kind)).unwrap();
    jsonschema::draft7::meta::validate(&schema).unwrap();
    jsonschema::draft7::new(&schema).unwrap()
}

/// A TOML file as an editor hands it to the schema; none if it is no TOML.
fn json(text: &str) -> Option<Value> {
    toml::from_str::<toml::Value>(text).ok().map(|value| serde_json::to_value(value).unwrap())
}

fn errors(validator: &Validator, value: &Value) -> Vec<String> {
    validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

#[track_caller]
fn accepts(validator: &Validator, text: &str, what: &str) {
    let errors = errors(validator, &json(text).unwrap());
    assert!(errors.is_empty(), "{what}: {errors:#?}\n{text}");
}

/// A text that loads, as far as it is TOML before its variables are replaced.
#[track_caller]
pub fn assert_accepted(validator: &Validator, text: &str) {
    let errors = json(text).map(|value| errors(validator, &value)).unwrap_or_default();
    assert!(errors.is_empty(), "{errors:#?}\n{text}");
}

#[test]
fn the_schema_tells_good_shapes_from_bad_ones() {
    let [service, part, settings] = [FileKind::Service, FileKind::Part, FileKind::Settings].map(validator);
    let (mut bad, mut wrong) = (0, String::new());
    for case in cases("cases").into_iter().chain(cases("checks")) {
        for (name, text, bad_shape) in &case.files {
            let validator = match name.as_str() {
                "settings" => &settings,
                name if name == "_defaults.toml" || name.contains(".toml.d/") => &part,
                name if name.ends_with(".toml") => &service,
                _ => continue,
            };
            let Some(value) = json(text) else { continue };
            let errors = errors(validator, &value);
            if *bad_shape == errors.is_empty() {
                let _ = writeln!(wrong, "{} {name}, bad shape: {bad_shape}\n{text}{errors:#?}", case.path.display());
            }
            bad += u32::from(*bad_shape);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(bad >= 20, "{bad}");
}

#[test]
fn the_schema_accepts_every_example_and_every_key() {
    let (validator, of_defaults) = (validator(FileKind::Service), validator(FileKind::Part));
    let mut seen = 0;
    for set in ["quickstart", "web-stack"] {
        for entry in root().join("example_services").join(set).read_dir().unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                let is_defaults = path.ends_with("_defaults.toml");
                let validator = if is_defaults { &of_defaults } else { &validator };
                accepts(validator, &std::fs::read_to_string(&path).unwrap(), &path.display().to_string());
                seen += 1;
            }
        }
    }
    assert!(seen >= 12, "{seen}");
    let sample = horust::config::sample_service();
    accepts(&validator, &sample, "the sample");
    let is_key = |line: &str| line.starts_with('#') && !line.starts_with("# ") && line.len() > 1;
    let all: Vec<_> = sample.lines().map(|line| if is_key(line) { &line[1..] } else { line }).collect();
    accepts(&validator, &all.join("\n"), "the sample with every key");
}

#[test]
fn the_reference_is_the_committed_page() {
    assert_page("docs/reference.md", &horust::config::reference());
}

/// What loads must be accepted, and what is refused for the form of its value must be rejected.
/// (To JSON Schema `1.0` is a whole number; to Horust it is none. No schema can tell them apart.)
#[test]
fn the_schema_and_the_loader_agree_about_values() {
    let validator = validator(FileKind::Service);
    let forms: &[(&str, &[&str])] = &[
        (
            "start-delay",
            &["'10s'", "'1m 30s'", "'1.5h'", "' 1 d 2M '", "'0s'", "'1m30s'", "'3µs'", "'5 yrs'", "'1 0 s'"],
        ),
        (
            "start-delay",
            &["'5'", "''", "'-5s'", "'s'", "'5 parsecs'", "'1.s'", "'1,5s'", "5", "0.5", "true", "['1s']", "'1S'"],
        ),
        (
            "stdout-rotate-size",
            &["'50 KB'", "'10MiB'", "'1g'", "' 7 '", "'3b'", "100", "0", "'kb'", "'1 XB'", "-1", "1.5"],
        ),
        ("user", &["'root'", "'0'", "0", "4294967295", "4294967296", "-1", "''", "1.5", "['a']"]),
        ("stdout", &["'STDOUT'", "'/var/log/x'", "''", "3"]),
        ("command", &["'a'", "['a', '']", "' a'", "''", "'  '", "[]", "[1]", "7"]),
        (
            "signal-rewrite",
            &["'15:3'", "'TERM:QUIT, 5 : 10,'", "''", "'RTMIN+1:0'", "{ TERM = 'QUIT' }", "{ 15 = 3, HUP = 0 }"],
        ),
        (
            "signal-rewrite",
            &["'15'", "'15:'", "'TREM:3'", "'15:99'", "{ TERM = true }", "{ TERM = 65 }", "15", "'15:3 5:10'"],
        ),
        ("start-after", &["'a'", "['a']", "[]", "[1]", "1"]),
        ("start-after", &["{ name = 'a' }", "['a', { name = 'b', required = false, condition = 'ready' }]", "[[]]"]),
        ("start-after", &["{ name = 1 }", "{ nam = 'a' }", "{ name = 'x', condition = 'up' }", "['x', true]"]),
        ("kind", &["'daemon'", "'oneshot'", "'Daemon'", "'x'", "1"]),
        ("autostart", &["true", "'true'", "1"]),
        ("restart.attempts", &["0", "4294967295", "4294967296", "-1", "1.5", "'1'", "0x10"]),
        ("restart.jitter", &["0", "1", "0.5", "1.1", "-0.1", "'0'", "true"]),
        ("restart.readiness", &["'health'", "'/run/x'", "['a']", "''", "1", "true"]),
        ("healthiness.success-threshold", &["1", "0", "'1'"]),
        ("healthiness.file-path", &["'/x'", "''", "1"]),
        ("healthiness.http-endpoint", &["'unix:/x:/'", "'unix:/x:/a b'", "'unix:x:/'", "'unix:/x'", "'unix:/x:y'"]),
        ("healthiness.on-unhealthy", &["'restart'", "'report'", "'kill'", "true"]),
        ("readiness.tcp", &["'localhost:80'", "'[::1]:80'", "'localhost'", "80", "'a:b'"]),
        ("readiness.unix-socket", &["'/x'", "'x'", "''", "1"]),
        ("readiness.notify", &["true", "'true'", "1"]),
        ("readiness.notify-fd", &["3", "255", "2", "256", "'3'", "3.5"]),
        ("readiness.log-line", &["'a+'", "''", "1"]),
        ("readiness.start-timeout", &["'1m'", "1", "''"]),
        ("failure.on", &["'given-up'", "'every-failure'", "'always'", "true"]),
        ("termination.scope", &["'group'", "'main'", "'tree'", "'all'", "1"]),
        ("termination.command", &["'a b'", "['a']", "''", "1"]),
        ("hooks.before-start", &["'a b'", "['a']", "''", "1"]),
        ("hooks.timeout", &["'5s'", "5"]),
        ("watchdog.timeout", &["'30s'", "30", "'x'"]),
        ("healthiness.http-endpoint", &["'http://x/'", "'HTTP://x/'", "'https://x/'", "'x:80/y'", "'ftp://x/'", "3"]),
        ("failure.exit-code", &["3", "[1, 2]", "'1, 2'", "[]", "256", "-1", "'a'", "['1']", "[256]", "'1,,2'", "''"]),
        ("failure.strategy", &["'ignore'", "'kill-all'", "'kill-dependents'", "'kill_all'", "'kill'"]),
        ("environment.load", &["'-/x'", "['/x', '/y']", "1"]),
        (
            "environment.additional",
            &["{ A = 'b' }", "{}", "{ A = 1 }", "{ 'a=b' = 'c' }", "{ 'a.b' = 'c' }", "['A=b']"],
        ),
        ("environment.FOO", &["'x'", "''", "1", "true", "{}"]),
        (
            "termination.signal",
            &["'TERM'", "'sigterm'", "' 15 '", "15", "'RTMAX-1'", "'rtmin'", "'IOT'", "'64'", "'+5'", "64"],
        ),
        ("termination.signal", &["'TREM'", "'0'", "0", "65", "'65'", "''", "'SIG'", "true", "'RTMIN-1'"]),
        ("resource-limit.cpu", &["0.5", "2", "-1", "'1'"]),
    ];
    let mut wrong = String::new();
    for (path, values) in forms {
        let (table, key) = path.split_once('.').unwrap_or(("", path));
        let header = if table.is_empty() { String::new() } else { format!("[{table}]\n") };
        let command = if key == "command" { "" } else { "command = \"/bin/a\"\n" };
        for value in *values {
            let text = format!("{command}{header}{key} = {value}\n");
            let set = Set::new(&[("self.toml", &text), ("x.toml", "command = \"x\"")]);
            let loads = set.shown(&set.load());
            let loads = !loads.contains("error:") || loads.contains("there is no service");
            let errors = errors(&validator, &json(&text).unwrap());
            if loads != errors.is_empty() {
                let _ = writeln!(wrong, "{text}loads: {loads}, schema: {errors:?}");
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn the_schema_takes_variables_and_all_spellings() {
    let validator = validator(FileKind::Service);
    let variables = "command = '$CMD'\nstart-delay = '${D:-1s}'\nkind = '$KIND'\nuser = '$U'\nsignal-rewrite = '${S}:3'\n\
        [healthiness]\nhttp-endpoint = '$URL'\n[failure]\nexit-code = '$C'\n[termination]\nsignal = 'SIG${S}'\n";
    accepts(&validator, variables, "variables");
    for text in [
        "path = 'x'\nworking_directory = '/x'\nstdout_should-append_timestamp_to_filename = true\nrestart-strategy = 'always'",
        "[service]\npath = 'x'\nstart_after = 'y.toml'\nrestart_strategy = 'always'\n[restart]\ntrials = 3\nrediness = 'health'",
        "name = 'x'\n[service]\ncommand = ['x']\n[healthness]\nfile = '/x'\nmax_failed = 1\n[environment]\nkeep_env = true\nclear = false",
        "command = 'x'\n[service]\nrestart = { tentatives = 2, healthy_after = '1s' }\n[resource]\nmemory = '1GiB'\n[environment]\nhttp_proxy = 'x'",
    ] {
        accepts(&validator, text, "a spelling");
    }
    for text in [
        "command = 'x'\nworking directory = '/x'".replace("working directory", "'working directory'").as_str(),
        "[service]\nname = 'x'",
        "service = 'x'\ncommand = 'x'",
        "command = 'x'\n[service.service]\nname = 'y'",
        "command = 'x'\n[environment]\nkeep-environment = true",
    ] {
        assert!(!errors(&validator, &json(text).unwrap()).is_empty(), "{text}");
    }
}

#[test]
fn other_files_have_schemas_of_their_own() {
    let part = validator(FileKind::Part);
    accepts(&part, "[restart]\nstrategy = 'always'", "a drop-in");
    assert!(!errors(&part, &json("[restart]\nstrategy = 'x'").unwrap()).is_empty());
    let settings = validator(FileKind::Settings);
    accepts(&settings, "", "no settings");
    accepts(&settings, "web-server = '127.0.0.1:80'\nunsuccessful_exit_finished_failed = true", "settings");
    for bad in ["web-server = 'x'", "web-sever = true", "timeout-before-sigkill = 5"] {
        assert!(!errors(&settings, &json(bad).unwrap()).is_empty(), "{bad}");
    }
}

/// Service files of real projects. They are not part of this repository.
#[test]
fn the_schema_accepts_what_loads_of_the_corpus() {
    let Some(corpus) = super::support::corpus() else { return };
    let validator = validator(FileKind::Service);
    let mut seen = 0;
    for (path, wanted) in &corpus {
        let text = std::fs::read_to_string(path).unwrap();
        let errors = errors(&validator, &json(&text).unwrap());
        assert_eq!(wanted == "load", errors.is_empty(), "{} {wanted}: {errors:#?}", path.display());
        seen += 1;
    }
    assert_eq!(seen, 88);
}
#[test]
fn defaults_and_drop_ins_have_schemas_too() {
    let part = "restart_strategy = \"always\"\n[service]\nuser = 1\n[environment]\nkeep_env = true\nsecrets = { A = \"/a\" }\n";
    accepts(&validator(FileKind::Part), part, "a drop-in");
    let settings = validator(FileKind::Settings);
    let defaults = "[defaults]\nrestart_strategy = \"always\"\nservice.user = 1\nenvironment = { keep_env = true, secrets.A = \"/a\" }\n";
    accepts(&settings, defaults, "[defaults]");
    for bad in ["[defaults]\nuser = true", "[defaults]\nno-key = 1", "[defaults.environment.secrets]\nA = \"\""] {
        assert!(!errors(&settings, &json(bad).unwrap()).is_empty(), "{bad}");
    }
}
