//! Variables in the text of a service file: no variable's text changes the structure of a file, and what holds no variable stays
//! as it is.
#![no_main]

use horust::config::fuzzing::{expand, expand_bare};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: (&str, &str)| {
    let (text, value) = data;
    let env = |name: &str| (!name.starts_with('Z')).then(|| value.into());
    let (expanded, problems) = expand(text, &env);
    assert_eq!(expanded.is_some(), text.contains('$'));
    for at in problems {
        assert!(text.get(at).is_some(), "a problem is shown where it is");
    }
    let (expanded, problems) = expand_bare(text, &env);
    if !text.contains('$') {
        assert_eq!(expanded, None);
    }
    for at in problems {
        assert!(text.get(at).is_some(), "a problem is shown where it is");
    }
});
