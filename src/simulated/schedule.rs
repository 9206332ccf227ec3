//! What goes wrong when, and which prices change when: a function of the time since the provider began.
//!
//! Spells are tried in order and the first that applies wins, so that a rare fault can be put in front of a lasting
//! one. A probability is drawn per request, from the request's own generator.

use std::str::FromStr;
use std::time::Duration;

use rand::{Rng, RngExt};

use crate::engine::Price;
use crate::simulated::{Fault, ParseFaultError, parse_duration};
use crate::units::Share;

/// A fault with the time it lasts and how often it strikes.
#[derive(Clone, Debug, PartialEq)]
pub struct Spell {
    /// From this time on …
    pub from: Duration,
    /// … until just before this.
    pub until: Duration,
    /// What happens.
    pub fault: Fault,
    /// The share of requests that it happens to.
    pub probability: Share,
}

impl Spell {
    /// A fault for every request, for ever.
    pub const fn always(fault: Fault) -> Self {
        Self { from: Duration::ZERO, until: Duration::MAX, fault, probability: Share(1.0) }
    }

    /// The same in a span of time only.
    #[must_use]
    pub fn between(self, from: Duration, until: Duration) -> Self {
        Self { from, until, ..self }
    }

    /// The same for a share of the requests only.
    #[must_use]
    pub fn for_share(self, probability: Share) -> Self {
        Self { probability, ..self }
    }

    fn covers(&self, elapsed: Duration) -> bool {
        (self.from..self.until).contains(&elapsed)
    }
}

/// `FAULT[%PROBABILITY][@FROM-UNTIL]`: `status:503%0.1@10s-20s`.
impl FromStr for Spell {
    type Err = ParseFaultError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (rest, span) = text.split_once('@').map_or((text, None), |(rest, span)| (rest, Some(span)));
        let (fault, odds) = rest.split_once('%').map_or((rest, None), |(fault, odds)| (fault, Some(odds)));
        let mut spell = Self::always(fault.parse()?);
        if let Some(odds) = odds {
            let probability = odds.parse().ok().filter(|share| (0.0..=1.0).contains(share));
            spell.probability = Share(probability.ok_or_else(|| ParseFaultError::BadProbability(odds.to_owned()))?);
        }
        if let Some(span) = span {
            let (from, until) = span.split_once('-').ok_or_else(|| ParseFaultError::BadSpan(span.to_owned()))?;
            spell = spell.between(parse_duration(from)?, parse_duration(until)?);
        }
        Ok(spell)
    }
}

/// A model's new price from some time on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceChange {
    /// When.
    pub at: Duration,
    /// Which model.
    pub model: String,
    /// What it costs from then on.
    pub price: Price,
}

/// What goes wrong when, and which prices change when.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schedule {
    /// Faults; the first that applies wins.
    pub spells: Vec<Spell>,
    /// Price changes, in order of time.
    pub prices: Vec<PriceChange>,
}

impl Schedule {
    /// What happens to a request that comes `elapsed` after the start.
    pub fn fault(&self, elapsed: Duration, rng: &mut impl Rng) -> Option<&Fault> {
        self.spells
            .iter()
            .filter(|spell| spell.covers(elapsed))
            .find(|spell| spell.probability.0 >= 1.0 || rng.random::<f64>() < spell.probability.0)
            .map(|spell| &spell.fault)
    }

    /// Whether a connection that comes `elapsed` after the start is closed at once, whatever it would ask.
    pub fn is_out(&self, elapsed: Duration) -> bool {
        let certain = self.spells.iter().find(|spell| spell.covers(elapsed) && spell.probability.0 >= 1.0);
        certain.is_some_and(|spell| spell.fault == Fault::Outage)
    }

    /// The same, everything `by` later.
    #[must_use]
    pub fn delayed(&self, by: Duration) -> Self {
        let mut later = self.clone();
        for spell in &mut later.spells {
            spell.from = spell.from.saturating_add(by);
            spell.until = spell.until.saturating_add(by);
        }
        for change in &mut later.prices {
            change.at = change.at.saturating_add(by);
        }
        later
    }

    /// The price that `model` has changed to by `elapsed`, if it has.
    pub fn price(&self, model: &str, elapsed: Duration) -> Option<&Price> {
        self.prices
            .iter()
            .rev()
            .find(|change| change.model == model && change.at <= elapsed)
            .map(|change| &change.price)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::seeded;
    use crate::units::PricePerMtok;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_spell_begins_at_its_time_and_ends_just_before_its_end() {
        let schedule = Schedule { spells: vec!["outage@1s-2s".parse().unwrap()], ..Schedule::default() };
        let mut rng = seeded(1);
        assert_eq!(schedule.fault(Duration::from_millis(999), &mut rng), None);
        assert_eq!(schedule.fault(SECOND, &mut rng), Some(&Fault::Outage));
        assert_eq!(schedule.fault(2 * SECOND, &mut rng), None);
        assert!(schedule.is_out(SECOND) && !schedule.is_out(2 * SECOND));
    }

    #[test]
    fn a_rare_fault_in_front_of_a_lasting_one_strikes_its_share() {
        let spells = vec!["reset%0.25".parse().unwrap(), "slow:2".parse().unwrap()];
        let schedule = Schedule { spells, ..Schedule::default() };
        let mut rng = seeded(3);
        let resets = (0..1_000).filter(|_| schedule.fault(SECOND, &mut rng) == Some(&Fault::Reset)).count();
        assert!((200..300).contains(&resets), "{resets} of 1000");
    }

    #[test]
    fn the_latest_price_change_that_has_come_holds() {
        let priced = |dollars: u64| Price::new(PricePerMtok(dollars * 1_000_000), PricePerMtok(0));
        let change = |secs, dollars| PriceChange { at: secs * SECOND, model: "m".to_owned(), price: priced(dollars) };
        let schedule = Schedule { prices: vec![change(1, 5), change(3, 2)], ..Schedule::default() };
        assert_eq!(schedule.price("m", Duration::ZERO), None);
        assert_eq!(schedule.price("m", 2 * SECOND), Some(&priced(5)));
        assert_eq!(schedule.price("m", 3 * SECOND), Some(&priced(2)));
        assert_eq!(schedule.price("other", 3 * SECOND), None);
    }

    #[test]
    fn a_delayed_schedule_does_everything_later_and_nothing_else() {
        let change = PriceChange { at: SECOND, model: "m".to_owned(), price: Price::default() };
        let schedule = Schedule { spells: vec!["outage@1s-2s".parse().unwrap()], prices: vec![change] };
        let later = schedule.delayed(2 * SECOND);
        assert!(!later.is_out(SECOND) && later.is_out(3 * SECOND) && !later.is_out(4 * SECOND));
        assert_eq!((later.price("m", 2 * SECOND), later.price("m", 3 * SECOND).is_some()), (None, true));
    }

    #[test]
    fn a_malformed_spell_is_refused() {
        for text in ["outage%2", "outage%x", "outage@5s", "outage@a-b", "nothing@1s-2s"] {
            assert!(text.parse::<Spell>().is_err(), "{text:?}");
        }
    }
}
