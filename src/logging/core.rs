//! The logger thread: one for all captured services. It sleeps in epoll(7) until a service writes or a place has room, and
//! never waits for any single place: who writes to a full one waits, the others go on. Every service's pipe is taken in
//! turn, a bounded amount at a time.

use super::file::Now;
use super::frame::{self, Around};
use super::places::Sinks;
use super::rate::Limiter;
use super::relay::Relay;
use super::services::{Service, Services};
use super::sink::Sink;
use super::source::{Read, Source};
use super::tidy::Tidy;
use super::{Attach, OnLine, OnOutput, Request};
use crate::chaos;
use crate::limits;
use crate::model::{Ask, Plan, Reading, Stream};
use crossbeam_channel::{Receiver, Sender, TryRecvError};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::EventFd;
use regex_lite::Regex;
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What an epoll event is about: the wake-up call, a source by its id, or (with this bit) a sink by its index.
const WAKE: u64 = 0;
const SINK: u64 = 1 << 63;
/// What epoll tells of a source.
const WATCHED: EpollFlags = EpollFlags::EPOLLIN.union(EpollFlags::EPOLLET);
/// Events taken at once.
const EVENTS: usize = 256;
/// Reads from one source before the others get their turn.
const READS_PER_TURN: usize = 8;
/// Turns in a row, each soon after the other, after which small output is left to gather.
const BUSY_TURNS: u32 = 4;
/// Who gives so much in a turn is looked at after the pause without being watched meanwhile.
const GATHERED: usize = 4096;

/// The thread's state. It outlives a panic.
pub struct Core {
    epoll: Epoll,
    wake: Arc<EventFd>,
    requests: Receiver<Request>,
    services: Services,
    sinks: Sinks,
    /// By age: the older is served first, so that a run's last lines come before the next run's first.
    sources: BTreeMap<u64, Source>,
    last_id: u64,
    /// Sources that may have something to read, and whose sink has room.
    ready: BTreeSet<u64>,
    /// Sources that write so much that each is looked at after every pause: epoll does not watch them, as it would be told of
    /// each write, by who writes.
    gathering: BTreeSet<u64>,
    /// By way of which these are read, where that may be.
    relay: OnceCell<Option<Relay>>,
    big_pipes: usize,
    tidy: Tidy,
    buffer: Vec<u8>,
    text: Vec<u8>,
    /// When there may be something to tell: no later than when there is.
    alarm: Option<Instant>,
    /// Nobody will ask any more.
    alone: bool,
    finish: Option<(Instant, Sender<()>)>,
    /// All that was written has been passed on: there is nothing left to do but to answer.
    finished: bool,
    on_line: OnLine,
    /// Something was kept in memory since the readers were last told.
    news: bool,
    on_output: OnOutput,
}

/// What one turn of a source came to.
#[derive(Default)]
struct Turn {
    bytes: usize,
    hot: bool,
}

impl Core {
    /// A thread's state before its first turn.
    pub fn new(
        requests: Receiver<Request>,
        wake: Arc<EventFd>,
        on_line: OnLine,
        on_output: OnOutput,
    ) -> Result<Core, Errno> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(&*wake, EpollEvent::new(EpollFlags::EPOLLIN, WAKE))?;
        Ok(Core {
            epoll,
            wake,
            requests,
            services: Services::default(),
            sinks: Sinks::default(),
            sources: BTreeMap::new(),
            last_id: 0,
            ready: BTreeSet::new(),
            gathering: BTreeSet::new(),
            relay: OnceCell::new(),
            big_pipes: 0,
            tidy: Tidy::default(),
            buffer: vec![0; limits::LINE.saturating_add(limits::OUTPUT_READ)],
            text: Vec::new(),
            alarm: None,
            alone: false,
            finish: None,
            finished: false,
            on_line,
            news: false,
            on_output,
        })
    }

    /// Runs until nobody is left to tell it anything.
    pub fn run(&mut self) {
        let mut busy: u32 = 0;
        let mut last = Instant::now();
        loop {
            self.wait();
            chaos::point("output");
            let now = Now::read();
            let (moved, writers) = self.turn(&now);
            self.finish_if_due(&now);
            if std::mem::take(&mut self.news) {
                (self.on_output)();
            }
            if self.alone && self.sources.is_empty() {
                return;
            }
            let soon = now.mono.duration_since(last) < limits::OUTPUT_GATHER.saturating_mul(2);
            busy = if soon && moved.bytes > 0 { busy.saturating_add(1) } else { 0 };
            if busy >= BUSY_TURNS && !moved.hot && self.ready.is_empty() && self.finish.is_none() {
                self.gather(&writers);
                std::thread::sleep(limits::OUTPUT_GATHER);
            }
            last = Instant::now();
        }
    }

    /// What these write is looked at after the pause, whether or not epoll would tell of it.
    fn gather(&mut self, writers: &[u64]) {
        for id in writers {
            if let Some(source) = self.sources.get(id)
                && self.gathering.insert(*id)
            {
                let _ = self.epoll.delete(source.fd());
            }
        }
    }

    /// A source had nothing: epoll tells when it has.
    fn watch_again(&mut self, id: u64) {
        if self.gathering.remove(&id)
            && let Some(source) = self.sources.get(&id)
            && let Err(errno) = self.epoll.add(source.fd(), EpollEvent::new(WATCHED, id))
        {
            cannot_wait(errno);
            self.gathering.insert(id);
        }
    }

    fn wait(&mut self) {
        self.ready.extend(&self.gathering);
        let mut events = [EpollEvent::empty(); EVENTS];
        let timeout = match (self.ready.is_empty(), self.due()) {
            (false, _) => EpollTimeout::ZERO,
            (true, None) => EpollTimeout::NONE,
            (true, Some(at)) => {
                let left = at.saturating_duration_since(Instant::now()).as_millis().saturating_add(1);
                EpollTimeout::try_from(i32::try_from(left).unwrap_or(i32::MAX)).unwrap_or(EpollTimeout::ZERO)
            }
        };
        let count = match self.epoll.wait(&mut events, timeout) {
            Ok(count) => count,
            Err(Errno::EINTR) => 0,
            Err(errno) => {
                cannot_wait(errno);
                0
            }
        };
        for event in events.get(..count).unwrap_or_default() {
            match event.data() {
                WAKE => drop(self.wake.read()),
                data if data & SINK != 0 => self.flush(data & !SINK),
                id => {
                    if let Some(source) = self.sources.get_mut(&id) {
                        source.left |= event.events().contains(EpollFlags::EPOLLHUP);
                        self.ready.insert(id);
                    }
                }
            }
        }
    }

    /// Gives what it came to, and who gave so much that more may have gathered after a pause.
    fn turn(&mut self, now: &Now) -> (Turn, Vec<u64>) {
        self.take_requests(now);
        let (mut all, mut writers) = (Turn::default(), Vec::new());
        for id in self.ready.iter().copied().collect::<Vec<_>>() {
            let turn = self.serve(id, now);
            all.bytes = all.bytes.saturating_add(turn.bytes);
            all.hot |= turn.hot;
            match turn.bytes {
                0 => self.watch_again(id),
                GATHERED.. => writers.push(id),
                _ => {}
            }
        }
        self.tell(now);
        (all, writers)
    }

    /// The next time at which there is something to do even if nothing happens.
    fn due(&self) -> Option<Instant> {
        let finish = self.finish.as_ref().map(|(by, _)| *by);
        self.alarm.into_iter().chain(finish).min()
    }

    fn take_requests(&mut self, now: &Now) {
        for _ in 0..limits::LOG_REQUESTS_PER_TURN {
            match self.requests.try_recv() {
                Ok(Request::Attach(_)) if self.finished => {}
                Ok(Request::Attach(attach)) => self.attach(*attach, now),
                Ok(Request::Adopt(plan)) => self.adopt(&plan, now),
                Ok(Request::Read { asks, reply }) => reply(self.read(&asks)),
                Ok(Request::Finish { by, done }) => {
                    self.finish = Some((by, done));
                    self.sources.values_mut().for_each(|source| source.last_bytes = 0);
                    self.ready.extend(self.sources.keys());
                }
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {
                    self.alone = true;
                    return;
                }
            }
        }
        // There may be more, of which nobody tells again.
        let _ = self.wake.write(1);
    }

    fn read(&self, asks: &[Ask]) -> Vec<Option<Reading>> {
        asks.iter().map(|ask| Some(self.services.find(&ask.service)?.ring.read(ask))).collect()
    }

    /// These are the services now. What is left of others is forgotten as it ends; if it waits for room in a place that is
    /// not theirs any more, it is given up with the second reload.
    fn adopt(&mut self, plan: &Plan, now: &Now) {
        self.services.adopt(plan);
        for index in self.sinks.adopt(plan) {
            let Some(sink) = self.sinks.get_mut(index) else { continue };
            for id in sink.waiting.clone() {
                if self.sources.get(&id).is_some_and(|source| source.left) {
                    self.end(id, now);
                    self.forget(id);
                }
            }
            if let Some(sink) = self.sinks.get_mut(index).filter(|sink| sink.users == 0) {
                sink.give_up();
                self.sinks.tidy(index);
            }
        }
    }

    /// Takes on the streams of a new run.
    fn attach(&mut self, attach: Attach, now: &Now) {
        let Attach { spec, stdout, stderr, started, awaited } = attach;
        // It was tried when the file was loaded.
        let awaited = awaited.and_then(|(run, pattern)| Some((run, Regex::new(&pattern).ok()?)));
        let Some(log) = spec.log.as_deref() else { return };
        let service = self.services.add(&spec, log, now);
        self.expect_ends(service);
        for (stream, pipe) in [(Stream::Out, stdout), (Stream::Err, stderr)] {
            let (output, rotation) = match stream {
                Stream::Out => (&spec.stdout, &log.stdout),
                Stream::Err if spec.stderr == spec.stdout => (&spec.stdout, &log.stdout),
                Stream::Err => (&spec.stderr, &log.stderr),
            };
            let sink = self.sinks.add(output, rotation, started);
            self.last_id = self.last_id.saturating_add(1);
            let id = self.last_id;
            let mut source = Source::new(pipe, stream, service, sink);
            source.awaited.clone_from(&awaited);
            if let Err(errno) = self.epoll.add(source.fd(), EpollEvent::new(WATCHED, id)) {
                log::error!("{}: cannot read its output: {}", spec.name, errno.desc());
                continue;
            }
            if let Some(sink) = self.sinks.get_mut(sink) {
                sink.users = sink.users.saturating_add(1);
            }
            self.sources.insert(id, source);
            self.ready.insert(id);
            if let Some(service) = self.services.get_mut(service) {
                service.streams = service.streams.saturating_add(1);
                service.latest.push(id);
            }
        }
    }

    /// A new run of the service begins, so the last one is over: the ends of its streams are there to be read, before the
    /// first line of the new run, whether or not epoll has told of them yet.
    fn expect_ends(&mut self, service: usize) {
        let Some(service) = self.services.get_mut(service) else { return };
        // A hook may run beside a run that goes on; to look for an end that is not there does no harm.
        service.latest.retain(|id| {
            let source = self.sources.get_mut(id);
            self.ready.extend(source.is_some().then_some(*id));
            source.map(|source| source.left = true).is_some()
        });
    }

    /// Reads from one source, and passes on what it can.
    fn serve(&mut self, id: u64, now: &Now) -> Turn {
        let mut turn = Turn::default();
        self.ready.remove(&id);
        for _ in 0..READS_PER_TURN {
            let Some(source) = self.sources.get_mut(&id) else { return turn };
            let Some(sink) = self.sinks.get_mut(source.sink) else { return turn };
            if sink.is_full() {
                sink.waiting.insert(id);
                return turn;
            }
            if source.ended {
                self.pass_rest(id, now);
                continue;
            }
            let mut carry = std::mem::take(&mut source.carry);
            let whole = frame::whole(&carry, 0);
            if whole > 0 {
                // Left from when its sink was full.
                let done = self.pass(id, carry.get(..whole).unwrap_or_default(), false, now);
                carry.drain(..done);
                self.keep(id, &carry);
                continue;
            }
            let mut buffer = std::mem::take(&mut self.buffer);
            let held = carry.len();
            if let Some(start) = buffer.get_mut(..held) {
                start.copy_from_slice(&carry);
            }
            let gathering = self.gathering.contains(&id);
            let relay = if gathering { self.relay.get_or_init(Relay::new).as_ref() } else { None };
            let read = source.read(&mut buffer, held, relay);
            let mut more = true;
            match read {
                Read::Some(count) => {
                    turn.bytes = turn.bytes.saturating_add(count);
                    turn.hot |= source.is_hot(count);
                    source.last_bytes = source.last_bytes.saturating_add(count);
                    if self.big_pipes < limits::BIG_PIPES && source.grow(count) {
                        self.big_pipes = self.big_pipes.saturating_add(1);
                    }
                    let data = buffer.get(..held.saturating_add(count)).unwrap_or_default();
                    // A pipe that gives less than it could is empty now, and says when it no longer is: epoll(7).
                    more = source.left || held.saturating_add(count) == buffer.len();
                    let end = frame::whole(data, held);
                    if let Some(run) = source.awaited_in(data.get(..end).unwrap_or_default()) {
                        (self.on_line)(run);
                    }
                    let done = self.pass(id, data.get(..end).unwrap_or_default(), false, now);
                    self.keep(id, data.get(done..).unwrap_or_default());
                }
                Read::Nothing => {
                    source.carry = carry;
                    more = false;
                }
                Read::End => {
                    source.carry = carry;
                    source.ended = true;
                }
            }
            self.buffer = buffer;
            if !more && !self.has_lines(id) {
                return turn;
            }
        }
        self.ready.insert(id);
        turn
    }

    fn keep(&mut self, id: u64, rest: &[u8]) {
        if let Some(source) = self.sources.get_mut(&id) {
            source.carry.clear();
            source.carry.extend(rest);
        }
    }

    /// Whether lines are left because their sink became full.
    fn has_lines(&self, id: u64) -> bool {
        self.sources.get(&id).is_some_and(|source| frame::whole(&source.carry, 0) > 0)
    }

    /// Passes on lines, the last of which may lack its newline if it is its `end` all the same. Says how many bytes it took.
    fn pass(&mut self, id: u64, lines: &[u8], end: bool, now: &Now) -> usize {
        let Some(source) = self.sources.get(&id) else { return 0 };
        let Some(service) = self.services.get_mut(source.service) else { return 0 };
        let Some(sink) = self.sinks.get_mut(source.sink) else { return 0 };
        let stream = source.stream;
        let mut done: usize = 0;
        self.news |= !lines.is_empty();
        if service.style.is_plain() && service.limiter.is_none() {
            sink.put(id, lines, now, &mut self.tidy);
            service.ring.push(now.wall, stream, lines);
            service.ring.push(now.wall, stream, missing_end(lines, end));
            done = lines.len();
        } else {
            let time = service.style.time(now.wall);
            let coloured = sink.is_terminal();
            while !sink.is_full() && done < lines.len() {
                self.text.clear();
                while let Some(rest) = lines.get(done..).filter(|rest| !rest.is_empty()) {
                    let line = rest.get(..frame::first(rest)).unwrap_or(rest);
                    done = done.saturating_add(line.len());
                    if service.limiter.as_mut().is_some_and(|limiter| !limiter.allows(now.mono)) {
                        service.told_by = id;
                        continue;
                    }
                    service.ring.push(now.wall, stream, line);
                    service.ring.push(now.wall, stream, missing_end(line, end));
                    let text = line.strip_suffix(b"\n");
                    let partial = text.is_none() && !end;
                    let around = Around { stream, time: &time, coloured, partial };
                    service.style.write(text.unwrap_or(line), &around, &mut self.text);
                    if self.text.len() >= limits::OUTPUT_WRITE {
                        break;
                    }
                }
                sink.put(id, &self.text, now, &mut self.tidy);
            }
        }
        let due = service.limiter.as_ref().and_then(Limiter::due);
        let sink = source.sink;
        self.alarm = self.alarm.into_iter().chain(due).min();
        self.after_put(sink);
        done
    }

    /// The pipe has ended: passes on its last line, if that has no end of its own, and forgets it.
    fn pass_rest(&mut self, id: u64, now: &Now) {
        let Some(source) = self.sources.get_mut(&id) else { return };
        let rest = std::mem::take(&mut source.carry);
        if let Some(run) = source.awaited_in(&rest) {
            (self.on_line)(run);
        }
        let done = self.pass(id, &rest, true, now);
        if done < rest.len() {
            return self.keep(id, rest.get(done..).unwrap_or_default());
        }
        let teller = self.services.all().find(|(_, service)| service.told_by == id).map(|(index, _)| index);
        if let Some(index) = teller {
            self.tell_dropped(index, now);
        }
        self.forget(id);
    }

    fn forget(&mut self, id: u64) {
        let Some(source) = self.sources.remove(&id) else { return };
        self.gathering.remove(&id);
        self.big_pipes = self.big_pipes.saturating_sub(usize::from(source.big));
        if let Some(sink) = self.sinks.get_mut(source.sink) {
            sink.users = sink.users.saturating_sub(1);
            sink.waiting.remove(&id);
        }
        self.sinks.tidy(source.sink);
        if let Some(service) = self.services.get_mut(source.service) {
            service.streams = service.streams.saturating_sub(1);
        }
        self.services.tidy(source.service);
    }

    /// Sees to it that what a sink needs later is not forgotten: something to be told, or room.
    fn after_put(&mut self, index: usize) {
        let Some(sink) = self.sinks.get_mut(index) else { return };
        self.alarm = self.alarm.into_iter().chain(sink.due()).min();
        if !sink.is_full() || sink.polled {
            return;
        }
        let data = SINK | index as u64;
        let Some(fd) = sink.fd() else { return };
        let added = self.epoll.add(fd, EpollEvent::new(EpollFlags::EPOLLOUT | EpollFlags::EPOLLET, data));
        match added {
            Ok(()) | Err(Errno::EEXIST) => sink.polled = true,
            Err(_) => sink.give_up(),
        }
    }

    /// There may be room in a sink.
    fn flush(&mut self, index: u64) {
        let now = Now::read();
        let Ok(index) = usize::try_from(index) else { return };
        let Some(sink) = self.sinks.get_mut(index) else { return };
        sink.flush(&now, &mut self.tidy);
        self.alarm = self.alarm.into_iter().chain(sink.due()).min();
        if !sink.is_full() {
            self.ready.append(&mut sink.waiting);
            self.sinks.tidy(index);
        }
    }

    /// Tells what is due to be told.
    fn tell(&mut self, now: &Now) {
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now.mono);
        if !due(self.alarm) {
            return;
        }
        let limit = |(index, service): (usize, &Service)| Some((index, service.limiter.as_ref()?.due()?));
        for (index, at) in self.services.all().filter_map(limit).collect::<Vec<_>>() {
            if due(Some(at)) {
                self.tell_dropped(index, now);
            }
        }
        self.sinks.all_mut().filter(|sink| due(sink.due())).for_each(Sink::tell);
        let limits = self.services.all().filter_map(limit).map(|(_, at)| at);
        self.alarm = limits.chain(self.sinks.all().filter_map(Sink::due)).min();
    }

    /// Tells, among the service's lines, how many were dropped for their rate.
    fn tell_dropped(&mut self, index: usize, now: &Now) {
        let Some(service) = self.services.get_mut(index) else { return };
        let Some(words) = service.limiter.as_mut().and_then(Limiter::tell) else { return };
        let Some(source) = self.sources.get(&service.told_by) else { return };
        let Some(sink) = self.sinks.get_mut(source.sink) else { return };
        let time = service.style.time(now.wall);
        let around = Around { stream: source.stream, time: &time, coloured: sink.is_terminal(), partial: false };
        self.text.clear();
        service.style.notice(&words, &around, &mut self.text);
        sink.put(service.told_by, &self.text, now, &mut self.tidy);
        let index = source.sink;
        self.after_put(index);
    }

    /// Ends what is left, once all is passed on or time is up.
    fn finish_if_due(&mut self, now: &Now) {
        let Some((by, done)) = &self.finish else { return };
        // Who writes on and on after the end of everything is not waited for.
        let endless = |source: &Source| source.last_bytes > limits::BIG_PIPE.saturating_mul(2);
        let drained = self.ready.iter().filter_map(|id| self.sources.get(id)).all(endless);
        if *by > now.mono && (!drained || self.sinks.all().any(Sink::is_full)) {
            return;
        }
        let (by, done) = (*by, done.clone());
        for id in self.sources.keys().copied().collect::<Vec<_>>() {
            self.end(id, now);
        }
        self.sources.clear();
        self.ready.clear();
        self.gathering.clear();
        self.sinks.all_mut().for_each(Sink::give_up);
        self.tidy.finish(by.saturating_duration_since(Instant::now()));
        (self.finish, self.finished, self.alarm) = (None, true, None);
        let _ = done.try_send(());
    }

    /// The end of Horust, or of the service, for one source: a line that was begun is passed on as it is; if there is more
    /// that there was no time for, all of it is counted as lost.
    fn end(&mut self, id: u64, now: &Now) {
        let Some(source) = self.sources.get_mut(&id) else { return };
        let Some(sink) = self.sinks.get_mut(source.sink) else { return };
        if !self.ready.contains(&id) && !sink.waiting.contains(&id) {
            return self.pass_rest(id, now);
        }
        let mut left = std::mem::take(&mut source.carry);
        let most = limits::BIG_PIPE.saturating_mul(2);
        while let Read::Some(count) = source.read(&mut self.buffer, 0, None) {
            left.extend(self.buffer.get(..count).unwrap_or_default());
            if left.len() > most {
                break;
            }
        }
        sink.count_lost(&left);
    }
}

/// Nobody tells when there is output: it is looked at now and then.
fn cannot_wait(errno: Errno) {
    log::error!("cannot wait for output: {}", errno.desc());
    std::thread::sleep(Duration::from_millis(100));
}

/// What a run's last line lacks. In memory it is a line of its own: the next run's first is another.
fn missing_end(lines: &[u8], end: bool) -> &'static [u8] {
    let lacks = end && lines.last().is_some_and(|byte| *byte != b'\n');
    if lacks { b"\n" } else { b"" }
}
