//! How far down the candidates it is worth looking.

/// So many are put on the list: whoever has failed so often has run out of tries.
pub(super) const LISTED: usize = 8;

/// Whom to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Those who may come onto the list.
    AsNeeded,
    /// Everybody: what the other is compared with.
    #[cfg_attr(not(test), expect(dead_code, reason = "looking at everybody is what tests compare with"))]
    AtAll,
}

/// The best scores so far of those that may be tried.
pub(super) struct Shortlist {
    scores: [f64; LISTED],
    count: usize,
    /// The best of those who may lead whatever else is found: the money for trying stale ones may be used up.
    best: f64,
    spread: f64,
    look: Look,
}

impl Shortlist {
    /// An empty list.
    pub(super) const fn new(look: Look, spread: f64) -> Self {
        Self { scores: [0.0; LISTED], count: 0, best: f64::INFINITY, spread, look }
    }

    /// Notes a score. Sorted by insertion: the list is short, and most scores are no better than its last.
    pub(super) fn add(&mut self, score: f64, is_stale: bool) {
        if !is_stale {
            self.best = self.best.min(score);
        }
        if self.count < LISTED {
            self.count += 1;
        } else if self.scores.last().is_some_and(|worst| score >= *worst) {
            return;
        }
        let mut carried = score;
        for (position, known) in self.scores.iter_mut().take(self.count).enumerate() {
            if position + 1 == self.count || carried < *known {
                std::mem::swap(&mut carried, known);
            }
        }
    }

    /// Whether nobody has to be looked at who is behind those on it.
    pub(super) fn is_full(&self) -> bool {
        self.count == LISTED && self.look == Look::AsNeeded
    }

    /// Whether somebody whose score is no less than `least` is worse than the worst of a full list, and by more than
    /// `luck` out of reach of the best.
    pub(super) fn is_out_of_reach(&self, least: f64, luck: impl FnOnce() -> f64) -> bool {
        self.is_full()
            && self.scores.last().is_some_and(|worst| least > *worst)
            && least - luck() > self.best * (1.0 + self.spread)
    }
}
