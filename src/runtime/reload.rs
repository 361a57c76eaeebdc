//! Reads the configuration again and hands it to the runtime thread: on a thread that may wait for the disk, and one
//! reload after the other. What is wrong with it is told, and nothing else happens then.

use crate::chaos;
use crate::config::{self, Diagnostic, Loaded, Severity};
use crate::control::wire::{self, Changed};
use crate::control::{Call, Calls, NoAnswer, Question};
use crate::model::Plan;
use crate::supervisor::Difference;
use std::io::IsTerminal;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;

/// Reads the configuration as it was read at the start.
pub type Reader = Box<dyn Fn() -> Loaded + Send + Sync>;

/// The way to a reload.
pub struct Reloader {
    read: Reader,
    calls: Calls,
    /// Held from the reading on until the services go by it: what was read first comes into force first.
    turn: Mutex<()>,
    /// How often it was asked for by those who don't wait for the answer.
    asked: AtomicUsize,
}

impl Reloader {
    /// Nothing is read yet.
    pub fn new(read: Reader, calls: Calls) -> Reloader {
        Reloader { read, calls, turn: Mutex::new(()), asked: AtomicUsize::new(0) }
    }

    /// Reads the configuration, and tells what it changes. With `apply` that is done, and logged.
    pub fn reload(&self, apply: bool) -> Result<wire::Reload, NoAnswer> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let Loaded { plan, diagnostics, refused, .. } = (self.read)();
        let (errors, warnings): (Vec<_>, Vec<_>) = diagnostics.iter().partition(|d| d.severity == Severity::Error);
        let mut answer = wire::Reload { warnings: config::findings(warnings), ..wire::Reload::default() };
        if refused {
            answer.errors = config::findings(errors);
            if apply {
                log::error!("not reloaded, all stays as it was:\n{}", page(&diagnostics));
            }
            return Ok(answer);
        }
        let difference = self.hand_in(plan, apply)?;
        if apply {
            tell(&difference, &diagnostics);
        }
        let Difference { added, removed, changed, at_next_start } = difference;
        let keys = |keys: Vec<std::borrow::Cow<'static, str>>| keys.into_iter().map(Into::into).collect();
        let changed =
            changed.into_iter().map(|one| Changed { name: one.name, keys: keys(one.keys), restart: one.restart });
        let at_next_start = at_next_start.into_iter().map(str::to_owned).collect();
        Ok(wire::Reload { applied: apply, added, removed, changed: changed.collect(), at_next_start, ..answer })
    }

    fn hand_in(&self, plan: Plan, apply: bool) -> Result<Difference, NoAnswer> {
        let (reply, answer) = oneshot::channel();
        let question = Question::Reload { read: Arc::new(plan), apply, reply };
        let call = Call { plan: Arc::default(), commands: Vec::new(), question };
        self.calls.send(call).map_err(|_| NoAnswer::Ending)?;
        answer.blocking_recv().map_err(|_| NoAnswer::Ending)?.ok_or(NoAnswer::Stopping)
    }

    /// Has a thread reload, and returns at once. Who asks while one is at it gets one more.
    pub fn start(self: &Arc<Reloader>) {
        if self.asked.fetch_add(1, Ordering::SeqCst) > 0 {
            return;
        }
        let reloader = Arc::clone(self);
        let body = move || {
            loop {
                let asked = reloader.asked.load(Ordering::SeqCst);
                // A panic costs this reload, and not those that are asked for later.
                let _ = catch_unwind(AssertUnwindSafe(|| {
                    chaos::point("reload");
                    reloader.reload(true)
                }));
                if reloader.asked.fetch_sub(asked, Ordering::SeqCst) == asked {
                    return;
                }
            }
        };
        if let Err(error) = std::thread::Builder::new().name("reload".into()).spawn(body) {
            self.asked.store(0, Ordering::SeqCst);
            log::error!("cannot reload: no thread for it: {error}");
        }
    }
}

fn page(diagnostics: &[Diagnostic]) -> String {
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    config::render(diagnostics, colour).trim_end().to_owned()
}

/// Tells people what has changed.
fn tell(difference: &Difference, diagnostics: &[Diagnostic]) {
    if !diagnostics.is_empty() {
        log::warn!("reloaded, with this to read:\n{}", page(diagnostics));
    }
    let Difference { added, removed, changed, at_next_start } = difference;
    if difference.is_empty() {
        return log::info!("reloaded: nothing has changed");
    }
    let mut parts = Vec::new();
    let mut list = |names: &[String], what: &str| {
        parts.extend((!names.is_empty()).then(|| format!("{what} {}", names.join(", "))));
    };
    list(added, "added");
    list(removed, "removed");
    let changes: Vec<String> = changed
        .iter()
        .map(|one| {
            format!("{} ({}{})", one.name, one.keys.join(", "), if one.restart { ": it runs again" } else { "" })
        })
        .collect();
    list(&changes, "changed");
    log::info!("reloaded: {}", if parts.is_empty() { "no service has changed".to_owned() } else { parts.join("; ") });
    if !at_next_start.is_empty() {
        log::warn!("{} of horust.toml: the change takes effect at the next start of Horust", at_next_start.join(", "));
    }
}
