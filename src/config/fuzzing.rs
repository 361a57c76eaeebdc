//! Doors for `fuzz/` to what is nobody else's business.

use super::{template, values};
use crate::config::Env;
use std::ops::Range;
use std::time::Duration;

type Expanded = (Option<String>, Vec<Range<usize>>);

/// A string of a service file with its variables replaced, and where that can't be.
pub fn expand(text: &str, env: Env<'_>) -> Expanded {
    let mut problems = Vec::new();
    let expanded = template::expand(text, env, &mut problems);
    (expanded, problems.into_iter().map(|problem| problem.at).collect())
}

/// The same of a file.
pub fn expand_bare(text: &str, env: Env<'_>) -> Expanded {
    let mut problems = Vec::new();
    let expanded = template::expand_bare(text, env, &mut problems);
    (expanded, problems.into_iter().map(|problem| problem.at).collect())
}

/// A size.
pub fn size(text: &str) -> Option<u64> {
    values::size(text)
}

/// A duration as it is written.
pub fn duration(time: Duration) -> String {
    humantime_serde::re::humantime::format_duration(time).to_string()
}
