//! Text for the user. A closed or full stream is no reason to fail, so errors of writing are dropped.

use std::io::{self, IsTerminal, Write};

/// Writes an answer to standard output.
pub fn answer(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// Writes a complaint to standard error.
pub fn complain(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Whether text for this stream may be coloured: <https://no-color.org>.
pub fn colour(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
