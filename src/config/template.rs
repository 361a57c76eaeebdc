//! Variables in service files: `$VAR`, `${VAR}`, `${VAR:-default}`, `${VAR:?message}`, `$$`. Values of the environment
//! come through a closure. It works on text: a string value (`expand`), or, for files that use a variable outside a
//! string, the bare parts of a file (`expand_bare`). It must never let a variable's text change a file's structure.

use crate::limits;
use std::ffi::OsString;
use std::ops::Range;
use toml::de::DeValue;

/// Looks a variable up in the environment.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// A reference that can't be expanded.
#[derive(Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
    /// The reference in the text that was expanded.
    pub at: Range<usize>,
}

/// Defaults may hold references: `${A:-${B}}`. Deeper than this is a mistake, and the recursion must end somewhere.
const DEPTH: u32 = 16;

/// The text with its variables replaced; `None` if it holds none. After a problem the result is of no use.
pub fn expand(text: &str, env: Env<'_>, problems: &mut Vec<Problem>) -> Option<String> {
    text.contains('$').then(|| {
        let mut out = String::with_capacity(text.len().saturating_mul(2));
        let mut expander = Expander { env, problems, out: &mut out };
        expander.text(text, 0, 0);
        out
    })
}

struct Expander<'a> {
    env: Env<'a>,
    problems: &'a mut Vec<Problem>,
    out: &'a mut String,
}

impl Expander<'_> {
    /// Appends the expansion of `text`, which starts at `base` of the whole.
    fn text(&mut self, text: &str, base: usize, depth: u32) {
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            self.out.push_str(before);
            let at = base.saturating_add(text.len()).saturating_sub(after.len()).saturating_sub(1);
            let Some(used) = self.reference(after, at, depth) else { return };
            rest = after.get(used..).unwrap_or("");
            if self.out.len() as u64 > limits::SERVICE_FILE_BYTES {
                let message = format!("the value grows beyond {} bytes once expanded", limits::SERVICE_FILE_BYTES);
                return self.problem(message, "", at..at.saturating_add(1));
            }
        }
        self.out.push_str(rest);
    }

    /// Handles what follows a `$` and says how much of it was used; `None` if it makes no sense to go on.
    fn reference(&mut self, after: &str, at: usize, depth: u32) -> Option<usize> {
        if after.starts_with('$') {
            self.out.push('$');
            return Some(1);
        }
        let Some(inner) = after.strip_prefix('{') else {
            let name = variable_name(after);
            let used = name.len();
            if name.is_empty() {
                self.out.push('$'); // `$1`, `$(date)`, a lone `$`: not ours
            } else {
                self.variable(name, at..at.saturating_add(1 + used));
            }
            return Some(used);
        };
        let name = variable_name(inner);
        let operation = inner.get(name.len()..).unwrap_or("");
        let ours = operation.starts_with('}') || operation.starts_with(":-") || operation.starts_with(":?");
        if name.is_empty() || !(ours || operation.is_empty()) {
            self.out.push('$'); // `${1}`, `${#X}`, `${X%.*}`: the shell's
            return Some(0);
        }
        let Some(end) = closing_brace(inner) else {
            let help = "close it with `}`, or write `$$` for a plain dollar sign";
            self.problem(format!("`${{{name}` is never closed"), help, at..at.saturating_add(2 + name.len()));
            return None;
        };
        let whole = at..at.saturating_add(end).saturating_add(3);
        let word = inner.get(name.len().saturating_add(2)..end).unwrap_or("");
        match operation.get(..2) {
            Some(":-") => self.default(name, word, &whole, depth),
            Some(":?") => self.demand(name, word, whole),
            _ => self.variable(name, whole),
        }
        Some(end.saturating_add(2))
    }

    /// `${VAR:-default}`: as in the shell, an empty variable takes the default too.
    fn default(&mut self, name: &str, word: &str, whole: &Range<usize>, depth: u32) {
        match self.get(name, whole.clone()) {
            Some(value) if !value.is_empty() => self.out.push_str(&value),
            _ if depth >= DEPTH => {
                self.problem(format!("defaults are nested deeper than {DEPTH} levels"), "", whole.clone());
            }
            _ => {
                let base = whole.start.saturating_add(4).saturating_add(name.len());
                self.text(word, base, depth.saturating_add(1));
            }
        }
    }

    /// `${VAR:?message}`.
    fn demand(&mut self, name: &str, message: &str, whole: Range<usize>) {
        match self.get(name, whole.clone()) {
            Some(value) if !value.is_empty() => self.out.push_str(&value),
            _ => self.problem(format!("the variable `{name}` is not set: {message}"), "", whole),
        }
    }

    fn variable(&mut self, name: &str, whole: Range<usize>) {
        match self.get(name, whole.clone()) {
            Some(value) => self.out.push_str(&value),
            None => {
                let help = format!(
                    "set it, give a default with `${{{name}:-default}}`, or write `$${name}` if the service is to see `${name}`"
                );
                self.problem(format!("the variable `{name}` is not set"), help, whole);
            }
        }
    }

    fn get(&mut self, name: &str, whole: Range<usize>) -> Option<String> {
        match (self.env)(name)?.into_string() {
            Ok(value) => Some(value),
            Err(_) => {
                self.problem(format!("the variable `{name}` is not UTF-8"), "", whole);
                Some("?".to_owned())
            }
        }
    }

    fn problem(&mut self, message: String, help: impl Into<String>, at: Range<usize>) {
        self.problems.push(Problem { message, help: help.into(), at });
    }
}

/// The longest prefix that is a variable's name.
fn variable_name(text: &str) -> &str {
    let end = text.bytes().position(|b| !(b.is_ascii_alphanumeric() || b == b'_')).unwrap_or(text.len());
    let name = text.get(..end).unwrap_or("");
    if name.starts_with(|c: char| c.is_ascii_digit()) { "" } else { name }
}

/// The index of the `}` that closes a reference, past those of references inside it.
fn closing_brace(inner: &str) -> Option<usize> {
    let mut open = 0u32;
    let mut previous = 0;
    for (i, byte) in inner.bytes().enumerate() {
        match byte {
            b'{' if previous == b'$' => open = open.saturating_add(1),
            b'}' if open == 0 => return Some(i),
            b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        previous = byte;
    }
    None
}

/// Expands the variables that stand outside strings and comments (`attempts = ${N}`); `None` if there are none. Each
/// must expand to one value that is no table, so that it can't add keys.
pub fn expand_bare(text: &str, env: Env<'_>, problems: &mut Vec<Problem>) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut found = false;
    let mut done = 0;
    while let Some(rest) = text.get(done..).filter(|rest| !rest.is_empty()) {
        let bare = rest.find(['"', '\'', '#', '$']).unwrap_or(rest.len());
        out.push_str(rest.get(..bare).unwrap_or(""));
        let token = rest.get(bare..).unwrap_or("");
        let used = if token.starts_with('$') {
            found = true;
            let used = reference_length(token);
            let reference = token.get(..used).unwrap_or("");
            let from = problems.len();
            let value = expand(reference, env, problems).unwrap_or_default();
            let base = done.saturating_add(bare);
            for problem in problems.iter_mut().skip(from) {
                problem.at = base..base.saturating_add(used);
            }
            if problems.len() == from && !is_one_value(&value) {
                let message = format!(
                    "`{reference}` stands outside a string and expands to `{}`, which is no single value",
                    value.escape_debug()
                );
                let help = "put quotes around it, or set it to a number, `true`, `false`, a quoted string or an array";
                problems.push(Problem { message, help: help.to_owned(), at: base..base.saturating_add(used) });
            }
            out.push_str(value.trim());
            used
        } else {
            let used = skip_length(token);
            out.push_str(token.get(..used).unwrap_or(""));
            used
        };
        done = done.saturating_add(bare).saturating_add(used.max(1));
    }
    found.then_some(out)
}

/// The length of the reference at the start of `token`, which starts with `$`.
fn reference_length(token: &str) -> usize {
    match token.get(1..).and_then(|t| t.strip_prefix('{')) {
        Some(inner) => closing_brace(inner).map_or(token.len(), |end| end.saturating_add(3)),
        None => token.get(1..).map_or(0, |t| variable_name(t).len()).saturating_add(1),
    }
}

/// The length of the string or comment at the start of `token`; none of it is looked into.
fn skip_length(token: &str) -> usize {
    let (quote, escapes) = match token.as_bytes() {
        [b'"', b'"', b'"', ..] => ("\"\"\"", true),
        [b'\'', b'\'', b'\'', ..] => ("'''", false),
        [b'"', ..] => ("\"", true),
        [b'\'', ..] => ("'", false),
        _ => return token.find('\n').unwrap_or(token.len()),
    };
    let mut at = quote.len();
    while let Some(rest) = token.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with(quote) {
            return at.saturating_add(quote.len());
        }
        let step = rest.chars().next().map_or(1, char::len_utf8);
        let escaped = if escapes && rest.starts_with('\\') { rest.chars().nth(1).map_or(0, char::len_utf8) } else { 0 };
        at = at.saturating_add(step).saturating_add(escaped);
    }
    token.len()
}

fn is_one_value(text: &str) -> bool {
    let text = text.trim();
    let whole = |value: &toml::Spanned<DeValue<'_>>| value.span() == (0..text.len()) && !value.get_ref().is_table();
    !text.contains('\n') && DeValue::parse(text).is_ok_and(|value| whole(&value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<OsString> {
        match name {
            "A" => Some("alpha".into()),
            "EMPTY" => Some("".into()),
            "N" => Some("3".into()),
            "EVIL" => Some("1\nuser = \"root\"".into()),
            "COMMENT" => Some("1 # gone".into()),
            "TABLE" => Some("{ a = 1 }".into()),
            _ => None,
        }
    }

    #[test]
    fn what_is_ours_expands_and_the_rest_stays() {
        for (text, wanted) in [
            ("$A-${A}", "alpha-alpha"),
            ("$$A $$$A", "$A $alpha"),
            ("$1 $(date) ${1} ${#A} ${A%x} ${A:+x} $? $ $", "$1 $(date) ${1} ${#A} ${A%x} ${A:+x} $? $ $"),
            ("${NO:-ldap:/// x} ${A:-no} ${EMPTY:-e}", "ldap:/// x alpha e"),
            ("${NO:-${NEITHER:-${A}}}.", "alpha."),
            ("${NO:-}|$EMPTY|", "||"),
            ("${A:?must be there}", "alpha"),
        ] {
            let mut problems = Vec::new();
            assert_eq!(expand(text, &env, &mut problems).as_deref(), Some(wanted), "{text}");
            assert_eq!(problems, [], "{text}");
        }
        assert_eq!(expand("no dollar", &env, &mut Vec::new()), None);
    }

    #[test]
    fn each_reference_that_fails_is_named_with_its_place() {
        let mut problems = Vec::new();
        expand("x $NO ${A} ${NOR:?say why} ${A:-${NEVER", &env, &mut problems);
        let seen: Vec<_> = problems.iter().map(|p| (p.message.as_str(), p.at.clone())).collect();
        assert_eq!(
            seen,
            [
                ("the variable `NO` is not set", 2..5),
                ("the variable `NOR` is not set: say why", 11..26),
                ("`${A` is never closed", 27..30)
            ]
        );
        let deep = format!("{}x{}", "${NO:-".repeat(40), "}".repeat(40));
        problems.clear();
        expand(&deep, &env, &mut problems);
        assert_eq!(problems.len(), 1, "{problems:?}");
    }

    #[test]
    fn outside_strings_only_single_values_are_put_in() {
        let text = "a = ${N} # $NO\nb = [\"$NO\", $N, '${NO']\nc = \"\"\"\n\\\"$NO\"\"\"\n";
        let mut problems = Vec::new();
        let wanted = "a = 3 # $NO\nb = [\"$NO\", 3, '${NO']\nc = \"\"\"\n\\\"$NO\"\"\"\n";
        assert_eq!(expand_bare(text, &env, &mut problems).as_deref(), Some(wanted));
        assert_eq!(problems, []);
        for bad in ["a = $EVIL", "a = $COMMENT", "a = ${TABLE}", "a = $A", "a = $NO", "a = ${N"] {
            problems.clear();
            expand_bare(bad, &env, &mut problems);
            assert_eq!(problems.len(), 1, "{bad}");
        }
    }
}
