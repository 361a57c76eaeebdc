//! Bytes from a pipe as lines, and lines as what is written. It holds nothing back itself: what is no whole line yet stays
//! with the caller.

use super::json::{self, Facts};
use crate::limits;
use crate::model::{Log, LogFormat, Precision, Stream};
use std::time::SystemTime;

/// How much of `data` can be passed on: whole lines, and of a line that is too long whole parts. There is no newline before
/// `from`.
pub fn whole(data: &[u8], from: usize) -> usize {
    let last = data.get(from..).and_then(|new| memchr::memrchr(b'\n', new));
    let mut end = last.map_or(0, |at| from.saturating_add(at).saturating_add(1));
    while let Some(rest) = data.get(end..).filter(|rest| rest.len() > limits::LINE) {
        end = end.saturating_add(part(rest, limits::LINE));
    }
    end
}

/// The length of the first line of `data`, its newline included, or of the first part of one that is too long.
pub fn first(data: &[u8]) -> usize {
    let reach = data.get(..=limits::LINE).unwrap_or(data);
    match memchr::memchr(b'\n', reach) {
        Some(at) => at.saturating_add(1),
        None if data.len() > limits::LINE => part(data, limits::LINE),
        None => data.len(),
    }
}

/// The length of a part: at most so much, and no character of UTF-8 is cut.
pub fn part(line: &[u8], end: usize) -> usize {
    let continues = |at: usize| line.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
    (end.saturating_sub(3)..=end).rev().find(|at| !continues(*at)).unwrap_or(end)
}

/// The colours that tell services apart on a terminal: cyan, yellow, green, magenta, blue, and their bright ones.
const COLOURS: [u8; 10] = [36, 33, 32, 35, 34, 96, 93, 92, 95, 94];

/// How the lines of one service are written.
pub struct Style {
    name: String,
    format: LogFormat,
    precision: Option<Precision>,
    prefix: String,
    coloured: String,
}

/// What a line has apart from its text.
pub struct Around<'a> {
    /// Which stream it came by.
    pub stream: Stream,
    /// When, as [`Style::time`] writes it.
    pub time: &'a str,
    /// It goes to a terminal.
    pub coloured: bool,
    /// It is not the end of its line.
    pub partial: bool,
}

impl Style {
    /// The style of this service, which is the `number`-th.
    pub fn new(name: &str, log: &Log, number: usize) -> Style {
        let colour = COLOURS.iter().cycle().nth(number % COLOURS.len()).unwrap_or(&36);
        Style {
            name: name.to_owned(),
            format: log.format,
            precision: log.timestamp,
            prefix: format!("{name} | "),
            coloured: format!("\x1b[{colour}m{name} |\x1b[0m "),
        }
    }

    /// Whether lines are written as they are.
    pub fn is_plain(&self) -> bool {
        self.format == LogFormat::Plain && self.precision.is_none()
    }

    /// A time as this service's lines show it; empty if they show none.
    pub fn time(&self, time: SystemTime) -> String {
        match (self.precision, self.format) {
            (Some(Precision::Microseconds), _) => humantime::format_rfc3339_micros(time).to_string(),
            (Some(Precision::Milliseconds), _) | (None, LogFormat::Json) => {
                humantime::format_rfc3339_millis(time).to_string()
            }
            (None, LogFormat::Plain | LogFormat::Prefix) => String::new(),
        }
    }

    /// Writes one line, which holds no newline.
    pub fn write(&self, line: &[u8], around: &Around<'_>, out: &mut Vec<u8>) {
        let &Around { stream, time, partial, .. } = around;
        match self.format {
            LogFormat::Json => {
                return json::write(line, &Facts { service: &self.name, stream, time, partial }, out);
            }
            LogFormat::Prefix if around.coloured => out.extend(self.coloured.as_bytes()),
            LogFormat::Prefix => out.extend(self.prefix.as_bytes()),
            LogFormat::Plain => {}
        }
        if !time.is_empty() {
            out.extend(time.as_bytes());
            out.push(b' ');
        }
        out.extend(line);
        out.push(b'\n');
    }

    /// Writes a word of Horust's own among the service's lines.
    pub fn notice(&self, text: &str, around: &Around<'_>, out: &mut Vec<u8>) {
        let text = match self.format {
            LogFormat::Plain => format!("horust: {}: {text}", self.name),
            LogFormat::Prefix | LogFormat::Json => format!("horust: {text}"),
        };
        self.write(text.as_bytes(), around, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_lines_go_and_the_rest_stays() {
        for (data, end) in [(&b""[..], 0), (b"ab", 0), (b"\n", 1), (b"ab\ncd\nef", 6), (b"ab\ncd\n", 6)] {
            assert_eq!(whole(data, 0), end, "{data:?}");
        }
        assert_eq!(whole(b"ab\ncd", 2), 3);
        let long = vec![b'x'; limits::LINE];
        assert_eq!(whole(&long, 0), 0);
        assert_eq!(whole(&[&long[..], b"y"].concat(), 0), limits::LINE);
        assert_eq!(whole(&[&long[..], b"\n"].concat(), 0), limits::LINE + 1);
        assert_eq!(whole(&[b"a\n", &long[..], &long[..], b"y"].concat(), 0), 2 + 2 * limits::LINE);
    }

    #[test]
    fn lines_come_one_by_one_and_long_ones_in_parts() {
        assert_eq!((first(b"a\nb\n"), first(b"\n"), first(b"a")), (2, 1, 1));
        let long = vec![b'x'; limits::LINE];
        assert_eq!(first(&[&long[..], b"\n"].concat()), limits::LINE + 1);
        assert_eq!(first(&[&long[..], b"y\n"].concat()), limits::LINE);
        // `ü` is two bytes, `😀` four: they stay whole.
        assert_eq!(first(&[&long[1..], "ü\n".as_bytes()].concat()), limits::LINE - 1);
        assert_eq!(first(&[&long[1..], "😀\n".as_bytes()].concat()), limits::LINE - 1);
        assert_eq!(first(&[&long[3..], "😀\n".as_bytes()].concat()), limits::LINE - 3);
        // What is no text is cut anywhere.
        assert_eq!(first(&vec![0x80; limits::LINE + 5]), limits::LINE);
    }

    #[test]
    fn a_line_in_every_format() {
        let line = |format, timestamp, coloured| {
            let style = Style::new("web", &Log { format, timestamp, ..Log::default() }, 0);
            let mut out = Vec::new();
            let time = style.time(SystemTime::UNIX_EPOCH + std::time::Duration::from_micros(1_500_250));
            style.write(b"hi", &Around { stream: Stream::Out, time: &time, coloured, partial: false }, &mut out);
            String::from_utf8(out).unwrap()
        };
        let (ms, us) = (Some(Precision::Milliseconds), Some(Precision::Microseconds));
        assert_eq!(line(LogFormat::Plain, None, true), "hi\n");
        assert_eq!(line(LogFormat::Plain, ms, false), "1970-01-01T00:00:01.500Z hi\n");
        assert_eq!(line(LogFormat::Prefix, None, false), "web | hi\n");
        assert_eq!(line(LogFormat::Prefix, us, false), "web | 1970-01-01T00:00:01.500250Z hi\n");
        assert_eq!(line(LogFormat::Prefix, None, true), "\x1b[36mweb |\x1b[0m hi\n");
        let json = r#"{"ts":"1970-01-01T00:00:01.500Z","service":"web","stream":"stdout","msg":"hi"}"#;
        assert_eq!(line(LogFormat::Json, None, true), format!("{json}\n"));
    }
}
