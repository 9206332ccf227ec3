//! Whether a feed's price counts, beside what the catalogue lists.

use jiff::Timestamp;

use super::Quote;
use crate::policy::feed::Feed;
use crate::policy::money::Money;
use crate::policy::tariff::{Quote as Said, Tariff, TariffTier};

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

    /// The same now, or the same but for an exchange rate. Then the list is the better account: it knows the currency of
    /// the bill, holidays, and what is to come.
    fn agree(&self, listed: &Tariff, latest: &Tariff) -> bool {
        let bound = if currency(listed) == currency(latest) { 0 } else { CONVERSION };
        self.apart(listed, latest) <= limit(bound)
    }

    fn apart(&self, old: &Tariff, new: &Tariff) -> f64 {
        match (old.quote(self.now), new.quote(self.now)) {
            (Some(old), Some(new)) => apart(&old, &new, self.rate),
            (_, _) => f64::INFINITY,
        }
    }

    /// Dollars for a million tokens in and a million out, now.
    fn sum(&self, tariff: &Tariff) -> f64 {
        tariff.quote(self.now).map_or(f64::INFINITY, |quote| {
            let part = |money: &Money| dollars(money, &quote, self.rate).unwrap_or(f64::INFINITY);
            part(&quote.rates.input) + part(&quote.rates.output)
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

/// What is not in a feed's format, or was announced for later, stays as listed.
fn keep(tariff: &Tariff, listed: Option<&Tariff>) -> Tariff {
    let Some(listed) = listed else { return tariff.clone() };
    let said_on = tariff.origin.as_of;
    let later = |from: Timestamp| said_on.is_none_or(|day| jiff::tz::TimeZone::UTC.to_datetime(from).date() > day);
    let mut dated = tariff.dated.clone();
    dated.extend(listed.dated.iter().filter(|change| later(change.from)).cloned());
    dated.sort_by_key(|change| change.from);
    dated.dedup_by_key(|change| change.from);
    Tariff { request: tariff.request.clone().or_else(|| listed.request.clone()), dated, ..tariff.clone() }
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

/// The larger of the factors between two prices, at least 1: of input and output, and of the steps that both have.
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
    let usual = [factor(&old.rates.input, &new.rates.input), factor(&old.rates.output, &new.rates.output)];
    let condition = |tier: &TariffTier| (tier.above_input, tier.above_output, tier.thinking);
    let steps = new.tiers.iter().filter_map(|tier| {
        let same = old.tiers.iter().find(|known| condition(known) == condition(tier))?;
        Some(factor(&same.rates.input, &tier.rates.input).max(factor(&same.rates.output, &tier.rates.output)))
    });
    usual.into_iter().chain(steps).fold(1.0, f64::max)
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
