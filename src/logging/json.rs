//! One line as a JSON object: wrapped if it is anything else, completed if it is one. What is in such an object stays as it
//! is written, byte for byte: no field is moved, lost or changed.

use crate::model::{Stream, escaped};
use serde::de::{IgnoredAny, MapAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// What Horust knows about a line.
pub struct Facts<'a> {
    /// The service's name: letters, digits and `._@-`.
    pub service: &'a str,
    /// Which stream it came by.
    pub stream: Stream,
    /// When, in ISO 8601.
    pub time: &'a str,
    /// It is not the end of its line.
    pub partial: bool,
}

/// Writes one line, which holds no newline.
pub fn write(line: &[u8], facts: &Facts<'_>, out: &mut Vec<u8>) {
    let text = std::str::from_utf8(line);
    if let Ok(text) = text
        && !facts.partial
        && let Some(has) = object(text)
    {
        return complete(text, facts, &has, out);
    }
    out.push(b'{');
    for (name, value) in fields(facts) {
        field(name, value, out);
        out.push(b',');
    }
    let text = text.map_or_else(|_| Cow::Owned(escaped(line)), Cow::Borrowed);
    out.extend(b"\"msg\":");
    string(&text, out);
    if matches!(text, Cow::Owned(_)) {
        out.extend(b",\"escaped\":true");
    }
    if facts.partial {
        out.extend(b",\"partial\":true");
    }
    out.extend(b"}\n");
}

fn fields<'a>(facts: &Facts<'a>) -> [(&'static str, &'a str); 3] {
    [("ts", facts.time), ("service", facts.service), ("stream", facts.stream.name())]
}

fn field(name: &str, value: &str, out: &mut Vec<u8>) {
    // Neither holds anything that JSON would escape.
    out.push(b'"');
    out.extend(name.as_bytes());
    out.extend(b"\":\"");
    out.extend(value.as_bytes());
    out.push(b'"');
}

fn string(text: &str, out: &mut Vec<u8>) {
    if !escapes(text.as_bytes()) {
        out.push(b'"');
        out.extend(text.as_bytes());
        return out.push(b'"');
    }
    // Writing to memory does not fail.
    let _ = serde_json::to_writer(out, text);
}

/// Whether JSON escapes any of these bytes of UTF-8, by eights: most lines hold none, and are copied as they are.
fn escapes(text: &[u8]) -> bool {
    const ONES: u64 = u64::MAX / 0xff;
    // A byte below 0x20 borrows, which sets its high bit; a byte that had it set is of no interest.
    let control = |eight: [u8; 8]| {
        let word = u64::from_ne_bytes(eight);
        word.wrapping_sub(ONES * 0x20) & !word & (ONES * 0x80) != 0
    };
    let (eights, rest) = text.as_chunks();
    memchr::memchr2(b'"', b'\\', text).is_some()
        || eights.iter().any(|&eight| control(eight))
        || rest.iter().any(|byte| *byte < 0x20)
}

/// Adds the facts at the object's end. A field that the line has itself is the program's own; ours then goes by another
/// name.
fn complete(text: &str, facts: &Facts<'_>, has: &Object, out: &mut Vec<u8>) {
    let body = text.trim_ascii_end();
    out.extend(body.strip_suffix('}').unwrap_or(body).trim_ascii_end().as_bytes());
    let mut comma = !has.empty;
    for ((name, value), taken) in fields(facts).into_iter().zip(has.taken) {
        if comma {
            out.push(b',');
        }
        comma = true;
        match taken {
            false => field(name, value, out),
            true => field(&format!("horust_{name}"), value, out),
        }
    }
    out.extend(b"}\n");
}

/// What matters of an object.
struct Object {
    empty: bool,
    /// Whether it has fields of the names that `fields` gives.
    taken: [bool; 3],
}

/// Whether this is one JSON object and nothing else.
fn object(text: &str) -> Option<Object> {
    // Most lines that are none are told by their first character.
    if !text.trim_ascii_start().starts_with('{') {
        return None;
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    let object = serde::Deserializer::deserialize_map(&mut reader, Fields).ok()?;
    reader.end().ok().map(|()| object)
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Object;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut object = Object { empty: true, taken: [false; 3] };
        while let Some((key, IgnoredAny)) = map.next_entry::<Cow<'de, str>, IgnoredAny>()? {
            object.empty = false;
            for (name, taken) in ["ts", "service", "stream"].iter().zip(&mut object.taken) {
                *taken |= key == *name;
            }
        }
        Ok(object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(line: &[u8], partial: bool) -> String {
        let mut out = Vec::new();
        write(line, &Facts { service: "web", stream: Stream::Err, time: "T", partial }, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_line_of_text_becomes_an_object() {
        let start = r#"{"ts":"T","service":"web","stream":"stderr","msg":"#;
        for (line, rest) in [
            (&b"plain"[..], r#""plain"}"#),
            (b"", r#"""}"#),
            (b"a \"b\" \\ \t\x01", r#""a \"b\" \\ \t\u0001"}"#),
            ("grüße".as_bytes(), r#""grüße"}"#),
            (b"\xff\\ok\xfe", r#""\\xff\\\\ok\\xfe","escaped":true}"#),
            (b"[1,2]", r#""[1,2]"}"#),
            (b"7", r#""7"}"#),
            (br#"{"a":1} x"#, r#""{\"a\":1} x"}"#),
            (br#"{"a":1"#, r#""{\"a\":1"}"#),
            (b"{\"a\":\"\xff\"}", r#""{\"a\":\"\\xff\"}","escaped":true}"#),
        ] {
            assert_eq!(json(line, false), format!("{start}{rest}\n"));
        }
        assert_eq!(json(b"half", true), format!("{start}\"half\",\"partial\":true}}\n"));
    }

    #[test]
    fn each_character_at_each_place_is_written_as_serde_json_writes_it() {
        for (code, place) in (0..0x180_u32).flat_map(|code| (0..20).map(move |place| (code, place))) {
            let mut text = "é".repeat(10) + "xxxxxxxxxxxxxxxxxxxx";
            text.insert(20 + place, char::from_u32(code).unwrap());
            let mut out = Vec::new();
            string(&text, &mut out);
            assert_eq!(out, serde_json::to_vec(&text).unwrap(), "{code:#x} at {place}");
        }
    }

    #[test]
    fn an_object_stays_as_it_is_and_gets_what_it_lacks() {
        let added = r#""ts":"T","service":"web","stream":"stderr"}"#;
        for body in [
            r#"{"z":1,"a":123456789012345678901234567890.10,"n":1e400"#,
            r#"{ "b" : [ {"ts":"inner"} ] ,  "a":null"#,
            r#"{"dup":1,"dup":2,"u":"ü \ud83d\ude00""#,
        ] {
            assert_eq!(json(format!("{body}}}\r").as_bytes(), false), format!("{body},{added}\n"));
        }
        assert_eq!(json(b" { } ", false), format!(" {{{added}\n"));
        let own = r#"{"ts":1,"service":"own""#;
        let kept = format!("{own},\"horust_ts\":\"T\",\"horust_service\":\"web\",\"stream\":\"stderr\"}}\n");
        assert_eq!(json(format!("{own}}}").as_bytes(), false), kept);
    }
}
