//! `GET /v1/events`: what has happened to services, as far as it is kept, and on request what happens from then on.

use super::desk::{Desk, EventsAsked, Happening, NoAnswer, Question};
use super::patient::Patience;
use super::router::{End, Fault, Shared, chosen};
use super::stream::{self, Feed, Seats, Stop};
use super::wire::{Event, Events, Note};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use tokio::sync::watch;

/// Which events.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Those of these: names and patterns, with commas between them; of all, and of Horust itself, if none.
    names: Option<String>,
    /// Those after this one.
    since: Option<u64>,
    /// So many of the latest.
    last: Option<usize>,
    /// And all that come.
    #[serde(default)]
    follow: bool,
}

/// Answers it.
pub async fn events(
    State(desk): Shared,
    State(mut end): State<End>,
    State(seats): State<Seats>,
    patience: Option<Extension<Patience>>,
    headers: HeaderMap,
    asked: Result<Query<Options>, QueryRejection>,
) -> Result<Response, Fault> {
    let Query(options) = asked?;
    let of = options.names.as_deref().map(|names| chosen(&desk, names)).transpose()?;
    // Whoever connects again by itself has asked for something older at first.
    let seen = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.trim().parse().ok());
    let mut asked = EventsAsked { after: seen.or(options.since), of, last: options.last };
    if !options.follow {
        return Ok(Json(all(&desk, asked).await?).into_response());
    }
    let mut news = desk.event_news.subscribe();
    let (mut feed, answer) = stream::events(&seats, patience.as_deref())?;
    tokio::spawn(async move {
        if let Err(Stop::Ending) = follow(&desk, &mut feed, &mut asked, &mut news, &mut end).await {
            let _ = rest(&desk, &mut feed, &mut asked).await;
            let _ = feed.flush().await;
        }
    });
    Ok(answer)
}

/// All that there are now.
async fn all(desk: &Desk, mut asked: EventsAsked) -> Result<Events, NoAnswer> {
    let mut all = Events::default();
    let mut newest = None;
    loop {
        let some = desk.ask(|reply| Question::Events(asked.clone(), reply)).await?;
        let newest = *newest.get_or_insert(some.newest);
        all.lost = all.lost.saturating_add(some.lost);
        all.events.extend(some.events.into_iter().map(event));
        if some.next >= newest {
            return Ok(all);
        }
        (asked.after, asked.last) = (Some(some.next), None);
    }
}

async fn follow(
    desk: &Desk,
    feed: &mut Feed,
    asked: &mut EventsAsked,
    news: &mut watch::Receiver<u64>,
    end: &mut End,
) -> Result<(), Stop> {
    loop {
        news.borrow_and_update();
        rest(desk, feed, asked).await?;
        feed.rest(news, end).await?;
    }
}

/// What has happened since the last look.
async fn rest(desk: &Desk, feed: &mut Feed, asked: &mut EventsAsked) -> Result<(), Stop> {
    loop {
        let some = desk.ask(|reply| Question::Events(asked.clone(), reply)).await?;
        if some.lost > 0 {
            let text = format!("{} events are lost: more have happened than are kept", some.lost);
            feed.event("note", None, &Note { service: None, text, lost: some.lost }).await?;
        }
        for happening in some.events {
            feed.event("event", Some(happening.seq), &event(happening)).await?;
        }
        (asked.after, asked.last) = (Some(some.next), None);
        if some.next >= some.newest {
            return Ok(());
        }
    }
}

fn event(happening: Happening) -> Event {
    let Happening { seq, at, service, kind, text } = happening;
    Event { seq, ts: humantime::format_rfc3339_millis(at).to_string(), service, kind: kind.to_owned(), text }
}
