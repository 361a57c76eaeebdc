//! The names of the files that one path stands for: `path`, `path.1`, `path.2` and so on, the highest the newest, as the
//! first Horust names them; with the time of a start, `path.TIME`, `path.TIME.1`. A compressed one ends in `.gz`.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// A number with this many digits is a time in seconds (of 2001 and later), not a count.
const TIME_DIGITS: usize = 10;

/// One file of a series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// The time of the start that it begins with; 0 if names have none.
    pub stamp: u64,
    /// Its number; 0 is the one without.
    pub number: u64,
    /// It ends in `.gz`.
    pub compressed: bool,
}

impl Member {
    /// What orders them, the oldest first.
    pub fn key(&self) -> (u64, u64) {
        (self.stamp, self.number)
    }

    /// The same, compressed.
    pub fn packed(self) -> Member {
        Member { compressed: true, ..self }
    }

    /// The one after it.
    pub fn next(self) -> Member {
        Member { number: self.number.saturating_add(1), compressed: false, ..self }
    }

    /// Its path.
    pub fn path(&self, base: &Path) -> PathBuf {
        let mut name = OsString::from(base);
        if self.stamp > 0 {
            name.push(format!(".{}", self.stamp));
        }
        if self.number > 0 {
            name.push(format!(".{}", self.number));
        }
        if self.compressed {
            name.push(".gz");
        }
        name.into()
    }

    fn parse(rest: &[u8]) -> Option<Member> {
        let (rest, compressed) = match rest.strip_suffix(b".gz") {
            Some(rest) => (rest, true),
            None => (rest, false),
        };
        let mut member = Member { compressed, ..Member::default() };
        let mut words = std::str::from_utf8(rest).ok()?.split('.');
        if words.next() != Some("") {
            return None;
        }
        let mut next = words.next();
        if let Some(word) = next.filter(|word| word.len() >= TIME_DIGITS) {
            member.stamp = number(word)?;
            next = words.next();
        }
        if let Some(word) = next {
            member.number = number(word).filter(|_| word.len() < TIME_DIGITS)?;
        }
        words.next().is_none().then_some(member)
    }
}

/// A number as we write it: no sign, no zero in front.
fn number(word: &str) -> Option<u64> {
    word.parse().ok().filter(|number: &u64| *number > 0 && number.to_string() == word)
}

/// The files of this path that are there. None if its directory can't be read.
pub fn members(base: &Path) -> Vec<Member> {
    let name = base.file_name().map(OsString::from).unwrap_or_default().into_vec();
    let directory = match base.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let Ok(entries) = directory.read_dir() else { return Vec::new() };
    let parse = |file: OsString| Member::parse(file.as_bytes().strip_prefix(name.as_slice())?);
    entries.flatten().filter_map(|entry| parse(entry.file_name())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        for (name, stamp, number, compressed) in [
            ("", 0, 0, false),
            (".1", 0, 1, false),
            (".1000", 0, 1000, false),
            (".gz", 0, 0, true),
            (".7.gz", 0, 7, true),
            (".1700000000", 1_700_000_000, 0, false),
            (".1700000000.12.gz", 1_700_000_000, 12, true),
        ] {
            let member = Member { stamp, number, compressed };
            assert_eq!(Member::parse(name.as_bytes()), Some(member), "{name}");
            assert_eq!(member.path(Path::new("a/b.log")), Path::new(&format!("a/b.log{name}")));
        }
        for other in ["x", "1", ".", ".x", ".01", ".0", ".-1", ".1.2", ".1.gz.tmp", ".gz.1", ".1700000000.1700000000"] {
            assert_eq!(Member::parse(other.as_bytes()), None, "{other}");
        }
    }
}
