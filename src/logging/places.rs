//! The places where output goes: one sink for each, however many streams of however many services write to it.

use super::file::LogFile;
use super::sink::{Kind, Sink};
use super::stdio::{self, Stdio};
use crate::model::{Output, Rotation};
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

/// All sinks. An index stays good.
#[derive(Default)]
pub struct Sinks {
    all: Vec<Sink>,
    by_place: HashMap<Place, usize>,
}

impl Sinks {
    /// All of them.
    pub fn all(&self) -> &[Sink] {
        &self.all
    }

    /// All of them.
    pub fn all_mut(&mut self) -> &mut [Sink] {
        &mut self.all
    }

    /// The one of this index.
    pub fn get_mut(&mut self, index: usize) -> Option<&mut Sink> {
        self.all.get_mut(index)
    }

    /// The sink of this output: one for each place, however many write to it.
    pub fn add(&mut self, output: &Output, rotation: &Rotation, started: SystemTime) -> usize {
        let place = match output {
            Output::Null => Place::Null,
            Output::Stdout => Place::Out,
            Output::Stderr if stdio::are_one() => Place::Out,
            Output::Stderr => Place::Err,
            Output::File(path) => Place::File(std::path::absolute(path).unwrap_or_else(|_| path.clone())),
        };
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
                self.all.push(Sink::new(kind, name));
                let index = self.all.len().saturating_sub(1);
                self.by_place.insert(place, index);
                index
            }
        };
        if let Some(Kind::File(file)) = self.all.get_mut(index).map(|sink| &mut sink.kind) {
            file.configure(rotation);
            file.begin_run(started);
        }
        index
    }
}
