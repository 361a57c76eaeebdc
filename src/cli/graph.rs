//! Drawings of who starts after whom: a tree for people, Mermaid and Graphviz for what draws pictures. Text only.

use crate::control::wire::{Edge, Graph, Node};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use wildmatch::WildMatch;

/// The services that these words name, and what they start after; all if there are no words. Else the words that name
/// none. `web.toml` is `web`, as for all verbs.
pub fn part(graph: &Graph, words: &[String]) -> Result<Graph, Vec<String>> {
    let words: Vec<&str> = words.iter().flat_map(|word| word.split(',')).collect();
    if words.is_empty() {
        return Ok(graph.clone());
    }
    let named = |word: &str| -> Vec<&str> {
        let pattern = WildMatch::new(word);
        graph.nodes.iter().map(|node| node.name.as_str()).filter(|name| pattern.matches(name)).collect()
    };
    let mut open = Vec::new();
    let mut strangers = Vec::new();
    for word in words {
        let found = [word, word.strip_suffix(".toml").unwrap_or(word)].map(named).into_iter().find(|f| !f.is_empty());
        match found {
            Some(found) => open.extend(found),
            None => strangers.push(word.to_owned()),
        }
    }
    if !strangers.is_empty() {
        return Err(strangers);
    }
    let after = below(graph);
    let mut chosen = BTreeSet::new();
    while let Some(name) = open.pop() {
        if chosen.insert(name) {
            open.extend(after.get(name).into_iter().flatten().map(|edge| edge.to.as_str()));
        }
    }
    let has = |name: &str| chosen.contains(name);
    Ok(Graph {
        nodes: graph.nodes.iter().filter(|node| has(&node.name)).cloned().collect(),
        edges: graph.edges.iter().filter(|edge| has(&edge.from)).cloned().collect(),
    })
}

fn below(graph: &Graph) -> BTreeMap<&str, Vec<&Edge>> {
    let mut after: BTreeMap<&str, Vec<&Edge>> = BTreeMap::new();
    graph.edges.iter().for_each(|edge| after.entry(&edge.from).or_default().push(edge));
    after
}

/// A graph that is about to be drawn.
pub struct Drawn<'a> {
    graph: &'a Graph,
    nodes: BTreeMap<&'a str, (usize, &'a Node)>,
    after: BTreeMap<&'a str, Vec<&'a Edge>>,
}

impl<'a> Drawn<'a> {
    /// All of it.
    pub fn new(graph: &'a Graph) -> Drawn<'a> {
        let nodes = graph.nodes.iter().enumerate().map(|(at, node)| (node.name.as_str(), (at, node))).collect();
        Drawn { graph, nodes, after: below(graph) }
    }

    /// A tree: below each service what it starts after. Whatever stands below several is drawn out once.
    pub fn tree(&self) -> String {
        let needed: BTreeSet<&str> = self.graph.edges.iter().map(|edge| edge.to.as_str()).collect();
        let mut tree = Tree { page: String::new(), drawn: BTreeSet::new(), bars: Vec::new() };
        // Of a cycle, which no loaded configuration has, at least something would be drawn.
        let tops = self.graph.nodes.iter().filter(|node| !needed.contains(node.name.as_str()));
        for node in tops {
            self.branch(&mut tree, &node.name, "");
        }
        match tree.drawn.len() < self.graph.nodes.len() {
            true => tree.page + "(there are cycles)\n",
            false if tree.page.is_empty() => "there are no services\n".to_owned(),
            false => tree.page,
        }
    }

    fn branch(&self, tree: &mut Tree<'a>, name: &'a str, note: &str) {
        let state = self.nodes.get(name).map_or(String::new(), |(_, node)| remark(node));
        let first = tree.drawn.insert(name);
        let edges = self.after.get(name).map_or(&[][..], Vec::as_slice);
        let again = if first || edges.is_empty() { "" } else { "  (see above)" };
        tree.line(&format!("{name}{state}{note}{again}"));
        if !first {
            return;
        }
        for (at, edge) in edges.iter().enumerate() {
            tree.bars.push(at.saturating_add(1) < edges.len());
            self.branch(tree, &edge.to, &label(edge).map_or(String::new(), |label| format!("  [{label}]")));
            tree.bars.pop();
        }
    }

    /// A flowchart in Mermaid's language.
    pub fn mermaid(&self) -> String {
        let mut page = "flowchart LR\n".to_owned();
        for (at, node) in self.graph.nodes.iter().enumerate() {
            let (name, class) = (escaped(&node.name), class(node));
            let state = node.state.as_ref().map_or(String::new(), |state| format!("<br/>{}", escaped(state)));
            let _ =
                writeln!(page, "    n{at}[\"{name}{state}\"]{}", class.map_or(String::new(), |c| format!(":::{c}")));
        }
        for edge in &self.graph.edges {
            let Some((from, to)) = self.ends(edge) else { continue };
            let arrow = if edge.required { "-->" } else { "-.->" };
            let label = label_of_condition(edge).map_or(String::new(), |label| format!("|{label}|"));
            let _ = writeln!(page, "    n{from} {arrow}{label} n{to}");
        }
        for (class, fill, edge) in CLASSES {
            let _ = writeln!(page, "    classDef {class} fill:{fill},stroke:{edge},color:#111");
        }
        page
    }

    /// Graphviz.
    pub fn dot(&self) -> String {
        let mut page =
            "digraph horust {\n    rankdir=LR;\n    node [shape=box, style=\"rounded,filled\"];\n".to_owned();
        for (at, node) in self.graph.nodes.iter().enumerate() {
            let name = node.name.replace('\\', "\\\\").replace('"', "\\\"");
            let state = node.state.as_ref().map_or(String::new(), |state| format!("\\n{state}"));
            let colours = class(node).and_then(|class| CLASSES.iter().find(|(name, ..)| *name == class));
            let fill = colours.map_or("#ffffff", |(_, fill, _)| *fill);
            let _ = writeln!(page, "    n{at} [label=\"{name}{state}\", fillcolor=\"{fill}\"];");
        }
        for edge in &self.graph.edges {
            let Some((from, to)) = self.ends(edge) else { continue };
            let label = label_of_condition(edge).map(|label| format!("label=\"{label}\""));
            let style = (!edge.required).then(|| "style=dashed".to_owned());
            let how: Vec<String> = label.into_iter().chain(style).collect();
            let how = if how.is_empty() { String::new() } else { format!(" [{}]", how.join(", ")) };
            let _ = writeln!(page, "    n{from} -> n{to}{how};");
        }
        page + "}\n"
    }

    fn ends(&self, edge: &Edge) -> Option<(usize, usize)> {
        let at = |name: &str| self.nodes.get(name).map(|(at, _)| *at);
        Some((at(&edge.from)?, at(&edge.to)?))
    }
}

/// A tree that is being drawn.
struct Tree<'a> {
    page: String,
    drawn: BTreeSet<&'a str>,
    /// For each level whether more comes on it.
    bars: Vec<bool>,
}

impl Tree<'_> {
    fn line(&mut self, text: &str) {
        if let Some((last, bars)) = self.bars.split_last() {
            bars.iter().for_each(|more| self.page.push_str(if *more { "│   " } else { "    " }));
            self.page.push_str(if *last { "├── " } else { "└── " });
        }
        self.page.push_str(text);
        self.page.push('\n');
    }
}

fn remark(node: &Node) -> String {
    match &node.state {
        Some(state) => format!("  {state}"),
        None if !node.wanted => "  (not started with Horust)".to_owned(),
        None => String::new(),
    }
}

/// What is not as a plain name in `start-after` has it.
fn label(edge: &Edge) -> Option<String> {
    let order = (!edge.required).then(|| "not required".to_owned());
    let parts: Vec<String> = label_of_condition(edge).map(str::to_owned).into_iter().chain(order).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn label_of_condition(edge: &Edge) -> Option<&str> {
    Some(edge.condition.as_str()).filter(|condition| *condition != "ready")
}

/// Names, and light colours on which black text can be read: fill and edge.
const CLASSES: [(&str, &str, &str); 4] = [
    ("up", "#c8e6c9", "#2e7d32"),
    ("going", "#fff3c4", "#b08900"),
    ("failed", "#ffcdd2", "#c62828"),
    ("off", "#e0e0e0", "#757575"),
];

fn class(node: &Node) -> Option<&'static str> {
    Some(match node.state.as_deref()? {
        "Running" => "up",
        "Failed" | "FinishedFailed" => "failed",
        "Finished" => "off",
        "Initial" if !node.wanted => "off",
        _ => "going",
    })
}

/// Mermaid takes text between quotes as HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;").replace('>', "&gt;")
}
