//! What one unit of a currency buys, and the one place where an amount becomes dollars.
//!
//! An amount and its rate are multiplied exactly and rounded once, half to even. A rate has a date; an old one is
//! used, and said to be old.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use crate::policy::decimal::{Decimal, Product};
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

/// In what an amount is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// A list price: millionths of a dollar per million tokens.
    PerMtok,
    /// An amount that is billed: pico-dollars.
    Amount,
}

impl Unit {
    const fn places(self) -> u32 {
        match self {
            Self::PerMtok => 6,
            Self::Amount => 12,
        }
    }

    const fn smallest(self) -> &'static str {
        match self {
            Self::PerMtok => "a millionth of a dollar per million tokens",
            Self::Amount => "10^-12 dollars",
        }
    }
}

/// Why an amount does not become dollars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The currency has no rate.
    NoRate,
    /// It does not fit.
    TooLarge,
    /// It would round to nothing, and nothing means free.
    TooSmall,
}

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
            let future = rate.as_of.value > context.inputs.today();
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
        self.converted(amount, Unit::PerMtok, context).map(PricePerMtok)
    }

    /// An amount that may be billed.
    pub(super) fn amount(&self, amount: &At<Money>, context: &Context<'_>) -> Option<PicoUsd> {
        self.converted(amount, Unit::Amount, context).map(PicoUsd)
    }

    /// An amount that only weighs in scores.
    pub(super) fn worth(&self, amount: &At<Money>, context: &Context<'_>) -> Option<Dollars> {
        self.amount(amount, context).map(PicoUsd::as_dollars)
    }

    fn converted(&self, amount: &At<Money>, unit: Unit, context: &Context<'_>) -> Option<u64> {
        let converted = self.convert(&amount.value, unit, [Decimal::ONE; 2]);
        converted.map_err(|fault| report(fault, amount, unit, context)).ok()
    }

    /// Reports what is wrong with an amount under any of the `factors` that it may be multiplied with.
    pub(super) fn check(&self, amount: &At<Money>, unit: Unit, factors: &[[Decimal; 2]], context: &Context<'_>) {
        let fault = factors.iter().find_map(|factors| self.convert(&amount.value, unit, *factors).err());
        if let Some(fault) = fault {
            report(fault, amount, unit, context);
        }
    }

    /// An amount in whole units, multiplied exactly and rounded once.
    pub(super) fn convert(&self, amount: &Money, unit: Unit, factors: [Decimal; 2]) -> Result<u64, Fault> {
        let rate = self.rate(&amount.currency)?;
        let product = factors.into_iter().try_fold(amount.amount.times(rate), Product::times);
        match product.and_then(|product| product.in_units_of(unit.places())).ok_or(Fault::TooLarge)? {
            0 if !amount.amount.is_zero() => Err(Fault::TooSmall),
            units => Ok(units),
        }
    }

    /// Dollars per unit of a currency, for comparing prices; nothing is billed by it.
    pub(super) fn in_dollars_of(&self, currency: &str) -> Option<f64> {
        if currency == "USD" { Some(1.0) } else { self.rates.get(currency).map(|rate| rate.usd.as_f64()) }
    }

    fn rate(&self, currency: &str) -> Result<Decimal, Fault> {
        if currency == "USD" {
            return Ok(Decimal::ONE);
        }
        let rate = self.rates.get(currency).ok_or(Fault::NoRate)?;
        self.used.borrow_mut().insert(currency.to_owned());
        Ok(rate.usd)
    }

    /// Says which of the rates that were needed are old.
    pub(super) fn warn_of_stale_rates(&self, context: &Context<'_>) {
        let today = context.inputs.today();
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

fn report(fault: Fault, amount: &At<Money>, unit: Unit, context: &Context<'_>) {
    let currency = &amount.value.currency;
    let (message, hint) = match fault {
        Fault::NoRate => {
            let example = format!("[exchange] {currency} = {{ usd = \"…\", as_of = \"…\" }}");
            let hint = format!("add what one {currency} buys to the configuration: {example}");
            (format!("no exchange rate is known for `{currency}`"), Some(hint))
        }
        Fault::TooLarge => ("this amount is too large".to_owned(), None),
        Fault::TooSmall => {
            let least = unit.smallest();
            (format!("this amount is less than {least}: it would round to nothing and count as free"), None)
        }
    };
    let diagnostic = Diagnostic::error(&amount.place, message);
    context.report.push(match hint {
        Some(hint) => diagnostic.hint(hint),
        None => diagnostic,
    });
}
