//! What one unit of a currency buys, and the one place where an amount becomes dollars.
//!
//! An amount and its rate are multiplied exactly and rounded once, half to even. A rate has a date; an old one is
//! used, and said to be old.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use crate::policy::decimal::Decimal;
use crate::policy::diagnostic::{Diagnostic, Severity};
use crate::policy::money::Money;
use crate::policy::raw::config::Rate as RawRate;
use crate::policy::source::{At, Place};
use crate::units::{Dollars, PicoUsd, PricePerMtok};

use super::Context;

/// Rates that are built in: currency, dollars per unit, date. The catalogue's prices need them.
const BUILT_IN: [(&str, &str, (i16, i8, i8)); 1] = [("CNY", "0.1395", (2026, 11, 20))];

/// A rate older than this is used with a warning.
const STALE_AFTER_DAYS: i32 = 60;

struct Rate {
    usd: Decimal,
    as_of: Date,
    /// Where it is configured; `None` for a built-in rate.
    place: Option<Place>,
}

/// All known currencies.
pub(super) struct Exchange {
    rates: BTreeMap<String, Rate>,
    used: RefCell<BTreeSet<String>>,
}

impl Exchange {
    pub(super) fn new(configured: &[RawRate], context: &Context<'_>) -> Self {
        let mut rates = BTreeMap::new();
        for (currency, usd, (year, month, day)) in BUILT_IN {
            if let (Some(usd), Ok(as_of)) = (Decimal::parse(usd), Date::new(year, month, day)) {
                rates.insert(currency.to_owned(), Rate { usd, as_of, place: None });
            }
        }
        for rate in configured {
            let future = context.inputs.today().is_some_and(|today| rate.as_of.value > today);
            if future {
                context.report.push(Diagnostic::warning(&rate.as_of.place, "this date is in the future"));
            }
            let place = Some(rate.as_of.place.clone());
            rates.insert(rate.currency.clone(), Rate { usd: rate.usd, as_of: rate.as_of.value, place });
        }
        Self { rates, used: RefCell::default() }
    }

    /// A list price.
    pub(super) fn price(&self, amount: &At<Money>, context: &Context<'_>) -> Option<PricePerMtok> {
        const MICRO: u32 = 6;
        self.convert(amount, MICRO, "a millionth of a dollar per million tokens", context).map(PricePerMtok)
    }

    /// An amount that may be billed.
    pub(super) fn amount(&self, amount: &At<Money>, context: &Context<'_>) -> Option<PicoUsd> {
        const PICO: u32 = 12;
        self.convert(amount, PICO, "10^-12 dollars", context).map(PicoUsd)
    }

    /// An amount that only weighs in scores.
    pub(super) fn worth(&self, amount: &At<Money>, context: &Context<'_>) -> Option<Dollars> {
        self.amount(amount, context).map(PicoUsd::as_dollars)
    }

    fn convert(&self, amount: &At<Money>, places: u32, unit: &str, context: &Context<'_>) -> Option<u64> {
        let Money { amount: number, currency } = &amount.value;
        let product = number.times(self.rate(currency, &amount.place, context)?);
        let Some(units) = product.in_units_of(places) else {
            context.report.push(Diagnostic::error(&amount.place, "this amount is too large"));
            return None;
        };
        if units == 0 && !number.is_zero() {
            let message = format!("this amount is less than {unit}: it would round to nothing and count as free");
            context.report.push(Diagnostic::error(&amount.place, message));
            return None;
        }
        Some(units)
    }

    fn rate(&self, currency: &str, place: &Place, context: &Context<'_>) -> Option<Decimal> {
        if currency == "USD" {
            return Some(Decimal::ONE);
        }
        let Some(rate) = self.rates.get(currency) else {
            let hint = format!(
                "add what one {currency} buys to the configuration: [exchange] {currency} = {{ usd = \"…\", as_of = \"…\" }}"
            );
            let message = format!("no exchange rate is known for `{currency}`");
            context.report.push(Diagnostic::error(place, message).hint(hint));
            return None;
        };
        self.used.borrow_mut().insert(currency.to_owned());
        Some(rate.usd)
    }

    /// Says which of the rates that were needed are old.
    pub(super) fn warn_of_stale_rates(&self, context: &Context<'_>) {
        let Some(today) = context.inputs.today() else { return };
        for currency in self.used.borrow().iter() {
            let Some(rate) = self.rates.get(currency) else { continue };
            let age = rate.as_of.until(today).map_or(0, |span| span.get_days());
            if age <= STALE_AFTER_DAYS {
                continue;
            }
            let message = format!("the rate of {currency} is {age} days old ({})", rate.as_of);
            let hint = format!("set [exchange] {currency} to today's rate and date");
            context.report.push(match &rate.place {
                Some(place) => Diagnostic::warning(place, message).hint(hint),
                None => Diagnostic::general(Severity::Warning, format!("{message}, as built in")).hint(hint),
            });
        }
    }

    /// Dollars per unit of each currency, for the metric.
    pub(super) fn in_dollars(&self) -> Vec<(String, f64)> {
        self.rates.iter().map(|(currency, rate)| (currency.clone(), rate.usd.as_f64())).collect()
    }
}
