//! `/livez`, `/readyz` and `/startupz`, for whoever runs the container. They say yes or no by their status, and nothing
//! else: they are there for everybody. `/v1/health` gives reasons.

use super::desk::{Answer, Desk, View};
use super::tally::Tally;
use super::wait;
use crate::limits;
use axum::http::StatusCode;
use tokio::time::timeout;

/// Yes or no.
pub type Word = (StatusCode, &'static str);

fn word(yes: bool) -> Word {
    if yes { (StatusCode::OK, "ok\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ok\n") }
}

/// Whether Horust itself still does its work: the thread that decides answers.
pub async fn live(desk: &Desk) -> Word {
    word(matches!(timeout(limits::CLIENT_PATIENCE, desk.call(vec![], vec![])).await, Ok(Ok(_))))
}

/// Whether all is well, by the same rules as `horust health`.
pub async fn ready(desk: &Desk) -> Word {
    let answer = desk.call(vec![], desk.plan.ids().collect()).await;
    word(answer.is_ok_and(|answer| wait::health(answer.up, &answer.services).healthy))
}

/// Whether each service that is to run has been up once. What happens to it later is not of interest.
pub async fn started(desk: &Desk) -> Word {
    let figures = desk.figures().await;
    word(figures.is_ok_and(|(answer, tally)| all_started(&answer, &tally)))
}

fn all_started(answer: &Answer, tally: &Tally) -> bool {
    let started = |view: &View| {
        let was_ready = tally.service(view.id).is_some_and(|service| service.start.is_some());
        was_ready || !view.status.wanted || matches!(view.status.state, "Running" | "Success" | "Finished")
    };
    answer.services.iter().all(started)
}
