//! The text of an environment file (dotenv): lines `NAME=value`, into names and values. It knows neither files nor
//! Horust's environment, replaces no `$NAME`, and its errors name a line, never what stands there: it may be secret.

/// The variables of a file in its order, or what is wrong with which line.
///
/// * Blank lines and those that start with `#` are skipped; `export ` before a name is too.
/// * A value without quotes ends at the line's end, or at a `#` after a blank. It is taken as it is.
/// * A value in quotes may hold line ends and `#`. Nothing is special in single quotes. In double quotes, `\n`, `\r`,
///   `\t`, `\\`, `\"`, `\'`, `\$` and `` \` `` are escapes, a backslash at a line's end joins it with the next one, and
///   any other backslash is one.
pub fn parse(bytes: &[u8]) -> Result<Vec<(String, String)>, String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = match str::from_utf8(bytes) {
        Ok(text) => text.replace("\r\n", "\n"),
        Err(error) => return Err(problem(bytes, error.valid_up_to(), "it is not UTF-8")),
    };
    let mut variables = Vec::new();
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let done = text.len().saturating_sub(rest.len());
        rest = entry(rest, &mut variables).map_err(|why| problem(text.as_bytes(), done, why))?;
    }
    Ok(variables)
}

fn problem(text: &[u8], at: usize, why: &str) -> String {
    let before = text.iter().take(at).filter(|byte| **byte == b'\n').count();
    format!("line {}: {why}", before.saturating_add(1))
}

/// Reads what starts on the first line of `text`, and returns the lines after it.
fn entry<'t>(text: &'t str, variables: &mut Vec<(String, String)>) -> Result<&'t str, &'static str> {
    let (line, after) = text.split_once('\n').unwrap_or((text, ""));
    let start = line.trim_start();
    if start.is_empty() || start.starts_with('#') {
        return Ok(after);
    }
    if !line.contains('=') {
        return Err("there is no `=` (`re-export` passes on a variable of Horust's own)");
    }
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    let name = name.trim();
    // A variable may be named `export` too.
    let name = name.strip_prefix("export").filter(|rest| rest.starts_with(BLANKS)).map_or(name, str::trim_start);
    let unfit = |c: char| c.is_whitespace() || c.is_control() || "'\"`#".contains(c);
    if name.is_empty() || name.contains(unfit) {
        return Err("what stands before `=` can't be the name of a variable");
    }
    let value = value.trim_start_matches(BLANKS);
    let (value, after) = match value.chars().next() {
        Some(quote @ ('"' | '\'')) => {
            let (value, rest) = quoted(value.get(1..).unwrap_or(""), quote).ok_or("this quote is never closed")?;
            let (tail, after) = rest.split_once('\n').unwrap_or((rest, ""));
            if !tail.trim_start().is_empty() && !tail.trim_start().starts_with('#') {
                return Err("there is something after the closing quote");
            }
            (value, after)
        }
        _ => (bare(line).to_owned(), after),
    };
    if value.contains('\0') {
        return Err("it holds a NUL byte, which no variable can hold");
    }
    variables.push((name.to_owned(), value));
    Ok(after)
}

const BLANKS: [char; 2] = [' ', '\t'];

/// The value without quotes of this line.
fn bare(line: &str) -> &str {
    let value = line.split_once('=').map_or("", |(_, value)| value);
    let comment = value.match_indices('#').find(|(at, _)| value.get(..*at).is_some_and(|v| v.ends_with(BLANKS)));
    comment.map_or(value, |(at, _)| value.get(..at).unwrap_or("")).trim()
}

/// A value up to its closing quote, and what comes after that.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    if quote == '\'' {
        return text.split_once(quote).map(|(value, rest)| (value.to_owned(), rest));
    }
    let mut value = String::new();
    let mut chars = text.chars();
    loop {
        match chars.next()? {
            '"' => return Some((value, chars.as_str())),
            '\\' => match chars.next()? {
                '\n' => {}
                'n' => value.push('\n'),
                'r' => value.push('\r'),
                't' => value.push('\t'),
                c @ ('\\' | '"' | '\'' | '$' | '`') => value.push(c),
                c => value.extend(['\\', c]),
            },
            c => value.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_parsed(text: &str, wanted: &[(&str, &str)]) {
        let parsed = parse(text.as_bytes());
        let parsed = parsed.as_ref().map(|all| all.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect::<Vec<_>>());
        assert_eq!(parsed, Ok(wanted.to_vec()), "{text}");
    }

    #[test]
    fn lines_become_variables() {
        for (text, wanted) in [
            ("A=1\nB=2", &[("A", "1"), ("B", "2")][..]),
            ("\n  # A=0\n\t\nA=1\n#B=2\n", &[("A", "1")]),
            ("A=\nB= \nC=\t# nothing\nD=''\nE=\"\"", &[("A", ""), ("B", ""), ("C", ""), ("D", ""), ("E", "")]),
            ("  A =  a b  c  \n", &[("A", "a b  c")]),
            (
                "A=x # comment\nB=x#y\nC=#fff\nD=\"x # y\" # z\nE='#'#z",
                &[("A", "x"), ("B", "x#y"), ("C", "#fff"), ("D", "x # y"), ("E", "#")],
            ),
            (
                "export A=1\nexport\tB=2\nexport=3\nexport = 4\nexported=5",
                &[("A", "1"), ("B", "2"), ("export", "3"), ("export", "4"), ("exported", "5")],
            ),
            ("A=a=b==\nURL=http://u:p@h/?q=1&r=2#f", &[("A", "a=b=="), ("URL", "http://u:p@h/?q=1&r=2#f")]),
            ("A='one\n# two\n\nB=3'\nC=4", &[("A", "one\n# two\n\nB=3"), ("C", "4")]),
            ("A=\"one\ntwo \\\nthree\"\nB=4", &[("A", "one\ntwo three"), ("B", "4")]),
            (r#"A="\n\r\t\\\"\'\$\`\d\é""#, &[("A", "\n\r\t\\\"'$`\\d\\é")]),
            (r"A='\n\'", &[("A", r"\n\")]),
            (r"A=C:\new\x", &[("A", r"C:\new\x")]),
            ("A=it's\nB=say \"x\"\nC=x\"y\"", &[("A", "it's"), ("B", "say \"x\""), ("C", "x\"y\"")]),
            (
                "A=$HOME ${HOME} $$ `id` $(id)\nB=\"$A\"\nC='$A'",
                &[("A", "$HOME ${HOME} $$ `id` $(id)"), ("B", "$A"), ("C", "$A")],
            ),
            ("\u{feff}A=1\r\nB=\"x\r\ny\"\r\nC=z\r\n", &[("A", "1"), ("B", "x\ny"), ("C", "z")]),
            ("a.b-c=1\nÄ=ö\n1A=2", &[("a.b-c", "1"), ("Ä", "ö"), ("1A", "2")]),
            ("A=1\nA=2", &[("A", "1"), ("A", "2")]),
            (
                "A=\"-----BEGIN KEY-----\nMIIB+/==\n-----END KEY-----\n\"",
                &[("A", "-----BEGIN KEY-----\nMIIB+/==\n-----END KEY-----\n")],
            ),
            ("", &[]),
            ("\u{feff}", &[]),
        ] {
            assert_parsed(text, wanted);
        }
    }

    #[test]
    fn a_mistake_is_named_with_its_line_and_without_the_text() {
        for (text, line, why) in [
            ("A=1\nTOPSECRET\n", 2, "there is no `=`"),
            ("A=1\n\n=TOPSECRET\n", 3, "name of a variable"),
            ("A: TOPSECRET=\n", 1, "name of a variable"),
            ("A='x\ny'\nB C=TOPSECRET\n", 3, "name of a variable"),
            ("A=1\nB=\"TOPSECRET\nC=2\nD=3\n", 2, "never closed"),
            ("A='TOPSECRET", 1, "never closed"),
            ("A=\"TOPSECRET\\\"", 1, "never closed"),
            ("A=\"TOPSECRET\\", 1, "never closed"),
            ("A='TOP'SECRET\n", 1, "after the closing quote"),
            ("A=1\nB='TOP\n' SECRET\n", 2, "after the closing quote"),
            ("A=1\nB=TOP\0SECRET\n", 2, "NUL"),
            ("A=1\nTOP\0SECRET=\n", 2, "name of a variable"),
        ] {
            let error = parse(text.as_bytes()).unwrap_err();
            assert!(error.starts_with(&format!("line {line}: ")) && error.contains(why), "{text:?}: {error}");
            assert!(!error.contains("SECRET"), "{error}");
        }
        assert_eq!(parse(b"A=1\nB=\xff\n").unwrap_err(), "line 2: it is not UTF-8");
    }

    /// Random texts neither panic nor take long, and what was written in quotes comes out again.
    #[test]
    fn whatever_stands_there() {
        let spice = ["\"", "'", "\\", "\n", "=", "#", " ", "$", "export ", "A", "\r\n", "\u{feff}", "é", "\0", "`"];
        let mut state = 3u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap() % below
        };
        for _ in 0..20_000 {
            let text: String = (0..random(30)).map(|_| spice[random(spice.len())]).collect();
            let _ = parse(text.as_bytes());
            let value = text.replace(['\0', '\r'], "");
            let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
            assert_parsed(&format!("A=1\nB=\"{escaped}\"\nC=3"), &[("A", "1"), ("B", &value), ("C", "3")]);
        }
        let many = "A='x'\n".repeat(100_000);
        assert_eq!(parse(many.as_bytes()).unwrap().len(), 100_000);
    }
}
