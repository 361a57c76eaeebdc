//! The page for the browser: a few files that are part of the program. It is static; all that it shows it asks the API for.
//! They are kept as they are sent: compressed (`build.rs`), which every browser understands, and curl with `--compressed`.

use axum::Router;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

macro_rules! file {
    ($name:literal) => {
        include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".gz"))
    };
}

const FILES: [(&str, &str, &[u8]); 5] = [
    ("/", "text/html; charset=utf-8", file!("index.html")),
    ("/style.css", "text/css; charset=utf-8", file!("style.css")),
    ("/page.js", "text/javascript; charset=utf-8", file!("page.js")),
    ("/draw.js", "text/javascript; charset=utf-8", file!("draw.js")),
    ("/icon.svg", "image/svg+xml", file!("icon.svg")),
];

/// Where the page asks what it may do.
pub const ACCESS: &str = "/v1/access";

/// Where programs find what the API takes and answers: an OpenAPI document.
pub const OPENAPI: &str = "/v1/openapi.json";

/// Whether everybody may have this: it tells nothing of this Horust.
pub fn is_public(path: &str) -> bool {
    [ACCESS, OPENAPI].contains(&path) || FILES.iter().any(|(file, ..)| *file == path)
}

/// The paths of the files.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    FILES.iter().fold(Router::new(), |router, (path, kind, bytes)| {
        router.route(path, get(move || async move { file(kind, bytes) }))
    })
}

/// The OpenAPI document.
pub async fn openapi() -> Response {
    file("application/json", file!("openapi.json"))
}

fn file(kind: &'static str, bytes: &'static [u8]) -> Response {
    ([(header::CONTENT_TYPE, kind), (header::CONTENT_ENCODING, "gzip")], bytes).into_response()
}
