//! What verbs say, held against committed pages: what differs from run to run is named, the rest has to be the same.

use crate::support::Horust;
use std::path::Path;
use std::process::Output;

/// Whether an answer is the page `tests/e2e/snapshots/NAME`, which also tells the exit code. `UPDATE_DOCS=1` writes it.
#[track_caller]
pub fn assert_snapshot(horust: &Horust, name: &str, output: &Output) {
    let text = |bytes: &[u8]| steady(horust, &String::from_utf8_lossy(bytes));
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    let stderr = if stderr.is_empty() { stderr } else { format!("--- stderr\n{stderr}") };
    let page = format!("{stdout}{stderr}--- exit code {}\n", output.status.code().unwrap());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/snapshots").join(name);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &page).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == page, "{name} is not as committed (UPDATE_DOCS=1 writes it):\n{committed}\n--- but\n{page}");
}

/// The text with names for its directory, pids, times, durations and sizes.
fn steady(horust: &Horust, text: &str) -> String {
    let text = text.replace(&horust.dir().display().to_string(), "@DIR@");
    let rules = [
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "@WHEN@"),
        (r"(\d+(ms|s|m|h|us)( |\b))+(ms|s|m|h|us)?", "@LONG@"),
        (r"(@LONG@)+ *", "@LONG@ "),
        (r"@LONG@ (\n|\)|,|;|\.|:)", "@LONG@$1"),
        (r"\d+ (B|KiB|MiB)\b", "@SIZE@"),
        (r#""(for_ms|memory_bytes|cpu_ms|pid)": \d+"#, "\"$1\": @N@"),
        (r"(from_ms|to_ms|ready_ms)(.): [\d.]+", "$1$2: @MS@"),
        (r"(?m)^( +(pid|processes) +)\d+$", "$1@N@"),
        // Columns are as wide as what is in them.
        (r"(\S)  +", "$1  "),
        (r"(@LONG@ )\d+(  \d+  @SIZE@)", "$1@N@$2"),
    ];
    let mut text = text;
    for (pattern, with) in rules {
        text = regex_lite::Regex::new(pattern).unwrap().replace_all(&text, with).into_owned();
    }
    text
}
