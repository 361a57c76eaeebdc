//! The paths that explain: why services are not what is wanted, who waits for whom, how all came up.

use super::desk::{Desk, Question};
use super::router::{Asked, Fault, Named, Route, Shared, chosen, exactly};
use super::wire::{Graph, Timeline, Why, Whys};
use crate::limits;
use crate::model::ServiceId;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;

/// These paths.
pub fn routes() -> [Route; 4] {
    [
        Route::get("/v1/services/{name}/why", why_one),
        Route::get("/v1/why", why),
        Route::get("/v1/graph", graph),
        Route::get("/v1/timeline", timeline),
    ]
}

async fn why_one(State(desk): Shared, name: Named) -> Result<Json<Why>, Fault> {
    let Path(name) = name?;
    let mut whys = reasons(&desk, &[exactly(&desk, &name)?]).await?;
    let gone = || Fault::new(StatusCode::NOT_FOUND, format!("there is no service `{name}`"));
    whys.pop().map(Json).ok_or_else(gone)
}

/// Of those who are named; else of all that are not what is wanted.
async fn why(State(desk): Shared, asked: Asked) -> Result<Json<Whys>, Fault> {
    let names = asked?.0.names;
    let ids = chosen(&desk, names.as_deref().unwrap_or("*"))?;
    let mut services = Vec::new();
    for ids in ids.chunks(limits::WHY_BATCH) {
        services.extend(reasons(&desk, ids).await?.into_iter().filter(|why| names.is_some() || !why.well));
    }
    Ok(Json(Whys { services }))
}

async fn reasons(desk: &Desk, ids: &[ServiceId]) -> Result<Vec<Why>, Fault> {
    Ok(desk.ask(|reply| Question::Why(ids.to_vec(), reply)).await?)
}

async fn graph(State(desk): Shared) -> Result<Json<Graph>, Fault> {
    Ok(Json(desk.ask(Question::Graph).await?))
}

async fn timeline(State(desk): Shared) -> Result<Json<Timeline>, Fault> {
    Ok(Json(desk.ask(Question::Timeline).await?))
}
