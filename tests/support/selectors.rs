//! Finds the metrics and labels that a text uses: `PromQL`, a legend, an annotation, or the exposition format itself.

use std::collections::BTreeSet;

/// A metric by name, with the labels it is asked for.
#[derive(Debug)]
pub(crate) struct Selector {
    pub(crate) name: String,
    pub(crate) labels: Vec<String>,
}

/// Every metric of ours that the text names.
pub(crate) fn selectors(text: &str) -> Vec<Selector> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = ["faregate_", "process_"].iter().filter_map(|prefix| rest.find(prefix)).min() {
        let start = &rest[at..];
        let end = start.find(|c: char| !is_name(c)).unwrap_or(start.len());
        let (name, after) = start.split_at(end);
        let labels = after.strip_prefix('{').filter(|inside| !inside.starts_with('{')).map(labels).unwrap_or_default();
        found.push(Selector { name: name.to_owned(), labels });
        rest = after;
    }
    found
}

/// The labels that a text groups by or prints: `by (a, b)`, `{{a}}`, `$labels.a`, and Grafana's `label_values(m, a)`.
pub(crate) fn grouped_by(text: &str) -> BTreeSet<String> {
    let lists = [("by (", ')'), ("by(", ')'), ("without (", ')'), ("without(", ')'), ("on (", ')'), ("{{", '}')];
    let listed = lists.iter().flat_map(|(open, close)| between(text, open, *close)).flat_map(|list| list.split(','));
    let printed = text.split("$labels.").skip(1).filter_map(|rest| rest.split(|c: char| !is_name(c)).next());
    let asked = between(text, "label_values(", ')').filter_map(|list| list.rsplit(',').next());
    let names = listed.chain(printed).chain(asked).map(str::trim);
    names.filter(|name| !name.is_empty() && name.chars().all(is_name)).map(str::to_owned).collect()
}

fn between<'a>(text: &'a str, open: &str, close: char) -> impl Iterator<Item = &'a str> {
    let parts: Vec<_> = text.split(open).skip(1).collect();
    parts.into_iter().filter_map(move |rest| rest.split(close).next())
}

/// The label names in front of `=`, `!=`, `=~` and `!~`, up to the closing brace. Values are skipped, quotes and all.
fn labels(mut inside: &str) -> Vec<String> {
    let mut labels = Vec::new();
    loop {
        inside = inside.trim_start_matches([',', ' ']);
        let end = inside.find(|c: char| !is_name(c)).unwrap_or(inside.len());
        let (name, after) = inside.split_at(end);
        let Some((_, value)) = after.split_once('"').filter(|_| end > 0) else { return labels };
        labels.push(name.to_owned());
        let Some(close) = closing_quote(value) else { return labels };
        inside = &value[close + 1..];
    }
}

fn closing_quote(value: &str) -> Option<usize> {
    let mut escaped = false;
    value
        .char_indices()
        .find(|(_, c)| {
            let closes = *c == '"' && !escaped;
            escaped = *c == '\\' && !escaped;
            closes
        })
        .map(|(at, _)| at)
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}
