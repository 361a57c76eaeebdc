//! From names and patterns to services.

use crate::model::{Plan, ServiceId};
use wildmatch::WildMatch;

/// The services with these names, or that match these patterns (`*`, `?`), each once and in load order; else those of
/// the words that fit none.
pub fn select(plan: &Plan, words: &[&str]) -> Result<Vec<ServiceId>, Vec<String>> {
    let mut chosen = vec![false; plan.services.len()];
    let mut strangers = Vec::new();
    for word in words {
        if !mark(plan, word, &mut chosen) {
            strangers.push((*word).to_owned());
        }
    }
    match strangers.is_empty() {
        true => Ok(plan.ids().filter(|id| chosen.get(id.index()).is_some_and(|chosen| *chosen)).collect()),
        false => Err(strangers),
    }
}

/// Marks what fits. Horust 0.1 knew services by their file's name, so `web.toml` is `web`, unless it is one itself.
fn mark(plan: &Plan, word: &str, chosen: &mut [bool]) -> bool {
    let pattern = word.contains(['*', '?']).then(|| WildMatch::new(word));
    let fits = |name: &str, word: &str| pattern.as_ref().map_or(name == word, |pattern| pattern.matches(name));
    let stem = word.strip_suffix(".toml").unwrap_or(word);
    for word in [word, stem] {
        let mut any = false;
        for (id, spec) in plan.iter() {
            if fits(&spec.name, word)
                && let Some(chosen) = chosen.get_mut(id.index())
            {
                (any, *chosen) = (true, true);
            }
        }
        if any {
            return true;
        }
    }
    // All of none is no mistake.
    word == "*"
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::model::ServiceSpec;
    use std::sync::Arc;

    #[test]
    fn names_patterns_and_file_names() {
        let service = |name: &str| Arc::new(ServiceSpec::new(name, vec!["true".into()]));
        let plan = Plan { services: ["web-1", "web-2", "db", "odd.toml"].map(service).into(), ..Plan::default() };
        let names = |words: &[&str]| -> Result<Vec<usize>, Vec<String>> {
            select(&plan, words).map(|ids| ids.iter().map(|id| id.index()).collect())
        };
        assert_eq!(names(&["db", "web-1"]).unwrap(), [0, 2]);
        assert_eq!(names(&["web-*", "web-1"]).unwrap(), [0, 1]);
        assert_eq!(names(&["web-?"]).unwrap(), [0, 1]);
        assert_eq!(names(&["*"]).unwrap(), [0, 1, 2, 3]);
        assert_eq!(names(&["db.toml"]).unwrap(), [2]);
        assert_eq!(names(&["odd.toml"]).unwrap(), [3]);
        assert_eq!(names(&["db", "no", "x*"]).unwrap_err(), ["no", "x*"]);
        assert_eq!(names(&["D", "[d]b", ""]).unwrap_err(), ["D", "[d]b", ""]);
        assert_eq!(select(&Plan::default(), &["*"]).unwrap(), []);
    }
}
