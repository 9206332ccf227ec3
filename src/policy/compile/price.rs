//! A model's price: what the user says, part by part over what the catalogue says, in dollars.

use std::sync::Arc;

use crate::engine;
use crate::policy::diagnostic::Diagnostic;
use crate::policy::fields::Spoiled;
use crate::policy::raw::models::{Model, Price, Tier};
use crate::units::PicoUsd;

use super::Context;
use super::exchange::Exchange;

/// The price of a model of which the catalogue says `listed`, and the user `own`; `None` if neither says one.
///
/// Parts are taken one by one, so a new input price keeps the listed tiers for long prompts: the dearer reading.
/// `tiers = []` removes them.
pub(super) fn compile(
    own: Option<&Model>,
    listed: Option<&Model>,
    exchange: &Exchange,
    context: &Context<'_>,
) -> Option<Arc<engine::Price>> {
    let (own_price, listed_price) = (own.map(|model| &model.price), listed.map(|model| &model.price));
    let part = |pick: fn(&Price) -> Option<&crate::policy::source::At<crate::policy::money::Money>>| {
        own_price.and_then(pick).or_else(|| listed_price.and_then(pick))
    };
    // Every part is converted before any is judged, so that all mistakes come at once.
    let price = |amount| exchange.price(amount, context);
    let input = part(|price| price.input.as_ref()).map(price);
    let output = part(|price| price.output.as_ref()).map(price);
    let cached_input = part(|price| price.cached_input.as_ref()).map(price);
    let reasoning = part(|price| price.reasoning.as_ref()).map(price);
    let request = part(|price| price.request.as_ref()).map(|amount| exchange.amount(amount, context));
    let tiers = own.and_then(|model| model.tiers.as_ref()).or_else(|| listed.and_then(|model| model.tiers.as_ref()));
    let tiers = tiers.map(|tiers| compile_tiers(tiers, exchange, context));
    let (Some(input), Some(output)) = (input, output) else {
        report_missing(own, (input.is_some(), output.is_some()), context);
        return None;
    };
    Some(Arc::new(engine::Price {
        rates: engine::Rates {
            input: input?,
            output: output?,
            cached_input: present(cached_input)?,
            cache_write: None,
            reasoning: present(reasoning)?,
        },
        request: present(request)?.unwrap_or(PicoUsd::ZERO),
        tiers: present(tiers)?.unwrap_or_default(),
    }))
}

/// `Some(None)` for a part that is not said, `None` for one that is wrong (and has been reported).
#[expect(clippy::option_option, reason = "absent and wrong are two things, and `?` tells them apart")]
fn present<T>(part: Option<Option<T>>) -> Option<Option<T>> {
    part.map_or(Some(None), |value| value.map(Some))
}

fn report_missing(own: Option<&Model>, (has_input, has_output): (bool, bool), context: &Context<'_>) {
    let Some(model) = own.filter(|model| model.price.spoiled == Spoiled::No) else { return };
    let Some(place) = &model.price.place else {
        if let Some(tier) = model.tiers.as_ref().and_then(|tiers| tiers.first()) {
            let message = "`tiers` need a `price` for prompts below the first of them";
            context.report.push(Diagnostic::error(&tier.above_input.place, message));
        }
        return;
    };
    for (there, name) in [(has_input, "input"), (has_output, "output")] {
        if !there {
            let hint = "a price needs both; an embedding model's output is \"0 USD\"";
            context.report.push(Diagnostic::error(place, format!("missing field `{name}`")).hint(hint));
        }
    }
}

fn compile_tiers(tiers: &[Tier], exchange: &Exchange, context: &Context<'_>) -> Option<Vec<engine::PriceTier>> {
    let mut compiled: Vec<engine::PriceTier> = Vec::new();
    let mut complete = true;
    for tier in tiers {
        if compiled.iter().any(|known| known.above_input == Some(tier.above_input.value)) {
            context.report.push(Diagnostic::error(&tier.above_input.place, "two tiers begin at the same length"));
        }
        let input = exchange.price(&tier.input, context);
        let output = exchange.price(&tier.output, context);
        let cached_input = present(tier.cached_input.as_ref().map(|amount| exchange.price(amount, context)));
        match (input, output, cached_input) {
            (Some(input), Some(output), Some(cached_input)) => {
                let above_input = tier.above_input.value;
                let rates = engine::Rates { cached_input, ..engine::Rates::new(input, output) };
                let above_input = Some(above_input);
                compiled.push(engine::PriceTier { above_input, rates, ..engine::PriceTier::default() });
            }
            (None, _, _) | (_, None, _) | (_, _, None) => complete = false,
        }
    }
    compiled.sort_by_key(|tier| tier.above_input);
    complete.then_some(compiled)
}
