//! The JSON Schema of each kind of file, for editors and for checks elsewhere; made of the declared keys and their
//! shapes. Draft 7, since that is what TOML language servers understand.

use super::schema::{HorustToml, MOVED, Main};
use super::shape::Shape;
use super::table::{Key, Table, is};
use serde_json::{Map, Value, json};

/// The kinds of file that have a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A service file.
    Service,
    /// A part of one: drop-ins and `_defaults.toml` need no command.
    Part,
    /// `horust.toml`.
    Settings,
}

/// The schema, as JSON text.
pub fn json_schema(kind: FileKind) -> String {
    let mut definitions = Definitions::default();
    let (title, mut root) = match kind {
        FileKind::Service | FileKind::Part => ("A service of Horust", definitions.service(kind, "")),
        FileKind::Settings => ("The settings of Horust", definitions.table(HorustToml::KEYS, "")),
    };
    let head = [("$schema", "http://json-schema.org/draft-07/schema#"), ("title", title)];
    for (name, value) in head {
        root.insert(name.to_owned(), value.into());
    }
    if !definitions.0.is_empty() {
        root.insert("definitions".to_owned(), Value::Object(definitions.0));
    }
    let mut text = serde_json::to_string_pretty(&Value::Object(root)).unwrap_or_default();
    text.push('\n');
    text
}

/// The schema of each key that stands for itself, by its path: several spellings refer to it.
#[derive(Default)]
struct Definitions(Map<String, Value>);

impl Definitions {
    /// A service file: main keys, or `[service]` with main keys, or both.
    fn service(&mut self, kind: FileKind, path: &str) -> Map<String, Value> {
        let mut inner = self.table(Main::KEYS, path);
        let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        let mut moved = Map::new();
        for (old, table, key) in MOVED {
            moved.insert(format!("^{}$", any_case(old)), reference(&below(&format!("{table}.{key}"))));
        }
        if let Some(Value::Object(patterns)) = inner.get_mut("patternProperties") {
            patterns.extend(moved);
        }
        let mut root = inner.clone();
        let about = "The main keys may stand in this table as well.";
        inner.insert("description".to_owned(), about.into());
        self.0.insert(below("service"), Value::Object(inner));
        if let Some(Value::Object(properties)) = root.get_mut("properties") {
            properties.insert("service".to_owned(), reference(&below("service")));
        }
        if kind == FileKind::Service {
            let one_of = |names: &[&str]| names.iter().map(|name| json!({ "required": [name] })).collect::<Vec<_>>();
            let command: Vec<&str> =
                Main::KEYS.iter().find(|key| key.name == "command").into_iter().flat_map(Key::spellings).collect();
            let mut forms = one_of(&command);
            forms.push(json!({ "required": ["service"], "properties": { "service": { "anyOf": one_of(&command) } } }));
            root.insert("anyOf".to_owned(), forms.into());
        }
        root
    }

    /// A table of these keys; each is defined below its path.
    fn table(&mut self, keys: &[Key], path: &str) -> Map<String, Value> {
        let mut properties = Map::new();
        let mut patterns = Map::new();
        for key in keys {
            let path = if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
            let definition = self.key(key, &path);
            self.0.insert(path.clone(), definition);
            properties.insert(key.name.to_owned(), reference(&path));
            // The canonical spelling alone is a property: editors propose those.
            let others = key.spellings().skip(1).map(any_case).chain(with_underscore(key.name));
            let others = others.collect::<Vec<_>>().join("|");
            if !others.is_empty() {
                patterns.insert(format!("^({others})$"), reference(&path));
            }
        }
        let mut table = Map::new();
        table.insert("type".to_owned(), "object".into());
        table.insert("properties".to_owned(), properties.into());
        table.insert("patternProperties".to_owned(), patterns.into());
        table.insert("additionalProperties".to_owned(), false.into());
        table
    }

    fn key(&mut self, key: &Key, path: &str) -> Value {
        let mut value = self.shape(&key.shape, path);
        let mut description: String = key.doc.lines().map(|line| format!("{}\n", line.trim())).collect();
        if !key.default.is_empty() {
            description.push_str(&format!("\nDefault: {}.", key.default));
        }
        if let Some(value) = value.as_object_mut() {
            value.insert("description".to_owned(), description.trim().into());
        }
        value
    }

    fn shape(&mut self, shape: &Shape, path: &str) -> Value {
        match shape {
            Shape::Bool => json!({ "type": "boolean" }),
            Shape::Integer(from, to) => json!({ "type": "integer", "minimum": from, "maximum": to }),
            Shape::Number(from, to) if to.is_finite() => json!({ "type": "number", "minimum": from, "maximum": to }),
            Shape::Number(from, _) => json!({ "type": "number", "minimum": from }),
            Shape::Text => json!({ "type": "string" }),
            Shape::Pattern(pattern) => text(pattern),
            Shape::Computed(pattern) => text(&pattern()),
            Shape::Words(words) => json!({ "anyOf": [{ "type": "string", "pattern": "\\$" }, { "enum": words }] }),
            Shape::List(least, of) => {
                json!({ "type": "array", "items": self.shape(of, path), "minItems": least })
            }
            Shape::Any(shapes) => {
                let shapes: Vec<Value> = shapes.iter().map(|shape| self.shape(shape, path)).collect();
                json!({ "anyOf": shapes })
            }
            Shape::Table(keys) if is(keys, Main::KEYS) => Value::Object(self.service(FileKind::Part, path)),
            Shape::Table(keys) => Value::Object(self.table(keys, path)),
            Shape::Open(keys, names, values) => {
                let mut table = self.table(keys, path);
                let known: String = keys.iter().flat_map(Key::spellings).map(|name| any_case(name) + "|").collect();
                table.insert("propertyNames".to_owned(), json!({ "pattern": format!("^({known}{names})$") }));
                table.insert("additionalProperties".to_owned(), self.shape(values, path));
                Value::Object(table)
            }
        }
    }
}

fn reference(path: &str) -> Value {
    json!({ "$ref": format!("#/definitions/{path}") })
}

/// A string that matches, or that holds a variable.
fn text(pattern: &str) -> Value {
    json!({ "type": "string", "pattern": format!("^({pattern})$|\\$") })
}

/// An expression for a name with any of its hyphens written as underscores.
fn any_case(name: &str) -> String {
    name.replace('-', "[-_]")
}

/// Expressions for a name with at least one of its hyphens written as an underscore.
fn with_underscore(name: &str) -> impl Iterator<Item = String> {
    name.match_indices('-').map(|(at, hyphen)| {
        let (before, after) = name.split_at(at);
        format!("{before}_{}", any_case(after.trim_start_matches(hyphen)))
    })
}
