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

/// Names that are compared with all others, and their letters: whoever asks for more does not mistype.
const COMPARED: usize = 3;
const LETTERS: usize = 64;

/// That there are no services of these names, and what may have been meant.
pub fn no_service<'c>(strangers: &[String], names: impl Iterator<Item = &'c str> + Clone) -> String {
    let quoted = |(at, stranger): (usize, &String)| {
        let compared = at < COMPARED && stranger.len() <= LETTERS;
        match compared.then(|| closest(stranger, names.clone())).flatten() {
            Some(close) => format!("`{stranger}` (did you mean `{close}`?)"),
            None => format!("`{stranger}`"),
        }
    };
    format!("there is no service {}", strangers.iter().enumerate().map(quoted).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_names_are_compared() {
        let said = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            no_service(&words, ["web", "db"].into_iter())
        };
        assert_eq!(said(&["wbe", "nope"]), "there is no service `wbe` (did you mean `web`?), `nope`");
        assert!(said(&["x", "x", "x", "wbe"]).ends_with("`wbe`"));
        let long = "w".repeat(65);
        assert_eq!(
            no_service(std::slice::from_ref(&long), ["w".repeat(64).as_str()].into_iter()),
            format!("there is no service `{long}`")
        );
    }
}
