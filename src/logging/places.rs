//! The places where output goes: one sink for each, however many streams of however many services write to it.

use super::file::LogFile;
use super::sink::{Kind, Sink};
use super::stdio::{self, Stdio};
use crate::model::{Output, Plan, Rotation};
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::SystemTime;

#[derive(Clone, PartialEq, Eq, Hash)]
enum Place {
    Null,
    Out,
    Err,
    File(PathBuf),
}

impl Place {
    fn of(output: &Output) -> Place {
        match output {
            Output::Null => Place::Null,
            Output::Stdout => Place::Out,
            Output::Stderr if stdio::are_one() => Place::Out,
            Output::Stderr => Place::Err,
            Output::File(path) => Place::File(std::path::absolute(path).unwrap_or_else(|_| path.clone())),
        }
    }
}

/// All sinks. An index stays good until its sink is forgotten.
#[derive(Default)]
pub struct Sinks {
    all: Vec<Option<Sink>>,
    free: Vec<usize>,
    by_place: HashMap<Place, usize>,
}

impl Sinks {
    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Sink> {
        self.all.iter().flatten()
    }

    /// All of them.
    pub fn all_mut(&mut self) -> impl Iterator<Item = &mut Sink> {
        self.all.iter_mut().flatten()
    }

    /// The one of this index.
    pub fn get_mut(&mut self, index: usize) -> Option<&mut Sink> {
        self.all.get_mut(index)?.as_mut()
    }

    /// The sink of this output: one for each place, however many write to it.
    pub fn add(&mut self, output: &Output, rotation: &Rotation, started: SystemTime) -> usize {
        let place = Place::of(output);
        let index = match self.by_place.get(&place) {
            Some(index) => *index,
            None => {
                let kind = match &place {
                    Place::Null => Kind::Null,
                    Place::Out => Stdio::out().map_or(Kind::Null, Kind::Own),
                    Place::Err => Stdio::err().map_or(Kind::Null, Kind::Own),
                    Place::File(path) => Kind::File(LogFile::new(path.clone(), rotation.clone())),
                };
                let name = match &place {
                    Place::Null => "NULL".to_owned(),
                    Place::Out => "standard output".to_owned(),
                    Place::Err => "standard error".to_owned(),
                    Place::File(path) => path.display().to_string(),
                };
                let index = self.free.pop().unwrap_or(self.all.len());
                let sink = Some(Sink::new(kind, name));
                match self.all.get_mut(index) {
                    Some(slot) => *slot = sink,
                    None => self.all.push(sink),
                }
                self.by_place.insert(place, index);
                index
            }
        };
        if let Some(sink) = self.get_mut(index) {
            sink.unnamed = 0;
            if let Kind::File(file) = &mut sink.kind {
                file.configure(rotation);
                file.begin_run(started);
            }
        }
        index
    }

    /// These are the services now: a file that none of them writes to is forgotten once nobody writes to it any more. Returns
    /// those that were to be forgotten before, and still have no room for what waits.
    pub fn adopt(&mut self, plan: &Plan) -> Vec<usize> {
        self.all_mut().for_each(|sink| sink.unnamed = sink.unnamed.saturating_add(1));
        for (_, spec) in plan.iter().filter(|(_, spec)| spec.log.is_some()) {
            for output in [&spec.stdout, &spec.stderr] {
                let index = self.by_place.get(&Place::of(output)).copied();
                if let Some(sink) = index.and_then(|index| self.get_mut(index)) {
                    sink.unnamed = 0;
                }
            }
        }
        (0..self.all.len()).for_each(|index| self.tidy(index));
        let stuck = |sink: &Sink| sink.unnamed > 1 && sink.is_full() && matches!(sink.kind, Kind::File(_));
        (0..self.all.len()).filter(|index| self.get_mut(*index).is_some_and(|sink| stuck(sink))).collect()
    }

    /// Closes the file of this index if nobody writes to it and nothing waits for room, and forgets it if it is not named
    /// any more.
    pub fn tidy(&mut self, index: usize) {
        let Some(slot) = self.all.get_mut(index) else { return };
        let Some(sink) = slot.as_mut().filter(|sink| sink.users == 0 && !sink.is_full()) else { return };
        let Kind::File(file) = &mut sink.kind else { return };
        file.close();
        if sink.unnamed > 0 {
            sink.give_up();
            *slot = None;
            self.free.push(index);
            self.by_place.retain(|_, other| *other != index);
        }
    }
}
