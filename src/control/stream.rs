//! Answers that come piece by piece: long ones, and those that never end (server-sent events). A piece is made only when
//! the one before it has been taken, so a slow client holds up nothing but its own answer.

use super::desk::NoAnswer;
use super::patient::Patience;
use super::router::{End, Fault};
use crate::limits;
use axum::body::{Body, Bytes};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use serde::Serialize;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::{sleep, sleep_until};

/// The body of such an answer.
struct Flow(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Flow {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

/// Why an answer is not gone on with.
pub enum Stop {
    /// Nobody takes it any more.
    Gone,
    /// Horust ends.
    Ending,
}

impl From<NoAnswer> for Stop {
    fn from(_: NoAnswer) -> Stop {
        Stop::Ending
    }
}

/// The writing end of such an answer.
pub struct Feed {
    pieces: mpsc::Sender<Bytes>,
    text: String,
    _seat: Option<OwnedSemaphorePermit>,
}

impl Feed {
    /// Adds text, and sends it if it has become enough.
    pub async fn add(&mut self, text: &str) -> Result<(), Stop> {
        self.text.push_str(text);
        if self.text.len() >= limits::ANSWER_PIECE { self.flush().await } else { Ok(()) }
    }

    /// Adds one server-sent event.
    pub async fn event(&mut self, name: &str, id: Option<u64>, data: &impl Serialize) -> Result<(), Stop> {
        // JSON has no line ends but escaped ones.
        let data = serde_json::to_string(data).unwrap_or_default();
        let id = id.map_or(String::new(), |id| format!("id: {id}\n"));
        self.add(&format!("event: {name}\n{id}data: {data}\n\n")).await
    }

    /// Sends what there is.
    pub async fn flush(&mut self) -> Result<(), Stop> {
        if self.text.is_empty() {
            return Ok(());
        }
        let piece = Bytes::from(std::mem::take(&mut self.text));
        self.pieces.send(piece).await.map_err(|_| Stop::Gone)
    }

    /// Waits until there may be more to say. Meanwhile a comment now and then keeps the connection alive.
    pub async fn rest(&mut self, news: &mut watch::Receiver<u64>, end: &mut End) -> Result<(), Stop> {
        loop {
            self.flush().await?;
            let alive = tokio::time::Instant::now().checked_add(limits::KEEP_ALIVE);
            tokio::select! {
                biased;
                () = self.pieces.closed() => return Err(Stop::Gone),
                _ = async { end.wait_for(|ending| *ending).await.is_ok() } => return Err(Stop::Ending),
                moved = news.changed() => {
                    // Many lines may come at once; one look is enough for all of them.
                    sleep(limits::LOOK_AGAIN).await;
                    return moved.map_err(|_| Stop::Ending);
                }
                () = sleep_until(alive.unwrap_or_else(tokio::time::Instant::now)) => self.text.push_str(":\n\n"),
            }
        }
    }
}

/// The places of those who follow.
#[derive(Clone)]
pub struct Seats(Arc<Semaphore>);

impl Seats {
    /// All are free.
    pub fn new() -> Seats {
        Seats(Arc::new(Semaphore::new(limits::FOLLOWERS)))
    }
}

/// A long answer in JSON: its writing end, and what the client gets.
pub fn long() -> (Feed, Response) {
    open("application/json", None)
}

/// Server-sent events.
pub fn events(seats: &Seats, patience: Option<&Patience>) -> Result<(Feed, Response), Fault> {
    let seat = Arc::clone(&seats.0).try_acquire_owned().map_err(|_| {
        let why = format!("{} clients follow already, and no more may", limits::FOLLOWERS);
        Fault::new(StatusCode::SERVICE_UNAVAILABLE, why)
    })?;
    if let Some(patience) = patience {
        patience.set(limits::FOLLOWER_PATIENCE);
    }
    Ok(open("text/event-stream", Some(seat)))
}

fn open(kind: &'static str, seat: Option<OwnedSemaphorePermit>) -> (Feed, Response) {
    let (pieces, body) = mpsc::channel(1);
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-store")];
    let answer = (headers, Body::new(Flow(body))).into_response();
    (Feed { pieces, text: String::new(), _seat: seat }, answer)
}
