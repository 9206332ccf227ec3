//! What a policy demands of every endpoint, whatever name led to it.
//!
//! One function judges for named routes, implied ones and single endpoints alike, so there is no name that gets
//! around it. What is not known never satisfies a demand.

use crate::engine::{Price, Rates};
use crate::policy::diagnostic::Diagnostic;
use crate::policy::model::{Addressed, Endpoint, MaxPrice, Upstream};
use crate::policy::raw::policy::{Defaults, Require, UnknownPrice};
use crate::policy::source::At;
use crate::units::PricePerMtok;

use super::Context;
use super::exchange::Exchange;

/// The demands.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    /// Where data may be processed; empty for anywhere.
    regions: Vec<String>,
    tags: Vec<String>,
    max_price: MaxPrice,
    unknown_price: UnknownPrice,
}

/// What the demands say about an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It may be used.
    Allowed,
    /// It may be used when all others have failed.
    LastResort,
    /// It may not, and why.
    Excluded(String),
}

impl Rules {
    /// The demands of `[defaults]`.
    pub(super) fn new(defaults: &Defaults, exchange: &Exchange, context: &Context<'_>) -> Self {
        let price = |amount: &Option<At<_>>| amount.as_ref().and_then(|amount| exchange.price(amount, context));
        let regions = defaults.require.regions.as_deref().unwrap_or_default();
        Self {
            regions: regions.iter().map(|region| region.value.clone()).collect(),
            tags: defaults.require.tags.clone(),
            max_price: MaxPrice { input: price(&defaults.max_price.input), output: price(&defaults.max_price.output) },
            unknown_price: defaults.unknown_price.unwrap_or(UnknownPrice::Exclude),
        }
    }

    /// The same, narrowed by a route. A region that the defaults do not cover is a mistake.
    pub(super) fn narrowed(&self, require: &Require, context: &Context<'_>) -> Self {
        let mut narrowed = self.clone();
        narrowed.tags.extend(require.tags.iter().cloned());
        let Some(regions) = require.regions.as_ref().filter(|regions| !regions.is_empty()) else { return narrowed };
        for region in regions {
            if !self.regions.is_empty() && !covered(&region.value, &self.regions) {
                let message = format!("`{}` is outside of what the policy's defaults require", region.value);
                let hint = format!("a route may only narrow: {}", self.regions.join(", "));
                context.report.push(Diagnostic::error(&region.place, message).hint(hint));
            }
        }
        narrowed.regions = regions.iter().map(|region| region.value.clone()).collect();
        narrowed
    }

    /// Judges one endpoint.
    pub(super) fn judge(&self, endpoint: &Endpoint, upstream: &Upstream) -> Verdict {
        let refusal = self.region_refusal(upstream).or_else(|| self.tag_refusal(upstream));
        if let Some(reason) = refusal {
            return Verdict::Excluded(reason);
        }
        match &endpoint.price {
            Some(price) => self.price_refusal(price).map_or(Verdict::Allowed, Verdict::Excluded),
            None => self.verdict_on_unpriced(),
        }
    }

    /// What becomes of an endpoint whose price is not known.
    pub(super) fn verdict_on_unpriced(&self) -> Verdict {
        if self.max_price != MaxPrice::default() {
            return Verdict::Excluded("price unknown; the policy sets a max_price".to_owned());
        }
        match self.unknown_price {
            UnknownPrice::Exclude => {
                Verdict::Excluded("price unknown; the policy's unknown_price is \"exclude\"".to_owned())
            }
            UnknownPrice::LastResort => Verdict::LastResort,
            UnknownPrice::Allow => Verdict::Allowed,
        }
    }

    /// What the policy could say so that endpoints without a price are used, after advice about their price.
    pub(super) fn or_allow(&self) -> &'static str {
        if self.max_price == MaxPrice::default() {
            "; or write unknown_price = \"last_resort\" in the policy's [defaults]"
        } else {
            ""
        }
    }

    fn region_refusal(&self, upstream: &Upstream) -> Option<String> {
        if self.regions.is_empty() {
            return None;
        }
        let wanted = self.regions.join(" or ");
        if upstream.regions.is_empty() {
            let remedy = match upstream.addressed {
                Addressed::ByCatalogue => String::new(),
                Addressed::ByOperator => {
                    format!(": at a base_url of its own, `regions = [\"…\"]` of `{}` has to tell it", upstream.name)
                }
            };
            return Some(format!("region unknown; the policy requires {wanted}{remedy}"));
        }
        // Data may be processed in any of an upstream's regions, so each must be fine.
        let outside = upstream.regions.iter().find(|region| !covered(region, &self.regions))?;
        Some(format!("processes data in {outside}; the policy requires {wanted}"))
    }

    fn tag_refusal(&self, upstream: &Upstream) -> Option<String> {
        let missing = self.tags.iter().find(|tag| !upstream.tags.contains(tag))?;
        Some(format!("not tagged `{missing}`, which the policy requires"))
    }

    /// A cap holds for whatever an endpoint can charge, so its dearest tier counts.
    fn price_refusal(&self, price: &Price) -> Option<String> {
        let input = price.all_rates().map(Rates::dearest_input).fold(PricePerMtok::default(), PricePerMtok::max);
        let output = price.all_rates().map(Rates::dearest_output).fold(PricePerMtok::default(), PricePerMtok::max);
        let above = |kind: &str, dearest: PricePerMtok, cap: Option<PricePerMtok>, usual: PricePerMtok| {
            let cap = cap.filter(|cap| dearest > *cap)?;
            let long = if usual > cap { "" } else { " for some requests" };
            let (dearest, cap) = (dearest.as_dollars().0, cap.as_dollars().0);
            Some(format!("{kind} costs up to {dearest} USD per million tokens{long}; max_price is {cap} USD"))
        };
        above("input", input, self.max_price.input, price.rates.input)
            .or_else(|| above("output", output, self.max_price.output, price.rates.output))
    }
}

/// Whether `region` lies within one of `allowed`: `cn.beijing` within `cn`, `cnx` not.
fn covered(region: &str, allowed: &[String]) -> bool {
    allowed
        .iter()
        .any(|one| region.strip_prefix(one.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_covers_what_lies_within_it() {
        let allowed = ["cn".to_owned(), "on-prem".to_owned()];
        assert!(covered("cn", &allowed));
        assert!(covered("cn.beijing", &allowed));
        assert!(!covered("cnx", &allowed));
        assert!(!covered("us", &allowed));
        assert!(!covered("cn", &["cn.beijing".to_owned()]));
    }
}
