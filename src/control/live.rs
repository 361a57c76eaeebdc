//! `GET /v1/services?follow=true`: what services are doing, and each change of it, as server-sent events: `services` has
//! all of them, at first and whenever there are others; `changed` those that do something else than before; `usage` what
//! their processes use, now and then.

use super::desk::Desk;
use super::router::{End, bare, chosen};
use super::stream::{Feed, Stop};
use super::wire::{Service, Services, Usages};
use crate::limits;
use crate::model::{Plan, ServiceId};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// What a follower has been told.
#[derive(Default)]
struct Told {
    /// By which plan.
    plan: Option<Arc<Plan>>,
    /// A digest of each service: with many services and followers, the services themselves would be much.
    services: HashMap<String, u64>,
}

/// Tells of these services until nobody listens or Horust ends.
pub async fn follow(desk: Arc<Desk>, names: &str, feed: &mut Feed, end: &mut End) -> Result<(), Stop> {
    let mut steps = desk.steps.subscribe();
    let mut told = Told::default();
    let mut usage_at = Instant::now();
    loop {
        steps.borrow_and_update();
        let begun = Instant::now();
        let desk = desk.now();
        // A reload may have removed a service that was named.
        let ids = chosen(&desk, names).unwrap_or_default();
        tell_changes(&desk, &ids, &mut told, feed).await?;
        if begun >= usage_at {
            let usage = tell_usage(&desk, &ids, feed).await?;
            usage_at = begun + usage.saturating_mul(limits::WATCH_SHARE).max(limits::USAGE_INTERVAL);
        }
        feed.flush().await?;
        // Whoever watches many services looks less often.
        sleep(begun.elapsed().saturating_mul(limits::WATCH_SHARE).clamp(limits::LOOK_AGAIN, limits::USAGE_INTERVAL))
            .await;
        // What this loses when its time is up is a comment, and news that the next look finds.
        let time = usage_at.saturating_duration_since(Instant::now());
        if let Ok(stop @ Err(_)) = timeout(time, feed.rest(&mut steps, end)).await {
            return stop;
        }
    }
}

async fn tell_changes(desk: &Desk, ids: &[ServiceId], told: &mut Told, feed: &mut Feed) -> Result<(), Stop> {
    let answer = desk.call(vec![], ids.to_vec()).await?;
    let Services { mut services } = bare(desk, answer);
    if !told.plan.as_ref().is_some_and(|plan| Arc::ptr_eq(plan, &desk.plan)) {
        told.plan = Some(Arc::clone(&desk.plan));
        told.services = services.iter().map(|service| (service.name.clone(), digest(service))).collect();
        return feed.event("services", None, &Services { services }).await;
    }
    services.retain(|service| {
        let new = digest(service);
        told.services.insert(service.name.clone(), new) != Some(new)
    });
    if services.is_empty() {
        return Ok(());
    }
    feed.event("changed", None, &Services { services }).await
}

/// Returns how long it took to find out.
async fn tell_usage(desk: &Desk, ids: &[ServiceId], feed: &mut Feed) -> Result<Duration, Stop> {
    let begun = Instant::now();
    let mut usage = Usages::default();
    for id in ids {
        if let (Some(spec), Some(pid)) = (desk.plan.get(*id), desk.pids.get(*id)) {
            usage.usage.insert(spec.name.clone(), (desk.usage)(pid));
            // There may be many, and others have a right to an answer.
            tokio::task::yield_now().await;
        }
    }
    let took = begun.elapsed();
    feed.event("usage", None, &usage).await?;
    Ok(took)
}

/// What is the same as long as the service does the same.
fn digest(service: &Service) -> u64 {
    let mut hasher = DefaultHasher::new();
    // That time passes is no change, and the beginning is computed from that.
    Service { since: String::new(), for_ms: 0, usage: None, ..service.clone() }.hash(&mut hasher);
    hasher.finish()
}
