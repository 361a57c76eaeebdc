//! Output as lines: however it is cut into pieces on its way, each line is whole, none is lost, and JSON is JSON.
#![no_main]

use horust::limits;
use horust::logging::fuzzing::{Ring, first, json, whole};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: (&[u8], &[u8])| {
    let (cuts, text) = data;
    // Many times over, so that lines become too long as well.
    let text = text.repeat(1 + limits::LINE * usize::from(cuts.len() % 32 == 31) / text.len().max(1));
    let (mut held, mut passed, mut lines) = (Vec::new(), Vec::new(), Vec::new());
    let mut rest = text.as_slice();
    let mut ring = Ring::new(64);
    for cut in cuts.iter().cycle().map(|cut| usize::from(*cut) + 1).take(text.len() + 1) {
        let (piece, after) = rest.split_at(if cut > 250 { rest.len() } else { cut.min(rest.len()) });
        let from = held.len();
        held.extend_from_slice(piece);
        let end = whole(&held, from);
        let mut ready = &held[..end];
        ring.push(ready);
        while !ready.is_empty() {
            let (line, more) = ready.split_at(first(ready));
            assert!(!line.is_empty() && line.len() <= limits::LINE + 1);
            lines.push(line.to_vec());
            ready = more;
        }
        passed.extend(held.drain(..end));
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    passed.extend(held);
    assert_eq!(passed.len() + rest.len(), text.len());
    assert!(text.starts_with(&passed));
    for line in lines {
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        for partial in [false, true] {
            let object = json(line, partial);
            assert_eq!(object.iter().filter(|byte| **byte == b'\n').count(), 1);
            let value: serde_json::Value = serde_json::from_slice(&object).unwrap();
            assert!(value.is_object());
        }
    }
    assert!(ring.held() <= 64);
});
