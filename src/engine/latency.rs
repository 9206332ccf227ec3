//! How long an endpoint takes, learned from what it did and forgotten at the rate at which it may change.
//!
//! First tokens are regressed on our own concurrency and on the prompt's length, so that a burst or a long prompt is
//! not mistaken for a slower endpoint. Samples fade with time instead of with their number: an endpoint that is not
//! used drifts back to "unknown", which is what makes the decision try it again.

use std::time::Duration;

use crate::units::{Timestamp, Tokens};

/// Seconds in which a sample fades to 1/e.
const MEMORY: f64 = 30.0;
/// The same for how much is asked of it.
const RATE_MEMORY: f64 = 6.0;
/// The same for what is usual.
const LONG_MEMORY: f64 = 600.0;
/// The most samples that are believed at once.
const MAX_WEIGHT: f64 = 16.0;
/// So many standard deviations off is no chance any more, and this much of what was known is kept then.
const SURPRISE: f64 = 2.5;
const KEPT_AFTER_CHANGE: f64 = 0.25;
/// What the pool's best counts as, in samples.
pub(super) const PRIOR_WEIGHT: f64 = 0.5;
/// Below this many samples no slope is believed.
const SLOPE_WEIGHT: f64 = 4.0;
/// Requests², added to the variance of concurrency: a slope needs more than one step of evidence.
const RIDGE_IN_FLIGHT: f64 = 1.0;
/// Tokens², added to the variance of prompt lengths.
const RIDGE_PROMPT: f64 = 250_000.0;
/// The spread of the log that is assumed, and how many samples it is worth.
const PRIOR_LOG_VARIANCE: (f64, f64) = (0.25, 2.0);
/// Seconds to a first token, taken off a plain answer before any stream was seen.
const UNKNOWN_FIRST_TOKEN: f64 = 1.0;

/// What remains of a sample after `span`, with a memory of `memory` seconds.
pub(super) fn fade(span: Duration, memory: f64) -> f64 {
    (-span.as_secs_f64() / memory).exp()
}

/// What remains of samples of this weight where one more would exceed `most`.
pub(super) fn room(weight: f64, most: f64) -> f64 {
    if weight > most - 1.0 { (most - 1.0) / weight } else { 1.0 }
}

/// Decayed sums over one endpoint's answers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Latency {
    first_tokens: Sums,
    pace: Pace,
    crowd: Crowd,
    usual: Usual,
    slow_in_a_row: u32,
    arrivals: f64,
    at: Timestamp,
}

/// What is usual in the long run: what a slow spell may end in.
#[derive(Clone, Copy, Debug, Default)]
struct Usual {
    weight: f64,
    first: f64,
    pace: Pace,
}

/// How many of ours were in flight when calls went out, streams or not.
#[derive(Clone, Copy, Debug, Default)]
struct Crowd {
    weight: f64,
    n: f64,
    nn: f64,
}

/// First-token times `y` against requests in flight `n` and prompt tokens `u`.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    weight: f64,
    y: f64,
    yy: f64,
    n: f64,
    u: f64,
    nn: f64,
    uu: f64,
    nu: f64,
    ny: f64,
    uy: f64,
    log: f64,
    log_log: f64,
}

/// Seconds per output token, each token a sample: one-token answers would make a mean of ratios noise. Regressed on
/// requests in flight `n`.
#[derive(Clone, Copy, Debug, Default)]
struct Pace {
    weight: f64,
    span: f64,
    tokens: f64,
    n: f64,
    nn: f64,
    ny: f64,
    yy: f64,
}

/// The estimates at one moment, in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LatencyReading {
    /// Effective samples of first tokens.
    pub(super) weight: f64,
    /// Mean time to a first token.
    pub(super) mean: f64,
    /// Mean concurrency of ours when they were sent.
    pub(super) mean_in_flight: f64,
    /// Mean prompt length.
    pub(super) mean_prompt: f64,
    /// The concurrency up to which it is known.
    pub(super) known_in_flight: f64,
    /// More seconds per request in flight.
    pub(super) per_in_flight: f64,
    /// More seconds per prompt token.
    pub(super) per_prompt_token: f64,
    /// Standard deviation of the logarithm.
    pub(super) log_spread: f64,
    /// The standard error of `mean`, as a share of it.
    pub(super) relative_error: f64,
    /// Of what is expected, the share that comes from the pool rather than from these samples.
    pub(super) prior_share: f64,
    /// The same for the pace.
    pub(super) pace_prior_share: f64,
    /// Effective samples of the output's pace.
    pub(super) pace_weight: f64,
    /// Seconds per output token.
    pub(super) pace: f64,
    /// More seconds per output token per request in flight.
    pub(super) pace_per_in_flight: f64,
    /// Mean concurrency of ours when those answers were asked for.
    pub(super) pace_in_flight: f64,
    /// First tokens and plain answers a second.
    pub(super) rate: f64,
    /// Seconds to a first token in the long run, if there were any.
    pub(super) usual: Option<f64>,
    /// Seconds per output token in the long run, likewise.
    pub(super) usual_pace: Option<f64>,
}

impl LatencyReading {
    /// As if it were as it usually is.
    pub(super) fn hopeful(self) -> Self {
        Self {
            mean: self.usual.map_or(self.mean, |usual| usual.min(self.mean)),
            pace: self.usual_pace.map_or(self.pace, |usual| usual.min(self.pace)),
            ..self
        }
    }
}

impl Latency {
    /// A stream's first token.
    pub(super) fn first_token(&mut self, after: Duration, in_flight: u32, prompt: Tokens, now: Timestamp) {
        self.fade_to(now);
        self.arrivals += 1.0;
        self.crowd.add(f64::from(in_flight));
        self.notice_change(after.as_secs_f64());
        self.first_tokens.add(after.as_secs_f64(), f64::from(in_flight), prompt.as_f64());
        self.usual.weight += 1.0;
        self.usual.first += after.as_secs_f64();
    }

    /// No first token for `after`, and none will come. It would have taken longer: where that is longer than usual, it is
    /// the least that it says.
    pub(super) fn silent_for(&mut self, after: Duration, in_flight: u32, prompt: Tokens, now: Timestamp) {
        self.fade_to(now);
        let after = after.as_secs_f64();
        if self.first_tokens.weight > 0.0 && after > self.first_tokens.mean() {
            self.notice_change(after);
            self.first_tokens.add(after, f64::from(in_flight), prompt.as_f64());
        }
    }

    /// What does not fit what is known says that something has changed, and that most of what is known is past. One that
    /// takes long may be a straggler; it takes two.
    fn notice_change(&mut self, after: f64) {
        let surprise = self.first_tokens.surprise(after);
        self.slow_in_a_row = if surprise > SURPRISE { self.slow_in_a_row + 1 } else { 0 };
        if surprise < -SURPRISE || self.slow_in_a_row >= 2 {
            self.first_tokens.scale(KEPT_AFTER_CHANGE);
            self.pace.scale(KEPT_AFTER_CHANGE);
        }
    }

    /// The rest of a stream.
    pub(super) fn stream(&mut self, span: Duration, output: Tokens, in_flight: u32, now: Timestamp) {
        self.fade_to(now);
        // The first token is what the span begins with.
        self.pace.add(span.as_secs_f64(), output.saturating_sub(Tokens(1)), in_flight);
        self.usual.pace.sum(span.as_secs_f64(), output.saturating_sub(Tokens(1)), in_flight);
    }

    /// A plain answer: its first byte is its last, so it says nothing about first tokens.
    pub(super) fn plain(&mut self, total: Duration, output: Tokens, in_flight: u32, now: Timestamp) {
        self.fade_to(now);
        self.arrivals += 1.0;
        self.crowd.add(f64::from(in_flight));
        let total = total.as_secs_f64();
        let first = if self.first_tokens.weight > 0.0 { self.first_tokens.mean() } else { UNKNOWN_FIRST_TOKEN };
        self.pace.add(total - first.min(total / 2.0), output, in_flight);
        self.usual.pace.sum(total - first.min(total / 2.0), output, in_flight);
    }

    /// The estimates as of `now`.
    pub(super) fn read(&self, now: Timestamp) -> LatencyReading {
        let mut faded = *self;
        faded.fade_to(now);
        let Self { first_tokens: sums, pace, crowd, usual, arrivals, .. } = faded;
        let log_spread = sums.log_spread();
        // Divisions are made here, once for every look at an endpoint, and not where all are compared.
        let mut reading = LatencyReading {
            relative_error: log_spread / sums.weight.max(1.0).sqrt(),
            prior_share: PRIOR_WEIGHT / (sums.weight + PRIOR_WEIGHT),
            pace_prior_share: PRIOR_WEIGHT / (pace.weight + PRIOR_WEIGHT),
            pace_weight: pace.weight,
            pace: if pace.tokens > 0.0 { pace.span / pace.tokens } else { 0.0 },
            pace_per_in_flight: pace.slope(),
            pace_in_flight: if pace.tokens > 0.0 { pace.n / pace.tokens } else { 0.0 },
            rate: arrivals / RATE_MEMORY,
            usual: (usual.weight > 0.0).then(|| usual.first / usual.weight),
            usual_pace: (usual.pace.tokens > 0.0).then(|| usual.pace.span / usual.pace.tokens),
            known_in_flight: crowd.known(),
            log_spread,
            ..LatencyReading::default()
        };
        if sums.weight > 0.0 {
            sums.fill(&mut reading);
        }
        reading
    }

    fn fade_to(&mut self, now: Timestamp) {
        let share = fade(now.since(self.at), MEMORY);
        self.first_tokens.scale(share);
        self.pace.scale(share);
        self.crowd.scale(share);
        self.usual.scale(fade(now.since(self.at), LONG_MEMORY));
        self.arrivals *= fade(now.since(self.at), RATE_MEMORY);
        self.at = self.at.max(now);
    }
}

impl Sums {
    fn add(&mut self, y: f64, n: f64, u: f64) {
        self.scale(room(self.weight, MAX_WEIGHT));
        let log = y.max(1e-3).ln();
        self.weight += 1.0;
        self.y += y;
        self.yy += y * y;
        self.n += n;
        self.u += u;
        self.nn += n * n;
        self.uu += u * u;
        self.nu += n * u;
        self.ny += n * y;
        self.uy += u * y;
        self.log += log;
        self.log_log += log * log;
    }

    fn scale(&mut self, share: f64) {
        let Self { weight, y, yy, n, u, nn, uu, nu, ny, uy, log, log_log } = self;
        for sum in [weight, y, yy, n, u, nn, uu, nu, ny, uy, log, log_log] {
            *sum *= share;
        }
    }

    fn mean(&self) -> f64 {
        self.y / self.weight
    }

    /// By how many standard deviations of the logarithm `y` is off; nought while little is known.
    fn surprise(&self, y: f64) -> f64 {
        if self.weight < SLOPE_WEIGHT {
            return 0.0;
        }
        (y.max(1e-3).ln() - self.log / self.weight) / self.log_spread()
    }

    fn log_spread(&self) -> f64 {
        let (prior, worth) = PRIOR_LOG_VARIANCE;
        let mean = if self.weight > 0.0 { self.log / self.weight } else { 0.0 };
        let squares = (self.log_log - mean * self.log).max(0.0);
        ((squares + prior * worth) / (self.weight + worth)).sqrt().clamp(0.2, 1.5)
    }

    fn fill(&self, reading: &mut LatencyReading) {
        let mean = |sum: f64| sum / self.weight;
        let variance_n = (mean(self.nn) - mean(self.n).powi(2)).max(0.0);
        let (per_in_flight, per_prompt_token) =
            if self.weight < SLOPE_WEIGHT { (0.0, 0.0) } else { self.slopes(variance_n) };
        reading.weight = self.weight;
        reading.mean = mean(self.y);
        reading.mean_in_flight = mean(self.n);
        reading.mean_prompt = mean(self.u);
        reading.per_in_flight = per_in_flight;
        reading.per_prompt_token = per_prompt_token;
    }

    /// Least squares with a ridge; neither slope may be negative, and one that would be leaves the other to explain.
    fn slopes(&self, variance_n: f64) -> (f64, f64) {
        let mean = |sum: f64| sum / self.weight;
        let covariance = |ab: f64, a: f64, b: f64| mean(ab) - mean(a) * mean(b);
        let nn = variance_n + RIDGE_IN_FLIGHT;
        let uu = covariance(self.uu, self.u, self.u).max(0.0) + RIDGE_PROMPT;
        let nu = covariance(self.nu, self.n, self.u);
        let ny = covariance(self.ny, self.n, self.y);
        let uy = covariance(self.uy, self.u, self.y);
        let determinant = nn * uu - nu * nu;
        let both = ((ny * uu - uy * nu) / determinant, (uy * nn - ny * nu) / determinant);
        let (s, g) = match both {
            (s, _) if s < 0.0 => (0.0, (uy / uu).max(0.0)),
            (_, g) if g < 0.0 => ((ny / nn).max(0.0), 0.0),
            both => both,
        };
        let unexplained = (covariance(self.yy, self.y, self.y) - s * ny - g * uy).max(0.0) / self.weight;
        (believable(s, unexplained / nn), believable(g, unexplained / uu))
    }
}

/// A slope less what chance alone would make of it (a positive-part shrinkage). Noise would else be read as congestion,
/// and equals would stop sharing.
fn believable(slope: f64, variance: f64) -> f64 {
    if slope > 0.0 { slope * (1.0 - variance / (slope * slope)).max(0.0) } else { 0.0 }
}

impl Usual {
    fn scale(&mut self, share: f64) {
        self.weight *= share;
        self.first *= share;
        self.pace.scale(share);
    }
}

impl Crowd {
    fn add(&mut self, n: f64) {
        self.scale(room(self.weight, MAX_WEIGHT));
        self.weight += 1.0;
        self.n += n;
        self.nn += n * n;
    }

    fn scale(&mut self, share: f64) {
        self.weight *= share;
        self.n *= share;
        self.nn *= share;
    }

    /// Up to how many it is known to work: two standard deviations above the mean, and two more.
    fn known(&self) -> f64 {
        if self.weight > 0.0 {
            let mean = self.n / self.weight;
            mean + 2.0 * (self.nn / self.weight - mean * mean).max(0.0).sqrt() + 2.0
        } else {
            2.0
        }
    }
}

impl Pace {
    fn add(&mut self, span: f64, tokens: Tokens, in_flight: u32) {
        self.scale(room(self.weight, MAX_WEIGHT));
        self.sum(span, tokens, in_flight);
    }

    fn sum(&mut self, span: f64, tokens: Tokens, in_flight: u32) {
        if tokens == Tokens::ZERO {
            return;
        }
        let (span, tokens, n) = (span.max(0.0), tokens.as_f64(), f64::from(in_flight));
        self.weight += 1.0;
        self.span += span;
        self.tokens += tokens;
        self.n += tokens * n;
        self.nn += tokens * n * n;
        self.ny += span * n;
        self.yy += span * span / tokens;
    }

    /// Least squares with a ridge, as believable.
    fn slope(&self) -> f64 {
        if self.weight < SLOPE_WEIGHT {
            return 0.0;
        }
        let mean = |sum: f64| sum / self.tokens;
        let (n, y) = (mean(self.n), mean(self.span));
        let variance = (mean(self.nn) - n * n).max(0.0) + RIDGE_IN_FLIGHT;
        let covariance = mean(self.ny) - n * y;
        let slope = covariance / variance;
        let unexplained = (mean(self.yy) - y * y - slope * covariance).max(0.0) / self.weight;
        believable(slope, unexplained / variance)
    }

    fn scale(&mut self, share: f64) {
        let Self { weight, span, tokens, n, nn, ny, yy } = self;
        for sum in [weight, span, tokens, n, nn, ny, yy] {
            *sum *= share;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Timestamp {
        Timestamp::START + Duration::from_secs_f64(seconds)
    }

    #[test]
    fn a_longer_prompt_is_not_mistaken_for_a_slower_endpoint() {
        let mut latency = Latency::default();
        for step in 0..32_u32 {
            let prompt = 1_000 * u64::from(step % 8);
            let after = Duration::from_secs_f64(0.2 + 1e-4 * 1_000.0 * f64::from(step % 8));
            latency.first_token(after, step % 3, Tokens(prompt), at(f64::from(step) * 0.1));
        }
        let reading = latency.read(at(3.2));
        assert!((reading.per_prompt_token - 1e-4).abs() < 2e-5, "{reading:?}");
        assert!(reading.per_in_flight < 0.01, "{reading:?}");
    }

    #[test]
    fn concurrency_that_slows_it_down_is_learned() {
        let mut latency = Latency::default();
        for step in 0..32_u32 {
            let in_flight = step % 8;
            latency.first_token(
                Duration::from_millis(u64::from(200 + 100 * in_flight)),
                in_flight,
                Tokens(500),
                at(0.1 * f64::from(step)),
            );
        }
        let reading = latency.read(at(3.2));
        assert!((reading.per_in_flight - 0.1).abs() < 0.03, "{reading:?}");
    }

    #[test]
    fn noise_is_not_read_as_congestion() {
        let mut latency = Latency::default();
        for step in 0..32_u32 {
            // Up and down, and only by chance a little more up where more are in flight.
            let noise = [0, 60, 20, 50, 10, 70, 30, 40][(step % 8) as usize];
            latency.first_token(
                Duration::from_millis(200 + noise),
                (step * 3) % 8,
                Tokens(500),
                at(0.1 * f64::from(step)),
            );
        }
        let reading = latency.read(at(3.2));
        assert!(reading.per_in_flight < 0.002, "{reading:?}");
    }

    #[test]
    fn what_is_not_renewed_is_forgotten_but_its_mean_is_not_bent() {
        let mut latency = Latency::default();
        for _ in 0..40 {
            latency.first_token(Duration::from_millis(300), 0, Tokens(10), at(0.0));
        }
        let (fresh, stale) = (latency.read(at(0.0)), latency.read(at(120.0)));
        assert!((fresh.weight - MAX_WEIGHT).abs() < 1e-9);
        assert!(stale.weight < 0.5);
        assert!((stale.mean - 0.3).abs() < 1e-9);
    }

    #[test]
    fn plain_answers_teach_how_many_in_flight_are_usual() {
        let mut latency = Latency::default();
        for _ in 0..20 {
            latency.plain(Duration::from_secs(3), Tokens(100), 20, at(0.0));
        }
        let known = latency.read(at(0.0)).known_in_flight;
        assert!((known - 22.0).abs() < 1e-9, "{known}");
    }

    #[test]
    fn a_plain_answer_feeds_the_pace_and_no_first_token() {
        let mut latency = Latency::default();
        latency.first_token(Duration::from_secs(1), 0, Tokens(10), at(0.0));
        latency.plain(Duration::from_secs(3), Tokens(100), 0, at(0.0));
        let reading = latency.read(at(0.0));
        assert!((reading.weight - 1.0).abs() < 1e-9);
        assert!((reading.pace - 0.02).abs() < 1e-9, "{reading:?}");
    }
}
