//! What services say about themselves: what is kept of it is bounded, and can be shown.
#![no_main]

use horust::limits;
use horust::runtime::fuzzing::notices;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // Several messages of one run are one to the supervisor.
    let Some(notice) = notices(data.split(|byte| *byte == 0xff)) else { return };
    if let Some(text) = notice.status {
        assert!(text.chars().count() <= limits::STATUS_TEXT && !text.contains(char::is_control));
    }
    assert!(notice.watchdog_every.is_none_or(|every| !every.is_zero()));
});
