//! Which row of the catalogue a model of an upstream goes by: its own name's, or that of the model that it really is.

use std::borrow::Cow;

use crate::catalog;
use crate::policy::book::Address;
use crate::policy::decimal::Decimal;
use crate::policy::diagnostic::Diagnostic;
use crate::policy::nearest::nearest;
use crate::policy::raw::models::Model;
use crate::policy::raw::upstreams::Upstream;
use crate::policy::source::At;

use super::Context;
use super::endpoints::Origin;
use super::tariff::Said;

/// What the user says of a model, and the row that it goes by.
pub(super) struct Listing<'m> {
    own: Option<&'m Model>,
    listed: Option<Cow<'m, Model>>,
}

impl Listing<'_> {
    /// What the catalogue calls it: its own name, or that of the row that it goes by.
    pub(super) fn listed_name(&self) -> &str {
        let is_based = self.own.is_some_and(|own| own.base.is_some());
        let row = self.listed.as_deref().filter(|_| is_based);
        row.or(self.own).or(self.listed.as_deref()).map_or("", |model| model.name.value.as_str())
    }

    /// What its user may mean it by: the name that is sent, what it is said to be based on, and what that is.
    pub(super) fn names(&self) -> Vec<&str> {
        let base = self.own.and_then(|own| own.base.as_ref()).map(|base| base.value.as_str());
        let own = self.own.map(|own| own.name.value.as_str());
        own.into_iter().chain(base).chain([self.listed_name()]).collect()
    }

    pub(super) fn said<'s>(&'s self, upstream: &'s Upstream, origin: &'s Origin) -> Said<'s> {
        let price_times = upstream.price_times.unwrap_or(Decimal::ONE);
        let (own, listed) = (self.own, self.listed.as_deref());
        let id = own.or(listed).map_or("", |model| model.name.value.as_str());
        let address = Address {
            upstream: &upstream.name.value,
            provider: upstream.provider.as_ref().zip(origin.host()).map(|(name, host)| (&*name.value, &*host.region)),
            aliases: origin.host().map_or(&[], |host| &host.aliases),
            id: own.and_then(|own| own.base.as_ref()).map_or(id, |base| &base.value),
        };
        Said { own, listed, price_times, address }
    }
}

/// Every model of an upstream: those of the catalogue, then those that are the user's own.
pub(super) fn models_of<'m>(raw: &'m Upstream, origin: &'m Origin, context: &Context<'_>) -> Vec<Listing<'m>> {
    let rows = origin.host().map_or(&[][..], |host| host.models.as_slice());
    let known = rows.iter().map(|row| (named(&raw.models, &row.name.value), Some(row)));
    let extra = raw.models.iter().filter(|model| named(rows, &model.name.value).is_none());
    let all = known.chain(extra.map(|model| (Some(model), None)));
    all.map(|(own, row)| {
        let base = own.and_then(|own| own.base.as_ref()).and_then(|base| based_on(base, rows, raw, context));
        Listing { own, listed: base.or_else(|| row.map(Cow::Borrowed)) }
    })
    .collect()
}

fn named<'m>(models: &'m [Model], name: &str) -> Option<&'m Model> {
    models.iter().find(|model| model.name.value == name)
}

/// The row of the model that `base` names: of the same host, or else, as `provider/model`, of another provider's first.
fn based_on<'m>(base: &At<String>, rows: &'m [Model], raw: &Upstream, context: &Context<'_>) -> Option<Cow<'m, Model>> {
    if let Some(row) = named(rows, &base.value) {
        return Some(Cow::Borrowed(row));
    }
    let elsewhere = |provider: &str, name: &str| {
        let provider = context.providers.find(provider)?;
        provider.hosts.iter().find_map(|host| named(&host.models, name)).cloned()
    };
    if let Some((provider, name)) = base.value.split_once('/')
        && let Some(row) = elsewhere(provider, name)
    {
        return Some(Cow::Owned(row));
    }
    anywhere(base, raw, elsewhere).or_else(|| {
        let near = nearest(&base.value, rows.iter().map(|row| row.name.value.as_str()));
        let other =
            || "write \"provider/model\" for a model of another provider, or leave it out and say a `price`".to_owned();
        let hint = near.map_or_else(other, |near| format!("did you mean `{near}`?"));
        let message = format!("the catalogue has no single model `{}` here", base.value);
        context.report.push(Diagnostic::error(&base.place, message).hint(hint));
        None
    })
}

/// A plain name that is one provider's only, for an upstream that is an account of nobody in the catalogue.
fn anywhere<'m>(
    base: &At<String>,
    raw: &Upstream,
    find: impl Fn(&str, &str) -> Option<Model>,
) -> Option<Cow<'m, Model>> {
    let everywhere = catalog::PROVIDERS.iter().filter(|_| raw.provider.is_none());
    let mut found = everywhere.filter_map(|entry| find(entry.name, &base.value));
    let only = found.next()?;
    found.next().is_none().then_some(Cow::Owned(only))
}
