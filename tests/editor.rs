//! What an editor shows of a service file: a real TOML language server (taplo) with the schema that `horust schema` prints.
//! `cargo xtask test editor` installs the server, names it in `HORUST_TAPLO` and runs these tests; `cargo test` alone does not.

#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "these tests are the parent of Horust, not Horust"
)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests fail so")]

use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

/// A language server, and the directory in which its files lie, the schema among them.
struct Server {
    child: Child,
    out: BufReader<ChildStdout>,
    dir: tempfile::TempDir,
    asked: u64,
}

impl Server {
    fn new() -> Self {
        let taplo = std::env::var_os("HORUST_TAPLO");
        let taplo = taplo.expect("`cargo xtask test editor` runs these tests");
        let dir = tempfile::tempdir().unwrap();
        let schema = Command::new(env!("CARGO_BIN_EXE_horust")).arg("schema").output().unwrap();
        fs::write(dir.path().join("service.schema.json"), schema.stdout).unwrap();
        let mut command = Command::new(taplo);
        command.args(["lsp", "stdio"]).current_dir(dir.path());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let mut server = Self { child, out, dir, asked: 0 };
        let root = server.uri(Path::new("."));
        let capabilities = json!({ "textDocument": { "publishDiagnostics": {}, "hover": {}, "completion": {} } });
        server.ask("initialize", &json!({ "processId": null, "rootUri": root, "capabilities": capabilities }));
        server.tell("initialized", &json!({}));
        server
    }

    fn uri(&self, file: &Path) -> String {
        format!("file://{}", self.dir.path().join(file).display())
    }

    fn send(&mut self, mut message: Value) {
        message["jsonrpc"] = "2.0".into();
        let text = message.to_string();
        let stdin = self.child.stdin.as_mut().unwrap();
        write!(stdin, "Content-Length: {}\r\n\r\n{text}", text.len()).unwrap();
        stdin.flush().unwrap();
    }

    fn tell(&mut self, method: &str, params: &Value) {
        self.send(json!({ "method": method, "params": params }));
    }

    /// The answer to a request.
    fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.asked += 1;
        let id = self.asked;
        self.send(json!({ "id": id, "method": method, "params": params }));
        self.receive(|message| message["id"] == id && message.get("method").is_none())["result"].take()
    }

    /// The next message of this kind. What the server asks for meanwhile, its settings, is answered with nothing.
    fn receive(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let mut length = 0;
            loop {
                let mut line = String::new();
                assert!(self.out.read_line(&mut line).unwrap() > 0, "the server has ended");
                match line.trim().split_once(": ") {
                    Some(("Content-Length", value)) => length = value.parse().unwrap(),
                    Some(_) => {}
                    None => break,
                }
            }
            let mut body = vec![0; length];
            self.out.read_exact(&mut body).unwrap();
            let message: Value = serde_json::from_slice(&body).unwrap();
            if wanted(&message) {
                return message;
            }
            if let (Some(id), Some(_)) = (message.get("id"), message.get("method")) {
                self.send(json!({ "id": id, "result": [null] }));
            }
        }
    }

    /// Opens a file with this text below a line that names the schema, and gives its address and what is wrong with it.
    fn open(&mut self, name: &str, text: &str) -> (String, Vec<Value>) {
        let (uri, text) = (self.uri(Path::new(name)), format!("#:schema ./service.schema.json\n{text}"));
        fs::write(self.dir.path().join(name), &text).unwrap();
        let document = json!({ "uri": uri, "languageId": "toml", "version": 1, "text": text });
        self.tell("textDocument/didOpen", &json!({ "textDocument": document }));
        let about = |message: &Value| {
            message["method"] == "textDocument/publishDiagnostics" && message["params"]["uri"] == uri.as_str()
        };
        let found = self.receive(about)["params"]["diagnostics"].as_array().unwrap().clone();
        (uri, found)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A place in the text below the schema's line.
fn place(uri: &str, line: u32, character: u32) -> Value {
    json!({ "textDocument": { "uri": uri }, "position": { "line": line + 1, "character": character } })
}

fn examples(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(examples(&path)),
            false if path.extension().is_some_and(|e| e == "toml") => found.push(path),
            false => {}
        }
    }
    found
}

#[test]
fn an_editor_has_nothing_against_the_examples() {
    let mut server = Server::new();
    let all = examples(&Path::new(env!("CARGO_MANIFEST_DIR")).join("example_services"));
    assert!(all.len() > 5, "{all:?}");
    for (number, path) in all.iter().enumerate() {
        // Defaults need no command; they have a schema of their own.
        if path.file_name().is_some_and(|name| name == "_defaults.toml") {
            continue;
        }
        let (_, found) = server.open(&format!("{number}.toml"), &fs::read_to_string(path).unwrap());
        assert!(found.is_empty(), "{}: {found:?}", path.display());
    }
}

#[test]
fn an_editor_marks_what_is_wrong_where_it_is() {
    let mut server = Server::new();
    for (number, (text, line, says)) in [
        ("command = \"true\"\nstart-dely = \"1s\"\n", 1, "start-dely"),
        ("command = \"true\"\n[restart]\nattempts = \"many\"\n", 2, "many"),
        ("command = \"true\"\n[restart]\nstrategy = \"sometimes\"\n", 2, "sometimes"),
        ("command = true\n", 0, "true"),
    ]
    .into_iter()
    .enumerate()
    {
        let (_, found) = server.open(&format!("{number}.toml"), text);
        let marked = |d: &Value| {
            d["range"]["start"]["line"] == line + 1 && d["message"].as_str().is_some_and(|m| m.contains(says))
        };
        assert!(found.iter().any(marked), "{text}: {found:?}");
    }
}

#[test]
fn an_editor_proposes_keys_and_values_and_tells_their_meaning() {
    let mut server = Server::new();
    let (uri, found) = server.open("a.toml", "command = \"true\"\n[restart]\nstrategy = \"always\"\n\n");
    assert!(found.is_empty(), "{found:?}");
    let proposed = server.ask("textDocument/completion", &place(&uri, 3, 0)).to_string();
    for key in ["backoff", "attempts"] {
        assert!(proposed.contains(key), "{key} is not among {proposed}");
    }
    let meaning = server.ask("textDocument/hover", &place(&uri, 2, 3))["contents"].to_string();
    assert!(meaning.contains("restart"), "{meaning}");
}
