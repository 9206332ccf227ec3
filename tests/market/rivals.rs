//! How others choose, as their documentation says, with failover and a pause after failures for all of them.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::bound::late;
use super::run::{Buyer, Choice, Ending, PATIENCE, Trouble};
use super::world::{Order, World};

/// Seconds for which whoever failed is left alone.
const COOL_DOWN: f64 = 5.0;

/// How to choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Habit {
    /// The lowest sum of list prices.
    Cheapest,
    /// The better of two at random by a peak-sensitive decayed latency times load (Finagle).
    PeakEwma,
    /// The lowest mean of the last ten latencies per output token.
    LowestLatency,
    /// At random, by the inverse square of the price.
    InverseSquare,
    /// The lowest expected cost by the true means of this moment: what no rule without foresight can know better.
    Informed,
}

pub(crate) struct Rival<'a> {
    habit: Habit,
    world: &'a World,
    cooled: Vec<f64>,
    in_flight: Vec<u32>,
    ewma: Vec<(f64, f64)>,
    recent: Vec<Vec<f64>>,
    rng: StdRng,
    mean_output: f64,
}

impl<'a> Rival<'a> {
    pub(crate) fn new(habit: Habit, world: &'a World) -> Self {
        let sellers = world.sellers.len();
        let outputs: f64 = world.orders.iter().map(|order| order.output).sum();
        Self {
            habit,
            world,
            cooled: vec![f64::NEG_INFINITY; sellers],
            in_flight: vec![0; sellers],
            ewma: vec![(0.0, 0.0); sellers],
            recent: vec![Vec::new(); sellers],
            rng: StdRng::seed_from_u64(world.seed),
            mean_output: outputs / world.orders.len() as f64,
        }
    }

    /// What LiteLLM compares: one input and one output token.
    fn list_price(&self, seller: usize, now: f64) -> f64 {
        let rates = self.world.sellers[seller].rates(now);
        rates.input + rates.output
    }

    fn load(&self, seller: usize, now: f64) -> f64 {
        let (mean, at) = self.ewma[seller];
        mean * (-(now - at) / 10.0).exp() * f64::from(self.in_flight[seller] + 1)
    }

    fn expected_cost(&self, seller: usize, order: &Order, now: f64) -> f64 {
        let (world, is) = (self.world, &self.world.sellers[seller]);
        let output = order.max_output.map_or(self.mean_output, |most| self.mean_output.min(0.7 * most));
        let (first, pace) = is.speed(now, order.prompt, f64::from(self.in_flight[seller]));
        let late = late(first, is.sigma, world.worth.target - (now - order.at));
        is.rates(now).bill(order.prompt, 0.0, output)
            + world.worth.second * (first + output * pace)
            + world.worth.late * if late.is_nan() { 1.0 } else { late }
            + world.worth.failure * is.cut
    }

    fn pick(&mut self, able: &[usize], order: &Order, now: f64) -> Option<usize> {
        let least = |score: &dyn Fn(usize) -> f64| able.iter().copied().min_by(|a, b| score(*a).total_cmp(&score(*b)));
        match self.habit {
            Habit::Cheapest => least(&|seller| self.list_price(seller, now)),
            Habit::LowestLatency => least(&|seller| {
                let recent = &self.recent[seller];
                if recent.is_empty() { 0.0 } else { recent.iter().sum::<f64>() / recent.len() as f64 }
            }),
            Habit::Informed => least(&|seller| self.expected_cost(seller, order, now)),
            Habit::PeakEwma => {
                let two: Vec<_> =
                    (0..2).filter_map(|_| able.get(self.rng.random_range(0..able.len().max(1)))).collect();
                two.into_iter().copied().min_by(|a, b| self.load(*a, now).total_cmp(&self.load(*b, now)))
            }
            Habit::InverseSquare => {
                let draw: f64 = self.rng.random_range(0.0..1.0);
                let weight = |seller: usize| self.list_price(seller, now).max(0.01).powi(-2);
                let mut left = draw * able.iter().map(|seller| weight(*seller)).sum::<f64>();
                able.iter().copied().find(|seller| {
                    left -= weight(*seller);
                    left <= 0.0
                })
            }
        }
    }
}

impl Buyer for Rival<'_> {
    fn choose(&mut self, order: &Order, tried: &[usize], now: f64) -> Option<Choice> {
        let fresh = |seller: &usize| !tried.contains(seller);
        let usable = |seller: &usize| match self.habit {
            Habit::Informed => self.world.sellers[*seller].is_up(now),
            Habit::Cheapest | Habit::PeakEwma | Habit::LowestLatency | Habit::InverseSquare => {
                self.cooled[*seller] <= now
            }
        };
        let all = 0..self.world.sellers.len();
        let mut able: Vec<usize> = all.clone().filter(fresh).filter(usable).collect();
        if able.is_empty() {
            able = all.filter(fresh).collect();
        }
        let seller = self.pick(&able, order, now)?;
        Some(Choice { seller, patience: PATIENCE })
    }

    fn sent(&mut self, _order: &Order, _call: usize, seller: usize, _now: f64) {
        self.in_flight[seller] += 1;
    }

    fn ended(&mut self, order: &Order, ending: &Ending, now: f64) {
        let seller = ending.seller;
        self.in_flight[seller] -= 1;
        match ending.trouble {
            None => {
                let first = ending.first;
                let (mean, at) = self.ewma[seller];
                let keep = (-(now - at) / 10.0).exp();
                self.ewma[seller] = (if first > mean { first } else { mean * keep + first * (1.0 - keep) }, now);
                let recent = &mut self.recent[seller];
                recent.push((now - ending.sent) / order.output.max(1.0));
                if recent.len() > 10 {
                    recent.remove(0);
                }
            }
            Some(Trouble::RateLimited | Trouble::Down | Trouble::Blocked | Trouble::Timeout | Trouble::Cut) => {
                self.cooled[seller] = now + COOL_DOWN;
                self.ewma[seller] = (self.ewma[seller].0.max(now - ending.sent), now);
            }
        }
    }
}
