//! The kept output of several services as lines in the order of time. It is read from the logger in small pieces as it is
//! needed, so that neither of us ever holds more than a little of it.

use super::desk::{Desk, NoAnswer};
use super::wire::{LogLine, Note};
use crate::limits;
use crate::model::{Ask, Piece, Reading, Start, escaped};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// What is left of several services' output.
pub struct Merge {
    desk: Arc<Desk>,
    sources: Vec<Source>,
    /// The sources that have a piece, by the time of their next.
    full: BinaryHeap<Reverse<(Duration, usize)>>,
    /// Those that have none at hand, but may have one.
    empty: Vec<usize>,
    /// Lines that are older than those that were asked for.
    skip: u64,
}

/// One service's output.
struct Source {
    service: Arc<str>,
    pieces: VecDeque<Piece>,
    /// Where the next piece begins.
    next: u64,
    /// No further than this.
    end: u64,
    /// Bytes that were gone before they could be read.
    lost: u64,
}

impl Merge {
    /// What is kept of these services: the last so many lines of all together, none older than this.
    pub async fn open(
        desk: Arc<Desk>,
        services: Vec<Arc<str>>,
        lines: Option<u64>,
        since: Option<Duration>,
    ) -> Result<Merge, NoAnswer> {
        let start = Start::Latest { lines, since };
        let ask = |service: &Arc<str>| Ask { service: Arc::clone(service), start, end: u64::MAX, most: 0 };
        let found = desk.output(services.iter().map(ask).collect()).await?;
        let held: u64 = found.iter().flatten().map(|reading| reading.lines).sum();
        let source = |(service, reading): (Arc<str>, Option<Reading>)| {
            let (next, end) = reading.map_or((0, 0), |reading| (reading.next, reading.end));
            Source { service, pieces: VecDeque::new(), next, end, lost: 0 }
        };
        let sources: Vec<Source> = services.into_iter().zip(found).map(source).collect();
        let empty = (0..sources.len()).collect();
        let skip = lines.map_or(0, |lines| held.saturating_sub(lines));
        Ok(Merge { desk, sources, full: BinaryHeap::new(), empty, skip })
    }

    /// The next lines; none once all is read that there was at the beginning.
    pub async fn next(&mut self) -> Result<Option<Vec<LogLine>>, NoAnswer> {
        loop {
            self.fill().await?;
            let Some(Reverse((_, index))) = self.full.pop() else { return Ok(None) };
            let Some(source) = self.sources.get_mut(index) else { return Ok(None) };
            let lines = source.pieces.pop_front().map(|piece| lines(&source.service, &piece)).unwrap_or_default();
            self.sort_in(index);
            let lines = self.without_skipped(lines);
            if !lines.is_empty() {
                return Ok(Some(lines));
            }
        }
    }

    /// Reads on in the sources whose next piece is not known.
    async fn fill(&mut self) -> Result<(), NoAnswer> {
        while !self.empty.is_empty() {
            let open = self.sources.iter().filter(|source| source.next < source.end).count();
            let empty = std::mem::take(&mut self.empty);
            self.empty = empty.into_iter().filter(|index| self.is_open(*index)).collect();
            let most = share(open);
            let asks = self.empty.iter().filter_map(|index| Some(self.sources.get(*index)?.ask(most)));
            let found = self.desk.output(asks.collect()).await?;
            for (index, reading) in std::mem::take(&mut self.empty).into_iter().zip(found) {
                if let Some(source) = self.sources.get_mut(index) {
                    source.take(reading);
                }
                self.sort_in(index);
            }
        }
        Ok(())
    }

    fn is_open(&self, index: usize) -> bool {
        self.sources.get(index).is_some_and(|source| source.next < source.end)
    }

    fn sort_in(&mut self, index: usize) {
        match self.sources.get(index).and_then(|source| source.pieces.front()) {
            Some(piece) => self.full.push(Reverse((piece.time, index))),
            None if self.is_open(index) => self.empty.push(index),
            None => {}
        }
    }

    fn without_skipped(&mut self, mut lines: Vec<LogLine>) -> Vec<LogLine> {
        lines.retain(|line| {
            let wanted = self.skip == 0;
            self.skip = self.skip.saturating_sub(u64::from(!line.partial));
            wanted
        });
        lines
    }

    /// What has come since, or as much of it as is read at once; and whether there is more.
    pub async fn more(&mut self) -> Result<(Vec<LogLine>, bool), NoAnswer> {
        let most = share(self.sources.len());
        self.sources.iter_mut().for_each(|source| source.end = u64::MAX);
        let found = self.desk.output(self.sources.iter().map(|source| source.ask(most)).collect()).await?;
        let (mut all, mut more) = (Vec::new(), false);
        for (source, reading) in self.sources.iter_mut().zip(found) {
            more |= reading.as_ref().is_some_and(|reading| reading.next < reading.end);
            source.take(reading);
            all.extend(source.pieces.drain(..).map(|piece| (piece.time, Arc::clone(&source.service), piece)));
        }
        all.sort_by_key(|(time, ..)| *time);
        Ok((all.iter().flat_map(|(_, service, piece)| lines(service, piece)).collect(), more))
    }

    /// What was lost since this was last asked.
    pub fn losses(&mut self) -> Vec<Note> {
        let lossy = self.sources.iter_mut().filter(|source| source.lost > 0);
        lossy
            .map(|source| {
                let lost = std::mem::take(&mut source.lost);
                let text = format!("{lost} bytes are lost: more was written than is kept, before it was read");
                Note { service: Some(source.service.to_string()), text, lost }
            })
            .collect()
    }
}

impl Source {
    fn ask(&self, most: usize) -> Ask {
        Ask { service: Arc::clone(&self.service), start: Start::At(self.next), end: self.end, most }
    }

    fn take(&mut self, reading: Option<Reading>) {
        match reading {
            Some(reading) => {
                self.lost = self.lost.saturating_add(reading.lost);
                self.next = reading.next;
                self.end = self.end.min(reading.end);
                self.pieces.extend(reading.pieces);
            }
            None => self.end = self.next,
        }
    }
}

/// How much of each is read at once.
fn share(sources: usize) -> usize {
    (limits::OUTPUT_LOOK / sources.max(1)).max(limits::OUTPUT_LOOK_EACH)
}

fn lines(service: &str, piece: &Piece) -> Vec<LogLine> {
    let time = SystemTime::UNIX_EPOCH.checked_add(piece.time).unwrap_or(SystemTime::UNIX_EPOCH);
    let ts = humantime::format_rfc3339_micros(time).to_string();
    let line = |line: &[u8]| {
        let text = line.strip_suffix(b"\n");
        let (partial, bytes) = (text.is_none(), text.unwrap_or(line));
        let (text, escaped) = match std::str::from_utf8(bytes) {
            Ok(text) => (text.to_owned(), false),
            Err(_) => (escaped(bytes), true),
        };
        let (service, stream) = (service.to_owned(), piece.stream.name().to_owned());
        LogLine { service, stream, ts: ts.clone(), text, escaped, partial }
    };
    piece.text.split_inclusive(|byte| *byte == b'\n').map(line).collect()
}
