//! From an address in an imported file to a provider of the catalogue, if it is one of its hosts: then prices, errors
//! and parameters are known, and only the key has to be given.

use std::net::IpAddr;

use crate::policy::model::{BaseUrl, Secret};
use crate::policy::offers;
use crate::policy::{Offer, base_url, is_variable, undated};

use super::draft::{Address, Key};
use super::fault::Fault;

/// The catalogue, as far as importing needs it.
#[derive(Debug)]
pub(super) struct Catalogue {
    offers: Vec<Offer>,
}

impl Catalogue {
    /// The catalogue of this program.
    pub(super) fn new() -> Self {
        Self { offers: offers() }
    }

    /// Its providers.
    pub(super) fn offers(&self) -> &[Offer] {
        &self.offers
    }

    /// The provider called `name`.
    pub(super) fn offer(&self, name: &str) -> Option<&Offer> {
        self.offers.iter().find(|offer| offer.name == name)
    }

    /// Whether the catalogue lists `model` there.
    pub(super) fn lists(&self, address: &Address, model: &str) -> bool {
        self.models(address).iter().any(|listed| listed == model)
    }

    /// The name without its date by which the catalogue lists `model` there, if only without.
    pub(super) fn undated<'m>(&self, address: &Address, model: &'m str) -> Option<&'m str> {
        undated(model).filter(|stem| !self.lists(address, model) && self.lists(address, stem))
    }

    /// The row of `provider` that `model` goes by, with a date at its end or without.
    pub(super) fn row_at(&self, provider: &str, model: &str) -> Option<String> {
        let offer = self.offer(provider)?;
        let name = [Some(model), undated(model)].into_iter().flatten().find(|name| offer.has(name))?;
        Some(format!("{}/{name}", offer.name))
    }

    /// The row that `model` goes by at the first provider that lists it, with a date at its end or without.
    pub(super) fn row(&self, model: &str) -> Option<String> {
        let of = |name: &str| Some(format!("{}/{name}", self.maker_of(name)?));
        of(model).or_else(|| of(undated(model)?))
    }

    /// What the catalogue lists there.
    pub(super) fn models(&self, address: &Address) -> &[String] {
        let offer = address.provider.and_then(|name| self.offer(name));
        offer.and_then(|offer| offer.host(address.region.as_deref())).map_or(&[], |host| &host.models)
    }

    /// Whether the catalogue has a list of what is there.
    pub(super) fn is_listed(&self, address: &Address) -> bool {
        !self.models(address).is_empty()
    }

    /// The first provider that lists a model of this name.
    pub(super) fn maker_of(&self, model: &str) -> Option<&'static str> {
        self.offers.iter().find(|offer| offer.has(model)).map(|offer| offer.name)
    }

    /// A host of a provider.
    pub(super) fn address(&self, provider: &'static str, region: &str) -> Address {
        let usual = self.offer(provider).and_then(|offer| offer.hosts.first()).map(|host| host.region.as_str());
        let region = Some(region).filter(|region| !region.is_empty() && Some(*region) != usual).map(str::to_owned);
        Address { provider: Some(provider), region, base_url: None }
    }

    /// Whose address `text` is; of nobody in the catalogue if it is none of theirs. `provider` is who it is said to be.
    pub(super) fn find(&self, text: &str, provider: Option<&'static str>, place: &str) -> Result<Address, Fault> {
        let url = base_url(text).map_err(|source| Fault::Address { place: place.to_owned(), source })?;
        let hosts = self.offers.iter().flat_map(|offer| offer.hosts.iter().map(move |host| (offer, host)));
        // A server on this machine is whose it is said to be: its port alone does not tell.
        let known =
            |offer: &Offer| Some(offer.name) == provider || (provider.is_none() && !offer.key_variables.is_empty());
        let near = hosts.filter(|(offer, host)| known(offer) && same_host(&host.base_url, &url)).collect::<Vec<_>>();
        let exact = near.iter().find(|(_, host)| root(&host.base_url) == root(&url));
        let own = || Some(url.to_string());
        Ok(match (exact, near.first()) {
            (Some((offer, host)), _) => self.address(offer.name, &host.region),
            (None, Some((offer, host))) => Address { base_url: own(), ..self.address(offer.name, &host.region) },
            (None, None) => {
                Address { provider: provider.filter(|name| self.is_self_hosted(name)), region: None, base_url: own() }
            }
        })
    }

    fn is_self_hosted(&self, name: &str) -> bool {
        self.offer(name).is_some_and(|offer| offer.key_variables.is_empty())
    }
}

fn same_host(one: &BaseUrl, other: &BaseUrl) -> bool {
    one.scheme == other.scheme && one.port == other.port && one.host.eq_ignore_ascii_case(&other.host)
}

/// The path without the version, which some providers take with and without.
fn root(url: &BaseUrl) -> &str {
    url.path.strip_suffix("/v1").unwrap_or(&url.path)
}

impl Address {
    /// Whether it is on this machine or in a network of one's own, where servers often want no key.
    pub(super) fn is_near(&self) -> bool {
        let Some(Ok(url)) = self.base_url.as_deref().map(base_url) else { return false };
        match url.host.parse::<IpAddr>() {
            Ok(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_private(),
            Ok(IpAddr::V6(ip)) => ip.is_loopback() || ip.is_unique_local(),
            Err(_) => !url.host.contains('.'),
        }
    }

    /// What an upstream there may be called.
    pub(super) fn wish(&self) -> String {
        match (self.provider, &self.base_url) {
            (Some(provider), _) => provider.to_owned(),
            (None, Some(url)) => nickname(url),
            (None, None) => "own".to_owned(),
        }
    }
}

/// What an upstream at `url` may be called: the part of its host that people would say.
pub(super) fn nickname(url: &str) -> String {
    let Ok(url) = base_url(url) else { return "own".to_owned() };
    let numeric = url.host.parse::<IpAddr>().is_ok();
    let labels = url.host.split('.').collect::<Vec<_>>();
    let word = match labels.as_slice() {
        _ if numeric || url.host.eq_ignore_ascii_case("localhost") => "local",
        [only] => only,
        [.., "com" | "co" | "net" | "org", _] if labels.len() > 3 => {
            labels.get(labels.len() - 3).copied().unwrap_or("own")
        }
        [.., name, _] => name,
        [] => "own",
    };
    slug(word)
}

/// The text in small letters, digits and dashes.
pub(super) fn slug(text: &str) -> String {
    let fit = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let all = text.chars().map(fit).collect::<String>();
    let parts = all.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>();
    if parts.is_empty() { "own".to_owned() } else { parts.join("-") }
}

/// A key that stands in a file.
pub(super) fn plain(text: &str, place: &str) -> Result<Key, Fault> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Fault::EmptyKey { place: place.to_owned() });
    }
    if !text.chars().all(|c| c.is_ascii_graphic()) {
        return Err(Fault::UnfitKey { place: place.to_owned() });
    }
    Ok(Key::Plain(Secret(text.to_owned().into())))
}

/// The variable that `os.environ/NAME` names.
pub(super) fn reference<'t>(text: &'t str, place: &str) -> Result<Option<&'t str>, Fault> {
    match text.strip_prefix("os.environ/") {
        None => Ok(None),
        Some(name) if is_variable(name) => Ok(Some(name)),
        Some("") => Err(Fault::EmptyKey { place: place.to_owned() }),
        Some(_) => Err(Fault::UnfitVariable { place: place.to_owned() }),
    }
}
