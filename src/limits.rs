//! Every bound in the program, each with its reason.

use std::time::Duration;

/// A service file larger than this is a mistake (a log, a binary); reading it whole would let it eat PID 1's memory.
pub const SERVICE_FILE_BYTES: u64 = 1 << 20;

/// An environment file larger than this is a mistake.
pub const ENVIRONMENT_FILE_BYTES: u64 = 1 << 20;

/// A secret larger than this can't be passed on: MAX_ARG_STRLEN in execve(2).
pub const SECRET_BYTES: u64 = 128 << 10;

/// More services than this in one set is a mistake; 10,000 is what the project is measured with.
pub const SERVICES: usize = 20_000;

/// Batches of events and of actions that may wait between two threads. The sender
/// thread does nothing but handle them.
pub const QUEUE: usize = 64;

/// Children reaped before signals and actions get their turn again, so that a fork bomb can't starve them.
pub const REAPS_PER_TURN: usize = 512;

/// Threads that run probes. More probes than this at once wait for a free worker, inside their own timeout.
pub const PROBE_WORKERS: usize = 32;

/// A probe that takes this long holds its worker up, which does not count any more: however many services hang, those that
/// answer are asked in time ...
pub const PROBE_HELD_UP: Duration = Duration::from_millis(500);
/// ... up to so many threads. With the default timeout and interval half of the services that hang are asked at a time.
pub const PROBE_WORKERS_MOST: usize = 512;
/// Threads beyond `PROBE_WORKERS` end when nobody has been held up for so long.
pub const PROBE_IDLE: Duration = Duration::from_secs(30);

/// Probes that wait for one of those threads. Enough for as many services as are measured with to be asked at once; with
/// more waiting than this most would only time out.
pub const PROBE_QUEUE: usize = 10_000;

/// A service that is not ready after this long, and may take as long as it likes, is mentioned: something may be wrong.
pub const NOT_READY_NAG: Duration = Duration::from_secs(30);

/// With `--watch`: changes that come closer together than this are read together ...
pub const WATCH_QUIET: Duration = Duration::from_millis(100);
/// ... but not more of them than this, should they never end.
pub const WATCH_LONGEST: usize = 100;

/// Horust has stood still if it has slept for so much longer than it wanted to. What is due then waits as long again for
/// what has happened meanwhile ...
pub const OVERSLEPT: Duration = Duration::from_secs(1);
/// ... unless that was so shortly before.
pub const OVERSLEPT_AGAIN: Duration = Duration::from_secs(10);

/// How long a tree may survive SIGKILL (uninterruptible sleep) before Horust says so and goes on without it.
pub const UNKILLABLE_AFTER: Duration = Duration::from_secs(5);

/// How long what is left after all services have stopped gets between SIGTERM and SIGKILL.
pub const LEFTOVER_GRACE: Duration = Duration::from_millis(500);

/// A service that succeeds sooner than this ...
pub const THROTTLE_RUN: Duration = Duration::from_millis(100);
/// ... this many times in a row is started no more often than every `THROTTLE_RUN`.
pub const THROTTLE_COUNT: u32 = 10;

/// Messages from services that are read before signals and exits get their turn again.
pub const NOTICES_PER_TURN: usize = 64;

/// The longest status text that is kept of what a service says, in characters.
pub const STATUS_TEXT: usize = 256;

/// Descriptors from messages that may wait to be closed. With as many, no message is read: one message can bring 253.
pub const CLOSING: usize = 16;

/// How far up the parents of a process are asked for the service that it belongs to.
pub const PARENTS: usize = 64;

/// Log lines of Horust's own that may wait for a slow stderr; more are dropped and counted.
pub const LOG_QUEUE: usize = 1024;

/// How long the end of Horust waits for a slow stderr to take its last lines.
pub const LOG_FLUSH: Duration = Duration::from_millis(500);

/// The exit code of `--unsuccessful-exit-finished-failed`, as Horust 0.1 has it.
pub const EXIT_FINISHED_FAILED: u8 = 101;

/// Exec stages under way at once: each holds a pipe open until its exec ...
pub const STAGES: usize = 32;
/// ... but those that take longer than this, in a dead network mount say, don't count ...
pub const STAGE_HELD_UP: Duration = Duration::from_secs(1);
/// ... unless there are so many of them.
pub const STAGES_MOST: usize = 512;

/// Actions that main carries out before signals and exits get their turn again ...
pub const ACTIONS_PER_TURN: usize = 32;
/// ... and signals to services instead of one of these. The kernel looks for the dead among all children, one after the other:
/// they are found fast when all before them are dead, too.
pub const SIGNALS_PER_ACTION: usize = 16;

/// Descendants of one run that are looked at. A fork bomb has more; its process group and further rounds get the rest.
pub const TREE: usize = 10_000;

/// What a main process leaves behind that is remembered one by one, in case it leaves the session; the rest is known by its
/// session alone.
pub const NOTED: usize = 256;

/// How long the end waits for what it has sent SIGKILL to.
pub const LEFTOVER_KILL: Duration = Duration::from_secs(2);

/// A line longer than this is passed on in parts: no service can make Horust hold more of it.
pub const LINE: usize = 64 << 10;

/// Read from a service's output at once.
pub const OUTPUT_READ: usize = 256 << 10;

/// Formatted output that is gathered before it is written.
pub const OUTPUT_WRITE: usize = 256 << 10;

/// The output that a service may ask to have kept in memory.
pub const OUTPUT_BUFFER: usize = 64 << 20;

/// The pipe of a service that writes fast is made this large ...
pub const BIG_PIPE: usize = 1 << 20;
/// ... for so many streams at a time: what pipes may hold is bounded for each user (pipe(7)), and services need some too.
pub const BIG_PIPES: usize = 16;

/// Starts that may wait for the logger thread, which never waits for anything itself.
pub const LOG_REQUESTS: usize = 1024;

/// Requests of it that are taken before services get their turn again.
pub const LOG_REQUESTS_PER_TURN: usize = 64;

/// While output comes in small pieces without a pause, the logger lets it gather for this long: a wake-up for each line
/// would cost more than the line.
pub const OUTPUT_GATHER: Duration = Duration::from_micros(500);

/// How long the end of Horust waits for what services have written to be passed on.
pub const OUTPUT_FLUSH: Duration = Duration::from_secs(3);

/// Pieces of output, each with its time, that a service's buffer tells apart.
pub const OUTPUT_PIECES: usize = 8192;

/// How often the memory of services is looked at that the kernel can't limit. One that grows faster gets further; looking
/// more often would cost those who don't.
pub const MEMORY_INTERVAL: Duration = Duration::from_secs(1);

/// Starts and ends that may wait for the thread that looks at memory: many services at once, and the thread may be held
/// up by one of them.
pub const MEMORY_ORDERS: usize = 4096;

/// The stack of a thread that does one small thing.
pub const SMALL_STACK: usize = 128 << 10;

/// How long the start and the end of Horust wait for what they have killed in its cgroups.
pub const CGROUP_PATIENCE: Duration = Duration::from_millis(500);

/// Where the control socket is, and verbs look for it.
pub const SOCKET_FOLDER: &str = "/var/run/horust";

/// Clients that may wait to be accepted; the server takes them one after the other without waiting for any.
pub const BACKLOG: i32 = 128;

/// Clients of the control socket that are served at a time: enough for people and a monitor, few enough that no crowd
/// of them can eat PID 1's memory.
pub const CLIENTS: usize = 64;

/// The same at `web-server`: a browser takes up to six, and who only holds places there takes none at the socket.
pub const WEB_CLIENTS: usize = 64;

/// The same where only metrics and health are.
pub const METRICS_CLIENTS: usize = 16;

/// Requests that may wait for the runtime thread; no client has more than one under way.
pub const CALLS: usize = 2 * (CLIENTS + WEB_CLIENTS);

/// How long somebody waits who has shown a wrong token.
pub const WRONG_TOKEN: Duration = Duration::from_millis(200);

/// A token is no shorter than this: nobody can try out enough of them.
pub const TOKEN: usize = 16;

/// A file with a token is no longer than this.
pub const TOKEN_FILE_BYTES: u64 = 4096;

/// How long a client may take to send a request, to follow it up with the next one, or to read a piece of an answer.
pub const CLIENT_PATIENCE: Duration = Duration::from_secs(5);

/// Headers in a request, and ...
pub const CLIENT_HEADERS: usize = 32;
/// ... bytes that are held of a request or of an answer: 8 KiB is the least that hyper takes.
pub const CLIENT_BUFFER: usize = 16 << 10;

/// How long somebody who waits for services rests after each look at them.
pub const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Whoever watches services is told at such intervals what they use: often enough for a line that moves, and seldom enough
/// to be no load.
pub const USAGE_INTERVAL: Duration = Duration::from_secs(2);

/// Whoever watches services rests so many times as long as a look has taken: a crowd that watches thousands of them leaves
/// the runtime thread time for its work.
pub const WATCH_SHARE: u32 = 20;

/// Nobody waits longer than this.
pub const LONGEST_WAIT: Duration = Duration::from_secs(365 * 86_400);

/// How long the end of Horust waits for clients to be told of it.
pub const CLIENT_FLUSH: Duration = Duration::from_millis(200);

/// The stack of the thread that serves clients.
pub const CONTROL_STACK: usize = 512 << 10;

/// Clients that may follow output or events at a time: fewer than there may be clients, so that followers, who stay, never
/// keep out who wants to stop something.
pub const FOLLOWERS: usize = 48;

/// How long the completion of a shell waits for Horust: somebody has pressed a key.
pub const COMPLETION_PATIENCE: Duration = Duration::from_secs(2);

/// How long one who follows may take to read a piece: somebody may look at a page of it for a while.
pub const FOLLOWER_PATIENCE: Duration = Duration::from_secs(600);

/// How often one who follows hears something even if nothing happens, so that a connection that is broken is found out.
pub const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Output that is read for one client at once, of all services together ...
pub const OUTPUT_LOOK: usize = 64 << 10;
/// ... and of each, however many they are.
pub const OUTPUT_LOOK_EACH: usize = 1 << 10;

/// Bytes of an answer that are gathered before they are sent.
pub const ANSWER_PIECE: usize = 16 << 10;

/// Events that are kept; each takes 24 bytes, and its words if it is a warning.
pub const EVENTS: usize = 4096;

/// Bytes of the latest steps that are kept for the journal; up to twice as many are, and more of a step that touches many services.
pub const JOURNAL: usize = 4 << 10;

/// Bytes of a journal in one line of text.
pub const JOURNAL_LINE: usize = 1 << 10;

/// Events that are put into words at once: the runtime thread does it.
pub const EVENTS_AT_ONCE: usize = 256;

/// Links of one chain of reasons that are told: people read no more, and a chain can be as long as there are services.
pub const WHY_LINKS: usize = 16;

/// Services that one question for reasons is about; for more there are more questions, so that facts get in between.
pub const WHY_BATCH: usize = 32;
