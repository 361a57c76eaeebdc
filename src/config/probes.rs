//! The kinds of value that are about probes: addresses and patterns. Each reader sees one value and never another key.

use super::diagnostic::Span;
use super::shape::Shape;
use super::values::{Cx, Read, integer};
use crate::model::Probe;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use toml::de::DeValue;

/// What an HTTP probe asks: a URL, or a socket and a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(pub Probe);

impl Read for Endpoint {
    const TYPE: &'static str = "a URL such as \"http://localhost:8080/health\"";
    const SHAPE: Shape = Shape::Any(&[
        Shape::Pattern(r"[hH][tT][tT][pP]:[\s\S]+"),
        // A socket and a path.
        Shape::Pattern(r"unix:/[^:]*:/[!-~]*"),
    ]);
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        let DeValue::String(text) = value else { return cx.refuse(&value, span) };
        let text = text.into_owned();
        if let Some(rest) = text.strip_prefix("unix:") {
            return through_socket(rest, span, cx);
        }
        match reqwest::Url::parse(&text) {
            Ok(url) if url.scheme() == "https" => {
                let help = "ask an http:// address of the service itself, or use `command = \"curl -fsS https://...\"`";
                cx.mended(span, "this build has no TLS", help)
            }
            Ok(url) if url.scheme() == "http" && url.port() == Some(0) => {
                cx.mended(span, "port 0 can't be reached", PORTS)
            }
            Ok(url) if url.scheme() == "http" => Some(Endpoint(Probe::Http(text))),
            Ok(_) | Err(_) if !text.starts_with("http:") && !text.starts_with("https:") => {
                let message = format!("`{}`: \"{text}\" does not start with `http://`", cx.key);
                cx.push(cx.error(span, message).help(format!("write it as {}", Self::TYPE)));
                None
            }
            Ok(_) => cx.refuse(&DeValue::String(text.into()), span),
            Err(error) => {
                let help = format!("write it as {}; {PORTS}", Self::TYPE);
                cx.mended(span, format_args!("\"{text}\" is no URL: {error}"), help)
            }
        }
    }
}

const PORTS: &str = "a port is a number between 1 and 65535";

fn through_socket(rest: &str, span: Span, cx: &mut Cx<'_>) -> Option<Endpoint> {
    let (socket, path) = rest.split_once(':').unwrap_or((rest, ""));
    let printable = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    let socket = socket_path(socket, span, cx)?;
    if !path.starts_with('/') || !printable(path) {
        let message = format!("`{}`: \"unix:{rest}\" is no socket and path", cx.key);
        cx.push(cx.error(span, message).help("write it as \"unix:/run/sample.sock:/health\""));
        return None;
    }
    Some(Endpoint(Probe::HttpUnix { socket, path: path.to_owned() }))
}

/// A socket in the file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketPath(pub PathBuf);

impl Read for SocketPath {
    const TYPE: &'static str = "the path of a socket";
    const SHAPE: Shape = Shape::Pattern(r"/[\s\S]*");
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        let text = String::read(value, span, cx)?;
        socket_path(&text, span, cx).map(SocketPath)
    }
}

/// sun_path, with its NUL, in unix(7).
const SUN_PATH: usize = 108;

fn socket_path(text: &str, span: Span, cx: &mut Cx<'_>) -> Option<PathBuf> {
    if !text.starts_with('/') {
        let why = format_args!("the path of a socket begins with a slash: \"{text}\"");
        return cx.mended(span, why, "write it as \"/run/sample.sock\", say");
    }
    if text.len() >= SUN_PATH {
        let why = format_args!("the path of a socket has at most {} bytes", SUN_PATH.saturating_sub(1));
        return cx.mended(span, why, format!("this one has {}: the kernel knows no longer ones", text.len()));
    }
    Some(text.into())
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address(pub String);

impl Read for Address {
    const TYPE: &'static str = "a host and port such as \"127.0.0.1:5432\"";
    const SHAPE: Shape = Shape::Pattern(r"\S+:[0-9]+");
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        let text = match &value {
            DeValue::String(text) => text.as_ref(),
            DeValue::Integer(port) => {
                let help = format!("write it as \"127.0.0.1:{port}\"");
                cx.push(cx.error(span, format!("`{}` must be {}, not a bare port", cx.key, Self::TYPE)).help(help));
                return None;
            }
            other => return cx.refuse(other, span),
        };
        let Some((host, port)) = text.rsplit_once(':') else {
            let host = if text.is_empty() { "127.0.0.1" } else { text };
            return cx.mended(
                span,
                format_args!("\"{text}\" has no port"),
                format!("write it as \"{host}:5432\", say"),
            );
        };
        if port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
            return cx.mended(span, format_args!("\"{port}\" is no port"), PORTS);
        }
        match port.parse::<u16>() {
            Ok(0) | Err(_) => return cx.mended(span, format_args!("there is no port {port}"), PORTS),
            Ok(_) => {}
        }
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_name = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
        let named = !host.is_empty() && host.bytes().all(is_name);
        if text.parse::<SocketAddr>().is_ok() || named {
            return Some(Address(text.to_owned()));
        }
        match bare.unwrap_or(host).parse::<IpAddr>() {
            Ok(IpAddr::V6(ip)) => {
                let why = format_args!("\"{text}\" could mean several addresses");
                cx.mended(span, why, format!("put the address in brackets: \"[{ip}]:{port}\""))
            }
            Ok(IpAddr::V4(_)) | Err(_) => {
                cx.mended(span, format_args!("\"{host}\" is no host"), format!("write it as \"127.0.0.1:{port}\", say"))
            }
        }
    }
}

/// A regular expression that compiles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(pub String);

impl Read for Pattern {
    const TYPE: &'static str = "a regular expression";
    const SHAPE: Shape = Shape::FILLED;
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        let text = String::read(value, span, cx)?;
        if text.is_empty() {
            let help = "write a part of the line that says it is ready, such as \"ready to accept\"";
            return cx.mended(span, "an empty expression matches every line", help);
        }
        match regex_lite::Regex::new(&text) {
            Ok(_) => Some(Pattern(text)),
            Err(error) => {
                let help = "`\\` before a character that is meant as itself, and single quotes around it all, so that TOML leaves it alone";
                cx.mended(span, format_args!("\"{text}\" is no regular expression: {error}"), help)
            }
        }
    }
}

/// The number of a descriptor for a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotifyFd(pub i32);

/// The standard streams come before it, and no program has it so high that a low RLIMIT_NOFILE would forbid it.
const NOTIFY_FDS: std::ops::RangeInclusive<i64> = 3..=255;

impl Read for NotifyFd {
    const TYPE: &'static str = "the number of a descriptor, 3 to 255";
    const SHAPE: Shape = Shape::Integer(*NOTIFY_FDS.start(), *NOTIFY_FDS.end());
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        if !value.is_integer() {
            return cx.refuse(&value, span);
        }
        let number = integer(&value).filter(|number| NOTIFY_FDS.contains(number)).and_then(|n| i32::try_from(n).ok());
        number.map(NotifyFd).or_else(|| cx.out_of_range(span, "between 3 and 255"))
    }
}
