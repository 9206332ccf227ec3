//! What feeds would change.

use std::fmt::Write as _;

use super::list::{dollars, each};
use crate::policy::model::{Endpoint, Feed, Model};
use crate::units::count_to_f64;

/// How many models each thing happens to.
#[derive(Default)]
struct Counts {
    changed: usize,
    held: usize,
    not_taken: usize,
    confirmed: usize,
    silent: usize,
}

/// The prices of `new` beside those of `old`.
pub(super) fn diff(old: &Model, new: &Model, feeds: &[Feed]) -> String {
    let (old, new) = (each(old), each(new));
    let width = new.keys().map(String::len).max().unwrap_or_default();
    let (mut text, mut counts) = (String::new(), Counts::default());
    for (name, after) in &new {
        let before = old.get(name).copied();
        let note = counts.note(before, after, feeds);
        if let Some(note) = note {
            let (before, after) = (before.map_or_else(String::new, pair), pair(after));
            let change = if before == after { after } else { format!("{before} -> {after}") };
            let written = writeln!(text, "{name:width$}  {change}  {note}");
            debug_assert!(written.is_ok(), "writing to a string does not fail");
        }
    }
    text + &counts.summary()
}

impl Counts {
    /// What to say of a model; nothing where nothing changes.
    fn note(&mut self, before: Option<&Endpoint>, after: &Endpoint, feeds: &[Feed]) -> Option<String> {
        let source = after.price_origin.as_ref().map(|origin| &origin.source);
        let from_feed = source.is_some_and(|source| feeds.iter().any(|feed| feed.name == *source));
        if let Some(doubt) = &after.price_doubt {
            if doubt.held {
                self.held += 1;
                return Some(format!("held: {}", doubt.text));
            }
            self.not_taken += 1;
            return Some(format!("not taken: {}", doubt.text));
        }
        if before.is_some_and(|before| before.price == after.price) {
            *(if from_feed { &mut self.confirmed } else { &mut self.silent }) += 1;
            return None;
        }
        self.changed += 1;
        let source = source.map(ToString::to_string).unwrap_or_default();
        let shares = before.and_then(|before| percent(before, after)).unwrap_or_default();
        let parts = before.and_then(|before| elsewhere(before, after)).unwrap_or_default();
        Some(format!("{shares}{parts}{source}"))
    }

    fn summary(&self) -> String {
        let Self { changed, held, not_taken, confirmed, silent } = self;
        let all = changed + held + not_taken + confirmed + silent;
        format!(
            "{all} models: {changed} would change, {held} held, {not_taken} not taken, {confirmed} as the feed says \
             already, {silent} without a usable row in a feed\n"
        )
    }
}

/// `2.5 / 10`.
fn pair(endpoint: &Endpoint) -> String {
    endpoint.price.as_ref().map_or_else(
        || "unknown".to_owned(),
        |price| format!("{} / {}", dollars(price.rates.input), dollars(price.rates.output)),
    )
}

/// `+20% / -5%  `; nothing where it was free or unknown.
fn percent(before: &Endpoint, after: &Endpoint) -> Option<String> {
    let (before, after) = (before.price.as_ref()?.rates, after.price.as_ref()?.rates);
    let change = |before: u64, after: u64| {
        (before > 0).then(|| format!("{:+.0}%", (count_to_f64(after) / count_to_f64(before) - 1.0) * 100.0))
    };
    let (input, output) = (change(before.input.0, after.input.0)?, change(before.output.0, after.output.0)?);
    Some(format!("{input} / {output}  "))
}

/// What else changes besides the prices of input and output: `with cached input, steps  `.
fn elsewhere(before: &Endpoint, after: &Endpoint) -> Option<String> {
    let (before, after) = (before.price.as_ref()?, after.price.as_ref()?);
    let parts = [
        ("cached input", before.rates.cached_input != after.rates.cached_input),
        ("cache writes", before.rates.cache_write != after.rates.cache_write),
        ("reasoning", before.rates.reasoning != after.rates.reasoning),
        ("requests", before.request != after.request),
        ("steps", before.tiers != after.tiers),
    ];
    let changed: Vec<_> = parts.into_iter().filter(|(_, changed)| *changed).map(|(name, _)| name).collect();
    (!changed.is_empty()).then(|| format!("with {}  ", changed.join(", ")))
}
