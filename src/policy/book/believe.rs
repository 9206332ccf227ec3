//! Whether a feed's price counts, beside what the catalogue lists.

use jiff::Timestamp;

use super::Quote;
use crate::policy::feed::Feed;
use crate::policy::money::Money;
use crate::policy::tariff::{Quote as Said, Tariff, TariffRates, TariffTier};

/// A list in another currency is a conversion at a rate that nobody states; within this, in thousandths, it says what
/// the list in the bill's own currency says.
const CONVERSION: u32 = 100;

/// Dollars per unit of a currency, where known.
type Rate<'a> = &'a dyn Fn(&str) -> Option<f64>;

/// Judges feeds at a moment.
#[derive(Clone, Copy)]
pub(crate) struct Judge<'a> {
    /// The moment: prices are compared as they are then.
    pub(crate) now: Timestamp,
    /// For comparing only; nothing is billed by it.
    pub(crate) rate: Rate<'a>,
}

/// What a feed's price comes to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// It counts.
    Counts(Tariff),
    /// It moved too far to be believed at once; until it is said again, the dearer of the two counts.
    Held {
        /// What counts meanwhile.
        meanwhile: Tariff,
        /// What is held.
        doubt: Doubted,
    },
    /// What is listed stays, since the feed says less than the list does.
    Coarser(Doubted),
}

/// What is not believed, and why.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Doubted {
    /// What the feed says at this moment.
    pub(crate) says: String,
    /// Why that does not count.
    pub(crate) why: String,
}

impl Judge<'_> {
    /// What becomes of `quote`, where the catalogue says `listed`.
    pub(crate) fn judge(&self, feed: &Feed, quote: &Quote, listed: Option<&Tariff>) -> Verdict {
        let latest = &quote.latest;
        // A list that has ended says nothing to compare with.
        let listed = listed.filter(|listed| listed.quote(self.now).is_some());
        if let Some(listed) = listed {
            if let Some(why) = lacks(latest, listed) {
                return Verdict::Coarser(self.doubt(latest, why.to_owned()));
            }
            if self.agree(listed, latest) {
                let origin = latest.origin.clone();
                return Verdict::Counts(Tariff { origin, ..listed.clone() });
            }
        }
        let settled = quote.confirmed.as_ref() == Some(latest) || feed.upstream.is_some();
        let known = quote.confirmed.as_ref().or(listed).filter(|_| !settled);
        match known {
            Some(known) if self.apart(known, latest) > limit(feed.max_rise) => {
                let percent = f64::from(feed.max_rise) / 10.0;
                let why = format!("it moved by more than {percent} % at once: held until the feed says so again");
                let meanwhile = if self.sum(known) >= self.sum(latest) { known } else { latest };
                Verdict::Held { meanwhile: keep(meanwhile, listed), doubt: self.doubt(latest, why) }
            }
            Some(_) | None => Verdict::Counts(keep(latest, listed)),
        }
    }

    /// What becomes of a price that the feed has left out, where the catalogue says `listed`: a row that is missing once
    /// may be back, and what is listed may be far from it.
    pub(crate) fn judge_loss(&self, feed: &Feed, known: &Tariff, listed: Option<&Tariff>) -> Option<Verdict> {
        let listed = listed.filter(|listed| listed.quote(self.now).is_some());
        if listed.is_some_and(|listed| self.apart(known, listed) <= limit(feed.max_rise)) {
            return None;
        }
        let meanwhile = listed.filter(|listed| self.sum(listed) > self.sum(known)).unwrap_or(known);
        let why = "it has left the model out: its last price is held until it does so again";
        let doubt = Doubted { says: "nothing any more".to_owned(), why: why.to_owned() };
        Some(Verdict::Held { meanwhile: meanwhile.clone(), doubt })
    }

    /// The same now, or the same but for an exchange rate, and nothing that is not listed. Then the list is the better
    /// account: it knows the currency of the bill, holidays, and what is to come.
    fn agree(&self, listed: &Tariff, latest: &Tariff) -> bool {
        let bound = if currency(listed) == currency(latest) { 0 } else { CONVERSION };
        self.apart(listed, latest) <= limit(bound) && !self.says_more(listed, latest)
    }

    /// Whether `latest` has the price of a part that `listed` has none for.
    fn says_more(&self, listed: &Tariff, latest: &Tariff) -> bool {
        let quotes = listed.quote(self.now).zip(latest.quote(self.now));
        quotes.is_some_and(|(listed, latest)| {
            let mut parts = parts(listed.rates).into_iter().zip(parts(latest.rates));
            parts.any(|(listed, latest)| listed.said.is_none() && latest.said.is_some_and(|said| said != latest.usual))
        })
    }

    fn apart(&self, old: &Tariff, new: &Tariff) -> f64 {
        match (old.quote(self.now), new.quote(self.now)) {
            (Some(old), Some(new)) => apart(&old, &new, self.rate),
            (_, _) => f64::INFINITY,
        }
    }

    /// Dollars for a million tokens of every part, now.
    fn sum(&self, tariff: &Tariff) -> f64 {
        tariff.quote(self.now).map_or(f64::INFINITY, |quote| {
            let dollars = |money: &Money| dollars(money, &quote, self.rate).unwrap_or(f64::INFINITY);
            parts(quote.rates).into_iter().map(|part| dollars(part.said.unwrap_or(part.usual))).sum()
        })
    }

    fn doubt(&self, latest: &Tariff, why: String) -> Doubted {
        let says = latest.quote(self.now).map_or_else(
            || "nothing at this time".to_owned(),
            |quote| {
                let text = |money: &Money| {
                    let amount = money.amount.as_f64() * quote.times.as_f64();
                    format!("{amount} {}", money.currency)
                };
                format!("{} / {}", text(&quote.rates.input), text(&quote.rates.output))
            },
        );
        Doubted { says, why }
    }
}

/// Whether `new` is within `max_rise` of `old` at `now`, in their own currency.
pub(super) fn is_near(old: &Tariff, new: &Tariff, max_rise: u32, now: Timestamp) -> bool {
    // One feed has one currency; if it changed, nothing is known of how far.
    let same = currency(old) == currency(new);
    let judge = Judge { now, rate: &|_| Some(1.0) };
    same && judge.apart(old, new) <= limit(max_rise)
}

fn limit(thousandths: u32) -> f64 {
    1.0 + f64::from(thousandths) / 1000.0 + 1e-9
}

fn currency(tariff: &Tariff) -> &str {
    &tariff.rates.output.currency
}

/// What a feed does not say, or was announced for later, stays as listed.
fn keep(tariff: &Tariff, listed: Option<&Tariff>) -> Tariff {
    let Some(listed) = listed else { return tariff.clone() };
    let mut rates = tariff.rates.clone();
    if currency(tariff) == currency(listed) {
        let fill = |said: &mut Option<Money>, listed: &Option<Money>| *said = said.take().or_else(|| listed.clone());
        fill(&mut rates.cached_input, &listed.rates.cached_input);
        fill(&mut rates.cache_write, &listed.rates.cache_write);
        fill(&mut rates.reasoning, &listed.rates.reasoning);
    }
    let said_on = tariff.origin.as_of;
    let later = |from: Timestamp| said_on.is_none_or(|day| jiff::tz::TimeZone::UTC.to_datetime(from).date() > day);
    let mut dated = tariff.dated.clone();
    dated.extend(listed.dated.iter().filter(|change| later(change.from)).cloned());
    dated.sort_by_key(|change| change.from);
    dated.dedup_by_key(|change| change.from);
    Tariff { rates, request: tariff.request.clone().or_else(|| listed.request.clone()), dated, ..tariff.clone() }
}

/// Whether a step has a condition of some kind, and what to say of a list that has none such.
type Condition = (fn(&TariffTier) -> bool, &'static str);

/// A kind of condition that the list knows and the feed's row does not: such a row has been flattened, to one of the
/// prices that it had.
fn lacks(row: &Tariff, listed: &Tariff) -> Option<&'static str> {
    let has = |tariff: &Tariff, what: fn(&TariffTier) -> bool| tariff.tiers.iter().any(what);
    let conditions: [Condition; 3] = [
        (|tier| tier.above_input.is_some(), "the catalogue lists prices by the length of the prompt, the feed has one"),
        (
            |tier| tier.above_output.is_some(),
            "the catalogue lists prices by the length of the answer, the feed has one",
        ),
        (|tier| tier.thinking.is_some(), "the catalogue lists prices with and without thinking, the feed has one"),
    ];
    let hours = "the catalogue lists prices by the hour, the feed does not say which hour it means";
    if !listed.windows.is_empty() && row.windows.is_empty() {
        return Some(hours);
    }
    conditions.into_iter().find(|(what, _)| has(listed, *what) && !has(row, *what)).map(|(_, why)| why)
}

/// One part of a price: what it costs if the list says so, and what it costs otherwise.
#[derive(Clone, Copy)]
struct Part<'a> {
    said: Option<&'a Money>,
    usual: &'a Money,
}

/// Input, output, and what may have a price of its own.
fn parts(rates: &TariffRates) -> [Part<'_>; 5] {
    let part = |said: Option<_>, usual| Part { said, usual };
    [
        part(Some(&rates.input), &rates.input),
        part(Some(&rates.output), &rates.output),
        part(rates.cached_input.as_ref(), &rates.input),
        part(rates.cache_write.as_ref(), &rates.input),
        part(rates.reasoning.as_ref(), &rates.output),
    ]
}

/// The largest of the factors between two prices, at least 1: of their parts, and of those of the steps that both have.
fn apart(old: &Said<'_>, new: &Said<'_>, rate: Rate<'_>) -> f64 {
    let factor = |before: &Money, after: &Money| {
        let (Some(before), Some(after)) = (dollars(before, old, rate), dollars(after, new, rate)) else {
            return f64::INFINITY;
        };
        match (before > 0.0, after > 0.0) {
            (false, false) => 1.0,
            (true, true) => (after / before).max(before / after),
            (_, _) => f64::INFINITY,
        }
    };
    // A part that only one of them names has not moved, unless it is dearer with a name than without.
    let moved = |before: Part<'_>, after: Part<'_>| match (before.said, after.said) {
        (Some(before), Some(after)) => factor(before, after),
        (None, Some(named)) if dollars(named, new, rate) > dollars(before.usual, old, rate) => {
            factor(before.usual, named)
        }
        (_, _) => 1.0,
    };
    let all = |old: &TariffRates, new: &TariffRates| {
        parts(old).into_iter().zip(parts(new)).map(|(old, new)| moved(old, new)).fold(1.0, f64::max)
    };
    let condition = |tier: &TariffTier| (tier.above_input, tier.above_output, tier.thinking);
    let steps = new.tiers.iter().filter_map(|tier| {
        let same = old.tiers.iter().find(|known| condition(known) == condition(tier))?;
        Some(all(&same.rates, &tier.rates))
    });
    steps.fold(all(old.rates, new.rates), f64::max)
}

fn dollars(money: &Money, quote: &Said<'_>, rate: Rate<'_>) -> Option<f64> {
    Some(money.amount.as_f64() * quote.times.as_f64() * rate(&money.currency)?)
}

impl Tariff {
    /// Whether it says the same as `other`, whoever says it and when.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        let same_hours = self.windows.len() == other.windows.len()
            && self.windows.iter().zip(&other.windows).all(|(one, two)| one == two);
        (&self.rates, &self.request, &self.tiers, &self.dated, self.until)
            == (&other.rates, &other.request, &other.tiers, &other.dated, other.until)
            && same_hours
    }
}
