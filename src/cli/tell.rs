//! The verbs that explain: `why` and `graph`.

use super::ExitCode;
use super::args::Format;
use super::client::{Client, Failure};
use super::control::{Drawing, GraphOptions};
use super::graph::{self, Drawn};
use super::output::{answer, colour, complain};
use super::show;
use crate::config;
use crate::control::graph as wire_graph;
use crate::control::wire::{Graph, Link, Why, Whys};
use crate::model::no_service;
use std::fmt::Write as _;

/// `horust why`.
pub fn why(client: &Client, names: &[String], format: Format) -> Result<ExitCode, Failure> {
    let words = names.join(",");
    let query = [("names", words.as_str())];
    let whys: Whys = client.get("why", if names.is_empty() { &[] } else { &query })?;
    match format {
        Format::Json => answer(&show::json(&whys)),
        Format::Text => answer(&reasons(&whys)),
    }
    Ok(if whys.services.iter().all(|why| why.well) { ExitCode::Ok } else { ExitCode::Failed })
}

fn reasons(whys: &Whys) -> String {
    match whys.services.as_slice() {
        [] => "all services are what is wanted\n".to_owned(),
        services => services.iter().map(reason).collect::<Vec<_>>().join("\n"),
    }
}

/// The chain, a sentence a line.
fn reason(why: &Why) -> String {
    let Some((first, rest)) = why.chain.split_first() else { return format!("{}\n", why.text) };
    let mut page = format!("{}\n", sentence(first));
    for (at, link) in rest.iter().enumerate() {
        if why.omitted > 0 && at.saturating_add(1) == rest.len() {
            let _ = writeln!(page, "  and so on, {} more, in the end because", why.omitted);
        }
        let _ = writeln!(page, "  because {}", sentence(link));
    }
    if !why.waiting.is_empty() {
        let _ = writeln!(page, "  waited for by {}", why.waiting.join(", "));
    }
    page
}

fn sentence(Link { text, file, line, .. }: &Link) -> String {
    match (file, line) {
        (Some(file), Some(line)) => format!("{text} ({file}:{line})"),
        _ => text.clone(),
    }
}

/// `horust graph`, of a running Horust.
pub fn graph(client: &Client, options: &GraphOptions) -> Result<ExitCode, Failure> {
    let graph = client.get("graph", &[])?;
    draw(&graph, options)
}

/// `horust graph --services-path`: loads as a start would, and starts nothing.
pub fn graph_of_files(options: &GraphOptions) -> Result<ExitCode, Failure> {
    let env = |name: &str| std::env::var_os(name);
    let (services, config) = (options.services_path.as_slice(), options.config_path.as_deref());
    let loaded = config::load(&config::Options { services, config, skip_invalid: false, env: &env });
    complain(&config::render(&loaded.diagnostics, colour(&std::io::stderr())));
    if loaded.refused {
        return Ok(ExitCode::Configuration);
    }
    let wanted = |at: usize| loaded.plan.services.get(at).is_some_and(|spec| spec.autostart);
    let graph = wire_graph::graph(&loaded.plan, |id| (None, wanted(id.index())));
    draw(&graph, options)
}

fn draw(graph: &Graph, options: &GraphOptions) -> Result<ExitCode, Failure> {
    let part = graph::part(graph, &options.names).map_err(|strangers| {
        let names = graph.nodes.iter().map(|node| node.name.as_str());
        Failure::new(ExitCode::NoService, no_service(&strangers, names))
    })?;
    let drawn = Drawn::new(&part);
    answer(&match options.format {
        Drawing::Text => drawn.tree(),
        Drawing::Mermaid => drawn.mermaid(),
        Drawing::Dot => drawn.dot(),
        Drawing::Json => show::json(&part),
    });
    Ok(ExitCode::Ok)
}
