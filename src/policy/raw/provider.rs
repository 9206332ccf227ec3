//! A provider's file in the catalogue.

use crate::policy::diagnostic::Diagnostics;
use crate::policy::fields::{Document, Fields};
use crate::policy::model::BaseUrl;
use crate::policy::read::{Node, word};
use crate::policy::source::At;

use super::models::{Model, model};
use super::upstreams::{address, dialect, words};

/// What a provider's file says.
#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) title: String,
    pub(crate) key_variables: Vec<String>,
    /// The first is used when no region is named.
    pub(crate) hosts: Vec<Host>,
}

/// One of a provider's hosts, with its price list.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) region: String,
    pub(crate) base_url: BaseUrl,
    /// Where it processes data; empty if that is not known.
    pub(crate) processes_in: Vec<String>,
    pub(crate) models: Vec<Model>,
}

/// Reads a provider's file; `None` where something required is missing.
pub(crate) fn provider(document: &Document<'_>, report: &Diagnostics) -> Option<Provider> {
    document.root(report, |fields| {
        fields.need("dialect", dialect);
        let title = fields.need("name", word);
        let key_variables = fields.need("key_variables", words);
        let hosts = fields.need("hosts", |node| node.entries(host));
        Some(Provider { title: title?.value, key_variables: key_variables?.value, hosts: hosts?.value })
    })
}

fn host(region: At<String>, node: &Node<'_>) -> Option<Host> {
    node.fields(|fields| {
        let base_url = fields.need("base_url", address);
        let processes_in = fields.need("regions", words);
        let models = fields.get("models", |node| node.entries(row)).unwrap_or_default();
        Some(Host { region: region.value, base_url: base_url?.value, processes_in: processes_in?.value, models })
    })?
}

/// A model with the origin of its figures, which must be given but is for people.
fn row(name: At<String>, node: &Node<'_>) -> Option<Model> {
    node.fields(|fields: &Fields<'_>| {
        fields.need("source", word);
        fields.need("as_of", word);
        fields.need("confidence", |node| node.choice(&[("high", ()), ("medium", ()), ("low", ())]));
        model(name, fields)
    })?
}
