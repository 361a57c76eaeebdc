//! Waiting until services are what somebody wants them to be, and whether all are well.

use super::desk::{Desk, View};
use super::router::{Fault, services};
use super::wire::{Health, Services, Trouble};
use crate::limits;
use crate::model::{Kind, ServiceId};
use axum::http::StatusCode;
use serde::Deserialize;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Goal {
    /// A daemon is Running, a oneshot has finished.
    Ready,
    /// Its health checks say so.
    Healthy,
    /// It is over, or not wanted.
    Stopped,
    /// Its program runs, ready or not.
    Running,
    /// It is over, and has not failed for good.
    Finished,
    /// It has failed for good.
    Failed,
}

/// How far a service has come.
#[derive(Debug, PartialEq, Eq)]
enum Progress {
    There,
    NotYet,
    Never(String),
}

fn progress(desk: &Desk, view: &View, goal: Goal) -> Progress {
    let Some(spec) = desk.plan.services.get(view.id.index()) else { return Progress::There };
    let oneshot = spec.kind == Kind::Oneshot;
    let status = &view.status;
    let failed = || Progress::Never(view.reason.clone().unwrap_or_default());
    let when = |met| if met { Progress::There } else { Progress::NotYet };
    match (goal, status.state) {
        (Goal::Stopped, "Finished" | "FinishedFailed") => Progress::There,
        (Goal::Stopped, "Initial") => when(!status.wanted),
        (Goal::Stopped, _) => Progress::NotYet,
        (Goal::Failed, "FinishedFailed") | (Goal::Finished, "Finished") => Progress::There,
        (_, "FinishedFailed") => failed(),
        (Goal::Ready, "Finished") if oneshot && status.wanted => Progress::There,
        (_, "Finished") if !status.wanted => Progress::Never("it was stopped".to_owned()),
        (_, "Finished") => Progress::Never("it has finished".to_owned()),
        (Goal::Failed | Goal::Finished, _) => Progress::NotYet,
        (Goal::Running, state) => when(matches!(state, "Started" | "Running")),
        (Goal::Ready, state) => when(state == "Running" && !oneshot),
        (Goal::Healthy, _) if spec.health.is_none() => Progress::Never("it has no health checks".to_owned()),
        (Goal::Healthy, _) => when(status.health == Some("healthy")),
    }
}

/// Waits until all these services have reached the goal, one of them can't any more, or time is up.
pub async fn wait(
    desk: &Desk,
    mut end: watch::Receiver<bool>,
    ids: Vec<ServiceId>,
    goal: Goal,
    timeout: Duration,
) -> Result<Services, Fault> {
    let mut steps = desk.steps.subscribe();
    let deadline = Instant::now().checked_add(timeout).unwrap_or_else(|| Instant::now() + limits::LONGEST_WAIT);
    loop {
        steps.borrow_and_update();
        let answer = desk.call(vec![], ids.clone()).await?;
        let (mut missing, mut more) = (None, 0_usize);
        for view in &answer.services {
            match progress(desk, view, goal) {
                Progress::There => {}
                Progress::NotYet if missing.is_some() => more = more.saturating_add(1),
                Progress::NotYet => missing = Some(format!("{}: {}", view.status.name, view.status.state)),
                Progress::Never(why) => {
                    let detail = format!("{} will not be {}: {why}", view.status.name, goal.name());
                    return Err(Fault::new(StatusCode::CONFLICT, detail));
                }
            }
        }
        let Some(mut missing) = missing else { return Ok(services(desk, answer)) };
        if more > 0 {
            missing.push_str(&format!(", and {more} more"));
        }
        tokio::select! {
            // Many things may happen at once; one look is enough for all of them.
            _ = steps.changed() => sleep(limits::LOOK_AGAIN).await,
            () = sleep_until(deadline) => {
                let detail = format!("not {} within {}: {missing}", goal.name(), humantime::format_duration(timeout));
                return Err(Fault::new(StatusCode::GATEWAY_TIMEOUT, detail));
            }
            _ = async { end.wait_for(|ending| *ending).await.is_ok() } => {
                return Err(Fault::new(StatusCode::SERVICE_UNAVAILABLE, "Horust is ending"));
            }
        }
    }
}

impl Goal {
    fn name(self) -> &'static str {
        match self {
            Goal::Ready => "ready",
            Goal::Healthy => "healthy",
            Goal::Stopped => "stopped",
            Goal::Running => "running",
            Goal::Finished => "finished",
            Goal::Failed => "failed",
        }
    }
}

/// Whether Horust and all its services are well. What was stopped by hand, or has done its work, is no trouble.
pub fn health(up: bool, views: &[View]) -> Health {
    let why = |view: &View| {
        let status = &view.status;
        match (status.state, status.health) {
            ("FinishedFailed", _) => Some(view.reason.clone().unwrap_or_default()),
            ("Running", Some("unhealthy")) => {
                Some(format!("unhealthy: {}", status.probe_error.as_deref().unwrap_or_default()))
            }
            ("Running", Some("unknown")) => Some("no health check has passed yet".to_owned()),
            ("Running" | "Success" | "Finished", _) => None,
            ("Failed", _) => Some("has failed, and will be started again".to_owned()),
            (_, _) if !status.wanted => None,
            (_, _) => Some("is not ready".to_owned()),
        }
    };
    let trouble = |view: &View| why(view).map(|why| Trouble { service: view.status.name.clone(), why });
    let troubles: Vec<Trouble> = views.iter().filter_map(trouble).collect();
    Health { healthy: up && troubles.is_empty(), up, troubles }
}
