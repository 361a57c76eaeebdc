//! The page for the browser: a few files that are part of the program. It is static; all that it shows it asks the API for.

use axum::Router;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

const FILES: [(&str, &str, &str); 5] = [
    ("/", "text/html; charset=utf-8", include_str!("ui/index.html")),
    ("/style.css", "text/css; charset=utf-8", include_str!("ui/style.css")),
    ("/page.js", "text/javascript; charset=utf-8", include_str!("ui/page.js")),
    ("/draw.js", "text/javascript; charset=utf-8", include_str!("ui/draw.js")),
    ("/icon.svg", "image/svg+xml", include_str!("ui/icon.svg")),
];

/// Where the page asks what it may do.
pub const ACCESS: &str = "/v1/access";

/// Whether everybody may have this: it tells nothing of this Horust.
pub fn is_public(path: &str) -> bool {
    path == ACCESS || FILES.iter().any(|(file, ..)| *file == path)
}

/// The paths of the files.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let file =
        |kind: &'static str, text: &'static str| -> Response { ([(header::CONTENT_TYPE, kind)], text).into_response() };
    FILES.iter().fold(Router::new(), |router, (path, kind, text)| {
        router.route(path, get(move || async move { file(kind, text) }))
    })
}
