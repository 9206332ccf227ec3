//! The closing words: what the router did, what each provider alone would have done, and what an application needs.
//!
//! A saving is told against every provider, flattering or not; whether a provider is a fair comparison is said in its
//! line: it must answer every request, with first tokens as fast as the target or as the router's own.

use std::net::SocketAddr;
use std::time::Duration;

use crate::cli::demo::board::percent;
use crate::cli::demo::latency::millis;
use crate::cli::demo::replay::Alone;
use crate::cli::demo::tally::Tally;
use crate::units::PicoUsd;

/// All that the closing words need.
pub(super) struct Outcome {
    pub(super) lasted: Duration,
    pub(super) tally: Tally,
    /// By the providers' own books, wasted attempts included.
    pub(super) cost: PicoUsd,
    pub(super) alone: Vec<Alone>,
    /// A first token after this is late.
    pub(super) target: Duration,
    /// Where applications find the data plane.
    pub(super) data: SocketAddr,
}

impl Outcome {
    /// The lines, without line ends.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = self.router();
        lines.extend(self.comparison());
        lines.push(String::new());
        lines.push(self.verdict());
        lines.extend([
            String::new(),
            "Your application needs two lines (any key will do until there are tenants):".to_owned(),
            format!("  base_url = \"http://{}/v1\"", self.data),
            "  api_key  = \"unused\"".to_owned(),
        ]);
        lines
    }

    fn router(&self) -> Vec<String> {
        let Tally { requests, failovers, first_token, failures } = &self.tally;
        let mut lines = vec![
            format!("{requests} requests in {:.0} s through faregate", self.lasted.as_secs_f64()),
            format!("  failures seen by clients  {}", self.tally.failed()),
        ];
        lines.extend(failures.iter().map(|(failure, count)| format!("    {count} x {failure}")));
        lines.extend([
            format!("  failovers                 {failovers}"),
            format!(
                "  first token, streams      mean {}, p95 {}",
                millis(first_token.mean()),
                millis(first_token.p95())
            ),
            format!("  cost                      {} USD, by the providers' own books", dollars(self.cost)),
        ]);
        lines
    }

    fn comparison(&self) -> Vec<String> {
        let mut lines = vec![
            String::new(),
            "The same requests at one provider alone (computed from its prices, delays, quota and faults; no retries):"
                .to_owned(),
            "provider    cost of all   saved by faregate   first token mean / p95   refused   lost   in short"
                .to_owned(),
        ];
        lines.extend(self.alone.iter().map(|alone| {
            let first_token = format!("{} / {}", millis(alone.first_token.mean()), millis(alone.first_token.p95()));
            format!(
                "{:<10}  {:>11}   {:>17}   {first_token:>22}   {:>7}   {:>4}   {}",
                alone.name,
                dollars(alone.cost_of_all),
                self.saved(alone),
                alone.refused,
                alone.lost,
                self.in_short(alone),
            )
        }));
        lines
    }

    fn verdict(&self) -> String {
        let fair = self.alone.iter().filter(|alone| self.is_fair(alone)).min_by_key(|alone| alone.cost_of_all);
        match fair {
            Some(alone) => format!(
                "The cheapest single provider that answers everything as fast is {}: faregate saved {} against it.",
                alone.name,
                self.saved(alone),
            ),
            None => "No single provider would have answered everything as fast.".to_owned(),
        }
    }

    fn is_fair(&self, alone: &Alone) -> bool {
        alone.answered == alone.asked && self.is_fast(alone)
    }

    /// As fast as promised, or as the router was.
    fn is_fast(&self, alone: &Alone) -> bool {
        let bar = self.target.max(self.tally.first_token.p95().unwrap_or_default());
        alone.first_token.p95().is_some_and(|p95| p95 <= bar)
    }

    fn in_short(&self, alone: &Alone) -> String {
        let unanswered = alone.asked - alone.answered;
        match (unanswered, self.is_fast(alone)) {
            (0, true) => "keeps up".to_owned(),
            (0, false) => "late".to_owned(),
            (_, true) => format!("fails {}", percent(share(unanswered, alone.asked))),
            (_, false) => format!("late, fails {}", percent(share(unanswered, alone.asked))),
        }
    }

    fn saved(&self, alone: &Alone) -> String {
        if alone.cost_of_all == PicoUsd::ZERO {
            return "-".to_owned();
        }
        percent(1.0 - self.cost.as_dollars().0 / alone.cost_of_all.as_dollars().0)
    }
}

fn share(part: u64, whole: u64) -> f64 {
    crate::units::count_to_f64(part) / crate::units::count_to_f64(whole.max(1))
}

fn dollars(amount: PicoUsd) -> String {
    format!("{:.4}", amount.as_dollars().0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::demo::client::{Failure, Seen};
    use crate::cli::demo::latency::Latencies;

    fn alone(name: &str, dollars: u64, first_token: u64, answered: u64) -> Alone {
        let mut times = Latencies::default();
        times.add(Duration::from_millis(first_token));
        Alone {
            name: name.to_owned(),
            asked: 100,
            answered,
            refused: 100 - answered,
            lost: 0,
            cost_of_all: PicoUsd(dollars * PicoUsd::DOLLAR.0),
            first_token: times,
        }
    }

    fn outcome() -> Outcome {
        let mut tally = Tally::default();
        tally.add(Seen { first_token: Some(Duration::from_millis(400)), attempts: 2, failure: None });
        tally.add(Seen { first_token: None, attempts: 0, failure: Some(Failure::Status(503)) });
        Outcome {
            lasted: Duration::from_secs(30),
            tally,
            cost: PicoUsd::DOLLAR,
            alone: vec![alone("dear", 5, 200, 100), alone("slow", 2, 3_000, 100), alone("small", 2, 200, 40)],
            target: Duration::from_secs(1),
            data: SocketAddr::from(([127, 0, 0, 1], 3273)),
        }
    }

    #[test]
    fn the_verdict_compares_with_those_that_answer_everything_as_fast() {
        assert_eq!(
            outcome().verdict(),
            "The cheapest single provider that answers everything as fast is dear: faregate saved 80 % against it."
        );
        let none = Outcome { alone: Vec::new(), ..outcome() };
        assert_eq!(none.verdict(), "No single provider would have answered everything as fast.");
    }

    #[test]
    fn a_provider_that_costs_less_is_shown_as_a_negative_saving() {
        let cheap = Outcome { cost: PicoUsd(4 * PicoUsd::DOLLAR.0), ..outcome() };
        assert_eq!(cheap.saved(&cheap.alone[1]), "-100 %");
    }

    #[test]
    fn the_summary_tells_failures_with_their_reasons_and_each_provider_with_its_own() {
        let text = outcome().lines().join("\n");
        assert!(text.contains("failures seen by clients  1\n    1 x status 503"), "{text}");
        for line in ["dear ", "late", "fails 60 %", "base_url = \"http://127.0.0.1:3273/v1\"", "api_key"] {
            assert!(text.contains(line), "{line:?} in {text}");
        }
    }
}
