//! What the catalogue offers, for whoever writes a configuration instead of reading one: names, hosts, key variables
//! and models, as plain facts. What they mean is decided where a configuration is compiled, never here.

use crate::catalog;

use super::compile::Providers;
use super::diagnostic::Diagnostics;
use super::model::BaseUrl;

/// A provider of the catalogue.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    /// What `provider = "…"` says.
    pub(crate) name: &'static str,
    /// Variables that usually hold its keys, in the order in which they are looked for; none if it needs no key.
    pub(crate) key_variables: Vec<String>,
    /// Its hosts; the first is used when no region is named.
    pub(crate) hosts: Vec<OfferedHost>,
}

/// One of a provider's hosts.
#[derive(Clone, Debug)]
pub(crate) struct OfferedHost {
    /// What `region = "…"` says.
    pub(crate) region: String,
    /// Its address.
    pub(crate) base_url: BaseUrl,
    /// The models that the catalogue lists there.
    pub(crate) models: Vec<String>,
}

impl Offer {
    /// Whether the catalogue has models of it. Of the others only their user knows what they serve.
    pub(crate) fn is_listed(&self) -> bool {
        self.hosts.first().is_some_and(|host| !host.models.is_empty())
    }

    /// The first of its variables that is set to something.
    pub(crate) fn variable_set(&self, env: &dyn Fn(&str) -> Option<String>) -> Option<&String> {
        self.key_variables.iter().find(|name| env(name).is_some_and(|value| !value.trim().is_empty()))
    }

    /// The host of a region; the usual one if none is named.
    pub(crate) fn host(&self, region: Option<&str>) -> Option<&OfferedHost> {
        match region {
            Some(region) => self.hosts.iter().find(|host| host.region == region),
            None => self.hosts.first(),
        }
    }
}

/// Every provider, in the order of the catalogue.
pub(crate) fn offers() -> Vec<Offer> {
    let report = Diagnostics::default();
    let providers = Providers::new(&report);
    let offer = |entry: &catalog::Entry| {
        let provider = providers.find(entry.name)?;
        let hosts = provider.hosts.iter().map(|host| OfferedHost {
            region: host.region.clone(),
            base_url: host.base_url.clone(),
            models: host.models.iter().map(|model| model.name.value.clone()).collect(),
        });
        Some(Offer { name: entry.name, key_variables: provider.key_variables.clone(), hosts: hosts.collect() })
    };
    catalog::PROVIDERS.iter().filter_map(offer).collect()
}
