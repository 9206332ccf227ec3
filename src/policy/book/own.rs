//! The `faregate` format: tables of models as a configuration has them, in TOML.
//!
//! ```toml
//! [providers.zhipu.hosts.cn.models."glm-5.3"]      # by provider and region, as the catalogue names them
//! price = { input = "8 CNY", output = "28 CNY" }
//! as_of = "2026-11-20"
//!
//! [models."qwen3-8b"]                              # of the one upstream that the feed is said to belong to
//! price = { input = "0.10 USD", output = "0.30 USD" }
//! ```

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;

use super::Key;
use crate::policy::compile::{self, Calendars, Context, Providers};
use crate::policy::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::policy::fields::{Document, Fields};
use crate::policy::inputs::{Inputs, Sources};
use crate::policy::raw::config::calendars;
use crate::policy::raw::models::Model;
use crate::policy::raw::provider::listed;
use crate::policy::read::Node;
use crate::policy::source::At;
use crate::policy::tariff::{PriceOrigin, Tariff};

type Rows = Vec<(Key, Model)>;

/// The rows of `text`; every mistake at once. A row with a mistake is worth stopping for: whoever keeps such a list can
/// mend it.
pub(super) fn read(
    name: &str,
    text: &str,
    origin: &PriceOrigin,
    now: Timestamp,
) -> Result<BTreeMap<Key, Tariff>, Vec<Diagnostic>> {
    let report = Diagnostics::default();
    let document = Document::parse(name, text, &report);
    let (rows, calendars) = document.root(&report, |fields| (all(fields), calendars(fields)));
    let sources = Sources::nowhere(now.into());
    let inputs = Inputs::new(sources);
    let (calendars, providers) = (Calendars::new(&calendars), Providers::new(&report));
    let context = Context {
        report: &report,
        inputs: &inputs,
        folder: Path::new(""),
        calendars: &calendars,
        providers: &providers,
        feeds: &[],
    };
    let tariff = |(key, model): (Key, Model)| {
        let said = model.origin.as_ref();
        let as_of = said.and_then(|said| said.as_of).or(origin.as_of);
        let confidence = said.map_or(origin.confidence, |said| said.confidence);
        let origin = PriceOrigin { as_of, confidence, ..origin.clone() };
        let tariff = Tariff { origin, ..compile::tariff_of_row(&model, &context)? };
        if tariff.rates.input.amount.is_zero() && tariff.rates.output.amount.is_zero() {
            let message = format!("`{}` costs 0 here, and in a price list that means that nobody knows", key.id);
            let hint = "leave it out; a model that is free is said to be so in the configuration";
            report.push(Diagnostic::error(&model.name.place, message).hint(hint));
        }
        Some((key, tariff))
    };
    let tariffs: BTreeMap<_, _> = rows.into_iter().filter_map(tariff).collect();
    if tariffs.is_empty() && report.errors() == 0 {
        let hint = "write tables such as [providers.zhipu.hosts.cn.models.\"glm-5.3\"], or [models.\"name\"]";
        report.push(Diagnostic::general(Severity::Error, format!("`{name}` prices no model")).hint(hint));
    }
    if report.errors() > 0 { Err(report.into_sorted()) } else { Ok(tariffs) }
}

fn all(fields: &Fields<'_>) -> Rows {
    let mut rows = fields.get("models", |node| node.entries(|name, node| row("", None, name, node)));
    let providers =
        fields.get("providers", |node| node.entries(|name, node| provider(&name.value, node))).unwrap_or_default();
    rows.get_or_insert_default().extend(providers.into_iter().flatten());
    rows.unwrap_or_default()
}

fn provider(name: &str, node: &Node<'_>) -> Option<Rows> {
    node.fields(|fields| {
        let host = |region: At<String>, node: &Node<'_>| {
            let models = |fields: &Fields<'_>| {
                fields.need("models", |node| node.entries(|model, node| row(name, Some(&region.value), model, node)))
            };
            Some(node.fields(models)??.value)
        };
        Some(fields.need("hosts", |node| node.entries(host))?.value.into_iter().flatten().collect())
    })?
}

fn row(provider: &str, region: Option<&str>, name: At<String>, node: &Node<'_>) -> Option<(Key, Model)> {
    let id = name.value.clone();
    let key = Key { provider: provider.to_owned(), region: region.map(str::to_owned), id };
    Some((key, listed(name, node)?))
}
