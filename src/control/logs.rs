//! `GET /v1/logs`: what captured services have written, as far as it is still in memory, and on request what they write
//! from then on.

use super::desk::Desk;
use super::merge::Merge;
use super::patient::Patience;
use super::router::{End, Fault, Shared, chosen};
use super::stream::{self, Feed, Seats, Stop};
use super::wire::Note;
use crate::model::{ServiceId, ServiceSpec};
use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Whose output, and which part of it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Names and patterns, with commas between them; all that are captured if none.
    names: Option<String>,
    /// So many of the latest lines.
    lines: Option<u64>,
    /// None that are older: a duration, or a time.
    since: Option<String>,
    /// And all that come.
    #[serde(default)]
    follow: bool,
}

/// Answers it.
pub async fn logs(
    State(desk): Shared,
    State(mut end): State<End>,
    State(seats): State<Seats>,
    patience: Option<Extension<Patience>>,
    asked: Result<Query<Options>, QueryRejection>,
) -> Result<Response, Fault> {
    let Query(options) = asked?;
    let since = options.since.as_deref().map(moment).transpose()?;
    let (services, notes) = captured(&desk, options.names.as_deref())?;
    let mut news = desk.output_news.subscribe();
    if !options.follow {
        let merge = Merge::open(desk, services, options.lines, since).await?;
        let (mut feed, answer) = stream::long();
        tokio::spawn(async move { tell(&mut feed, merge, notes).await });
        return Ok(answer);
    }
    let (mut feed, answer) = stream::events(&seats, patience.as_deref())?;
    let mut merge = Merge::open(desk, services, options.lines, since).await?;
    tokio::spawn(async move {
        if let Err(Stop::Ending) = follow(&mut feed, &mut merge, notes, &mut news, &mut end).await {
            // What came last is what people want to know most.
            let _ = rest(&mut feed, &mut merge).await;
            let _ = feed.flush().await;
        }
    });
    Ok(answer)
}

/// Everything there is, as one object.
async fn tell(feed: &mut Feed, mut merge: Merge, mut notes: Vec<Note>) -> Result<(), Stop> {
    feed.add("{\"lines\":[").await?;
    let mut comma = "";
    while let Some(lines) = merge.next().await? {
        for line in lines {
            feed.add(comma).await?;
            feed.add(&serde_json::to_string(&line).unwrap_or_default()).await?;
            comma = ",";
        }
    }
    notes.extend(merge.losses());
    feed.add(&format!("],\"notes\":{}}}", serde_json::to_string(&notes).unwrap_or_default())).await?;
    feed.flush().await
}

async fn follow(
    feed: &mut Feed,
    merge: &mut Merge,
    notes: Vec<Note>,
    news: &mut tokio::sync::watch::Receiver<u64>,
    end: &mut End,
) -> Result<(), Stop> {
    for note in notes {
        feed.event("note", None, &note).await?;
    }
    while let Some(lines) = merge.next().await? {
        for line in lines {
            feed.event("log", None, &line).await?;
        }
    }
    loop {
        news.borrow_and_update();
        rest(feed, merge).await?;
        feed.rest(news, end).await?;
    }
}

/// What has come since the last look.
async fn rest(feed: &mut Feed, merge: &mut Merge) -> Result<(), Stop> {
    loop {
        let (lines, more) = merge.more().await?;
        for note in merge.losses() {
            feed.event("note", None, &note).await?;
        }
        for line in lines {
            feed.event("log", None, &line).await?;
        }
        if !more {
            return Ok(());
        }
    }
}

/// The time, since 1970, that is meant: `10m` ago, or `2026-01-02T03:04:05Z`.
fn moment(text: &str) -> Result<Duration, Fault> {
    let ago = humantime::parse_duration(text).ok().map(|ago| SystemTime::now().checked_sub(ago));
    let time = ago.map(|time| time.unwrap_or(SystemTime::UNIX_EPOCH));
    let time = time.or_else(|| humantime::parse_rfc3339_weak(text).ok()).ok_or_else(|| {
        let why = format!("since when? `{text}` is no duration such as 10m, and no time such as 2026-01-02T03:04:05Z");
        Fault::new(StatusCode::BAD_REQUEST, why)
    })?;
    Ok(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

/// Those of the services that these words name that are captured. A word on each that is named and is not.
fn captured(desk: &Desk, words: Option<&str>) -> Result<(Vec<Arc<str>>, Vec<Note>), Fault> {
    let ids = chosen(desk, words.unwrap_or("*"))?;
    let spec = |id: &ServiceId| desk.plan.services.get(id.index());
    let (kept, not): (Vec<_>, Vec<_>) = ids.iter().filter_map(spec).partition(|spec| spec.log.is_some());
    if kept.is_empty() && !not.is_empty() {
        let text = match not.as_slice() {
            [only] => not_captured(only),
            _ => "no service is captured, so no output is kept: write `capture = true` below `[log]` in its file, or \
                  below `[defaults.log]` in horust.toml for all"
                .to_owned(),
        };
        return Err(Fault::new(StatusCode::CONFLICT, text));
    }
    let words: Vec<&str> = words.unwrap_or_default().split(',').collect();
    let named = |spec: &&&Arc<ServiceSpec>| {
        words.iter().any(|word| *word == spec.name || word.strip_suffix(".toml") == Some(&spec.name))
    };
    let note = |spec: &&Arc<ServiceSpec>| Note { service: Some(spec.name.clone()), text: not_captured(spec), lost: 0 };
    let notes = not.iter().filter(named).map(note).collect();
    Ok((kept.iter().map(|spec| Arc::from(spec.name.as_str())).collect(), notes))
}

fn not_captured(spec: &ServiceSpec) -> String {
    let (name, file) = (&spec.name, spec.origin.file.display());
    format!("`{name}` is not captured, so none of its output is kept: write `capture = true` below `[log]` in {file}")
}
