//! What everything costs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use crate::cli::Format;
use crate::policy::model::{Endpoint, Model, PriceHours};
use crate::units::PricePerMtok;

/// One model of one upstream. The keys of an upstream pay the same.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) model: String,
    #[serde(rename = "input_usd_per_mtok")]
    input: Option<String>,
    #[serde(rename = "cached_input_usd_per_mtok")]
    cached: Option<String>,
    #[serde(rename = "output_usd_per_mtok")]
    output: Option<String>,
    /// Other prices for some requests.
    tiers: usize,
    source: Option<String>,
    as_of: Option<String>,
    confidence: Option<&'static str>,
    hours: Option<&'static str>,
    changes_at: Option<String>,
    doubt: Option<String>,
}

/// The models of `model` with `filter` in their names.
pub(super) fn list(model: &Model, filter: Option<&str>, format: Format) -> String {
    let matches = |name: &str| filter.is_none_or(|filter| name.to_lowercase().contains(&filter.to_lowercase()));
    let rows: Vec<Row> =
        each(model).into_iter().filter(|(name, _)| matches(name)).map(|(name, one)| Row::new(name, one)).collect();
    match format {
        Format::Json => serde_json::to_string_pretty(&rows).unwrap_or_default() + "\n",
        Format::Plain => plain(&rows),
    }
}

/// Every model by `upstream/model`.
pub(super) fn each(model: &Model) -> BTreeMap<String, &Endpoint> {
    let name = |endpoint: &Endpoint| format!("{}/{}", model.upstreams[endpoint.upstream].name, endpoint.model);
    model.endpoints.values().map(|endpoint| (name(endpoint), endpoint)).collect()
}

/// Dollars per million tokens, without zeros at the end.
pub(super) fn dollars(price: PricePerMtok) -> String {
    let text = format!("{}.{:06}", price.0 / 1_000_000, price.0 % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

impl Row {
    fn new(model: String, endpoint: &Endpoint) -> Self {
        let rates = endpoint.price.as_ref().map(|price| &price.rates);
        let origin = endpoint.price_origin.as_ref();
        Self {
            model,
            input: rates.map(|rates| dollars(rates.input)),
            cached: rates.and_then(|rates| rates.cached_input).map(dollars),
            output: rates.map(|rates| dollars(rates.output)),
            tiers: endpoint.price.as_ref().map_or(0, |price| price.tiers.len()),
            source: origin.map(|origin| origin.source.to_string()),
            as_of: origin.and_then(|origin| origin.as_of).map(|day| day.to_string()),
            confidence: origin.map(|origin| origin.confidence.label()),
            hours: endpoint.price_hours.map(PriceHours::label),
            changes_at: endpoint.price_changes_at.map(|at| at.to_string()),
            doubt: endpoint.price_doubt.as_ref().map(|doubt| doubt.text.to_string()),
        }
    }

    fn notes(&self) -> String {
        let source = [self.source.as_deref(), self.as_of.as_deref(), self.confidence];
        let mut notes = vec![source.into_iter().flatten().collect::<Vec<_>>().join(" ")];
        if self.tiers > 0 {
            notes.push(format!("{} more by length or thinking", self.tiers));
        }
        if let Some(hours) = self.hours {
            let until = self.changes_at.as_ref().map(|at| format!(" until {at}")).unwrap_or_default();
            notes.push(format!("{hours}{until}"));
        } else if let Some(at) = &self.changes_at {
            notes.push(format!("changes at {at}"));
        }
        notes.extend(self.doubt.clone());
        notes.retain(|note| !note.is_empty());
        notes.join("; ")
    }
}

fn plain(rows: &[Row]) -> String {
    if rows.is_empty() {
        return "no model of this name\n".to_owned();
    }
    let width = rows.iter().map(|row| row.model.len()).max().unwrap_or_default().max(5);
    let mut text =
        format!("{:width$} {:>10} {:>10} {:>10}  USD per million tokens\n", "model", "input", "cached", "output");
    for row in rows {
        let part = |part: &Option<String>, none: &str| part.clone().unwrap_or_else(|| none.to_owned());
        let (input, output) = (part(&row.input, "unknown"), part(&row.output, "unknown"));
        let (cached, notes) = (part(&row.cached, "-"), row.notes());
        let line = format!("{:width$} {input:>10} {cached:>10} {output:>10}  {notes}", row.model);
        let written = writeln!(text, "{}", line.trim_end());
        debug_assert!(written.is_ok(), "writing to a string does not fail");
    }
    text
}
