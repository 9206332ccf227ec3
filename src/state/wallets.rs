//! What is left in prepaid accounts, as the provider told it last, less what was spent since.

use std::time::Duration;

use parking_lot::Mutex;

use crate::units::{Dollars, PicoUsd, Timestamp};

/// Seconds over which spending is averaged, to know what is under way.
const PACE_MEMORY: f64 = 60.0;
/// The same, to say how long the money lasts.
const LONG_MEMORY: f64 = 12.0 * 3_600.0;
/// So many seconds of spending are kept in hand: calls in flight are billed when they end.
const RESERVE: f64 = 20.0;
/// What was told so long ago is not believed any more: nobody is shut out for a look-up that fails.
const BELIEVED: Duration = Duration::from_mins(30);

/// One account's wallet.
#[derive(Debug, Default)]
pub struct WalletCell(Mutex<Wallet>);

#[derive(Clone, Copy, Debug, Default)]
struct Wallet {
    told: Option<(Dollars, Timestamp)>,
    spent_since: f64,
    /// Dollars a second, of late and over the day.
    pace: f64,
    long_pace: f64,
    since: Option<Timestamp>,
    at: Timestamp,
}

/// What is known of a wallet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WalletReading {
    /// What is left.
    pub left: Dollars,
    /// How long that lasts at the pace of the day; `None` while nothing is spent.
    pub lasts: Option<Duration>,
    /// Whether it is so nearly empty that calls would be refused.
    pub is_empty: bool,
}

impl WalletCell {
    /// The provider says what is left.
    pub fn told(&self, left: Dollars, now: Timestamp) {
        let mut wallet = self.0.lock();
        wallet.told = Some((left, now));
        wallet.spent_since = 0.0;
    }

    /// A call was billed.
    pub fn paid(&self, bill: PicoUsd, now: Timestamp) {
        let dollars = bill.as_dollars().0;
        let mut wallet = self.0.lock();
        wallet.fade_to(now);
        wallet.spent_since += dollars;
        wallet.pace += dollars / PACE_MEMORY;
        wallet.long_pace += dollars / LONG_MEMORY;
    }

    /// What is known; `None` if the provider has not said it of late.
    pub fn read(&self, now: Timestamp) -> Option<WalletReading> {
        let mut wallet = *self.0.lock();
        wallet.fade_to(now);
        let (told, _) = wallet.told.filter(|(_, at)| now.since(*at) <= BELIEVED)?;
        let left = told.0 - wallet.spent_since;
        // A decayed mean that has not run for long knows only that part of its span.
        let age = wallet.since.map_or(0.0, |since| now.since(since).as_secs_f64());
        let known = 1.0 - (-age / LONG_MEMORY).exp();
        let a_second = if known > 0.0 { wallet.long_pace / known } else { 0.0 };
        let lasts = (a_second > 0.0).then(|| crate::units::seconds((left / a_second).max(0.0)));
        Some(WalletReading { left: Dollars(left), lasts, is_empty: left <= RESERVE * wallet.pace })
    }
}

impl Wallet {
    fn fade_to(&mut self, now: Timestamp) {
        let span = now.since(self.at).as_secs_f64();
        self.pace *= (-span / PACE_MEMORY).exp();
        self.long_pace *= (-span / LONG_MEMORY).exp();
        self.since.get_or_insert(now);
        self.at = self.at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::START + Duration::from_secs(seconds)
    }

    fn cents(count: u64) -> PicoUsd {
        PicoUsd(count * 10_000_000_000)
    }

    #[test]
    fn what_is_spent_comes_off_what_was_told() {
        let cell = WalletCell::default();
        assert_eq!(cell.read(at(1)), None, "nobody said anything");
        cell.told(Dollars(5.0), at(1));
        cell.paid(cents(150), at(2));
        assert!((cell.read(at(2)).unwrap().left.0 - 3.5).abs() < 1e-9);
        cell.told(Dollars(3.4), at(3));
        assert!((cell.read(at(3)).unwrap().left.0 - 3.4).abs() < 1e-9);
        assert_eq!(cell.read(at(3) + BELIEVED + Duration::from_secs(1)), None, "too long ago");
    }

    #[test]
    fn it_is_empty_before_the_last_calls_have_been_billed() {
        let cell = WalletCell::default();
        cell.told(Dollars(3.0), at(0));
        for second in 0..200 {
            assert!(!cell.read(at(second)).unwrap().is_empty, "{second}");
            cell.paid(cents(1), at(second));
        }
        for second in 200..285 {
            cell.paid(cents(1), at(second));
        }
        // A cent a second: twenty cents are under way.
        let last = cell.read(at(285)).unwrap();
        assert!(last.is_empty && last.left.0 > 0.14, "{last:?}");
    }

    #[test]
    fn how_long_it_lasts_is_known_soon() {
        let cell = WalletCell::default();
        cell.told(Dollars(864.0), at(0));
        for second in 0..600 {
            cell.paid(cents(1), at(second));
        }
        let days = cell.read(at(600)).unwrap().lasts.unwrap().as_secs_f64() / 86_400.0;
        assert!((days - 0.99).abs() < 0.05, "{days}");
    }

    #[test]
    fn a_debt_is_empty() {
        let cell = WalletCell::default();
        cell.told(Dollars(-0.5), at(0));
        assert!(cell.read(at(1)).unwrap().is_empty);
    }
}
