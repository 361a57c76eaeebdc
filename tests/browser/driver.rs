//! A browser, steered by the WebDriver protocol through chromedriver.

use crate::support::{LONG, skip, wait_until};
use reqwest::Method;
use reqwest::blocking::Client;
use serde_json::{Value, json};
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// A name that leads to this machine in the browser, and is nobody's.
pub const EVIL: &str = "evil.example";

/// The key of the tabulator, in the protocol.
pub const TAB: &str = "\u{e004}";
/// The return key.
pub const ENTER: &str = "\u{e007}";

pub struct Browser {
    driver: Child,
    session: String,
    client: Client,
    _dir: TempDir,
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends the browser with its session.
        let _ = self.client.delete(&self.session).send();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

impl Browser {
    /// Starts one. None, and the test is skipped, where there is none.
    pub fn start() -> Option<Browser> {
        let dir = tempfile::Builder::new().prefix("horust-browser-").tempdir().unwrap();
        let log = dir.path().join("driver");
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").stdout(File::create(&log).unwrap()).stderr(Stdio::null());
        let Ok(driver) = command.spawn() else {
            skip("needs chromium-driver");
            return None;
        };
        let mut at = String::new();
        wait_until("the driver listens", || {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            let port = said.split_once("successfully on port ").and_then(|(_, rest)| rest.split('.').next());
            at = port.map(|port| format!("http://127.0.0.1:{port}/session")).unwrap_or_default();
            !at.is_empty()
        });
        let client = Client::builder().timeout(LONG).no_proxy().build().unwrap();
        let profile = format!("--user-data-dir={}", dir.path().join("profile").display());
        let names = format!("--host-resolver-rules=MAP {EVIL} 127.0.0.1");
        let args = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"];
        let args: Vec<&str> = args.into_iter().chain([profile.as_str(), &names, "--window-size=1280,900"]).collect();
        let options = json!({"capabilities": {"alwaysMatch": {"goog:chromeOptions": {"args": args}}}});
        let mut browser = Browser { driver, session: at.clone(), client, _dir: dir };
        let session = browser.ask(Method::POST, "", &options);
        browser.session = format!("{at}/{}", session["sessionId"].as_str().unwrap());
        Some(browser)
    }

    #[track_caller]
    fn ask(&self, method: Method, path: &str, body: &Value) -> Value {
        self.try_to(method, path, body).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn try_to(&self, method: Method, path: &str, body: &Value) -> Result<Value, String> {
        let request = self.client.request(method, format!("{}{path}", self.session)).body(body.to_string());
        let answer = request.header("content-type", "application/json").send().unwrap();
        let (status, text) = (answer.status(), answer.text().unwrap());
        if !status.is_success() {
            return Err(text);
        }
        Ok(serde_json::from_str::<Value>(&text).unwrap()["value"].take())
    }

    pub fn open(&self, url: &str) {
        self.ask(Method::POST, "/url", &json!({ "url": url }));
    }

    /// The value of a JavaScript function's body.
    #[track_caller]
    pub fn run(&self, script: &str) -> Value {
        self.ask(Method::POST, "/execute/sync", &json!({"script": script, "args": []}))
    }

    /// The same, of one that returns a promise.
    #[track_caller]
    pub fn await_run(&self, script: &str) -> Value {
        self.run(&format!("return (async () => {{ {script} }})()"))
    }

    /// Waits until this expression is true.
    #[track_caller]
    pub fn wait(&self, what: &str) {
        let check = format!("return Boolean({what})");
        let begun = std::time::Instant::now();
        while self.run(&check) != true {
            let text = || self.run("return document.body.innerText").to_string();
            assert!(begun.elapsed() < LONG, "not true: {what}\n{}", text());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until the text that fits this selector contains that.
    #[track_caller]
    pub fn wait_for(&self, selector: &str, text: &str) {
        self.wait(&format!("document.querySelector({selector:?})?.innerText.includes({text:?})"));
    }

    /// Clicks, as a mouse does it, on what fits once it can be seen.
    #[track_caller]
    pub fn click(&self, selector: &str) {
        let begun = std::time::Instant::now();
        loop {
            self.wait(&format!("document.querySelector({selector:?})?.checkVisibility()"));
            let found = self.ask(Method::POST, "/element", &json!({"using": "css selector", "value": selector}));
            let id = found.as_object().unwrap().values().next().unwrap().as_str().unwrap().to_owned();
            match self.try_to(Method::POST, &format!("/element/{id}/click"), &json!({})) {
                // The page has drawn it anew since.
                Err(error) if error.contains("stale element reference") && begun.elapsed() < LONG => {}
                clicked => return drop(clicked.unwrap()),
            }
        }
    }

    /// Presses these keys, wherever the focus is.
    pub fn press(&self, keys: &str) {
        let strokes = keys.chars().flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": key})));
        let actions = json!([{"type": "key", "id": "keys", "actions": strokes.collect::<Vec<_>>()}]);
        self.ask(Method::POST, "/actions", &json!({ "actions": actions }));
    }

    /// A command of Chrome's own protocol.
    #[track_caller]
    pub fn chrome(&self, command: &str, parameters: Value) -> Value {
        self.ask(Method::POST, "/goog/cdp/execute", &json!({"cmd": command, "params": parameters}))
    }

    /// Leaves a picture, if somebody wants to look at it.
    pub fn picture(&self, name: &str) {
        let Some(folder) = std::env::var_os("HORUST_SCREENSHOTS") else { return };
        let shot = self.chrome("Page.captureScreenshot", json!({"format": "png"}));
        let path = PathBuf::from(folder).join(format!("{name}.png"));
        std::fs::write(path, bytes(shot["data"].as_str().unwrap())).unwrap();
    }
}

/// What base64 stands for.
fn bytes(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0u32, 0);
    for digit in text.bytes().filter_map(|byte| DIGITS.iter().position(|digit| *digit == byte)) {
        (bits, count) = (bits << 6 | u32::try_from(digit).unwrap(), count + 6);
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).unwrap());
        }
    }
    bytes
}
