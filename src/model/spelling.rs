//! What somebody may have meant.

/// The candidate that `word` is most likely a misspelling of.
pub fn closest<'c>(word: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    let allowed = (word.chars().count() / 3).max(1);
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// That there are no services of these names, and what may have been meant.
pub fn no_service<'c>(strangers: &[String], names: impl Iterator<Item = &'c str> + Clone) -> String {
    let quoted = |stranger: &String| match closest(stranger, names.clone()) {
        Some(close) => format!("`{stranger}` (did you mean `{close}`?)"),
        None => format!("`{stranger}`"),
    };
    format!("there is no service {}", strangers.iter().map(quoted).collect::<Vec<_>>().join(", "))
}
