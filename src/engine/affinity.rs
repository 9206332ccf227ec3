//! How well an endpoint's prompt cache keeps what should be in it.
//!
//! A provider promises nothing about its cache: it may be on another machine the next time, or be full. So what is warm
//! is worth what experience says of it.

use crate::units::Tokens;

/// What a cache is assumed to keep, and how many answers that is worth: with less, none would ever be tried.
const PRIOR: (f64, f64) = (1.6, 2.0);
/// What remains of experience with each answer more.
const MEMORY: f64 = 0.95;

/// Tokens that should have been warm, and that were, as shares of each request.
#[derive(Clone, Copy, Debug)]
pub struct CacheHits {
    kept: f64,
    promised: f64,
}

impl Default for CacheHits {
    fn default() -> Self {
        Self { kept: PRIOR.0, promised: PRIOR.1 }
    }
}

impl CacheHits {
    /// An answer to a prompt of which `promised` tokens should have been warm; the provider billed `cached` as such.
    pub fn observe(&mut self, promised: Tokens, cached: Tokens) {
        if promised == Tokens::ZERO {
            return;
        }
        self.promised = MEMORY * self.promised + 1.0;
        self.kept = MEMORY * self.kept + (cached.as_f64() / promised.as_f64()).min(1.0);
    }

    /// The share of what should be warm that is.
    pub fn ratio(self) -> f64 {
        self.kept / self.promised
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_that_keeps_nothing_is_found_out_and_a_good_one_is_trusted() {
        let (mut bad, mut good) = (CacheHits::default(), CacheHits::default());
        for _ in 0..20 {
            bad.observe(Tokens(1_000), Tokens::ZERO);
            good.observe(Tokens(1_000), Tokens(990));
        }
        assert!(bad.ratio() < 0.1 && good.ratio() > 0.95, "{} {}", bad.ratio(), good.ratio());
    }

    #[test]
    fn where_nothing_was_promised_nothing_is_learned() {
        let mut hits = CacheHits::default();
        hits.observe(Tokens::ZERO, Tokens(500));
        assert!((hits.ratio() - 0.8).abs() < 1e-9);
    }
}
