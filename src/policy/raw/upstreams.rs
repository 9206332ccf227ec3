//! The `[upstreams.*]` tables.

use crate::dialect::faults::Rules;
use crate::engine::Limits;
use crate::policy::decimal::Decimal;
use crate::policy::diagnostic::Diagnostic;
use crate::policy::fields::{Fields, Spoiled};
use crate::policy::model::{Balance, BaseUrl};
use crate::policy::read::{Node, not_supported_yet, word};
use crate::policy::source::{At, Place};

use super::allowances::{Allowance, allowance};
use super::balances::balance;
use super::errors::errors;
use super::keys::{self, Key};
use super::models::{self, Model};
use super::prices::factor;
use super::quirks::{Quirk, quirk};
use super::quota_windows::{self, QuotaWindows};
use super::url::base_url;

/// What one upstream's table says.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) name: At<String>,
    /// The table.
    pub(crate) place: Place,
    /// Whether a field could not be read.
    pub(crate) spoiled: Spoiled,
    pub(crate) provider: Option<At<String>>,
    pub(crate) region: Option<At<String>>,
    pub(crate) keys: Option<Vec<Key>>,
    /// Where they are said.
    pub(crate) keys_place: Option<Place>,
    pub(crate) limits: Limits,
    /// An agreed discount, or a tax.
    pub(crate) price_times: Option<Decimal>,
    pub(crate) base_url: Option<At<BaseUrl>>,
    pub(crate) regions: Option<Vec<String>>,
    pub(crate) tags: Vec<String>,
    pub(crate) models: Vec<Model>,
    pub(crate) allowances: Vec<Allowance>,
    pub(crate) balance: Option<Balance>,
    /// What its errors mean, where the catalogue does not know or is wrong.
    pub(crate) errors: Rules,
    /// What its models want otherwise.
    pub(crate) quirks: Vec<Quirk>,
    /// Over which time its quota headers count.
    pub(crate) quota_windows: QuotaWindows,
}

/// Reads the upstream called `name`.
pub(crate) fn upstream(name: At<String>, node: &Node<'_>) -> Option<Upstream> {
    if name.value.is_empty() || name.value.contains(|c: char| c.is_whitespace() || c == '/' || c == '#') {
        let message = "an upstream's name has no spaces, no `/` and no `#`: an endpoint is `upstream/model#key`";
        node.report.push(Diagnostic::error(&name.place, message));
        return None;
    }
    let place = name.place.clone();
    node.fields(|fields| {
        fields.later(&["http2", "tls"]);
        fields.get("dialect", dialect);
        if !fields.has("provider") && !fields.has("base_url") {
            let hint = "name a `provider` of the catalogue, or say where to call with `base_url`";
            fields.report.push(Diagnostic::error(&place, format!("`{}` has no address", name.value)).hint(hint));
        }
        let keys = fields.at("keys", |node| node.list(keys::key));
        let (keys, keys_place) = keys.map(|keys| (keys.value, keys.place)).unzip();
        let upstream = Upstream {
            provider: fields.at("provider", word),
            region: fields.at("region", word),
            keys,
            keys_place,
            limits: fields.get("limits", models::limits).unwrap_or_default(),
            price_times: fields.get("price_times", |node| node.quantity(factor)),
            base_url: fields.at("base_url", address),
            regions: fields.get("regions", words),
            tags: fields.get("tags", words).unwrap_or_default(),
            models: fields.get("models", table_of_models).unwrap_or_default(),
            allowances: fields.get("allowances", |node| node.list(allowance)).unwrap_or_default(),
            balance: fields.get("balance", balance),
            errors: fields.get("errors", errors).unwrap_or_default(),
            quirks: fields.get("quirks", |node| node.list(quirk)).unwrap_or_default(),
            quota_windows: fields.get("quota_headers", quota_windows::read).unwrap_or_default(),
            spoiled: Spoiled::No,
            place,
            name,
        };
        Upstream { spoiled: fields.spoiled(), ..upstream }
    })
}

/// Reads `models.*`.
pub(crate) fn table_of_models(node: &Node<'_>) -> Option<Vec<Model>> {
    node.entries(|name, node| node.fields(|fields: &Fields<'_>| models::model(name, fields))?)
}

/// A list of plain words.
pub(crate) fn words(node: &Node<'_>) -> Option<Vec<String>> {
    node.list(word)
}

/// The wire format. Only `openai` is spoken so far; it is also what is meant when nothing is said.
pub(crate) fn dialect(node: &Node<'_>) -> Option<()> {
    const LATER: [&str; 4] = ["anthropic", "gemini", "azure", "bedrock"];
    match node.text()?.as_str() {
        "openai" => Some(()),
        other if LATER.contains(&other) => {
            let remedy = "only \"openai\" is spoken so far; most providers answer in it too, at an address of its own";
            not_supported_yet(node, &format!("the dialect `{other}` is"), remedy)
        }
        other => {
            let hint = crate::policy::nearest::advice(other, &["openai"]);
            node.error(format!("unknown dialect `{other}`"), hint);
            None
        }
    }
}

/// A base URL.
pub(crate) fn address(node: &Node<'_>) -> Option<BaseUrl> {
    if node.is_list() {
        let remedy = "write an upstream for each, and name both in a route's cluster";
        return not_supported_yet(node, "a list of base URLs is", remedy);
    }
    let text = node.text()?;
    if text.starts_with("dns:") {
        let remedy = "write the URL itself; its host is looked up for every new connection";
        return not_supported_yet(node, "a `dns:` address is", remedy);
    }
    let hint = "write it like \"https://api.example.com/v1\"".to_owned();
    base_url(&text).map_err(|error| node.error(error.to_string(), Some(hint))).ok()
}
