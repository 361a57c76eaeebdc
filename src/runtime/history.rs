//! What has happened to the services: the latest events, kept as numbers and put into words when somebody asks. Only what
//! is worth a warning has its words from the beginning: they were needed anyway, and say what was so at that moment.

use super::report;
use crate::control::{EventsAsked, Happening, Happenings, Steps, moved};
use crate::limits;
use crate::model::{Exit, Mono, Plan, RunId, ServiceId};
use crate::supervisor::{Report, Supervisor};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The latest events, the oldest first.
pub struct History {
    events: VecDeque<Entry>,
    /// How many there have been that are not kept any more.
    gone: u64,
    /// Moves with each event, while somebody watches.
    news: Arc<Steps>,
}

struct Entry {
    at: Mono,
    what: What,
}

/// The frequent ones take no memory but this.
enum What {
    Started(RunId),
    Ready(RunId, Tenths),
    Ended(RunId, Exit),
    Finished(ServiceId),
    Other(Box<Report>),
    Told(Box<Told>),
}

/// Tenths of a millisecond, as exactly as such times are told.
type Tenths = u32;

/// One that has its words.
struct Told {
    service: Option<ServiceId>,
    /// Its name, if another service has got its id.
    former: Option<Box<str>>,
    kind: &'static str,
    text: Box<str>,
}

impl History {
    /// Nothing has happened yet.
    pub fn new(news: Arc<Steps>) -> History {
        History { events: VecDeque::new(), gone: 0, news }
    }

    /// Logs and keeps one report. It is `now` for the supervisor, and this has happened `at` that time.
    pub fn add(&mut self, plan: &Plan, supervisor: &Supervisor, now: Mono, at: Mono, report: &Report) {
        let level = report::level(report);
        let lasting = level <= log::Level::Warn;
        let mut words = None;
        if lasting || log::log_enabled!(level) {
            let text = report::full_words(plan, supervisor, now, report);
            report::log(plan, report, &text);
            words = Some(text).filter(|_| lasting);
        }
        let what = match (words, report) {
            (Some(text), _) => {
                let (service, kind) = (report::about(report), report::kind(report));
                What::Told(Box::new(Told { service, former: None, kind, text: text.into_boxed_str() }))
            }
            (None, Report::Started(run)) => What::Started(*run),
            (None, Report::Ready(run, after)) => What::Ready(*run, tenths(*after)),
            (None, Report::Ended(run, exit)) => What::Ended(*run, *exit),
            (None, Report::Finished(id)) => What::Finished(*id),
            (None, other) => What::Other(Box::new(other.clone())),
        };
        if self.events.len() >= limits::EVENTS {
            self.events.pop_front();
            self.gone = self.gone.saturating_add(1);
        }
        self.events.push_back(Entry { at, what });
        moved(&self.news);
    }

    /// Ids may mean other services from now on: what has happened to those of before gets its words.
    pub fn rename(&mut self, old: &Plan, new: &Plan) {
        let name = |plan: &Plan, id: ServiceId| plan.services.get(id.index()).map(|spec| spec.name.clone());
        let pairs = old.services.iter().zip(&new.services);
        if pairs.into_iter().all(|(old, new)| old.name == new.name) {
            return;
        }
        let changed = |id: &ServiceId| name(old, *id) != name(new, *id);
        for entry in &mut self.events {
            let service = entry.what.service();
            if matches!(entry.what, What::Other(_)) || service.as_ref().is_some_and(changed) {
                let Happening { kind, text, service: former, .. } = entry.happening(0, old, entry.at);
                let same = service.filter(|id| !changed(id));
                let former = former.filter(|_| same.is_none()).map(String::into_boxed_str);
                entry.what = What::Told(Box::new(Told { service: same, former, kind, text: text.into_boxed_str() }));
            }
        }
    }

    /// What is asked for, in words; at most so many events as one answer may hold.
    pub fn read(&self, plan: &Plan, now: Mono, asked: &EventsAsked) -> Happenings {
        let newest = self.gone.saturating_add(self.events.len() as u64);
        // Who has seen what has not happened yet speaks of another Horust, before this one.
        let after = asked.after.filter(|after| *after <= newest);
        let mut first = after.unwrap_or(self.gone).max(self.gone);
        let wanted = |entry: &Entry| match (&asked.of, entry.what.service()) {
            (None, _) => true,
            (Some(of), Some(id)) => of.binary_search(&id).is_ok(),
            (Some(_), None) => false,
        };
        if let Some(last) = asked.last {
            let enough = self.numbered(first).rev().filter(|(_, entry)| wanted(entry)).nth(last);
            first = enough.map_or(first, |(seq, _)| seq);
        }
        let (mut events, mut next) = (Vec::new(), newest);
        for (seq, entry) in self.numbered(first).filter(|(_, entry)| wanted(entry)) {
            if events.len() == limits::EVENTS_AT_ONCE {
                next = seq.saturating_sub(1);
                break;
            }
            events.push(entry.happening(seq, plan, now));
        }
        let lost = after.map_or(0, |after| self.gone.saturating_sub(after));
        Happenings { events, next, newest, lost }
    }

    /// The events after this one, with their numbers.
    fn numbered(&self, after: u64) -> impl DoubleEndedIterator<Item = (u64, &Entry)> {
        let skip = usize::try_from(after.saturating_sub(self.gone)).unwrap_or(usize::MAX).min(self.events.len());
        self.events.range(skip..).enumerate().map(move |(at, entry)| {
            let before = self.gone.saturating_add(skip as u64).saturating_add(at as u64);
            (before.saturating_add(1), entry)
        })
    }
}

impl What {
    fn service(&self) -> Option<ServiceId> {
        match self {
            What::Started(run) | What::Ready(run, _) | What::Ended(run, _) => Some(run.service),
            What::Finished(id) => Some(*id),
            What::Other(report) => report::about(report),
            What::Told(told) => told.service,
        }
    }
}

impl Entry {
    fn happening(&self, seq: u64, plan: &Plan, now: Mono) -> Happening {
        let name = |id: ServiceId| plan.services.get(id.index()).map_or("?", |spec| spec.name.as_str()).to_owned();
        let rebuilt = match &self.what {
            What::Started(run) => Report::Started(*run),
            What::Ready(run, after) => {
                Report::Ready(*run, Duration::from_micros(u64::from(*after).saturating_mul(100)))
            }
            What::Ended(run, exit) => Report::Ended(*run, *exit),
            What::Finished(id) => Report::Finished(*id),
            What::Other(report) => (**report).clone(),
            What::Told(told) => {
                let former = told.former.as_ref().map(|name| name.clone().into_string());
                let (service, text) = (former.or(told.service.map(name)), told.text.clone().into_string());
                return Happening { seq, at: clock(self.at, now), service, kind: told.kind, text };
            }
        };
        Happening {
            seq,
            at: clock(self.at, now),
            service: self.what.service().map(name),
            kind: report::kind(&rebuilt),
            text: report::words(plan, &rebuilt),
        }
    }
}

fn clock(at: Mono, now: Mono) -> SystemTime {
    SystemTime::now().checked_sub(now.since(at)).unwrap_or(SystemTime::UNIX_EPOCH)
}

fn tenths(time: Duration) -> Tenths {
    Tenths::try_from(time.as_micros() / 100).unwrap_or(Tenths::MAX)
}
