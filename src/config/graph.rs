//! How services refer to each other: names become ids; unknown names, references to oneself and cycles are reported.
//! It never drops a service by itself: it says which ones are unusable and why.

use super::after::Waits;
use super::diagnostic::{Diagnostic, Place};
use super::lower::Draft;
use super::values::At;
use crate::model::closest;
use crate::model::{Condition, Need, RestartStrategy, ServiceId};
use std::collections::{HashMap, HashSet};

/// What became of the drafts: for each, why it can't be used, if it can't.
pub type Unusable = Vec<Option<String>>;

/// One wait of a service for another one.
#[derive(Clone)]
struct Edge {
    to: usize,
    /// Where that is said.
    place: Place,
    why: Why,
    condition: Condition,
    required: bool,
}

/// Why one waits for the other.
#[derive(Clone, Copy)]
enum Why {
    StartAfter,
    ShutdownAfter,
    /// The other one starts after it, so it stops first.
    StartsFirst,
    DieIfFailed,
}

impl Why {
    fn key(self) -> &'static str {
        match self {
            Why::StartAfter | Why::StartsFirst => "start-after",
            Why::ShutdownAfter => "shutdown-after",
            Why::DieIfFailed => "die-if-failed",
        }
    }
}

/// Resolves all references of all drafts. `invalid` are the names of services whose files can't be understood:
/// what refers to them is unusable too, but that is no further error.
pub fn link(drafts: &mut [Draft], invalid: &HashSet<String>, diagnostics: &mut Vec<Diagnostic>) -> Unusable {
    let mut unusable: Unusable = drafts.iter().map(|draft| draft.broken.clone()).collect();
    let ids = index(drafts, &mut unusable, diagnostics);
    let mut start: Vec<Vec<Edge>> = Vec::with_capacity(drafts.len());
    let mut stop: Vec<Vec<Edge>> = vec![Vec::new(); drafts.len()];
    for from in 0..drafts.len() {
        let mut resolve = |pick: fn(&Draft) -> Vec<Reference<'_>>, why| {
            let resolver = Resolver { drafts, ids: &ids, invalid, from };
            resolver.all(pick, why, &mut unusable, diagnostics)
        };
        let after = resolve(|d| d.start_after.iter().map(Reference::entry).collect(), Why::StartAfter);
        let last = resolve(|d| d.shutdown_after.iter().map(Reference::name).collect(), Why::ShutdownAfter);
        let die = resolve(|d| d.die_if_failed.iter().map(Reference::name).collect(), Why::DieIfFailed);
        let Some(draft) = drafts.get_mut(from) else { break };
        let need =
            |(id, edge): (&ServiceId, &Edge)| Need { service: *id, condition: edge.condition, required: edge.required };
        draft.spec.start_after = to_ids(&after).iter().zip(&after).map(need).collect();
        draft.spec.shutdown_after = to_ids(&last);
        draft.spec.termination.die_if_failed = to_ids(&die);
        for edge in &after {
            // Who starts first stops last.
            if let Some(edges) = stop.get_mut(edge.to) {
                edges.push(Edge { to: from, why: Why::StartsFirst, ..edge.clone() });
            }
        }
        if let Some(edges) = stop.get_mut(from) {
            edges.extend(last);
        }
        start.push(after);
    }
    drop(ids);
    for (from, edges) in start.iter().enumerate() {
        edges.iter().for_each(|edge| doubt(drafts, from, edge, &mut unusable, diagnostics));
    }
    cycles(drafts, &start, "start", &mut unusable, diagnostics);
    // A cycle of starts is one of stops too; once is enough.
    for (edges, why) in stop.iter_mut().zip(&unusable) {
        edges.retain(|edge| why.is_none() && unusable.get(edge.to).is_some_and(Option::is_none));
    }
    cycles(drafts, &stop, "stop", &mut unusable, diagnostics);
    unusable
}

fn to_ids(edges: &[Edge]) -> Vec<ServiceId> {
    edges.iter().map(|edge| ServiceId(u32::try_from(edge.to).unwrap_or(u32::MAX))).collect()
}

/// All names, and an error for each that is taken already.
fn index(drafts: &[Draft], unusable: &mut Unusable, diagnostics: &mut Vec<Diagnostic>) -> HashMap<String, usize> {
    let mut ids: HashMap<String, usize> = HashMap::with_capacity(drafts.len());
    for (id, draft) in drafts.iter().enumerate() {
        let name = &draft.spec.name;
        let Some(first) = ids.get(name).and_then(|first| drafts.get(*first)) else {
            ids.insert(name.clone(), id);
            continue;
        };
        let message = format!(
            "two services are named `{name}`: `{}` and `{}`",
            first.source.path.display(),
            draft.source.path.display()
        );
        let (one, other) = (&first.name_place, &draft.name_place);
        let diagnostic = Diagnostic::error(message).at(&other.source, other.span).label("and here again");
        diagnostics.push(diagnostic.note(one, "first defined here").help("give one a `name` of its own"));
        if let Some(why) = unusable.get_mut(id) {
            *why = Some(format!("its name is taken by `{}`", first.source.path.display()));
        }
    }
    ids
}

/// One name that a service mentions.
struct Reference<'a> {
    name: &'a At<String>,
    condition: Condition,
    required: bool,
}

impl Reference<'_> {
    fn name(name: &At<String>) -> Reference<'_> {
        Reference { name, condition: Condition::Ready, required: true }
    }

    fn entry(Waits { name, condition, required }: &Waits) -> Reference<'_> {
        Reference { name, condition: *condition, required: *required }
    }
}

struct Resolver<'a> {
    drafts: &'a [Draft],
    ids: &'a HashMap<String, usize>,
    invalid: &'a HashSet<String>,
    from: usize,
}

impl Resolver<'_> {
    /// The edges of one list of names. Who starts after an invalid service is unusable too.
    fn all(
        &self,
        pick: fn(&Draft) -> Vec<Reference<'_>>,
        why: Why,
        unusable: &mut Unusable,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Vec<Edge> {
        let mut edges: Vec<Edge> = Vec::new();
        let Some(draft) = self.drafts.get(self.from) else { return edges };
        for Reference { name: at, condition, required } in pick(draft) {
            let name = &at.value;
            let short = name.strip_suffix(".toml").unwrap_or(name);
            let unfit = match self.ids.get(name).or_else(|| self.ids.get(short)) {
                // A default for all services that names one of them is not meant for that one.
                Some(to) if *to == self.from && at.place.is_inherited() => None,
                Some(to) if *to == self.from => {
                    let message = format!("`{}` names itself in `{}`", draft.spec.name, why.key());
                    diagnostics.push(at.error(message).help("leave it out"));
                    Some("it refers to itself".to_owned())
                }
                Some(to) => {
                    let edge = Edge { to: *to, place: at.place.clone(), why, condition, required };
                    match edges.iter().find(|edge| edge.to == *to) {
                        None => {
                            edges.push(edge);
                            None
                        }
                        Some(first) if (first.condition, first.required) != (condition, required) => {
                            diagnostics.push(contradiction(draft, at, &first.place));
                            Some(format!("it waits for `{short}` twice, and not for the same"))
                        }
                        Some(_) => None,
                    }
                }
                None if self.invalid.contains(short) || self.invalid.contains(name) => (required
                    && matches!(why, Why::StartAfter))
                .then(|| format!("it starts after `{short}`, which is left out")),
                None if !required => {
                    diagnostics.extend(self.perhaps(short, draft, at));
                    None
                }
                None => {
                    diagnostics.push(self.stranger(short, draft, at));
                    Some(format!("it refers to `{short}`, which does not exist"))
                }
            };
            if let (Some(unfit), Some(slot @ None)) = (unfit, unusable.get_mut(self.from)) {
                *slot = Some(unfit);
            }
        }
        edges
    }

    fn stranger(&self, name: &str, draft: &Draft, at: &At<String>) -> Diagnostic {
        let diagnostic = at.error(format!("there is no service `{name}`"));
        let others = self.others(draft);
        match closest(name, others.iter().copied()) {
            Some(close) => diagnostic.help(format!("did you mean `{close}`?")),
            None if others.is_empty() => diagnostic.help("there is no other service"),
            None => {
                let more = if others.len() > 8 { ", ..." } else { "" };
                let names: Vec<String> = others.iter().take(8).map(|name| format!("`{name}`")).collect();
                diagnostic.help(format!("the others are {}{more}", names.join(", ")))
            }
        }
    }

    /// All other services. Of two that are as close, always the same one is proposed.
    fn others(&self, draft: &Draft) -> Vec<&str> {
        let mut others: Vec<&str> = self.ids.keys().map(String::as_str).filter(|n| *n != draft.spec.name).collect();
        others.sort_unstable();
        others
    }

    /// A service that need not exist, but has a name that looks mistyped.
    fn perhaps(&self, name: &str, draft: &Draft, at: &At<String>) -> Option<Diagnostic> {
        let close = closest(name, self.others(draft).into_iter())?;
        let warning = at.warning(format!("there is no service `{name}`, so nothing waits for it"));
        Some(warning.help(format!("did you mean `{close}`?")))
    }
}

fn contradiction(draft: &Draft, second: &At<String>, first: &Place) -> Diagnostic {
    let message = format!("`{}` waits for `{}` twice, and not for the same", draft.spec.name, second.value);
    second.error(message).label("again here").note(first, "first here").help("keep one of them")
}

/// Says where a service waits for what comes by hand only, or never.
fn doubt(drafts: &[Draft], from: usize, edge: &Edge, unusable: &mut Unusable, diagnostics: &mut Vec<Diagnostic>) {
    let (Some(draft), Some(target)) = (drafts.get(from), drafts.get(edge.to)) else { return };
    let (name, spec) = (&draft.spec.name, &target.spec);
    if target.broken.is_some() {
        return;
    }
    let Place { source, span } = &edge.place;
    if edge.required && !spec.autostart && draft.spec.autostart {
        let warning = Diagnostic::warning(format!("`{}` is not started with Horust", spec.name)).at(source, *span);
        diagnostics.push(warning.label(format!("`{name}` waits until it is started by hand")));
    }
    if edge.condition == Condition::Healthy && spec.health.is_none() {
        let error = Diagnostic::error(format!("nothing tells whether `{}` is healthy", spec.name)).at(source, *span);
        diagnostics.push(error.help("add a check below [healthiness] of that service, or wait until it is `ready`"));
        if let Some(slot @ None) = unusable.get_mut(from) {
            *slot = Some(format!("it waits for `{}` to be healthy, which nothing tells", spec.name));
        }
    }
    let restart = &spec.restart;
    let succeeds = restart.strategy != RestartStrategy::Always;
    let fails = restart.strategy == RestartStrategy::Never || restart.attempts > 0;
    let comes = match edge.condition {
        Condition::Started | Condition::Ready | Condition::Healthy => true,
        Condition::Completed => succeeds || fails,
        Condition::CompletedSuccessfully => succeeds,
        Condition::Failed => fails,
    };
    if !comes {
        let warning = Diagnostic::warning(format!("`{}` is restarted each time, so it is never over", spec.name));
        let warning = warning.at(source, *span);
        diagnostics.push(warning.label(format!("`{name}` waits for `{}`", edge.condition)));
    }
}

/// Reports every cycle once. Services that wait for nothing are taken away again and again; among those that remain,
/// each waits for another one that remains, so following the waits must end in a cycle.
fn cycles(
    drafts: &[Draft],
    graph: &[Vec<Edge>],
    verb: &str,
    unusable: &mut Unusable,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let mut waited_by: Vec<Vec<usize>> = vec![Vec::new(); graph.len()];
    let mut waits: Vec<usize> = graph.iter().map(Vec::len).collect();
    for (from, edges) in graph.iter().enumerate() {
        for edge in edges {
            waited_by.get_mut(edge.to).into_iter().for_each(|list| list.push(from));
        }
    }
    let mut gone = vec![false; graph.len()];
    let mut free: Vec<usize> = (0..graph.len()).filter(|id| waits.get(*id) == Some(&0)).collect();
    let mut from = 0;
    loop {
        while let Some(id) = free.pop() {
            if gone.get_mut(id).is_none_or(|gone| std::mem::replace(gone, true)) {
                continue;
            }
            for waiting in waited_by.get(id).into_iter().flatten() {
                if let Some(count) = waits.get_mut(*waiting) {
                    *count = count.saturating_sub(1);
                    free.extend((*count == 0).then_some(*waiting));
                }
            }
        }
        while gone.get(from) == Some(&true) {
            from = from.saturating_add(1);
        }
        if from >= graph.len() {
            return;
        }
        let cycle = walk(graph, &gone, from);
        diagnostics.push(report(drafts, &cycle, verb));
        for edge in &cycle {
            unusable.get_mut(edge.to).into_iter().for_each(|why| *why = Some(format!("it is part of a {verb} cycle")));
            free.push(edge.to);
        }
    }
}

/// Follows the first wait that remains until a service comes up again. The edges of the cycle, in order.
fn walk(graph: &[Vec<Edge>], gone: &[bool], from: usize) -> Vec<Edge> {
    let mut path: Vec<Edge> = Vec::new();
    let mut position: HashMap<usize, usize> = HashMap::new();
    let mut at = from;
    loop {
        if let Some(start) = position.insert(at, path.len()) {
            return path.split_off(start);
        }
        let remains = |edge: &&Edge| gone.get(edge.to) == Some(&false);
        match graph.get(at).and_then(|edges| edges.iter().find(remains)) {
            Some(edge) => path.push(edge.clone()),
            None => return path,
        }
        at = path.last().map_or(at, |edge| edge.to);
    }
}

fn report(drafts: &[Draft], cycle: &[Edge], verb: &str) -> Diagnostic {
    let name = |id: usize| drafts.get(id).map_or("?", |draft| draft.spec.name.as_str());
    // The service that an edge starts from is the one that the edge before it leads to.
    let first = cycle.last().map_or(0, |edge| edge.to);
    let mut path = format!("`{}`", name(first));
    let mut diagnostic = Diagnostic::error("");
    let mut from = first;
    for edge in cycle {
        path.push_str(&format!(" -> `{}`", name(edge.to)));
        let (one, other) = (name(from), name(edge.to));
        let label = match edge.why {
            Why::StartAfter => format!("`{one}` starts after `{other}`"),
            Why::StartsFirst => format!("`{one}` stops after `{other}`, because it starts before it"),
            Why::ShutdownAfter | Why::DieIfFailed => format!("`{one}` stops after `{other}`"),
        };
        diagnostic = match diagnostic.place {
            None => diagnostic.at(&edge.place.source, edge.place.span).label(label),
            Some(_) => diagnostic.note(&edge.place, label),
        };
        from = edge.to;
    }
    diagnostic.help = "leave out one of these".to_owned();
    diagnostic.message = format!("a cycle: these services wait for each other to {verb}: {path}");
    diagnostic
}
