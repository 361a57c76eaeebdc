//! The paths of the API and what they answer. Every answer is JSON; what goes wrong is told as RFC 9457 has it.

use super::alive;
use super::desk::{Answer, Desk, NoAnswer, Question, View};
use super::events::events;
use super::live;
use super::logs::logs;
use super::metrics;
use super::page;
use super::patient::Patience;
use super::select::select;
use super::stream::{self, Seats};
use super::tell;
use super::wait::{self, Goal};
use super::wire::{Access, Exit, Horust, Problem, Service, Services};
use crate::limits;
use crate::model::{self, Mono, ServiceId, Signal};
use crate::supervisor::Command;
use axum::Extension;
use axum::Json;
use axum::Router;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRef, Path, Query, State};
use axum::handler::Handler;
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use serde::Deserialize;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::watch;

/// What all handlers have.
pub type Shared = State<Arc<Desk>>;

/// Says when Horust ends.
pub type End = watch::Receiver<bool>;

/// What the router holds.
#[derive(Clone)]
pub struct App {
    desk: Arc<Desk>,
    end: End,
    seats: Seats,
}

impl FromRef<App> for Arc<Desk> {
    fn from_ref(app: &App) -> Arc<Desk> {
        app.desk.now()
    }
}

impl FromRef<App> for End {
    fn from_ref(app: &App) -> End {
        app.end.clone()
    }
}

impl FromRef<App> for Seats {
    fn from_ref(app: &App) -> Seats {
        app.seats.clone()
    }
}

/// A path, what is done there, and who does it.
pub struct Route<S = App> {
    #[cfg_attr(not(test), expect(dead_code, reason = "the handler has it too, but tells nobody"))]
    method: Method,
    path: &'static str,
    handler: MethodRouter<S>,
}

impl<S: Clone + Send + Sync + 'static> Route<S> {
    /// A path that is asked.
    pub fn get<T: 'static, H: Handler<T, S>>(path: &'static str, handler: H) -> Route<S> {
        Route { method: Method::GET, path, handler: get(handler) }
    }

    /// A path that changes something.
    pub fn post<T: 'static, H: Handler<T, S>>(path: &'static str, handler: H) -> Route<S> {
        Route { method: Method::POST, path, handler: post(handler) }
    }
}

/// The API. `openapi.json` has to tell of each; a test holds it against this.
fn routes() -> Vec<Route> {
    let mut routes = vec![
        Route::get("/v1/horust", horust),
        Route::get("/v1/services", list),
        Route::get("/v1/services/{name}", one),
        Route::post("/v1/services/{name}/{verb}", act_on_one),
        Route::post("/v1/start", act_on_several),
        Route::post("/v1/stop", act_on_several),
        Route::post("/v1/restart", act_on_several),
        Route::post("/v1/signal", act_on_several),
        Route::get("/v1/wait", wait_for),
        Route::get("/v1/health", health),
        Route::get("/v1/logs", logs),
        Route::get("/v1/events", events),
        Route::post("/v1/shutdown", shutdown),
        Route::post("/v1/reload", reload),
        Route::get("/v1/plan", plan),
        Route::get(JOURNAL, text),
        Route::get(page::ACCESS, access),
        Route::get(page::OPENAPI, page::openapi),
    ];
    routes.extend(tell::routes());
    routes.extend(monitor_routes());
    routes
}

/// The paths for monitors alone.
fn monitor_routes<S>() -> [Route<S>; 4]
where
    S: Clone + Send + Sync + 'static,
    Arc<Desk>: FromRef<S>,
{
    [
        Route::get("/metrics", text),
        Route::get("/livez", alive),
        Route::get("/readyz", alive),
        Route::get("/startupz", alive),
    ]
}

fn router<S: Clone + Send + Sync + 'static>(routes: impl IntoIterator<Item = Route<S>>) -> Router<S> {
    routes.into_iter().fold(Router::new(), |router, Route { path, handler, .. }| router.route(path, handler))
}

/// All paths.
pub fn new(desk: Arc<Desk>, end: End) -> Router {
    router(routes())
        .merge(page::routes())
        .fallback(|| async { Fault::new(StatusCode::NOT_FOUND, "there is no such path") })
        .method_not_allowed_fallback(|| async {
            Fault::new(StatusCode::METHOD_NOT_ALLOWED, "this path does not take this method")
        })
        .with_state(App { desk, end, seats: Seats::new() })
}

/// Those for monitors.
pub fn monitors(desk: Arc<Desk>) -> Router {
    router(monitor_routes())
        .fallback(|| async {
            Fault::new(StatusCode::NOT_FOUND, "here are /metrics, /livez, /readyz and /startupz alone")
        })
        .with_state(desk)
}

/// What went wrong.
pub struct Fault(StatusCode, String);

impl Fault {
    /// A status, and for people what is wrong.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Fault {
        Fault(status, detail.into())
    }

    /// Whether somebody has not shown the token.
    pub fn is_unauthorized(&self) -> bool {
        self.0 == StatusCode::UNAUTHORIZED
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let title = self.0.canonical_reason().unwrap_or_default().to_owned();
        let problem = Problem { title, status: self.0.as_u16(), detail: self.1 };
        let mut response =
            (self.0, [(header::CONTENT_TYPE, "application/problem+json")], Json(problem)).into_response();
        if self.0 == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<NoAnswer> for Fault {
    fn from(why: NoAnswer) -> Fault {
        let detail = match why {
            NoAnswer::Busy => "too many requests wait; try again",
            NoAnswer::Stopping | NoAnswer::Ending => "Horust is ending",
        };
        Fault::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }
}

impl From<PathRejection> for Fault {
    fn from(why: PathRejection) -> Fault {
        Fault::new(StatusCode::BAD_REQUEST, why.body_text())
    }
}

impl From<QueryRejection> for Fault {
    fn from(why: QueryRejection) -> Fault {
        Fault::new(StatusCode::BAD_REQUEST, why.body_text())
    }
}

/// Which services, and what about them.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Names and patterns, with commas between them.
    pub names: Option<String>,
    /// For `signal`: which one.
    signal: Option<String>,
    /// For `wait`: what for.
    #[serde(rename = "for")]
    goal: Option<Goal>,
    /// For `wait`: how long, in milliseconds.
    timeout_ms: Option<u64>,
}

/// For the list of services.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListOptions {
    /// As everywhere; all if none.
    names: Option<String>,
    /// And each change.
    #[serde(default)]
    follow: bool,
}

/// For `reload`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReloadOptions {
    /// Only tell what would change.
    #[serde(default)]
    dry_run: bool,
}

/// What stands after the `?`.
pub type Asked = Result<Query<Options>, QueryRejection>;

/// What stands in the path itself.
pub type Named<T = String> = Result<Path<T>, PathRejection>;

/// What may be done to services.
enum Verb {
    Start,
    Stop,
    Restart,
    Signal(Signal),
}

impl Verb {
    fn command(&self, id: ServiceId) -> Command {
        match self {
            Verb::Start => Command::Start(id),
            Verb::Stop => Command::Stop(id),
            Verb::Restart => Command::Restart(id),
            Verb::Signal(signal) => Command::Signal(id, *signal),
        }
    }
}

async fn horust(State(desk): Shared) -> Result<Json<Horust>, Fault> {
    let answer = desk.call(vec![], vec![]).await?;
    Ok(Json(Horust {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        up: answer.up,
        services: desk.plan.ids().count(),
        started: humantime::format_rfc3339_millis(desk.started).to_string(),
    }))
}

async fn list(
    State(desk): Shared,
    State(mut end): State<End>,
    State(seats): State<Seats>,
    patience: Option<Extension<Patience>>,
    asked: Result<Query<ListOptions>, QueryRejection>,
) -> Result<Response, Fault> {
    let Query(ListOptions { names, follow }) = asked?;
    let names = names.unwrap_or_else(|| "*".to_owned());
    let ids = chosen(&desk, &names)?;
    if !follow {
        let answer = desk.call(vec![], ids).await?;
        return Ok(Json(services(&desk, answer)).into_response());
    }
    let (mut feed, answer) = stream::events(&seats, patience.as_deref())?;
    tokio::spawn(async move { live::follow(desk, &names, &mut feed, &mut end).await });
    Ok(answer)
}

async fn one(State(desk): Shared, name: Named) -> Result<Json<Service>, Fault> {
    let answer = desk.call(vec![], vec![exactly(&desk, &name?.0)?]).await?;
    first(&desk, answer)
}

async fn act_on_one(State(desk): Shared, path: Named<(String, String)>, asked: Asked) -> Result<Json<Service>, Fault> {
    let Path((name, verb)) = path?;
    let verb = match verb.as_str() {
        "start" => Verb::Start,
        "stop" => Verb::Stop,
        "restart" => Verb::Restart,
        "signal" => signal_of(asked?.0)?,
        _ => return Err(Fault::new(StatusCode::NOT_FOUND, "there is no such path")),
    };
    let answer = act(&desk, &verb, vec![exactly(&desk, &name)?]).await?;
    first(&desk, answer)
}

/// The last word of the path is the verb. (A handler of its own for each path would be some kilobytes more.)
async fn act_on_several(State(desk): Shared, uri: Uri, asked: Asked) -> Result<Json<Services>, Fault> {
    let Query(mut options) = asked?;
    let verb = match uri.path() {
        "/v1/start" => Verb::Start,
        "/v1/stop" => Verb::Stop,
        "/v1/restart" => Verb::Restart,
        _ => signal_of(Options { signal: options.signal.take(), ..Options::default() })?,
    };
    several(&desk, verb, options).await
}

async fn shutdown(State(desk): Shared) -> Result<Json<Horust>, Fault> {
    desk.call(vec![Command::Shutdown], vec![]).await?;
    horust(State(desk)).await
}

async fn wait_for(State(desk): Shared, State(end): State<End>, asked: Asked) -> Result<Json<Services>, Fault> {
    let Query(options) = asked?;
    let ids = chosen(&desk, options.names.as_deref().unwrap_or("*"))?;
    let timeout = options.timeout_ms.map_or(limits::LONGEST_WAIT, Duration::from_millis).min(limits::LONGEST_WAIT);
    wait::wait(&desk, end, ids, options.goal.unwrap_or(Goal::Ready), timeout).await.map(Json)
}

async fn health(State(desk): Shared) -> Result<Response, Fault> {
    let answer = desk.call(vec![], desk.plan.ids().collect()).await?;
    let health = wait::health(answer.up, &answer.services);
    let status = if health.healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok((status, Json(health)).into_response())
}

async fn reload(State(desk): Shared, asked: Result<Query<ReloadOptions>, QueryRejection>) -> Result<Response, Fault> {
    read_again(&desk, !asked?.0.dry_run).await
}

async fn plan(State(desk): Shared) -> Result<Response, Fault> {
    read_again(&desk, false).await
}

/// Has the configuration read again by a thread that may wait for the disk.
async fn read_again(desk: &Desk, apply: bool) -> Result<Response, Fault> {
    let reload = Arc::clone(&desk.reload);
    let answer = tokio::task::spawn_blocking(move || reload(apply)).await;
    let answer = answer.map_err(|_| Fault::new(StatusCode::INTERNAL_SERVER_ERROR, "reading the files has failed"))?;
    let answer = answer.map_err(|why| match why {
        NoAnswer::Stopping => Fault::new(StatusCode::CONFLICT, "Horust is stopping all services"),
        other => other.into(),
    })?;
    let status = if answer.errors.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    Ok((status, Json(answer)).into_response())
}

/// What the guard has found; at the socket the kernel has said who asks.
async fn access(found: Option<Extension<Access>>) -> Json<Access> {
    let all = Access { reading: true, writing: true, token_at: None };
    Json(found.map_or(all, |Extension(access)| access))
}

async fn alive(State(desk): Shared, uri: Uri) -> alive::Word {
    match uri.path() {
        "/livez" => alive::live(&desk).await,
        "/readyz" => alive::ready(&desk).await,
        _ => alive::started(&desk).await,
    }
}

const JOURNAL: &str = "/v1/journal";

/// The journal, or else the metrics.
async fn text(State(desk): Shared, uri: Uri) -> Result<Response, Fault> {
    if uri.path() == JOURNAL {
        return Ok(desk.ask(Question::Journal).await?.into_response());
    }
    let (answer, tally) = desk.figures().await?;
    Ok(metrics::page(&desk, &answer, &tally))
}

async fn several(desk: &Desk, verb: Verb, options: Options) -> Result<Json<Services>, Fault> {
    let names = options.names.ok_or_else(|| {
        Fault::new(StatusCode::BAD_REQUEST, "which services? Name them: `?names=web,db`, or all: `?names=*`")
    })?;
    let answer = act(desk, &verb, chosen(desk, &names)?).await?;
    Ok(Json(services(desk, answer)))
}

/// Carries out a verb. A signal is for those that run.
async fn act(desk: &Desk, verb: &Verb, ids: Vec<ServiceId>) -> Result<Answer, Fault> {
    let commands = ids.iter().map(|id| verb.command(*id)).collect();
    let answer = desk.call(commands, ids).await?;
    if let Verb::Signal(_) | Verb::Stop = verb {
        return Ok(answer);
    }
    match cannot_start(&answer) {
        None => Ok(answer),
        Some(why) => Err(Fault::new(StatusCode::CONFLICT, why)),
    }
}

/// Why a wish to start services is not fulfilled. Others that it named are started all the same.
fn cannot_start(answer: &Answer) -> Option<String> {
    if !answer.up {
        return Some("Horust is stopping all services".to_owned());
    }
    let remains = answer.services.iter().filter(|view| view.status.remains);
    let why =
        |view: &View| format!("cannot start {}: {}", view.status.name, view.reason.as_deref().unwrap_or_default());
    let each: Vec<String> = remains.map(why).collect();
    (!each.is_empty()).then(|| each.join("; "))
}

fn signal_of(options: Options) -> Result<Verb, Fault> {
    let name = options.signal.ok_or_else(|| Fault::new(StatusCode::BAD_REQUEST, "which signal? `?signal=HUP`"))?;
    let signal = Signal::parse(&name);
    signal.map(Verb::Signal).ok_or_else(|| Fault::new(StatusCode::BAD_REQUEST, format!("there is no signal `{name}`")))
}

/// The services that these words name.
pub fn chosen(desk: &Desk, words: &str) -> Result<Vec<ServiceId>, Fault> {
    let words: Vec<&str> = words.split(',').collect();
    select(&desk.plan, &words).map_err(|strangers| unknown(desk, &strangers))
}

/// The one service of this name.
pub fn exactly(desk: &Desk, name: &str) -> Result<ServiceId, Fault> {
    let ids = select(&desk.plan, &[name]).ok().filter(|_| !name.contains(['*', '?']));
    let id = ids.and_then(|ids| ids.first().copied());
    id.ok_or_else(|| unknown(desk, &[name.to_owned()]))
}

fn unknown(desk: &Desk, strangers: &[String]) -> Fault {
    let names: Vec<&str> = desk.plan.iter().map(|(_, spec)| spec.name.as_str()).collect();
    Fault::new(StatusCode::NOT_FOUND, model::no_service(strangers, names.into_iter()))
}

fn first(desk: &Desk, answer: Answer) -> Result<Json<Service>, Fault> {
    let service = services(desk, answer).services.pop();
    service.map(Json).ok_or_else(|| Fault::from(NoAnswer::Ending))
}

/// The answer as it goes over the wire.
pub fn services(desk: &Desk, answer: Answer) -> Services {
    let mut all = bare(desk, answer);
    all.services.iter_mut().for_each(|service| service.usage = service.pid.map(desk.usage));
    all
}

/// The same without what their processes use, for which /proc would have to be read.
pub fn bare(desk: &Desk, answer: Answer) -> Services {
    let (now, clock) = (answer.now, SystemTime::now());
    Services { services: answer.services.into_iter().map(|view| service(desk, view, now, clock)).collect() }
}

fn service(desk: &Desk, view: View, now: Mono, clock: SystemTime) -> Service {
    let status = view.status;
    let lasted = now.since(status.since);
    let since = clock.checked_sub(lasted).unwrap_or(SystemTime::UNIX_EPOCH);
    let pid = desk.pids.get(view.id);
    Service {
        name: status.name,
        state: status.state.to_owned(),
        wanted: status.wanted,
        since: humantime::format_rfc3339_millis(since).to_string(),
        for_ms: u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX),
        pid,
        starts: status.starts,
        failures: status.failures,
        lacks: view.lacks,
        health: status.health.map(str::to_owned),
        last_probe_error: status.probe_error,
        reloading: status.reloading,
        says: status.says,
        last_exit: view.last_exit.map(|(exit, text)| Exit {
            code: if let model::Exit::Code(code) = exit { Some(code) } else { None },
            signal: match exit {
                model::Exit::Code(_) => None,
                model::Exit::Signal(signal) => Some(signal.number()),
                model::Exit::OutOfMemory(_) => Some(Signal::KILL.number()),
            },
            text,
        }),
        reason: view.reason,
        usage: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Plan, ServiceSpec};
    use crate::supervisor::Supervisor;
    use std::collections::BTreeSet;

    #[test]
    fn a_start_beside_what_would_not_die_is_refused_and_says_why() {
        let spec = |name: &str| Arc::new(ServiceSpec::new(name, vec!["x".into()]));
        let plan = Plan { services: ["db", "web"].map(spec).into(), ..Plan::default() };
        let supervisor = Supervisor::new(&plan, 1);
        let view = |id| {
            let status = supervisor.status(id)?;
            Some(View { id, lacks: None, reason: Some("it is there".to_owned()), last_exit: None, status })
        };
        let mut answer = Answer { now: Mono(0), up: true, services: plan.ids().filter_map(view).collect() };
        assert_eq!(cannot_start(&answer), None);
        answer.services.iter_mut().take(1).for_each(|view| view.status.remains = true);
        assert_eq!(cannot_start(&answer).as_deref(), Some("cannot start db: it is there"));
        answer.up = false;
        assert_eq!(cannot_start(&answer).as_deref(), Some("Horust is stopping all services"));
    }

    #[test]
    fn the_document_tells_of_the_paths_that_there_are() {
        let document: serde_json::Value = serde_json::from_str(include_str!("openapi.json")).unwrap_or_default();
        let mut told = BTreeSet::new();
        for (path, methods) in document.get("paths").and_then(|paths| paths.as_object()).into_iter().flatten() {
            for (method, operation) in methods.as_object().into_iter().flatten() {
                told.insert(format!("{} {path}", method.to_uppercase()));
                for one in path.split(['{', '}']).skip(1).step_by(2) {
                    let parameters = operation.get("parameters").map(ToString::to_string).unwrap_or_default();
                    assert!(
                        parameters.contains(&format!("/{one}\"")) || parameters.contains(&format!("\"{one}\"")),
                        "{path}"
                    );
                }
            }
        }
        let there: BTreeSet<String> = routes().iter().map(|route| format!("{} {}", route.method, route.path)).collect();
        assert_eq!(told, there);
    }
}
