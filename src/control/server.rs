//! The thread that listens. Until the first client comes it sleeps in poll(2) and holds nothing but its small stack;
//! then it starts a runtime and serves a bounded number of clients at a time, each within bounded times and sizes.

use super::desk::Desk;
use super::patient::{Patience, Patient};
use super::router;
use super::wire::Problem;
use crate::limits;
use axum::extract::Request;
use axum::response::Response;
use crossbeam_channel::{Receiver, Sender, bounded};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::{TowerToHyperService, TowerToHyperServiceFuture};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::convert::Infallible;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::pin::pin;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::sync::{Semaphore, watch};

/// Whether the peer at the other end may steer Horust; else why not.
pub type Gate = Box<dyn Fn(&UnixStream) -> Result<(), String> + Send>;

/// A thread that serves.
pub struct Server {
    ending: watch::Sender<bool>,
    clients: Arc<Semaphore>,
    done: Receiver<()>,
}

impl Server {
    /// Lets those who are being served have their answers, for a short time.
    pub fn finish(&self) {
        let idle = self.clients.available_permits() == limits::CLIENTS;
        if self.ending.send(true).is_ok() && !idle {
            let _ = self.done.recv_timeout(limits::CLIENT_FLUSH);
        }
    }
}

/// Starts the thread.
pub fn serve(listener: UnixListener, gate: Gate, desk: Desk) -> io::Result<Server> {
    let (ending, end) = watch::channel(false);
    let (sender, done) = bounded(1);
    let clients = Arc::new(Semaphore::new(limits::CLIENTS));
    let room = Arc::clone(&clients);
    let body = move || {
        wait_for_first(&listener);
        if let Err(error) = run(listener, &gate, desk, &room, end, &sender) {
            log::error!("cannot serve the control socket: {error}");
        }
    };
    thread::Builder::new().name("control".into()).stack_size(limits::CONTROL_STACK).spawn(body)?;
    Ok(Server { ending, clients, done })
}

fn wait_for_first(listener: &UnixListener) {
    let mut fds = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
    while poll(&mut fds, PollTimeout::NONE).is_err() {}
}

fn run(
    listener: UnixListener,
    gate: &Gate,
    desk: Desk,
    room: &Arc<Semaphore>,
    mut end: watch::Receiver<bool>,
    done: &Sender<()>,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build()?;
    runtime.block_on(async {
        let listener = tokio::net::UnixListener::from_std(listener)?;
        let porch = Arc::new(Semaphore::new(limits::CLIENTS));
        let router = router::new(Arc::new(desk), end.clone());
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = end.wait_for(|ending| *ending) => break,
            };
            match accepted {
                Ok((stream, _)) => match (gate(&stream), Arc::clone(room).try_acquire_owned()) {
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
        let all = u32::try_from(limits::CLIENTS).unwrap_or(u32::MAX);
        let _ = room.acquire_many(all).await;
        let _ = done.try_send(());
        Ok(())
    })
}

const RETRY: Duration = Duration::from_millis(100);

/// Serves one client until it goes, or takes too long.
async fn attend(stream: UnixStream, router: axum::Router, mut end: watch::Receiver<bool>) {
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
        self.patience.set(limits::CLIENT_PATIENCE);
        request.extensions_mut().insert(self.patience.clone());
        self.router.call(request)
    }
}

/// Says no to somebody who is not served. What of it does not fit into the socket is lost, and so is all of it if too
/// many get this answer at the same time.
fn refuse(stream: UnixStream, porch: &Arc<Semaphore>, status: &str, why: &str) {
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
        let _ = tokio::time::timeout(limits::CLIENT_PATIENCE, read_something(&stream)).await;
        let _ = stream.try_write(answer.as_bytes());
    });
}

/// Waits for a request, and reads what has come of it.
async fn read_something(stream: &UnixStream) {
    let mut request = [0; 4096];
    while stream.readable().await.is_ok() {
        match stream.try_read(&mut request) {
            // It was no more than a rumour.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Ok(4096) => {}
            Ok(_) | Err(_) => return,
        }
    }
}
