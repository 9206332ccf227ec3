//! What is known of a route's shadow: what it may still cost, and how it compares with those who answered.
//!
//! Two answers to one request are compared when both are whole. What the shadow costs without a counterpart is counted
//! as wasted.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

use crate::observe::{ShadowMetrics, ShadowSide, Waste};
use crate::units::{PicoUsd, Tokens, count_to_f64};

/// Calls that may be under way at a time.
const MOST_AT_A_TIME: u64 = 64;
/// Bytes of request bodies that they may hold.
const MOST_BYTES: usize = 64 * 1024 * 1024;
const DAY_SECONDS: u64 = 86_400;

/// A route's shadow, across snapshots.
#[derive(Debug, Default)]
pub struct MirrorCell(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    calls: u64,
    bytes: usize,
    /// Days since 1970.
    day: u64,
    spent: PicoUsd,
    /// What the calls under way are expected to cost.
    reserved: PicoUsd,
    tally: Tally,
}

/// What has come of it since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    /// Requests that it was not sent: it could not have served them, or the bounds were reached.
    pub skipped: u64,
    /// Calls that failed.
    pub failed: u64,
    /// Requests that both have answered.
    pub compared: u64,
    /// Its part of these.
    pub shadow: Sums,
    /// The part of those who answered the clients.
    pub live: Sums,
    /// What it has cost today.
    pub spent_today: PicoUsd,
}

/// Sums over answers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sums {
    /// What they cost.
    pub cost: PicoUsd,
    /// How long they are.
    pub output: Tokens,
    took: f64,
    first_tokens: f64,
    streams: u64,
}

/// One whole answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Half {
    /// What it cost; `None` without a price.
    pub cost: Option<PicoUsd>,
    /// How long it is.
    pub output: Tokens,
    /// From sending the request to the end of the answer.
    pub took: Duration,
    /// To its first token, if it is a stream.
    pub first_token: Option<Duration>,
}

/// What a snapshot has of a shadow.
#[derive(Debug)]
pub struct MirrorSeat {
    /// What is known of it.
    pub cell: Arc<MirrorCell>,
    /// Where its metrics go.
    pub metrics: ShadowMetrics,
}

/// One call's place within the bounds, until it is dropped.
#[derive(Debug)]
pub struct Berth {
    seat: Arc<MirrorSeat>,
    bytes: usize,
    reserved: PicoUsd,
}

/// Two answers to one request, each brought by whoever has it. It is judged when both have let go of it.
#[derive(Debug)]
pub struct Comparison {
    seat: Arc<MirrorSeat>,
    halves: Mutex<[Option<Half>; 2]>,
}

impl MirrorCell {
    /// What has come of it so far.
    pub fn tally(&self, wall: SystemTime) -> Tally {
        let mut state = self.0.lock();
        state.turn(wall);
        Tally { spent_today: state.spent, ..state.tally }
    }
}

impl State {
    /// Begins a new day, if it is one.
    fn turn(&mut self, wall: SystemTime) {
        let day = wall.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / DAY_SECONDS;
        if day != self.day {
            (self.day, self.spent) = (day, PicoUsd::ZERO);
        }
    }
}

impl MirrorSeat {
    /// A place for a call that holds `bytes` and should cost `expected`; `None` if that is more than there may be.
    pub fn berth(
        self: &Arc<Self>,
        bytes: usize,
        expected: PicoUsd,
        max_cost: PicoUsd,
        wall: SystemTime,
    ) -> Option<Berth> {
        let mut state = self.cell.0.lock();
        state.turn(wall);
        let fits = state.calls < MOST_AT_A_TIME
            && state.bytes.saturating_add(bytes) <= MOST_BYTES
            && state.spent + state.reserved + expected <= max_cost;
        if !fits {
            return None;
        }
        state.calls += 1;
        state.bytes += bytes;
        state.reserved += expected;
        Some(Berth { seat: Arc::clone(self), bytes, reserved: expected })
    }

    /// A request is not sent to it.
    pub fn skipped(&self) {
        self.cell.0.lock().tally.skipped += 1;
        self.metrics.record_skipped();
    }
}

impl Berth {
    /// The call has ended, and cost this.
    pub fn settle(self, cost: PicoUsd, failed: bool, wall: SystemTime) {
        let mut state = self.seat.cell.0.lock();
        state.turn(wall);
        state.spent += cost;
        state.tally.failed += u64::from(failed);
    }
}

impl Drop for Berth {
    fn drop(&mut self) {
        let mut state = self.seat.cell.0.lock();
        state.calls -= 1;
        state.bytes -= self.bytes;
        state.reserved = PicoUsd(state.reserved.0.saturating_sub(self.reserved.0));
    }
}

impl Comparison {
    /// A comparison of nothing yet.
    pub fn new(seat: Arc<MirrorSeat>) -> Self {
        Self { seat, halves: Mutex::default() }
    }

    /// Whose comparison it is.
    pub const fn seat(&self) -> &Arc<MirrorSeat> {
        &self.seat
    }

    /// One of the two is whole.
    pub fn answered(&self, side: ShadowSide, half: Half) {
        let [shadow, live] = &mut *self.halves.lock();
        match side {
            ShadowSide::Shadow => *shadow = Some(half),
            ShadowSide::Live => *live = Some(half),
        }
    }
}

impl Drop for Comparison {
    fn drop(&mut self) {
        let (shadow, live) = match *self.halves.lock() {
            [Some(shadow), Some(live)] => (shadow, live),
            [Some(shadow), None] => {
                return self.seat.metrics.add_wasted(Waste::Shadow, shadow.cost.unwrap_or_default());
            }
            [None, Some(_) | None] => return,
        };
        // Two bills can be compared, one cannot.
        let costs = shadow.cost.zip(live.cost).unwrap_or_default();
        let mut state = self.seat.cell.0.lock();
        state.tally.compared += 1;
        state.tally.shadow.add(&shadow, costs.0);
        state.tally.live.add(&live, costs.1);
        drop(state);
        for (side, half, cost) in [(ShadowSide::Shadow, shadow, costs.0), (ShadowSide::Live, live, costs.1)] {
            self.seat.metrics.compare(side, cost, half.output, half.took, half.first_token);
        }
    }
}

impl Sums {
    fn add(&mut self, half: &Half, cost: PicoUsd) {
        self.cost += cost;
        self.output += half.output;
        self.took += half.took.as_secs_f64();
        if let Some(first_token) = half.first_token {
            self.first_tokens += first_token.as_secs_f64();
            self.streams += 1;
        }
    }

    /// The mean time to the first token of the streams among `count` answers, in seconds.
    pub fn first_token(&self) -> Option<f64> {
        (self.streams > 0).then(|| self.first_tokens / count_to_f64(self.streams))
    }

    /// The mean time to the end of `count` answers, in seconds.
    pub fn took(&self, count: u64) -> Option<f64> {
        (count > 0).then(|| self.took / count_to_f64(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::Metrics;

    fn seat() -> (Metrics, Arc<MirrorSeat>) {
        let metrics = Metrics::new().unwrap();
        let handle = metrics.shadow("chat", "zhipu", "glm");
        (metrics, Arc::new(MirrorSeat { cell: Arc::default(), metrics: handle }))
    }

    fn day(number: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(number * DAY_SECONDS + 5)
    }

    fn half(cost: u64) -> Half {
        Half { cost: Some(PicoUsd(cost)), output: Tokens(10), took: Duration::from_secs(2), first_token: None }
    }

    #[test]
    fn a_day_may_cost_so_much_with_what_is_under_way() {
        let (_metrics, seat) = seat();
        let berth = |day| seat.berth(10, PicoUsd(40), PicoUsd(100), day);
        let (first, second) = (berth(day(1)).unwrap(), berth(day(1)).unwrap());
        assert!(berth(day(1)).is_none(), "80 are spoken for");
        first.settle(PicoUsd(5), false, day(1));
        second.settle(PicoUsd(70), true, day(1));
        assert!(berth(day(1)).is_none(), "75 are spent");
        let tally = seat.cell.tally(day(1));
        assert_eq!((tally.spent_today, tally.failed), (PicoUsd(75), 1));
        assert!(berth(day(2)).is_some(), "a new day");
        assert_eq!(seat.cell.tally(day(2)).spent_today, PicoUsd::ZERO);
    }

    #[test]
    fn neither_calls_nor_the_bytes_they_hold_pile_up() {
        let (_metrics, seat) = seat();
        let berth = |bytes| seat.berth(bytes, PicoUsd::ZERO, PicoUsd::DOLLAR, day(1));
        let held = berth(MOST_BYTES).unwrap();
        assert!(berth(1).is_none());
        drop(held);
        let many: Vec<_> = (0..MOST_AT_A_TIME).map(|_| berth(1).unwrap()).collect();
        assert!(berth(0).is_none());
        drop(many);
        assert!(berth(0).is_some());
    }

    #[test]
    fn only_what_both_have_answered_is_compared() {
        let (metrics, seat) = seat();
        for sides in [vec![ShadowSide::Live, ShadowSide::Shadow], vec![ShadowSide::Shadow], vec![ShadowSide::Live]] {
            let comparison = Comparison::new(Arc::clone(&seat));
            for side in sides {
                comparison.answered(side, half(if side == ShadowSide::Live { 3_000_000 } else { 1_000_000 }));
            }
        }
        let tally = seat.cell.tally(day(1));
        assert_eq!(tally.compared, 1);
        assert_eq!((tally.shadow.cost, tally.live.cost), (PicoUsd(1_000_000), PicoUsd(3_000_000)));
        assert_eq!((tally.live.took(1), tally.live.first_token()), (Some(2.0), None));
        let text = metrics.render().unwrap();
        assert!(text.contains("faregate_wasted_cost_usd_total{reason=\"shadow\"} 0.000001"), "{text}");
        let live =
            "faregate_shadow_cost_usd_total{model=\"glm\",route=\"chat\",side=\"live\",upstream=\"zhipu\"} 0.000003";
        assert!(text.contains(live), "{text}");
    }
}
