//! The thread that listens. Until the first client comes it sleeps in poll(2) and holds nothing but its small stack;
//! then it starts a runtime and serves a bounded number of clients at each door, each within bounded times and sizes.

use super::desk::Desk;
use super::guard::{self, Guard};
use super::patient::{Patience, Patient};
use super::router;
use super::wire::Problem;
use crate::chaos;
use crate::limits;
use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use crossbeam_channel::{Receiver, Sender, bounded};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::{TowerToHyperService, TowerToHyperServiceFuture};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixListener;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{Semaphore, watch};

/// Whether the peer at the other end may steer Horust; else why not.
pub type Gate = Box<dyn Fn(&UnixStream) -> Result<(), String> + Send + Sync>;

/// A way in.
pub enum Door {
    /// The control socket: who may connect may do everything.
    Socket(UnixListener, Gate),
    /// The web address: each request shows what it may.
    Web(TcpListener, Guard),
    /// Metrics and health alone.
    Metrics(TcpListener, Guard),
}

impl Door {
    fn clients(&self) -> usize {
        match self {
            Door::Socket(..) => limits::CLIENTS,
            Door::Web(..) => limits::WEB_CLIENTS,
            Door::Metrics(..) => limits::METRICS_CLIENTS,
        }
    }

    fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Door::Socket(listener, _) => listener.as_fd(),
            Door::Web(listener, _) | Door::Metrics(listener, _) => listener.as_fd(),
        }
    }
}

/// The places for the clients of one door: those of one can't take those of another.
#[derive(Clone)]
struct Room {
    seats: Arc<Semaphore>,
    size: usize,
}

impl Room {
    fn is_empty(&self) -> bool {
        self.seats.available_permits() == self.size
    }
}

/// A thread that serves.
pub struct Server {
    ending: watch::Sender<bool>,
    rooms: Vec<Room>,
    done: Receiver<()>,
}

impl Server {
    /// Lets those who are being served have their answers, for a short time.
    pub fn finish(&self) {
        let idle = self.rooms.iter().all(Room::is_empty);
        if self.ending.send(true).is_ok() && !idle {
            let _ = self.done.recv_timeout(limits::CLIENT_FLUSH);
        }
    }
}

/// Starts the thread.
pub fn serve(doors: Vec<Door>, desk: Desk) -> io::Result<Server> {
    let (ending, end) = watch::channel(false);
    let (sender, done) = bounded(1);
    let room = |door: &Door| Room { seats: Arc::new(Semaphore::new(door.clients())), size: door.clients() };
    let rooms: Vec<Room> = doors.iter().map(room).collect();
    let ours = rooms.clone();
    let body = move || {
        wait_for_first(&doors);
        if let Err(error) = run(doors, desk, &ours, &end, &sender) {
            log::error!("cannot serve clients: {error}");
        }
    };
    thread::Builder::new().name("control".into()).stack_size(limits::CONTROL_STACK).spawn(body)?;
    Ok(Server { ending, rooms, done })
}

fn wait_for_first(doors: &[Door]) {
    let mut fds: Vec<PollFd<'_>> = doors.iter().map(|door| PollFd::new(door.fd(), PollFlags::POLLIN)).collect();
    while poll(&mut fds, PollTimeout::NONE).is_err() {}
}

fn run(doors: Vec<Door>, desk: Desk, rooms: &[Room], end: &watch::Receiver<bool>, done: &Sender<()>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build()?;
    runtime.block_on(async {
        let desk = Arc::new(desk);
        // Who follows at one door takes no place from those at another.
        let router = || router::new(Arc::clone(&desk), end.clone());
        for (door, room) in doors.into_iter().zip(rooms) {
            let (room, end) = (room.clone(), end.clone());
            match door {
                Door::Socket(listener, gate) => {
                    listener.set_nonblocking(true)?;
                    let listener = tokio::net::UnixListener::from_std(listener)?;
                    tokio::spawn(keep_open(Arrivals::Unix(listener, gate), router(), room, end));
                }
                Door::Web(listener, guard) => {
                    let listener = tcp(listener)?;
                    tokio::spawn(keep_open(listener, guard::protect(router(), guard), room, end));
                }
                Door::Metrics(listener, guard) => {
                    let listener = tcp(listener)?;
                    let router = router::monitors(Arc::clone(&desk));
                    tokio::spawn(keep_open(listener, guard::protect(router, guard), room, end));
                }
            }
        }
        let mut end = end.clone();
        let _ = end.wait_for(|ending| *ending).await;
        for room in rooms {
            let _ = room.seats.acquire_many(u32::try_from(room.size).unwrap_or(u32::MAX)).await;
        }
        let _ = done.try_send(());
        Ok(())
    })
}

fn tcp(listener: TcpListener) -> io::Result<Arrivals> {
    listener.set_nonblocking(true)?;
    tokio::net::TcpListener::from_std(listener).map(Arrivals::Tcp)
}

/// A connection. One type for both kinds: hyper's code for each would be another 100 KB.
enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

macro_rules! either {
    ($stream:expr, $call:ident $(, $argument:expr)*) => {
        match $stream.get_mut() {
            Stream::Unix(stream) => Pin::new(stream).$call($($argument),*),
            Stream::Tcp(stream) => Pin::new(stream).$call($($argument),*),
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        either!(self, poll_read, cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        either!(self, poll_write, cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, poll_flush, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, poll_shutdown, cx)
    }
}

/// What clients come from.
enum Arrivals {
    Unix(tokio::net::UnixListener, Gate),
    Tcp(tokio::net::TcpListener),
}

impl Arrivals {
    /// The next client, and why it is sent away if it is.
    async fn next(&self) -> io::Result<(Stream, Result<(), String>)> {
        match self {
            Arrivals::Unix(listener, gate) => {
                let (stream, _) = listener.accept().await?;
                let may = gate(&stream);
                Ok((Stream::Unix(stream), may))
            }
            Arrivals::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // Events are small, and are to be seen at once.
                let _ = stream.set_nodelay(true);
                Ok((Stream::Tcp(stream), Ok(())))
            }
        }
    }
}

/// Keeps a door open to the end: a panic costs the client who has caused it, and nobody else.
async fn keep_open(arrivals: Arrivals, router: Router, room: Room, end: watch::Receiver<bool>) {
    let arrivals = Arc::new(arrivals);
    while tokio::spawn(admit(Arc::clone(&arrivals), router.clone(), room.clone(), end.clone())).await.is_err() {}
}

/// Lets in who comes through one door, as long as there is room.
async fn admit(arrivals: Arc<Arrivals>, router: Router, room: Room, mut end: watch::Receiver<bool>) {
    let porch = Arc::new(Semaphore::new(room.size));
    loop {
        let accepted = tokio::select! {
            accepted = arrivals.next() => accepted,
            _ = end.wait_for(|ending| *ending) => return,
        };
        chaos::point("admit");
        match accepted {
            Ok((stream, may)) => match (may, Arc::clone(&room.seats).try_acquire_owned()) {
                (Err(why), _) => refuse(stream, &porch, "403 Forbidden", &why),
                (_, Err(_)) => refuse(stream, &porch, "503 Service Unavailable", "too many clients"),
                (Ok(()), Ok(seat)) => {
                    let (router, end) = (router.clone(), end.clone());
                    tokio::spawn(async move {
                        let _seat = seat;
                        attend(stream, router, end).await;
                    });
                }
            },
            // Out of descriptors or of memory: it passes, or lasts; either way no reason to spin.
            Err(_) => tokio::time::sleep(RETRY).await,
        }
    }
}

const RETRY: Duration = Duration::from_millis(100);

/// Serves one client until it goes, or takes too long.
async fn attend(stream: Stream, router: Router, mut end: watch::Receiver<bool>) {
    let patience = Patience::new(limits::CLIENT_PATIENCE);
    let stream = TokioIo::new(Patient::new(stream, patience.clone()));
    let service = Connected { router: TowerToHyperService::new(router), patience };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::CLIENT_PATIENCE)
        .max_headers(limits::CLIENT_HEADERS)
        .max_buf_size(limits::CLIENT_BUFFER)
        .serve_connection(stream, service);
    let mut connection = pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = end.wait_for(|ending| *ending) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

/// Answers the requests of one connection, and lets answers change how long it waits for its peer.
struct Connected {
    router: TowerToHyperService<axum::Router>,
    patience: Patience,
}

impl hyper::service::Service<Request<Incoming>> for Connected {
    type Response = Response;
    type Error = Infallible;
    type Future = TowerToHyperServiceFuture<axum::Router, Request<Incoming>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        chaos::point("control");
        self.patience.set(limits::CLIENT_PATIENCE);
        request.extensions_mut().insert(self.patience.clone());
        self.router.call(request)
    }
}

/// Says no to somebody who is not served. What of it does not fit into the socket is lost, and so is all of it if too
/// many get this answer at the same time.
fn refuse(mut stream: Stream, porch: &Arc<Semaphore>, status: &str, why: &str) {
    let Ok(place) = Arc::clone(porch).try_acquire_owned() else { return };
    let (code, title) = status.split_once(' ').unwrap_or((status, ""));
    let (title, status_code) = (title.to_owned(), code.parse().unwrap_or_default());
    let problem = Problem { title, status: status_code, detail: why.to_owned() };
    let body = serde_json::to_string(&problem).unwrap_or_default();
    let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/problem+json\r\nconnection: close\r\n");
    let answer = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    tokio::spawn(async move {
        let _place = place;
        // Its request has to be read first: what is closed with something unread loses what was written (unix(7)).
        let _ = tokio::time::timeout(limits::CLIENT_PATIENCE, read_something(&mut stream)).await;
        let write = poll_fn(|cx| Pin::new(&mut stream).poll_write(cx, answer.as_bytes()));
        let _ = tokio::time::timeout(RETRY, write).await;
    });
}

/// Waits for a request, and reads what has come of it.
async fn read_something(stream: &mut Stream) {
    let mut request = [0; 4096];
    let full = request.len();
    loop {
        let mut buffer = ReadBuf::new(&mut request);
        let read = poll_fn(|cx| Pin::new(&mut *stream).poll_read(cx, &mut buffer)).await;
        if read.is_err() || buffer.filled().len() < full {
            return;
        }
    }
}
