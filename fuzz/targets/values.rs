//! Sizes, durations and commands.
#![no_main]

use horust::config::fuzzing::size;
use horust::config::{parse_duration, split_command};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Some(bytes) = size(text) {
        assert_eq!(size(&bytes.to_string()), Some(bytes));
        assert!(text.trim_start().starts_with(|c: char| c.is_ascii_digit()));
    }
    if let Ok(time) = parse_duration(text) {
        let written = humantime(time);
        assert_eq!(parse_duration(&written), Ok(time), "{written}");
    }
    if let Ok(words) = split_command(text) {
        assert!(!words.is_empty());
    }
});

/// As Horust writes it.
fn humantime(time: std::time::Duration) -> String {
    horust::config::fuzzing::duration(time)
}
