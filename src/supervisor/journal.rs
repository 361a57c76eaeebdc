//! The journal: the latest steps as a few bytes each, so that what has happened here can be lived again elsewhere. With each step
//! goes what it has changed, as it was before: the way back from now to the first step that is kept. So nothing is copied that
//! nothing has happened to, and what it takes does not grow with the number of services.

use super::Supervisor;
use super::checkpoint::{Checkpoint, Memory};
use super::coded::{Coded, Reader, Writer};
use super::event::{Action, Event};
use super::services::Trail;
use super::shutdown::Phase;
use crate::model::{Mono, Plan};

/// The latest steps.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    /// As many bytes of steps are kept at least, and twice as many at most, but for the longest step.
    room: usize,
    /// Those before the latest ones; forgotten when there are enough of these.
    old: Vec<u8>,
    latest: Writer,
    /// What jitter followed from at the boot, if all steps since then are kept: then no way back is needed.
    boot: Option<u64>,
    /// What was true before the step that is under way.
    before: Option<(Mono, u64, Phase)>,
}

impl Journal {
    fn forget(&mut self) {
        *self = Journal { room: self.room, ..Journal::default() };
    }
}

impl Supervisor {
    /// From now on so many bytes of the latest steps are kept, or somewhat more.
    pub fn keep_journal(&mut self, room: usize) {
        self.journal = Some(Box::new(Journal { room, ..Journal::default() }));
        self.services.trail = Some(Trail::default());
    }

    /// A step begins.
    pub(super) fn begin_entry(&mut self, now: Mono, event: &Event) {
        let Some(journal) = &mut self.journal else { return };
        let boots = *event == Event::Boot;
        // A plan is long, and the way back does not lead into another one.
        let known = !matches!(event, Event::Loaded(_));
        self.services.begin(now, known && !boots);
        if boots || !known {
            journal.forget();
            journal.boot = Some(self.random).filter(|_| boots);
        }
        if !known {
            return;
        }
        if journal.latest.bytes.len() >= journal.room {
            journal.boot.take_if(|_| !journal.old.is_empty());
            std::mem::swap(&mut journal.old, &mut journal.latest.bytes);
            journal.latest.bytes.clear();
            journal.latest.now = Mono::default();
        }
        journal.before = Some((self.now, self.random, self.phase));
        now.write(&mut journal.latest);
        journal.latest.now = now;
        event.write(&mut journal.latest);
    }

    /// It has led to these actions; or, if there are none, to a panic.
    pub(super) fn end_entry(&mut self, actions: Option<&[Action]>) {
        let (Some(journal), Some(trail)) = (&mut self.journal, &self.services.trail) else { return };
        let Some((now, random, phase)) = journal.before.take() else { return };
        if actions.is_some_and(|actions| actions.iter().any(|action| matches!(action, Action::Adopt(_)))) {
            return journal.forget();
        }
        let to = &mut journal.latest;
        actions.is_some().write(to);
        to.number(actions.map_or(0, <[Action]>::len) as u64);
        actions.into_iter().flatten().for_each(|action| action.write(to));
        now.write(to);
        Some(random).filter(|random| *random != self.random).write(to);
        phase.write(to);
        to.number(trail.touched.len() as u64);
        to.bytes.extend_from_slice(&trail.before.bytes);
    }

    /// The journal, for [`Story::read`]. Empty if none is kept.
    pub fn journal(&mut self) -> Vec<u8> {
        // A step that has not ended has panicked.
        self.end_entry(None);
        let mut to = Writer { now: self.now, ..Writer::default() };
        let Some(journal) = &self.journal else { return to.bytes };
        to.number(self.now.0);
        self.services.plan(self.settings.clone()).write(&mut to);
        self.note(&mut to);
        journal.boot.write(&mut to);
        for steps in [&journal.old, &journal.latest.bytes] {
            to.number(steps.len() as u64);
            to.bytes.extend_from_slice(steps);
        }
        to.bytes
    }
}

/// A journal that has been read.
#[derive(Clone, Debug)]
pub struct Story {
    /// The services, as far as it says what they are.
    pub plan: Plan,
    /// As it was before the first step.
    pub start: Supervisor,
    /// The oldest first.
    pub steps: Vec<Step>,
    /// What was true after the last one, but for how services came up for the first time.
    pub end: Checkpoint,
}

/// One step.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// When.
    pub now: Mono,
    /// What had happened.
    pub event: Event,
    /// What was done about it; none if Horust has failed here.
    pub actions: Option<Vec<Action>>,
}

/// What was true before a step, as far as it has changed that.
struct Before {
    now: Mono,
    random: Option<u64>,
    phase: Phase,
    touched: Vec<Memory>,
}

impl Story {
    /// Reads what [`Supervisor::journal`] has written. None if it is something else.
    pub fn read(bytes: &[u8]) -> Option<Story> {
        let mut from = Reader { bytes, now: Mono::default() };
        from.now = Mono(from.number()?);
        let plan = Plan::read(&mut from)?;
        let end = Checkpoint::read(&mut from)?;
        let boot = Option::<u64>::read(&mut from)?;
        let (mut steps, mut way_back) = (Vec::new(), Vec::new());
        for _ in 0..2 {
            let length = usize::try_from(from.number()?).ok()?;
            let (part, rest) = from.bytes.split_at_checked(length)?;
            let mut part = Reader { bytes: part, now: Mono::default() };
            while !part.bytes.is_empty() {
                let (step, before) = read_step(&mut part)?;
                steps.push(step);
                way_back.push(before);
            }
            from.bytes = rest;
        }
        let start = match boot {
            Some(seed) => Supervisor::new(&plan, seed),
            None => {
                let mut memory = end.clone();
                for before in way_back.into_iter().rev() {
                    memory.now = before.now;
                    memory.phase = before.phase;
                    memory.random = before.random.unwrap_or(memory.random);
                    for was in before.touched {
                        let slot = memory.services.get_mut(was.run.service.index())?;
                        *slot = was;
                    }
                }
                Supervisor::resume(&plan, memory)
            }
        };
        Some(Story { plan, start, steps, end })
    }
}

fn read_step(from: &mut Reader) -> Option<(Step, Before)> {
    let now = Mono::read(from)?;
    from.now = now;
    let event = Event::read(from)?;
    let ended = bool::read(from)?;
    let actions = Some(Vec::read(from)?).filter(|_| ended);
    let before = Before {
        now: Mono::read(from)?,
        random: Coded::read(from)?,
        phase: Coded::read(from)?,
        touched: Coded::read(from)?,
    };
    Some((Step { now, event, actions }, before))
}
