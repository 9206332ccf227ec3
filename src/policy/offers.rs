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
    /// Variables that usually hold the keys of this host and of no other; for the first host, all of its provider's.
    pub(crate) key_variables: Vec<String>,
    /// The models that the catalogue lists there.
    pub(crate) models: Vec<String>,
}

/// A host whose key is set.
#[derive(Debug)]
pub(crate) struct Account<'o> {
    /// What an upstream there is called: as its provider, and with the region where that is not the usual one.
    pub(crate) name: String,
    /// The host.
    pub(crate) host: &'o OfferedHost,
    /// The first of its variables that holds a key.
    pub(crate) variable: &'o String,
}

impl Offer {
    /// Whether the catalogue has models of it. Of the others only their user knows what they serve.
    pub(crate) fn is_listed(&self) -> bool {
        self.hosts.first().is_some_and(|host| !host.models.is_empty())
    }

    /// Whether the catalogue lists `model` at any of its hosts.
    pub(crate) fn has(&self, model: &str) -> bool {
        self.hosts.iter().any(|host| host.models.iter().any(|listed| listed == model))
    }

    /// Variables that usually hold the keys of the host of a region.
    pub(crate) fn variables_of(&self, region: Option<&str>) -> &[String] {
        let own = self.host(region).map(|host| host.key_variables.as_slice()).filter(|own| !own.is_empty());
        own.unwrap_or(&self.key_variables)
    }

    /// The hosts whose keys are set.
    pub(crate) fn accounts(&self, env: &dyn Fn(&str) -> Option<String>) -> Vec<Account<'_>> {
        let is_set = |name: &&String| env(name).is_some_and(|value| !value.trim().is_empty());
        let hosts = self.hosts.iter().enumerate();
        hosts
            .filter_map(|(at, host)| {
                let variable = host.key_variables.iter().find(is_set)?;
                let name = if at == 0 { self.name.to_owned() } else { format!("{}-{}", self.name, host.region) };
                Some(Account { name, host, variable })
            })
            .collect()
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
        let variables = |at: usize, own: &Option<Vec<String>>| match at {
            0 => provider.key_variables(0).to_vec(),
            _ => own.clone().unwrap_or_default(),
        };
        let hosts = provider.hosts.iter().enumerate().map(|(at, host)| OfferedHost {
            region: host.region.clone(),
            base_url: host.base_url.clone(),
            key_variables: variables(at, &host.key_variables),
            models: host.models.iter().map(|model| model.name.value.clone()).collect(),
        });
        Some(Offer { name: entry.name, key_variables: provider.key_variables.clone(), hosts: hosts.collect() })
    };
    catalog::PROVIDERS.iter().filter_map(offer).collect()
}
