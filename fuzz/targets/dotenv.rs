//! An environment file: what is read can be given to a process.
#![no_main]

use horust::runtime::fuzzing::dotenv;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(variables) = dotenv(data) else { return };
    for (name, _) in &variables {
        assert!(!name.is_empty() && !name.contains(['=', '\0', '\n', ' ']), "{name:?}");
    }
    // Nothing is special in single quotes, but for a line end of two characters.
    if variables.iter().all(|(_, value)| !value.contains(['\'', '\r'])) {
        let text: String = variables.iter().map(|(name, value)| format!("{name}='{value}'\n")).collect();
        assert_eq!(dotenv(text.as_bytes()), Ok(variables), "{text}");
    }
});
