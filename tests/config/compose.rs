//! Services made of several files: defaults, drop-ins, who overrides whom, and where errors point.

use super::support::Set;
use horust::config::{Loaded, sample_service};
use horust::model::{ExitCodes, RestartStrategy, ServiceSpec, Signal};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

/// The files of one service `web`, the weakest first, and a `horust.toml` of that name without an ending.
const LAYERS: [&str; 5] = ["settings", "_defaults.toml", "web.toml", "web.toml.d/10-a.toml", "web.toml.d/20-b.toml"];

/// The service `web` of files that must load without a word.
#[track_caller]
fn web(files: &[(&str, &str)]) -> ServiceSpec {
    let mut files = files.to_vec();
    if !files.iter().any(|(name, _)| *name == "settings") {
        files.push(("settings", ""));
    }
    let set = Set::new(&files);
    let loaded = set.load_by("settings");
    assert_eq!(set.shown(&loaded), "", "{files:?}");
    find(&loaded, "web")
}

#[track_caller]
fn find(loaded: &Loaded, name: &str) -> ServiceSpec {
    let found = loaded.plan.services.iter().find(|service| service.name == name);
    (**found.unwrap_or_else(|| panic!("there is no {name}"))).clone()
}

fn variables(spec: &ServiceSpec) -> BTreeMap<&str, &str> {
    spec.environment.additional.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

#[test]
fn each_layer_overrides_the_weaker_ones() {
    for strongest in 2..LAYERS.len() {
        for weakest in 0..=strongest {
            let texts: Vec<String> = (0..LAYERS.len())
                .map(|layer| {
                    let on = (weakest..=strongest).contains(&layer);
                    let text = format!(
                        "start-delay = \"{layer}s\"\nstart-after = [\"s{layer}\"]\nrestart.backoff = \"{layer}s\"\n\
                         environment.L{layer} = \"x\"\nenvironment.additional.ALL = \"{layer}\"\n"
                    );
                    let text = if on { text } else { String::new() };
                    match layer {
                        0 => text.lines().map(|line| format!("defaults.{line}\n")).collect(),
                        2 => format!("command = \"x\"\n{text}"),
                        _ => text,
                    }
                })
                .collect();
            let mut files: Vec<(&str, &str)> = LAYERS.into_iter().zip(texts.iter().map(String::as_str)).collect();
            let others: Vec<String> = (0..LAYERS.len()).map(|layer| format!("others/s{layer}.toml")).collect();
            files.extend(others.iter().map(|name| (name.as_str(), "command = \"x\"")));
            let set = Set::new(&files);
            let paths = [set.dir.path().to_owned(), set.path("others")];
            let loaded = set.load_with(&paths, Some(&set.path("settings")), false);
            // `others` has no defaults of its own, but those of horust.toml, and one of them is named there.
            assert_eq!(set.shown(&loaded), "", "{weakest}..={strongest}");
            let web = find(&loaded, "web");
            let seconds = Duration::from_secs(strongest as u64);
            assert_eq!((web.start_delay, web.restart.backoff), (seconds, seconds), "{weakest}..={strongest}");
            let after: Vec<_> =
                web.start_after.iter().map(|id| loaded.plan.services[id.service.index()].name.clone()).collect();
            assert_eq!(after, [format!("s{strongest}")]);
            let mut wanted: BTreeSet<String> = (weakest..=strongest).map(|layer| format!("L{layer}=x")).collect();
            wanted.insert(format!("ALL={strongest}"));
            let seen: BTreeSet<String> = variables(&web).iter().map(|(k, v)| format!("{k}={v}")).collect();
            assert_eq!(seen, wanted);
        }
    }
}

/// Every key there is may stand in any of the files: the service is the same as that of one file that holds them all.
#[test]
fn keys_spread_over_all_files_mean_what_they_mean_in_one() {
    let page = sample_service();
    let is_key = |line: &str| line.starts_with('#') && !line.starts_with("# ") && line.len() > 1;
    let mut keys: Vec<String> = Vec::new();
    let mut table = String::new();
    let doubled = |line: &str| line.starts_with("#exit-code") || line.starts_with("#readiness =");
    for line in page.lines().filter(|line| !doubled(line)) {
        if let Some(name) = line.strip_prefix('[') {
            table = name.trim_end_matches(']').to_owned() + ".";
        } else if is_key(line) || line.starts_with("command") {
            keys.push(table.clone() + line.trim_start_matches('#'));
        }
    }
    assert!(keys.len() > 40);
    let others = [("database.toml", "command = \"x\""), ("web2.toml", "command = \"x\"\nname = \"web\"")];
    let load = |texts: &[String; 5]| {
        let mut files = others.to_vec();
        let layers = LAYERS.map(|layer| layer.replace("web.", "sample."));
        files.extend(layers.iter().map(String::as_str).zip(texts.iter().map(String::as_str)));
        let set = Set::new(&files);
        // The others are in the way of what a `[defaults]` may say: they get none.
        let paths = [set.path("sample.toml"), set.path("database.toml"), set.path("web2.toml")];
        let loaded = set.load_with(&paths, Some(&set.path("settings")), false);
        (find_or_show(&set, &loaded), texts.clone())
    };
    fn find_or_show(set: &Set, loaded: &Loaded) -> ServiceSpec {
        assert!(!loaded.refused, "{}", set.shown(loaded));
        ServiceSpec { origin: Default::default(), ..find(loaded, "sample") }
    }
    let empty = || [const { String::new() }; 5];
    let mut whole = empty();
    whole[2] = keys.join("\n");
    let (wanted, _) = load(&whole);
    let mut state = 7u64;
    for _ in 0..50 {
        let mut texts = empty();
        for key in &keys {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let layer = usize::try_from(state >> 33).unwrap() % LAYERS.len();
            // What is refused as a default, and what would hold for the others too.
            let own = ["command", "name", "start-after", "shutdown-after", "autostart", "termination.die-if-failed"];
            let is_own = own.iter().any(|name| key.starts_with(&format!("{name} ")));
            let layer = if is_own { layer.max(2) } else { layer };
            let prefix = if layer == 0 { "defaults." } else { "" };
            texts[layer].push_str(&format!("{prefix}{key}\n"));
        }
        let (seen, texts) = load(&texts);
        assert_eq!(seen, wanted, "{texts:#?}");
    }
}

#[test]
fn another_spelling_in_a_stronger_file_overrides() {
    type Seen = fn(&ServiceSpec) -> String;
    let cases: &[(&str, &str, Seen)] = &[
        ("command = \"1\"", "path = \"2\"", |s| s.command.0.join("")),
        ("command = \"1\"", "service.command = \"2\"", |s| s.command.0.join("")),
        ("working-directory = \"1\"", "working_directory = \"2\"", |s| {
            format!("{}", s.working_directory.as_deref().unwrap().display())
        }),
        ("restart.attempts = 1", "restart.trials = 2", |s| s.restart.attempts.to_string()),
        ("restart.tentatives = 1", "restart.trials = 2", |s| s.restart.attempts.to_string()),
        ("restart.reset-after = \"1s\"", "restart.healthy_after = \"2s\"", |s| {
            s.restart.reset_after.as_secs().to_string()
        }),
        ("healthiness = { file-path = \"1\" }", "healthness = { file = \"2\" }", |s| {
            format!("{:?}", s.health.as_ref().unwrap().rounds.probes)
        }),
        ("healthiness.failure-threshold = 1", "healthiness.max-failed = 2", |s| {
            s.health.as_ref().unwrap().max_failed.to_string()
        }),
        ("[service]\nstart-delay = \"1s\"", "start-delay = \"2s\"", |s| s.start_delay.as_secs().to_string()),
        ("environment.load = \"1\"", "environment.env-file = [\"2\"]", |s| format!("{:?}", s.environment.load)),
        ("environment.A = \"1\"", "environment.additional.A = \"2\"", |s| variables(s)["A"].to_owned()),
        ("[environment.additional]\nA = \"1\"", "environment.A = \"2\"", |s| variables(s)["A"].to_owned()),
    ];
    for (one, other, seen) in cases {
        for (weaker, stronger) in [(one, other), (other, one)] {
            // With warnings, since some spellings are old.
            let load = |files: &[(&str, &str)]| {
                let base = ("web.toml", "command = \"x\"\nhealthiness.command = \"x\"\n");
                let set = Set::new(&[&[base], files].concat());
                let loaded = set.load();
                assert!(!loaded.refused, "{files:?}\n{}", set.shown(&loaded));
                seen(&find(&loaded, "web"))
            };
            let strong = ("web.toml.d/2.toml", *stronger);
            let alone = load(&[strong]);
            assert_ne!(load(&[("web.toml.d/1.toml", *weaker)]), alone, "{weaker} and {stronger} can be told apart");
            assert_eq!(load(&[("web.toml.d/1.toml", *weaker), strong]), alone, "{weaker} below {stronger}");
            if !one.starts_with("command") {
                assert_eq!(load(&[("_defaults.toml", *weaker), strong]), alone, "{weaker} inherited below {stronger}");
            }
        }
    }
    // The flat spelling of the first README is a key of [restart].
    for (weaker, stronger) in [
        ("restart-strategy = \"always\"", "[restart]\nstrategy = \"on-failure\""),
        ("[restart]\nstrategy = \"always\"", "restart_strategy = \"on-failure\""),
    ] {
        let set = Set::new(&[("web.toml", &format!("command = \"x\"\n{weaker}")), ("web.toml.d/a.toml", stronger)]);
        let loaded = set.load();
        assert_eq!(find(&loaded, "web").restart.strategy, RestartStrategy::OnFailure);
    }
}

#[test]
fn a_variable_overrides_the_one_of_its_name_however_it_is_written() {
    let weaker = "command = \"x\"\n[environment]\nA = \"weak\"\nB = \"weak\"\nKEPT = \"kept\"\nadditional = { C = \"weak\", D = \"weak\" }\nsecrets = { E = \"/weak\", F = \"/weak\", G = \"/kept\" }";
    let stronger = "[environment]\nC = \"strong\"\nadditional = { A = \"strong\", E = \"strong\" }\nsecrets = { B = \"/strong\", D = \"/strong\", F = \"/strong\" }";
    let spec = web(&[("web.toml", weaker), ("web.toml.d/x.toml", stronger)]);
    let plain = [("A", "strong"), ("C", "strong"), ("E", "strong"), ("KEPT", "kept")];
    assert_eq!(variables(&spec), BTreeMap::from(plain));
    assert_eq!(spec.environment.additional.len(), plain.len());
    let secrets: BTreeMap<_, _> = spec.environment.secrets.iter().map(|(k, v)| (k.as_str(), v.as_path())).collect();
    let path = Path::new;
    let wanted = [("B", path("/strong")), ("D", path("/strong")), ("F", path("/strong")), ("G", path("/kept"))];
    assert_eq!(secrets, BTreeMap::from(wanted));
}

#[test]
fn tables_merge_and_all_else_is_replaced() {
    let spec = web(&[
        ("settings", "[defaults]\nstart-after = [\"a\"]\nsignal-rewrite = { TERM = \"QUIT\", HUP = 0 }\n"),
        (
            "web.toml",
            "command = [\"x\", \"y\", \"z\"]\nstart-after = []\nsignal-rewrite = { TERM = \"INT\" }\n[environment]\nre-export = [\"A\", \"B\"]\n",
        ),
        ("web.toml.d/x.toml", "command = [\"v\"]\n[environment]\nre-export = [\"C\"]\n"),
        ("a.toml", "command = \"x\"\nsignal-rewrite = \"15:3\""),
    ]);
    assert_eq!((spec.command.0.as_slice(), spec.start_after.as_slice()), (&["v".to_owned()][..], &[][..]));
    assert_eq!(spec.environment.re_export, ["C"]);
    assert_eq!(spec.signal_rewrite, [(Signal::TERM, Some(Signal::INT)), (Signal::HUP, None)]);
    // As a string it is a value like any other.
    let spec = web(&[
        ("web.toml", "command = \"x\"\nsignal-rewrite = \"15:3\""),
        ("_defaults.toml", "signal-rewrite = \"HUP:0\""),
    ]);
    assert_eq!(spec.signal_rewrite, [(Signal::TERM, Some(Signal::QUIT))]);
}

#[test]
fn of_keys_that_exclude_each_other_the_stronger_files_counts() {
    let spec = web(&[
        ("_defaults.toml", "environment.keep-env = true"),
        ("web.toml", "command = \"x\"\nenvironment.clear = true"),
    ]);
    assert!(!spec.environment.keep);
    let spec = web(&[
        ("web.toml", "command = \"x\"\nenvironment.clear = true"),
        ("web.toml.d/a.toml", "environment.keep_env = true"),
    ]);
    assert!(spec.environment.keep);
    let spec = web(&[
        ("settings", "defaults.failure.successful-exit-code = 3"),
        ("web.toml", "command = \"x\"\nfailure.exit-code = 4"),
    ]);
    assert_eq!(spec.failure.codes, ExitCodes::Failing(vec![4]));
    let spec = web(&[
        ("web.toml", "command = \"x\"\nfailure.exit-code = 4"),
        ("web.toml.d/a.toml", "failure.successful-exit-code = 3"),
        ("web.toml.d/b.toml", "failure.strategy = \"shutdown\""),
    ]);
    assert_eq!(spec.failure.codes, ExitCodes::Successful(vec![3, 0]));
}

#[test]
fn drop_ins_are_sorted_visible_toml_files() {
    let spec = web(&[
        ("web.toml", "command = \"x\"\nname = \"other\""),
        ("web.toml.d/9.toml", "start-delay = \"9s\"\nname = \"web\"\n"),
        ("web.toml.d/10.toml", "start-delay = \"10s\"\nrequired = true\n"),
        ("web.toml.d/.hidden.toml", "nonsense"),
        ("web.toml.d/README", "nonsense"),
        ("web.toml.d/empty.toml", "\n"),
        ("_defaults.toml", "# nothing yet\n"),
    ]);
    assert_eq!((spec.start_delay, spec.required), (Duration::from_secs(9), true));
    // The command may stand in a drop-in; that is where the service is said to be defined.
    let spec = web(&[("web.toml", ""), ("web.toml.d/a.toml", "\n\ncommand = \"x\"")]);
    assert!(spec.origin.file.ends_with("web.toml.d/a.toml") && spec.origin.line == 3, "{:?}", spec.origin);
}

#[test]
fn a_file_that_is_named_itself_has_its_defaults_and_drop_ins_too() {
    let set = Set::new(&[
        ("web.toml", "command = \"x\""),
        ("web.toml.d/a.toml", "required = true"),
        ("_defaults.toml", "start-delay = \"1s\""),
        ("plain", "command = \"x\""),
        ("plain.d/a.toml", "required = true"),
        ("elsewhere/far.toml", "command = \"x\""),
        ("broken.toml", "nonsense"),
    ]);
    let loaded = set.load_with(&[set.path("web.toml"), set.path("plain"), set.path("elsewhere")], None, false);
    assert_eq!(set.shown(&loaded), "");
    let seen = |name| (find(&loaded, name).start_delay.as_secs(), find(&loaded, name).required);
    assert_eq!((seen("web"), seen("plain"), seen("far")), ((1, true), (1, true), (0, false)));
}

#[test]
fn a_default_that_names_a_service_is_not_meant_for_that_one() {
    let set = Set::new(&[
        ("_defaults.toml", "start-after = [\"database\"]\ntermination.die-if-failed = \"database\""),
        ("database.toml", "command = \"x\""),
        ("web.toml", "command = \"x\""),
    ]);
    let loaded = set.load();
    assert_eq!(set.shown(&loaded), "");
    assert_eq!((find(&loaded, "web").start_after.len(), find(&loaded, "database").start_after.len()), (1, 0));
}

#[test]
fn defaults_that_only_say_how_often_to_check_are_no_mistake() {
    let spec = web(&[
        ("_defaults.toml", "restart.readiness = \"health\"\nhealthiness.interval = \"5s\""),
        ("web.toml", "command = \"x\""),
    ]);
    assert!(spec.health.is_none());
    let spec = web(&[
        ("_defaults.toml", "healthiness = { interval = \"5s\", timeout = \"2s\" }"),
        ("web.toml", "command = \"x\"\nhealthiness = { file-path = \"/up\", timeout = \"3s\" }"),
    ]);
    let health = spec.health.unwrap();
    assert_eq!(
        (health.rounds.interval.as_secs(), health.rounds.timeout.as_secs(), health.rounds.probes.len()),
        (5, 3, 1)
    );
}

#[test]
fn skip_invalid_leaves_out_who_inherits_errors() {
    let set = Set::new(&[
        ("sick/_defaults.toml", "start-dealy = \"1s\""),
        ("sick/a.toml", "command = \"x\""),
        ("pale/_defaults.toml", "healthiness.timeout = \"0s\""),
        ("pale/d.toml", "command = \"x\""),
        ("well/b.toml", "command = \"x\""),
        ("well/c.toml", "command = \"x\""),
        ("well/c.toml.d/a.toml", "nonsense"),
    ]);
    let loaded = set.load_with(&[set.path("sick"), set.path("pale"), set.path("well")], None, true);
    assert!(!loaded.refused);
    let names: Vec<_> = loaded.plan.services.iter().map(|service| service.name.as_str()).collect();
    assert_eq!(names, ["b"]);
    let said = set.shown(&loaded);
    assert!(said.contains("`a` is left out: `sick/_defaults.toml`, from which it inherits, has errors"), "{said}");
    assert!(said.contains("`d` is left out: `pale/_defaults.toml`, from which it inherits, has errors"), "{said}");
    assert!(said.contains("`c` is left out: its file has errors"), "{said}");
}

#[test]
fn variables_expand_in_every_file_and_change_no_structure() {
    let spec = web(&[
        ("settings", "[defaults]\nuser = \"$EVIL\"\nrestart.attempts = ${N}\n"),
        ("_defaults.toml", "working-directory = \"${HOME}/${NONE:-none}\"\nenvironment.A = \"$TWO_LINES\"\n"),
        ("web.toml", "command = \"x\"\n"),
        ("web.toml.d/a.toml", "start-delay = \"${N}s\"\n[restart]\nbackoff-max = \"${N}m\"\njitter = $N.0e-1\n"),
    ]);
    assert_eq!(spec.user(), Some(&horust::model::IdOrName::Name("x\"\nuser = \"root".into())));
    assert_eq!((spec.restart.attempts, spec.start_delay.as_secs()), (3, 3));
    assert_eq!(spec.restart.backoff_max.as_secs(), 180);
    assert_eq!(spec.working_directory.as_deref(), Some(Path::new("/root/none")));
    assert_eq!((variables(&spec)["A"], spec.required), ("1\nrequired = true", false));
}

/// Values of the environment that try to leave their string, in each kind of file and of quotes.
#[test]
fn no_value_of_the_environment_adds_a_key() {
    let quotes = ["\"$X\"", "'$X'", "\"\"\"$X\"\"\"", "'''\n$X'''", "\"${X:-}\"", "\"${NONE:-$X}\"", "\"${X:?}\""];
    let values = [
        "\"\nrequired = true\n#",
        "'\nrequired = true\n",
        "\"\"\"\nrequired = true\n",
        "'''\nrequired = true",
        "\\",
        "\\\"",
        "$X",
        "${X}",
        "]\n[failure]\n",
        "\u{0}",
        "\u{202e}",
        "{}",
        "#",
    ];
    for value in values {
        let env = |name: &str| (name == "X").then(|| std::ffi::OsString::from(value));
        for quoted in quotes {
            for layer in LAYERS {
                let line = format!("environment.A = {quoted}");
                let line = if layer == "settings" { format!("defaults.{line}") } else { line };
                let mut files: Vec<(&str, String)> =
                    vec![("settings", String::new()), ("web.toml", "command = \"x\"\n".to_owned())];
                match files.iter_mut().find(|(name, _)| *name == layer) {
                    Some((_, text)) => text.push_str(&line),
                    None => files.push((layer, line)),
                }
                let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
                let set = Set::new(&files);
                let config = set.path("settings");
                let services = [set.dir.path().to_owned()];
                let loaded = horust::config::load(&horust::config::Options {
                    services: &services,
                    config: Some(&config),
                    skip_invalid: false,
                    env: &env,
                });
                if value == "\u{0}" {
                    assert!(set.shown(&loaded).contains("a string holds a NUL"), "{}", set.shown(&loaded));
                    continue;
                }
                assert_eq!(set.shown(&loaded), "", "{value:?} in {quoted}");
                let spec = find(&loaded, "web");
                assert_eq!((variables(&spec)["A"], variables(&spec).len(), spec.required), (value, 1, false));
            }
        }
        // Outside a string it must be a single value.
        for layer in ["web.toml", "web.toml.d/a.toml", "_defaults.toml"] {
            let mut files = vec![("web.toml", "command = \"x\"\n[restart]\nattempts = $X")];
            if layer != "web.toml" {
                files = vec![("web.toml", "command = \"x\""), (layer, "restart.attempts = $X")];
            }
            let set = Set::new(&files);
            let services = [set.dir.path().to_owned()];
            let loaded = horust::config::load(&horust::config::Options {
                services: &services,
                config: None,
                skip_invalid: false,
                env: &env,
            });
            assert!(loaded.refused, "{value:?} in {layer}");
        }
    }
}
