//! The live table: one line per endpoint, from what the daemon says of itself on its admin plane.

use serde::Deserialize;

use crate::units::{count_to_f64, seconds};

/// `GET /v1/endpoints`, as far as the table needs it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(super) struct Board {
    endpoints: Vec<Endpoint>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Endpoint {
    upstream: String,
    state: String,
    in_flight: u64,
    requests: u64,
    first_token_ms: Option<f64>,
    price: Option<Price>,
    quota_remaining: Option<f64>,
}

/// Dollars per million tokens.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
struct Price {
    input: f64,
    output: f64,
}

/// Rows stay below 80 columns: one that wrapped would spoil the redrawing.
const HEADING: &str = "provider   USD/Mtok in/out  first token  quota left  running  share  state";

impl Board {
    /// Reads the daemon's reply.
    pub(super) fn parse(reply: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(reply)
    }

    /// The table's lines, without line ends.
    pub(super) fn lines(&self) -> Vec<String> {
        let requests = self.endpoints.iter().map(|endpoint| endpoint.requests).sum();
        let rows = self.endpoints.iter().map(|endpoint| endpoint.line(requests));
        std::iter::once(HEADING.to_owned()).chain(rows).collect()
    }
}

impl Endpoint {
    fn line(&self, of_requests: u64) -> String {
        let price =
            self.price.map_or_else(|| "-".to_owned(), |price| format!("{:.2} / {:.2}", price.input, price.output));
        let first_token = self.first_token_ms.map(|millis| seconds(millis / 1e3));
        let quota = self.quota_remaining.map_or_else(|| "-".to_owned(), percent);
        let share = percent(count_to_f64(self.requests) / count_to_f64(of_requests.max(1)));
        format!(
            "{:<10} {price:>15}  {:>11}  {quota:>10}  {:>7}  {share:>5}  {}",
            self.upstream,
            super::latency::millis(first_token),
            self.in_flight,
            self.state,
        )
    }
}

/// A share for a table.
pub(super) fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_shows_what_the_daemon_says_and_dashes_for_what_it_does_not_know() {
        let reply = br#"{"generation":1,"endpoints":[
            {"id":"comet/large","upstream":"comet","model":"large","state":"closed","in_flight":2,"requests":30,
             "first_token_ms":181.4,"price":{"input":3.0,"cached_input":null,"output":12.0},"quota_remaining":0.5},
            {"id":"house/large","upstream":"house","model":"large","state":"open","in_flight":0,"requests":10,
             "first_token_ms":null,"price":null,"quota_remaining":null}]}"#;
        let lines = Board::parse(reply).unwrap().lines();
        assert_eq!(
            lines,
            [
                "provider   USD/Mtok in/out  first token  quota left  running  share  state",
                "comet         3.00 / 12.00       181 ms        50 %        2   75 %  closed",
                "house                    -            -           -        0   25 %  open",
            ]
        );
        assert!(lines.iter().all(|line| line.len() < 80));
    }
}
