//! Parts of the documentation that tests have seen to be true, so that they can't go out of date.
//! `UPDATE_DOCS=1 cargo test --test sim --test supervisor` rewrites them.

use std::path::Path;
use std::sync::Mutex;

static WRITING: Mutex<()> = Mutex::new(());

/// Holds what stands between `<!-- name -->` and `<!-- /name -->` in this file to be this text; or makes it so.
#[track_caller]
pub fn section(file: &str, name: &str, wanted: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let _one = WRITING.lock().unwrap();
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("cannot read {file}: {e}"));
    let (start, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let from = text.find(&start).unwrap_or_else(|| panic!("{file} lacks {start}")) + start.len();
    let to = text.find(&end).unwrap_or_else(|| panic!("{file} lacks {end}"));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{}{wanted}{}", &text[..from], &text[to..])).unwrap();
        return;
    }
    assert_eq!(&text[from..to], wanted, "rewrite it by UPDATE_DOCS=1 cargo test --test sim --test supervisor");
}
