//! The HTTP probe. One client for all, built at first use, which keeps no connection: a day of probes holds no more file
//! descriptors than one. It must not use a proxy, keep cookies or read a body.
//!
//! Redirects are followed within the host and port that were asked, as Horust 0.1 and Kubernetes do; one that leads
//! elsewhere is a failure, for another host's health says nothing about this service.

use super::pool::plain;
use reqwest::blocking::{Client, Response};
use reqwest::{Method, StatusCode, Url, redirect};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const REDIRECTS: usize = 10;

#[derive(Default)]
pub(super) struct Http {
    client: Mutex<Option<Client>>,
}

impl Http {
    /// Asks `url` for a 2xx answer: HEAD, or GET where HEAD is not allowed. `Err(None)` means that the deadline passed.
    pub(super) fn probe(&self, url: &str, deadline: Instant) -> Result<(), Option<String>> {
        let url = Url::parse(url).map_err(|e| format!("cannot read the URL {url}: {e}"))?;
        if url.scheme() != "http" {
            return Err(Some(format!("cannot ask {}: only http:// is supported", shown(&url))));
        }
        let client = self.client().map_err(|e| format!("cannot make an HTTP client: {}", innermost(&e)))?;
        let mut answer = ask(&client, Method::HEAD, &url, deadline)?;
        if matches!(answer.status(), StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED) {
            answer = ask(&client, Method::GET, &url, deadline)?;
        }
        let status = answer.status();
        if status.is_success() {
            Ok(())
        } else if status.is_redirection() {
            Err(Some(format!("answered {} and leads elsewhere, which a probe does not follow", status.as_u16())))
        } else {
            Err(Some(format!("answered {}", status.as_u16())))
        }
    }

    /// Drops the client; the next probe builds a new one.
    pub(super) fn forget(&self) {
        *self.client.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn client(&self) -> reqwest::Result<Client> {
        let mut slot = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*slot {
            return Ok(client.clone());
        }
        let client = build()?;
        *slot = Some(client.clone());
        Ok(client)
    }
}

fn build() -> reqwest::Result<Client> {
    // RFC 6761, section 6.3. It also spares most probes the resolver, which in a static program can be asked by
    // nsswitch.conf to load modules that don't fit it. Port 0 stands for the port of the URL.
    let localhost = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), SocketAddr::from((Ipv6Addr::LOCALHOST, 0))];
    Client::builder()
        .user_agent(concat!("horust/", env!("CARGO_PKG_VERSION")))
        .no_proxy()
        .http1_only()
        .pool_max_idle_per_host(0)
        .referer(false)
        .redirect(redirect::Policy::custom(|attempt| {
            let first = attempt.previous().first();
            let same = first.is_some_and(|from| from.origin() == attempt.url().origin());
            if same && attempt.previous().len() <= REDIRECTS { attempt.follow() } else { attempt.stop() }
        }))
        .resolve_to_addrs("localhost", &localhost)
        .build()
}

fn ask(client: &Client, method: Method, url: &Url, deadline: Instant) -> Result<Response, Option<String>> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left == Duration::ZERO {
        return Err(None);
    }
    client.request(method, url.clone()).timeout(left).send().map_err(|e| {
        if e.is_timeout() {
            None
        } else if e.is_connect() {
            Some(format!("cannot connect to {}: {}", shown(url), innermost(&e)))
        } else {
            Some(format!("no proper HTTP answer from {}: {}", shown(url), innermost(&e)))
        }
    })
}

/// The URL without what may be secret in it.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // Both only fail for URLs that can't hold them.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.into()
}

/// The cause at the end of the chain; the errors around it only say "error sending request".
fn innermost(e: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = e;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.downcast_ref::<io::Error>().map_or_else(|| cause.to_string(), plain)
}
