//! From what files say of a price to a [`Tariff`]: part by part over the catalogue, every amount checked at its place.
//!
//! A tariff keeps no places, so whatever can be wrong with an amount is found here, under every factor that it may meet.

use jiff::tz::TimeZoneDatabase;

use crate::policy::book::Address;
use crate::policy::decimal::Decimal;
use crate::policy::diagnostic::Diagnostic;
use crate::policy::fields::Spoiled;
use crate::policy::money::Money;
use crate::policy::raw::models::Model;
use crate::policy::raw::prices::{self as raw, Price};
use crate::policy::source::{At, Place};
use crate::policy::tariff::{Dated, Effect, PriceOrigin, Tariff, TariffRates, TariffTier, Window};
use crate::policy::window::Hours;

use super::Context;
use super::exchange::{Exchange, Unit};

/// What the user says of a model, and what the catalogue does.
#[derive(Clone, Copy)]
pub(super) struct Said<'m> {
    pub(super) own: Option<&'m Model>,
    pub(super) listed: Option<&'m Model>,
    /// What the upstream's bill is multiplied with.
    pub(super) price_times: Decimal,
    /// By what feeds know it.
    pub(super) address: Address<'m>,
}

impl<'m> Said<'m> {
    /// The user's word, or else the catalogue's.
    fn pick<T>(self, of: impl Fn(&'m Model) -> Option<T>) -> Option<T> {
        self.own.and_then(&of).or_else(|| self.listed.and_then(&of))
    }

    fn part(self, of: impl Fn(&'m Price) -> Option<&'m At<Money>>) -> Option<&'m At<Money>> {
        self.pick(|model| of(&model.price))
    }

    /// The user's word on what comes; the catalogue's only where the user says no price, which it would replace.
    fn coming<T>(self, of: impl Fn(&'m Model) -> Option<T>) -> Option<T> {
        let priced = self.own.is_some_and(|own| own.price.place.is_some());
        Self { listed: self.listed.filter(|_| !priced), ..self }.pick(of)
    }

    /// Whoever says any part of the price vouches for it.
    fn origin(self) -> PriceOrigin {
        let listed = self.listed.filter(|_| !self.is_own());
        listed.and_then(|model| model.origin.clone()).unwrap_or_else(PriceOrigin::configuration)
    }

    /// Whether the user says any part of the price.
    pub(super) fn is_own(self) -> bool {
        self.own.is_some_and(|model| {
            model.price.place.is_some() || model.tiers.is_some() || model.windows.is_some() || model.dated.is_some()
        })
    }
}

/// The tariff of a price list's row. Whether its currencies are known is not asked: a list is not a configuration, and
/// what cannot be converted stays unknown.
pub(crate) fn of_row(row: &Model, context: &Context<'_>) -> Option<Tariff> {
    let address = Address { upstream: "", provider: None, aliases: &[], id: "" };
    let said = Said { own: Some(row), listed: None, price_times: Decimal::ONE, address };
    parts(said, &Checker { factors: Vec::new(), exchange: None, context })
}

/// The tariff; `None` where no price is said, or a wrong one.
///
/// Parts are taken one by one, so a new input price keeps the listed tiers and windows: the dearer reading. `tiers = []`
/// and `windows = []` remove them. What the catalogue announces is dropped with the price that it would replace.
pub(super) fn compile(said: Said<'_>, exchange: &Exchange, context: &Context<'_>) -> Option<Tariff> {
    let windows = said.pick(|model| model.windows.as_deref()).unwrap_or_default();
    parts(said, &Checker { factors: factors(windows, said.price_times), exchange: Some(exchange), context })
}

fn parts(said: Said<'_>, checker: &Checker<'_>) -> Option<Tariff> {
    // Every part is checked before any is judged, so that all mistakes come at once.
    let part = |of: fn(&Price) -> Option<&At<Money>>| said.part(of).map(|amount| checker.rate(amount));
    let (input, output) = (part(|price| price.input.as_ref()), part(|price| price.output.as_ref()));
    let cached_input = part(|price| price.cached_input.as_ref());
    let cache_write = part(|price| price.cache_write.as_ref());
    let reasoning = part(|price| price.reasoning.as_ref());
    let request = said.part(|price| price.request.as_ref()).map(|amount| checker.fee(amount));
    let tiers = checker.tiers(said.pick(|model| model.tiers.as_deref()).unwrap_or_default());
    let windows = checker.windows(said.pick(|model| model.windows.as_deref()).unwrap_or_default());
    let dated = checker.dated(said.coming(|model| model.dated.as_deref()).unwrap_or_default());
    let (Some(input), Some(output)) = (&input, &output) else {
        report_missing(said.own, (input.is_some(), output.is_some()), checker.context);
        return None;
    };
    let rates = TariffRates { input: input.clone(), output: output.clone(), cached_input, cache_write, reasoning };
    let until = said.coming(|model| model.until);
    Some(Tariff { rates, request, tiers, windows, dated, until, origin: said.origin() })
}

fn factors(windows: &[raw::Window], price_times: Decimal) -> Vec<[Decimal; 2]> {
    let times = windows.iter().filter_map(|window| match &window.effect {
        raw::Effect::Times(times) => Some(times.value),
        raw::Effect::Rates(_) => None,
    });
    std::iter::once(Decimal::ONE).chain(times).map(|times| [times, price_times]).collect()
}

fn report_missing(own: Option<&Model>, (has_input, has_output): (bool, bool), context: &Context<'_>) {
    let Some(model) = own.filter(|model| model.price.spoiled == Spoiled::No) else { return };
    let Some(place) = &model.price.place else {
        let tier = model.tiers.iter().flatten().map(|tier| ("tiers", &tier.place)).next();
        let window = model.windows.iter().flatten().map(|window| ("windows", &window.zone.place)).next();
        let dated = model.dated.iter().flatten().map(|dated| ("dated", &dated.from.place)).next();
        if let Some((name, place)) = tier.or(window).or(dated) {
            let message = format!("`{name}` need a `price` for all other requests");
            context.report.push(Diagnostic::error(place, message));
        }
        return;
    };
    for (there, name) in [(has_input, "input"), (has_output, "output")] {
        if !there {
            let hint = "a price needs both; an embedding model's output is \"0 USD\"";
            context
                .report
                .push(Diagnostic::error(place, format!("missing field `{name}`{}", place.inside())).hint(hint));
        }
    }
}

struct Checker<'a> {
    /// Whatever an amount may be multiplied with.
    factors: Vec<[Decimal; 2]>,
    /// What amounts are converted with, where that is known already.
    exchange: Option<&'a Exchange>,
    context: &'a Context<'a>,
}

impl Checker<'_> {
    fn error(&self, place: &Place, message: impl Into<String>, hint: &str) {
        self.context.report.push(Diagnostic::error(place, message).hint(hint));
    }

    fn rate(&self, amount: &At<Money>) -> Money {
        self.check(amount, Unit::PerMtok)
    }

    fn fee(&self, amount: &At<Money>) -> Money {
        self.check(amount, Unit::Amount)
    }

    fn check(&self, amount: &At<Money>, unit: Unit) -> Money {
        if let Some(exchange) = self.exchange {
            exchange.check(amount, unit, &self.factors, self.context);
        }
        amount.value.clone()
    }

    fn rates(&self, raw: &raw::Rates) -> TariffRates {
        let part = |amount: &Option<At<Money>>| amount.as_ref().map(|amount| self.rate(amount));
        TariffRates {
            input: self.rate(&raw.input),
            cached_input: part(&raw.cached_input),
            cache_write: part(&raw.cache_write),
            output: self.rate(&raw.output),
            reasoning: part(&raw.reasoning),
        }
    }

    /// As written, so that the writer says which of several counts; steps by prompt length alone mean the same in any
    /// order, and are put in theirs. Of two with the same conditions nobody could say which.
    fn tiers(&self, raw: &[raw::Tier]) -> Vec<TariffTier> {
        let mut tiers: Vec<TariffTier> = Vec::new();
        for tier in raw {
            let (above_input, above_output, thinking) = (tier.above_input, tier.above_output, tier.thinking);
            let same = |one: &TariffTier| {
                (one.above_input, one.above_output, one.thinking) == (above_input, above_output, thinking)
            };
            if tiers.iter().any(same) {
                self.error(&tier.place, "two tiers have the same conditions", "leave one of them out");
            }
            tiers.push(TariffTier { above_input, above_output, thinking, rates: self.rates(&tier.rates) });
        }
        let by_length = tiers.iter().all(|tier| tier.above_output.is_none() && tier.thinking.is_none());
        if by_length {
            tiers.sort_by_key(|tier| tier.above_input);
        }
        tiers
    }

    fn windows(&self, raw: &[raw::Window]) -> Vec<Window> {
        let window = |window: &raw::Window| {
            let effect = match &window.effect {
                raw::Effect::Times(times) => Effect::Times(times.value),
                raw::Effect::Rates(rates) => Effect::Rates(Box::new(self.rates(rates))),
            };
            let zone = TimeZoneDatabase::bundled().get(&window.zone.value).map_err(|_| {
                let hint = "write a name of the time zone database, such as \"Asia/Shanghai\" or \"UTC\"";
                self.error(&window.zone.place, format!("there is no time zone `{}`", window.zone.value), hint);
            });
            let except =
                window.except.as_ref().map_or(Some(Vec::new()), |name| self.context.calendars.days(name, self.context));
            let hours =
                Hours { zone: zone.ok()?, days: window.days, from: window.from, to: window.to, except: except? };
            Some(Window { hours, effect })
        };
        raw.iter().filter_map(window).collect()
    }

    fn dated(&self, raw: &[raw::Dated]) -> Vec<Dated> {
        let mut dated: Vec<Dated> = Vec::new();
        for change in raw {
            if dated.iter().any(|known| known.from == change.from.value) {
                self.error(&change.from.place, "two changes begin at the same instant", "leave one of them out");
            }
            let (rates, tiers) = (self.rates(&change.rates), self.tiers(&change.tiers));
            dated.push(Dated { from: change.from.value, rates, tiers });
        }
        dated
    }
}
