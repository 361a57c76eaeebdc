//! Horust's own messages: `log` and env_logger, written to stderr by a thread of their own, so that a reader who is
//! slow or gone never blocks PID 1. The thread starts with the first message; a quiet run has none.

use crate::chaos;
use crate::limits;
use crate::sys::poll;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

enum Line {
    Text(Vec<u8>),
    Flush(Sender<()>),
}

static WRITER: OnceLock<Option<Sender<Line>>> = OnceLock::new();
static DROPPED: AtomicU64 = AtomicU64::new(0);
static TOLD: AtomicU64 = AtomicU64::new(0);

/// Sets up logging: warnings and errors, or what `HORUST_LOG` says (env_logger's syntax).
pub fn init() {
    let env = env_logger::Env::default().filter_or("HORUST_LOG", "warn");
    let style = match io::IsTerminal::is_terminal(&io::stderr()) {
        true => env_logger::WriteStyle::Always,
        false => env_logger::WriteStyle::Never,
    };
    let target = env_logger::Target::Pipe(Box::new(Queue));
    let format = |out: &mut env_logger::fmt::Formatter, record: &log::Record<'_>| {
        let style = out.default_level_style(record.level());
        let level = record.level().as_str().to_ascii_lowercase();
        writeln!(out, "horust: {style}{level}{style:#}: {}", record.args())
    };
    // The standard hook writes to stderr itself, and waits for whoever does not read it.
    std::panic::set_hook(Box::new(|panic| {
        let text = panic.to_string().replace('\n', " ");
        log::error!("bug in thread {}: {text} (please report this)", thread::current().name().unwrap_or("?"));
    }));
    let _ = env_logger::Builder::from_env(env).format(format).write_style(style).target(target).try_init();
}

/// Waits a little until all messages are written. Called before the end.
pub fn flush() {
    let Some(Some(writer)) = WRITER.get() else { return };
    let (done, wait) = bounded(1);
    if writer.send_timeout(Line::Flush(done), limits::LOG_FLUSH).is_ok() {
        let _ = wait.recv_timeout(limits::LOG_FLUSH);
    }
}

/// How many messages were dropped since the start.
pub fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// What env_logger writes to.
struct Queue;

impl Write for Queue {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let taken = match WRITER.get_or_init(start) {
            Some(writer) => match writer.try_send(Line::Text(text.to_vec())) {
                Ok(()) => true,
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
            },
            // No thread can be had, which is likely what the message is about: what fits is written at once.
            None => poll::is_writable(io::stderr().as_fd()) && io::stderr().write_all(text).is_ok(),
        };
        if !taken {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn start() -> Option<Sender<Line>> {
    let (sender, lines) = bounded::<Line>(limits::LOG_QUEUE);
    // A panic costs one message.
    let body = move || while catch_unwind(AssertUnwindSafe(|| write(&lines))).is_err() {};
    std::thread::Builder::new().name("log".into()).stack_size(limits::SMALL_STACK).spawn(body).ok().map(|_| sender)
}

/// Writes what comes, until there is nobody left from whom it could.
fn write(lines: &Receiver<Line>) {
    for line in lines {
        chaos::point("log");
        let text = match line {
            Line::Text(text) => text,
            Line::Flush(done) => {
                let _ = done.send(());
                continue;
            }
        };
        let all = dropped();
        let dropped = all.saturating_sub(TOLD.swap(all, Ordering::Relaxed));
        if dropped > 0 {
            let _ = writeln!(io::stderr(), "horust: {dropped} messages were dropped: stderr was too slow");
        }
        if io::stderr().write_all(&text).is_err() {
            // Nobody to tell. A closed stderr must not make this thread spin.
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
