//! Doors for `fuzz/` to what is nobody else's business.

use super::{dotenv, notify};
use crate::supervisor::Notice;

/// An environment file.
pub fn dotenv(bytes: &[u8]) -> Result<Vec<(String, String)>, String> {
    dotenv::parse(bytes)
}

/// What messages of one run come to.
pub fn notices<'a>(messages: impl Iterator<Item = &'a [u8]>) -> Option<Notice> {
    let mut all = messages.filter_map(notify::parse).map(|(notice, _)| notice);
    let first = all.next()?;
    Some(all.fold(first, |mut earlier, later| {
        notify::merge(&mut earlier, later);
        earlier
    }))
}
