//! Watches the memory of services whose limit the kernel can't enforce: the one place that polls, once a second, and
//! only while such a service runs. A thread of its own, since what it reads may make it wait.

use crate::chaos;
use crate::limits;
use crate::model::{Mono, RunId};
use crate::sys::cgroup::Group;
use crate::sys::process::mono_now;
use crate::sys::wake::EventFd;
use crate::sys::{memory, tree};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// A run to watch.
pub struct Watched {
    /// Which one.
    pub run: RunId,
    /// Its main process, which is also its session.
    pub pid: u32,
    /// Its cgroup, which tells better what belongs to it.
    pub group: Option<Group>,
    /// Bytes.
    pub limit: u64,
}

enum Order {
    Watch(Watched),
    Forget(RunId),
}

/// The watcher, from the outside.
pub struct Watcher {
    orders: Sender<Order>,
    over: Receiver<RunId>,
}

impl Watcher {
    /// Starts the thread. None if there can be no more threads.
    pub fn start(wake: Arc<EventFd>) -> Option<Watcher> {
        let (orders, receiver) = bounded(limits::MEMORY_ORDERS);
        let (sender, over) = bounded(limits::QUEUE);
        let body = move || {
            let mut watched = Vec::new();
            // A panic costs one look.
            while catch_unwind(AssertUnwindSafe(|| watch(&receiver, &mut watched, &sender, &wake))).is_err() {}
        };
        let thread = std::thread::Builder::new().name("memory".into()).stack_size(limits::SMALL_STACK).spawn(body);
        thread.ok().map(|_| Watcher { orders, over })
    }

    /// Watches a run. False if the thread is too far behind.
    pub fn watch(&self, watched: Watched) -> bool {
        self.orders.try_send(Order::Watch(watched)).is_ok()
    }

    /// The run is over. If this does not arrive, what it says of the run is of no interest to anybody.
    pub fn forget(&self, run: RunId) {
        let _ = self.orders.try_send(Order::Forget(run));
    }

    /// Runs that use more than they may.
    pub fn over(&self) -> impl Iterator<Item = RunId> {
        self.over.try_iter()
    }
}

fn watch(orders: &Receiver<Order>, watched: &mut Vec<Watched>, over: &Sender<RunId>, wake: &EventFd) {
    let mut next = Mono(mono_now()).after(limits::MEMORY_INTERVAL);
    loop {
        let order = match watched.is_empty() {
            true => orders.recv().map_err(|_| RecvTimeoutError::Disconnected),
            false => orders.recv_timeout(next.since(Mono(mono_now()))),
        };
        match order {
            Ok(Order::Watch(new)) => {
                if watched.is_empty() {
                    next = Mono(mono_now()).after(limits::MEMORY_INTERVAL);
                }
                // A service has one run at a time.
                watched.retain(|other| other.run.service != new.run.service);
                watched.push(new);
            }
            Ok(Order::Forget(run)) => watched.retain(|other| other.run != run),
            Err(RecvTimeoutError::Timeout) => {
                chaos::point("memory");
                look(watched, over, wake);
                next = Mono(mono_now()).after(limits::MEMORY_INTERVAL);
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Tells main of those who use too much. It is told once.
fn look(watched: &mut Vec<Watched>, over: &Sender<RunId>, wake: &EventFd) {
    let blind = watched.iter().any(|one| one.group.is_none());
    let table = if blind { tree::Table::read(|_| false).unwrap_or_default() } else { tree::Table::default() };
    watched.retain(|one| !(uses_too_much(one, &table) && over.try_send(one.run).is_ok()));
    if !over.is_empty() {
        wake.wake();
    }
}

fn uses_too_much(one: &Watched, table: &tree::Table) -> bool {
    let pids = match &one.group {
        Some(group) => group.members(limits::TREE).into_iter().filter(|pid| *pid != 0).collect(),
        None => tree_of(one.pid, table),
    };
    let sum = |value: &dyn Fn(u32) -> u64| pids.iter().map(|pid| value(*pid)).fold(0, u64::saturating_add);
    // Workers that were forked share memory, which their sum counts many times; to divide it costs more, and is asked
    // only then. Where it may not be asked, at least what is in files does not count.
    sum(&|pid| memory::resident(pid).all) > one.limit
        && sum(&|pid| memory::share(pid).unwrap_or_else(|| memory::resident(pid).anonymous)) > one.limit
}

/// The session of this process and everybody below.
fn tree_of(pid: u32, table: &tree::Table) -> BTreeSet<u32> {
    let session = table.iter().filter(|(_, stat)| stat.session == pid).map(|(pid, _)| pid);
    let mut tree: BTreeSet<u32> = session.chain([pid]).collect();
    for member in tree.clone() {
        tree.extend(table.descendants(member, limits::TREE).iter().map(|id| id.pid));
    }
    tree
}
