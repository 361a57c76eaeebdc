//! The JSON Schemas, held against what loads and what does not by a validator of somebody else.

use super::broken::cases;

use super::support::{assert_page, root};
use horust::config::{FileKind, json_schema};
use jsonschema::Validator;
use serde_json::Value;
use std::fmt::Write as _;

fn validator(kind: FileKind) -> Validator {
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

#[test]
fn the_schema_tells_good_shapes_from_bad_ones() {
    let validator = validator(FileKind::Service);
    let (mut bad, mut wrong) = (0, String::new());
    for case in cases() {
        for (name, text, bad_shape) in &case.files {
            let Some(value) = json(text).filter(|_| name != "_defaults.toml") else { continue };
            let errors = errors(&validator, &value);
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
    let validator = validator(FileKind::Service);
    let mut seen = 0;
    for entry in root().join("example_services/quickstart").read_dir().unwrap() {
        let path = entry.unwrap().path();
        accepts(&validator, &std::fs::read_to_string(&path).unwrap(), &path.display().to_string());
        seen += 1;
    }
    assert!(seen >= 4, "{seen}");
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
