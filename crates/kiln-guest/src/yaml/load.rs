// SPDX-License-Identifier: Apache-2.0 OR MIT
//! YAML text to a tree.
//!
//! **Invariant:** hostile text ends in a [`Problem`], never in a panic, and the tree has at most
//! [`MOST_NODES`] nodes, however often aliases repeat them, and [`MOST_LEVELS`] levels.

use std::collections::HashMap;

use granit_parser::{Event, Marker, Options, Parser, ScalarStyle, ScanError, Span, Tag};

use super::{How, Node, Scalar, Spot, Type, Value, resolve, tabs};

/// The most nodes of a tree, counted again for each alias. User data of megabytes stays below it.
const MOST_NODES: usize = 200_000;

/// The most levels of a tree. PyYAML gives up at some 300.
const MOST_LEVELS: usize = 100;

/// Where a tag of YAML itself comes from.
const YAML_TAGS: &str = "tag:yaml.org,2002:";

/// Why a text is no tree: a sentence without its place, and the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) spot: Spot,
    pub(crate) what: String,
}

/// Returns the one document of a text; nothing at all is a null.
pub(crate) fn load(text: &str) -> Result<Node, Problem> {
    let mut builder = Builder::default();
    let mut may_have_tabs = Vec::new();
    let mut options = Options::default();
    options.set_emit_comments(false);
    for next in Parser::new_from_str_with_options(text, options) {
        let (event, span) = next.map_err(|e| scan_problem(&e))?;
        if let Event::Scalar(_, style, ..) = &event
            && *style != ScalarStyle::Plain
        {
            may_have_tabs.push((spot(&span.start), spot(&span.end)));
        }
        builder.event(event, span)?;
    }
    if let Some(spot) = tabs::first(text, &may_have_tabs) {
        return problem(spot, "a tab stands here, which cloud-init does not take: write spaces");
    }
    Ok(builder.root.unwrap_or_else(|| Node {
        spot: Spot { line: 1, column: 1 },
        value: Value::Scalar(Scalar { text: String::new(), how: How::Plain }),
    }))
}

fn spot(marker: &Marker) -> Spot {
    Spot { line: marker.line().max(1), column: marker.col() + 1 }
}

fn scan_problem(error: &ScanError) -> Problem {
    Problem { spot: spot(error.marker()), what: error.info() }
}

fn problem<T>(spot: Spot, what: impl Into<String>) -> Result<T, Problem> {
    Err(Problem { spot, what: what.into() })
}

/// A finished node and what it weighs.
#[derive(Clone, Debug)]
struct Weighed {
    node: Node,
    nodes: usize,
    levels: usize,
}

/// A list or map that is not closed yet.
#[derive(Debug)]
struct Open {
    spot: Spot,
    anchor: usize,
    is_map: bool,
    children: Vec<Weighed>,
}

#[derive(Debug, Default)]
struct Builder {
    root: Option<Node>,
    documents: usize,
    open: Vec<Open>,
    anchors: HashMap<usize, Weighed>,
    nodes: usize,
}

impl Builder {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Problem> {
        // A tagged node begins at its tag.
        let at = spot(&span.tag_start().unwrap_or(span.start));
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return problem(at, "a second document begins here, and only one is read");
                }
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                let scalar = scalar(at, &text, style, tag.as_deref())?;
                let node = Node { spot: at, value: Value::Scalar(scalar) };
                self.finish(Weighed { node, nodes: 1, levels: 1 }, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => self.begin(at, anchor, tag.as_deref(), false),
            Event::MappingStart(_, anchor, tag) => self.begin(at, anchor, tag.as_deref(), true),
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => match self.anchors.get(&anchor).cloned() {
                Some(mut weighed) => {
                    weighed.node.spot = at;
                    self.finish(weighed, 0)
                }
                None => problem(at, "an alias stands inside of what it repeats"),
            },
            _ => Ok(()),
        }
    }

    fn begin(
        &mut self,
        at: Spot,
        anchor: usize,
        tag: Option<&Tag>,
        is_map: bool,
    ) -> Result<(), Problem> {
        let own = if is_map { "map" } else { "seq" };
        if let Some(name) = tag.map(full_name).filter(|n| n != own && n != "!") {
            return problem(at, format!("tag `{name}` is unknown to cloud-init here"));
        }
        if self.open.len() >= MOST_LEVELS {
            return problem(at, format!("more than {MOST_LEVELS} levels"));
        }
        self.open.push(Open { spot: at, anchor, is_map, children: Vec::new() });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Problem> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let nodes = open.children.iter().map(|c| c.nodes).sum::<usize>() + 1;
        let levels = open.children.iter().map(|c| c.levels).max().unwrap_or(0) + 1;
        let children = open.children.into_iter().map(|c| c.node);
        let value = if open.is_map { map(children)? } else { Value::List(children.collect()) };
        self.finish(Weighed { node: Node { spot: open.spot, value }, nodes, levels }, open.anchor)
    }

    fn finish(&mut self, weighed: Weighed, anchor: usize) -> Result<(), Problem> {
        let at = weighed.node.spot;
        if weighed.levels + self.open.len() > MOST_LEVELS {
            return problem(at, format!("more than {MOST_LEVELS} levels"));
        }
        // Collections are counted again at their end; that only makes the limit a little lower.
        self.nodes = self.nodes.saturating_add(weighed.nodes);
        if self.nodes > MOST_NODES {
            return problem(at, format!("more than {MOST_NODES} values"));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, weighed.clone());
        }
        match self.open.last_mut() {
            Some(open) => open.children.push(weighed),
            None => self.root = Some(weighed.node),
        }
        Ok(())
    }
}

/// Returns a tag's name: short for those of YAML itself.
fn full_name(tag: &Tag) -> String {
    let full = format!("{}{}", tag.handle(), tag.suffix());
    match full.strip_prefix(YAML_TAGS).or_else(|| full.strip_prefix("!!")) {
        Some(short) => short.to_owned(),
        None => full,
    }
}

fn scalar(at: Spot, text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Scalar, Problem> {
    let wrong = |kind: &str| problem(at, format!("`{text}` is no {kind}"));
    let plain = resolve::resolve(text);
    let how = match tag.map(full_name).as_deref() {
        None if style == ScalarStyle::Plain => How::Plain,
        // cloud-init adds `python/unicode` to what PyYAML's safe loader knows.
        None | Some("!" | "str" | "python/unicode") => How::Text,
        Some("int") if plain == Type::Int => How::Tagged("int"),
        Some("float") if matches!(plain, Type::Int | Type::Float) => How::Tagged("float"),
        Some("bool") if plain == Type::Bool => How::Tagged("bool"),
        Some("null") => How::Tagged("null"),
        Some("timestamp") if plain == Type::Timestamp => How::Tagged("timestamp"),
        Some("binary") if is_base64(text) => How::Tagged("binary"),
        Some(kind @ ("int" | "float" | "bool" | "timestamp" | "binary")) => return wrong(kind),
        Some(name) => {
            return problem(at, format!("tag `{name}` is unknown to cloud-init here"));
        }
    };
    if how != How::Text
        && how != How::Tagged("binary")
        && let Some(what) = resolve::unreadable(text)
    {
        return problem(at, format!("`{text}` is {what}; put it in quotes if it is a text"));
    }
    Ok(Scalar { text: text.to_owned(), how })
}

fn is_base64(text: &str) -> bool {
    let kept: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let body = kept.iter().rev().skip_while(|&&b| b == b'=').count();
    let digit = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
    kept.len().is_multiple_of(4) && kept.len() - body <= 2 && kept[..body].iter().all(digit)
}

/// Returns the map of keys and values in turn. Merge keys come first, and the map's own win:
/// `flatten_mapping` of PyYAML.
fn map(children: impl Iterator<Item = Node>) -> Result<Value, Problem> {
    let mut children = children;
    let mut merged: Vec<(Node, Node)> = Vec::new();
    let mut own: HashMap<(Type, String), Spot> = HashMap::new();
    let mut pairs: Vec<(Node, Node)> = Vec::new();
    while let (Some(key), Some(value)) = (children.next(), children.next()) {
        let Value::Scalar(scalar) = &key.value else {
            return problem(key.spot, "a list or mapping cannot be a key");
        };
        if *scalar == (Scalar { text: "<<".to_owned(), how: How::Plain }) {
            merged.extend(merge_sources(value)?);
            continue;
        }
        let first = own.insert((scalar.type_of(), scalar.text.clone()), key.spot);
        if let Some(first) = first {
            let what =
                format!("key `{}` is there twice, first in line {}", scalar.text, first.line);
            return problem(key.spot, what);
        }
        pairs.push((key, value));
    }
    let mut out: Vec<(Node, Node)> = Vec::new();
    if merged.is_empty() {
        out = pairs;
    } else {
        let mut places: HashMap<(Type, String), usize> = HashMap::new();
        for (key, value) in merged.into_iter().chain(pairs) {
            let Value::Scalar(scalar) = &key.value else { continue };
            match places.entry((scalar.type_of(), scalar.text.clone())) {
                std::collections::hash_map::Entry::Occupied(place) => {
                    out[*place.get()] = (key, value);
                }
                std::collections::hash_map::Entry::Vacant(place) => {
                    place.insert(out.len());
                    out.push((key, value));
                }
            }
        }
    }
    Ok(Value::Map(out))
}

/// Returns the pairs that a merge key brings, the weakest first.
fn merge_sources(value: Node) -> Result<Vec<(Node, Node)>, Problem> {
    let wrong = "what follows `<<` must be a mapping or a list of mappings";
    match value.value {
        Value::Map(pairs) => Ok(pairs),
        Value::List(items) => {
            let mut all = Vec::new();
            for item in items.into_iter().rev() {
                match item.value {
                    Value::Map(pairs) => all.extend(pairs),
                    _ => return problem(item.spot, wrong),
                }
            }
            Ok(all)
        }
        Value::Scalar(_) => problem(value.spot, wrong),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        let problem = load(text).unwrap_err();
        format!("{}:{}: {}", problem.spot.line, problem.spot.column, problem.what)
    }

    #[test]
    fn problems_have_their_place() {
        assert_eq!(error("a: 1\nb: 2\na: 3\n"), "3:1: key `a` is there twice, first in line 1");
        assert_eq!(
            error("a: 1\n---\nb: 2\n"),
            "2:1: a second document begins here, and only one is read"
        );
        assert_eq!(error("[a]: 1"), "1:1: a list or mapping cannot be a key");
        assert_eq!(
            error("a: !!python/object:os.system x"),
            "1:4: tag `python/object:os.system` is unknown to cloud-init here"
        );
        assert_eq!(error("a: !!int x"), "1:4: `x` is no int");
        assert_eq!(
            error("a: 2024-02-30"),
            "1:4: `2024-02-30` is a date that does not exist; put it in quotes if it is a text"
        );
        assert_eq!(
            error("<<: 5"),
            "1:5: what follows `<<` must be a mapping or a list of mappings"
        );
        assert!(error("a: [1, 2\nb: 3\n").starts_with("2:"), "{}", error("a: [1, 2\nb: 3\n"));
        assert!(error("a:\n\t- b\n").starts_with("2:"), "{}", error("a:\n\t- b\n"));
        assert!(error("a: *nobody").starts_with("1:4: "));
        assert!(error("a: &x [*x]").starts_with("1:8: "), "{}", error("a: &x [*x]"));
    }

    #[test]
    fn merge_keys_are_carried_out() {
        let merged = load("base: &b {a: 1, c: 2}\nx: {<<: *b, c: 3, d: 4}\n").unwrap();
        assert_eq!(merged.get("x"), load("{a: 1, c: 3, d: 4}").ok().as_ref());
        let list = load("[{<<: [{a: 1}, {a: 2, b: 3}]}]").unwrap();
        assert_eq!(list, load("[{a: 1, b: 3}]").unwrap());
    }

    #[test]
    fn bombs_do_not_go_off() {
        let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..30 {
            let refs = vec![format!("*a{}", n - 1); 10].join(", ");
            laughs.push_str(&format!("a{n}: &a{n} [{refs}]\n"));
        }
        assert!(error(&laughs).ends_with("more than 200000 values"));
        assert!(load(&"[".repeat(100_000)).is_err());
        assert!(load(&"- ".repeat(100_000)).is_err());
        let mut deep = "a0: &a0 x\n".to_owned();
        for n in 1..300 {
            deep.push_str(&format!("a{n}: &a{n} [*a{}]\n", n - 1));
        }
        assert!(error(&deep).ends_with("more than 100 levels"));
    }

    #[test]
    fn nothing_is_null() {
        assert_eq!(load("# only a comment\n").unwrap().type_of(), Type::Null);
        assert_eq!(load("").unwrap().type_of(), Type::Null);
    }
}
