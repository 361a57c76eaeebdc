//! Who may do what over TCP, where the kernel does not say who asks. A browser carries requests of any web page here, so
//! each request has to be addressed to a name of ours (no DNS rebinding), must not come from another site (no forged
//! request), and has to show the token if it changes something, or if even reading needs it.

use super::page;
use super::router::Fault;
use super::wire::Access;
use crate::limits;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use std::hint::black_box;
use std::net::IpAddr;
use std::sync::Arc;

/// What is asked of requests at one address.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    /// What allows everything. Without one nothing can be changed.
    pub token: Option<String>,
    /// Where people find it.
    pub token_at: Option<String>,
    /// Who only looks needs it too.
    pub for_reading: bool,
    /// Names of ours, beside `localhost` and addresses. None: any.
    pub hosts: Option<Vec<String>>,
}

/// Puts the guard before all paths of the router.
pub fn protect(router: Router, guard: Guard) -> Router {
    router.layer(from_fn_with_state(Arc::new(guard), check))
}

async fn check(State(guard): State<Arc<Guard>>, mut request: Request, next: Next) -> Response {
    let mut response = match guard.admit(&request) {
        Ok(access) => {
            request.extensions_mut().insert(access);
            next.run(request).await
        }
        Err(fault) => {
            if fault.is_unauthorized() {
                // Who guesses has few places, and each guess takes its time.
                tokio::time::sleep(limits::WRONG_TOKEN).await;
            }
            fault.into_response()
        }
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// What browsers are told about all that comes from here.
const HEADERS: [(HeaderName, &str); 7] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
];

impl Guard {
    /// What this request may do, if it may be answered.
    fn admit(&self, request: &Request) -> Result<Access, Fault> {
        let (headers, uri) = (request.headers(), request.uri());
        let host = self.host(headers, uri)?;
        from_here(headers, uri, &host)?;
        let given = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
        let shown = given.is_some_and(|given| self.knows(given));
        let access = Access { reading: shown || !self.for_reading, writing: shown, token_at: self.token_at.clone() };
        let reads = [Method::GET, Method::HEAD].contains(request.method());
        let public = reads && (page::is_public(uri.path()) || ALIVE.contains(&uri.path()));
        let quotes = QUOTES.contains(&uri.path());
        if public || if reads && !quotes { access.reading } else { access.writing } {
            return Ok(access);
        }
        Err(match (given, &self.token) {
            (_, None) => Fault::new(StatusCode::FORBIDDEN, "there is no token, so nothing can be changed here"),
            (None, _) => Fault::new(StatusCode::UNAUTHORIZED, "this needs the token: `Authorization: Bearer TOKEN`"),
            (Some(_), _) => Fault::new(StatusCode::UNAUTHORIZED, "this is not the token"),
        })
    }

    /// The host that is asked for, if it is one of ours.
    fn host(&self, headers: &HeaderMap, uri: &Uri) -> Result<String, Fault> {
        let bad = || Fault::new(StatusCode::BAD_REQUEST, "a request needs one `Host`");
        let mut hosts = headers.get_all(header::HOST).iter();
        let (host, None) = (hosts.next().and_then(|host| host.to_str().ok()).ok_or_else(bad)?, hosts.next()) else {
            return Err(bad());
        };
        // The target may name a host as well, and has the last word (RFC 9112, section 3.2.2).
        for host in [Some(host), uri.authority().map(|authority| authority.as_str())].into_iter().flatten() {
            if !self.is_ours(host) {
                let why = format!("`{host}` is no name of this Horust; name it in `hosts` of [control] if it is one");
                return Err(Fault::new(StatusCode::MISDIRECTED_REQUEST, why));
            }
        }
        Ok(host.to_ascii_lowercase())
    }

    /// An address can't be rebound: no page of anybody else's can have it as its name.
    fn is_ours(&self, host: &str) -> bool {
        let Some(hosts) = &self.hosts else { return true };
        let name = without_port(host);
        let literal = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        literal.parse::<IpAddr>().is_ok()
            || name.eq_ignore_ascii_case("localhost")
            || hosts.iter().any(|ours| ours.eq_ignore_ascii_case(name))
    }

    fn knows(&self, given: &[u8]) -> bool {
        let Some(token) = &self.token else { return false };
        let bearer = given.split_at_checked(7).filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"bearer "));
        bearer.is_some_and(|(_, given)| same(given.trim_ascii(), token.as_bytes()))
    }
}

/// These say no more than yes or no, and whoever runs the container has no token.
const ALIVE: [&str; 3] = ["/livez", "/readyz", "/startupz"];

/// These quote service files, and a mistake in one may stand beside a secret.
const QUOTES: [&str; 1] = ["/v1/plan"];

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|c| c.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Refuses what a browser says that another site has caused. A link to the page is no harm.
fn from_here(headers: &HeaderMap, uri: &Uri, host: &str) -> Result<(), Fault> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let link = uri.path() == "/" && text("sec-fetch-mode") == Some("navigate");
    let site = text("sec-fetch-site").is_none_or(|site| ["same-origin", "none"].contains(&site));
    let ours = |origin: &str| origin.split_once("://").is_some_and(|(_, from)| from.eq_ignore_ascii_case(host));
    let origin = text("origin").is_none_or(ours);
    match link || (site && origin) {
        true => Ok(()),
        false => Err(Fault::new(StatusCode::FORBIDDEN, "another web site asks for this")),
    }
}

/// Whether two texts are the same, in a time that does not tell how much of them is.
fn same(a: &[u8], b: &[u8]) -> bool {
    let differ = a.iter().zip(b).fold(0, |differ, (a, b)| black_box(differ | (a ^ b)));
    a.len() == b.len() && differ == 0
}
