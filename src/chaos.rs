//! Panics on purpose, so that tests can see what becomes of Horust when one of its threads fails. Only with the feature
//! `chaos`, which no build for people has; without it nothing of this is left.

/// Panics if the test has asked this thread to, by a file of its name in the directory `HORUST_CHAOS`. Once: the file is
/// removed first.
#[cfg(feature = "chaos")]
#[allow(clippy::panic, reason = "that is what it is for")]
pub fn point(thread: &str) {
    let Some(dir) = std::env::var_os("HORUST_CHAOS") else { return };
    if std::fs::remove_file(std::path::Path::new(&dir).join(thread)).is_ok() {
        panic!("chaos in {thread}");
    }
}

/// Nothing.
#[cfg(not(feature = "chaos"))]
#[inline(always)]
pub fn point(_thread: &str) {}
