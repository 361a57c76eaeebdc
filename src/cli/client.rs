//! The client of a running Horust: finds its control socket, sends one request, and understands the answer.

use super::ExitCode;
use super::control::At;
use super::http::{self, Answer};
use crate::connect;
use crate::control::wire::Problem;
use crate::limits;
use hyper::Method;
use reqwest::Url;
use serde::de::DeserializeOwned;
use std::fs;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What went wrong: how to end, and for people.
#[derive(Debug)]
pub struct Failure {
    /// How to end.
    pub code: ExitCode,
    /// What to say.
    pub text: String,
    /// With which HTTP status the running Horust has said so; 0 if it has not.
    pub status: u16,
}

impl Failure {
    /// A failure.
    pub fn new(code: ExitCode, text: impl Into<String>) -> Failure {
        Failure { code, text: text.into(), status: 0 }
    }
}

/// A way to one Horust.
pub struct Client {
    path: PathBuf,
    patience: Option<Duration>,
}

impl Client {
    /// Finds the Horust that is meant.
    pub fn find(at: &At) -> Result<Client, Failure> {
        Client::find_within(at, None)
    }

    /// The same for who does not wait longer than this for each piece of an answer.
    pub fn find_within(at: &At, patience: Option<Duration>) -> Result<Client, Failure> {
        Ok(Client { path: find(at)?, patience })
    }

    /// Asks for something.
    pub fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T, Failure> {
        self.json(Method::GET, path, query)
    }

    /// Has something done.
    pub fn post<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T, Failure> {
        self.json(Method::POST, path, query)
    }

    fn json<T: DeserializeOwned>(&self, method: Method, path: &str, query: &[(&str, &str)]) -> Result<T, Failure> {
        self.understand(self.send(method, path, query)?)
    }

    /// Asks for something that is told with any status.
    pub fn get_whatever_the_status<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.understand(self.request(Method::GET, path, &[])?)
    }

    /// Asks for something that is told with this status too, beside those that mean success.
    pub fn send_or<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        status: u16,
    ) -> Result<T, Failure> {
        let answer = self.request(method, path, query)?;
        let fine = answer.status.is_success() || answer.status.as_u16() == status;
        self.understand(if fine { answer } else { self.without_problem(answer)? })
    }

    /// Gets a text from outside of the versioned paths.
    pub fn text(&self, path: &str) -> Result<String, Failure> {
        let body = self.body(self.send(Method::GET, path, &[])?)?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    fn body(&self, mut answer: Answer) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        answer.read_to_end(&mut body).map_err(|error| self.lost(&error))?;
        Ok(body)
    }

    fn understand<T: DeserializeOwned>(&self, answer: Answer) -> Result<T, Failure> {
        let body = self.body(answer)?;
        serde_json::from_slice(&body).map_err(|error| {
            let path = self.path.display();
            Failure::new(ExitCode::Failed, format!("cannot understand the answer from {path}: {error}"))
        })
    }

    /// Sends a request. An answer that tells of a problem is a failure.
    pub fn send(&self, method: Method, path: &str, query: &[(&str, &str)]) -> Result<Answer, Failure> {
        self.without_problem(self.request(method, path, query)?)
    }

    fn without_problem(&self, answer: Answer) -> Result<Answer, Failure> {
        let status = answer.status;
        if status.is_success() {
            return Ok(answer);
        }
        let problem = self.body(answer).ok().and_then(|body| serde_json::from_slice::<Problem>(&body).ok());
        let text = problem.map_or_else(|| format!("answered {status}"), |problem| problem.detail);
        let code = if status.as_u16() == 404 { ExitCode::NoService } else { ExitCode::Failed };
        Err(Failure { status: status.as_u16(), ..Failure::new(code, text) })
    }

    fn request(&self, method: Method, path: &str, query: &[(&str, &str)]) -> Result<Answer, Failure> {
        let versioned = if path.starts_with('/') { "" } else { "/v1/" };
        let url = Url::parse_with_params(&format!("http://horust{versioned}{path}"), query);
        let url = url.map_err(|error| Failure::new(ExitCode::Internal, error.to_string()))?;
        let target = match url.query() {
            Some(query) if !query.is_empty() => format!("{}?{query}", url.path()),
            _ => url.path().to_owned(),
        };
        http::ask(&self.path, &method, &target, self.patience).map_err(|error| self.lost(&error))
    }

    /// The answer has broken off.
    pub fn broken_off(&self) -> Failure {
        Failure::new(ExitCode::NoHorust, format!("Horust at {} has gone", self.path.display()))
    }

    /// No answer came.
    fn lost(&self, error: &io::Error) -> Failure {
        let path = self.path.display();
        match error.kind() {
            ErrorKind::PermissionDenied => Failure::new(ExitCode::Failed, format!("no permission to use {path}")),
            ErrorKind::UnexpectedEof => self.broken_off(),
            ErrorKind::WouldBlock => Failure::new(ExitCode::NoHorust, format!("Horust at {path} does not answer")),
            _ => Failure::new(ExitCode::NoHorust, format!("no Horust answers at {path}: {error}")),
        }
    }
}

/// The socket that is named, else the only one there is, else PID 1's.
fn find(at: &At) -> Result<PathBuf, Failure> {
    if let Some(path) = &at.socket {
        return Ok(path.clone());
    }
    let folder = at.folder.as_deref().unwrap_or(Path::new(limits::SOCKET_FOLDER));
    let of = |pid: u32| folder.join(format!("horust-{pid}.sock"));
    if let Some(pid) = at.pid {
        return Ok(of(pid));
    }
    let mut found = sockets(folder).map_err(|error| {
        let code = if error.kind() == ErrorKind::PermissionDenied { ExitCode::Failed } else { ExitCode::NoHorust };
        Failure::new(code, format!("cannot look for Horust in {}: {error}", folder.display()))
    })?;
    if found.len() > 1 {
        // Whoever was killed has left its socket behind.
        let gone = |path: &PathBuf| connect::unix(path).is_err_and(|e| e.kind() == ErrorKind::ConnectionRefused);
        found.retain(|path| !gone(path));
    }
    match found.as_slice() {
        [] => Err(Failure::new(ExitCode::NoHorust, format!("no Horust has a socket in {}", folder.display()))),
        [only] => Ok(only.clone()),
        several if several.contains(&of(1)) => Ok(of(1)),
        several => {
            let list: Vec<String> = several.iter().map(|path| format!("  {}\n", path.display())).collect();
            let text = format!("several are running; choose one with `--pid` or `--socket-path`:\n{}", list.concat());
            Err(Failure::new(ExitCode::Usage, text.trim_end()))
        }
    }
}

fn sockets(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let is_socket = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let pid = name.strip_prefix("horust-").and_then(|name| name.strip_suffix(".sock"));
        pid.is_some_and(|pid| pid.parse::<u32>().is_ok())
    };
    let mut found: Vec<PathBuf> = fs::read_dir(folder)?.flatten().map(|entry| entry.path()).filter(is_socket).collect();
    found.sort();
    Ok(found)
}
