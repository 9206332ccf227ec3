//! Where conversations were served last, and how much of their prompts is warm there.
//!
//! Bounded: a shard that is full forgets what is older than an hour, and if that is not enough, the older half. Keys are
//! hashes under a secret of the process, so that no client can aim at another's entry, and no text is kept.

use std::hash::{BuildHasher as _, Hash, RandomState};
use std::time::Duration;

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::units::{Timestamp, Tokens};

const SHARDS: usize = 16;
/// Entries of one shard.
const MOST: usize = 4096;
/// No provider's cache lasts longer.
const LONGEST: Duration = Duration::from_hours(1);

/// By what a conversation is known, the vaguest first: its first message, then its first two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// The hash of what it shares with others that begin alike, and how many tokens that is.
    pub shared: Option<(u64, Tokens)>,
    /// The hash of its own beginning.
    pub own: u64,
    /// The hash by which lots are drawn: all of its turns have the same.
    pub lot: u64,
}

/// Where one was served last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Warm {
    /// The hash of the endpoint's name.
    pub endpoint: u64,
    /// When the answer was whole.
    pub at: Timestamp,
    /// Tokens of prompt and answer then.
    pub tokens: Tokens,
}

/// What is known of a request's conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Warmth {
    /// Of its own turns.
    pub own: Option<Warm>,
    /// Of others that begin alike.
    pub shared: Option<Warm>,
}

/// Conversations by key.
#[derive(Debug)]
pub struct AffinityMap {
    keys: RandomState,
    shards: [Mutex<HashMap<u64, Warm>>; SHARDS],
}

impl Default for AffinityMap {
    fn default() -> Self {
        Self { keys: RandomState::new(), shards: std::array::from_fn(|_| Mutex::default()) }
    }
}

impl AffinityMap {
    /// The key of `what`.
    pub fn key(&self, what: impl Hash) -> u64 {
        self.keys.hash_one(what)
    }

    /// What is known of `conversation`.
    pub fn find(&self, conversation: &Conversation) -> Warmth {
        Warmth { own: self.get(conversation.own), shared: conversation.shared.and_then(|(key, _)| self.get(key)) }
    }

    /// A turn of `conversation` was answered at the endpoint of this hash: `tokens` of prompt and answer are warm there.
    pub fn served(&self, conversation: &Conversation, endpoint: u64, tokens: Tokens, now: Timestamp) {
        self.put(conversation.own, Warm { endpoint, at: now, tokens });
        if let Some((key, tokens)) = conversation.shared {
            self.put(key, Warm { endpoint, at: now, tokens });
        }
    }

    fn get(&self, key: u64) -> Option<Warm> {
        self.shard(key)?.lock().get(&key).copied()
    }

    fn put(&self, key: u64, warm: Warm) {
        let Some(shard) = self.shard(key) else { return };
        let mut entries = shard.lock();
        if entries.len() >= MOST {
            entries.retain(|_, known| warm.at.since(known.at) < LONGEST);
        }
        if entries.len() >= MOST {
            let mut ages: Vec<_> = entries.values().map(|known| known.at).collect();
            let (_, median, _) = ages.select_nth_unstable(MOST / 2);
            let median = *median;
            entries.retain(|_, known| known.at > median);
        }
        entries.insert(key, warm);
    }

    fn shard(&self, key: u64) -> Option<&Mutex<HashMap<u64, Warm>>> {
        let shards = crate::units::len_to_u64(SHARDS);
        self.shards.get(usize::try_from(key % shards).unwrap_or(0))
    }
}

impl Warmth {
    /// Tokens of a prompt of `prompt` tokens that are likely warm at the endpoint of this hash, whose cache keeps them for
    /// `ttl`.
    pub fn at(&self, endpoint: u64, prompt: Tokens, ttl: Duration, now: Timestamp) -> Tokens {
        let fresh = ttl.mul_f64(FRESH);
        let there = |warm: &&Warm| warm.endpoint == endpoint && now.since(warm.at) < fresh;
        let both = [self.own.as_ref(), self.shared.as_ref()];
        both.into_iter().flatten().filter(there).map(|warm| warm.tokens.min(prompt)).max().unwrap_or_default()
    }
}

/// The share of its time to live for which something is taken to be warm.
const FRESH: f64 = 0.95;

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn at(minutes: u32) -> Timestamp {
        Timestamp::START + MINUTE * minutes
    }

    #[test]
    fn a_conversation_is_warm_where_it_was_served_last_until_the_cache_forgets() {
        let map = AffinityMap::default();
        let conversation = Conversation { shared: None, own: 7, lot: 0 };
        map.served(&conversation, 1, Tokens(900), at(0));
        map.served(&conversation, 2, Tokens(1_500), at(1));
        let warmth = map.find(&conversation);
        assert_eq!(warmth.at(2, Tokens(2_000), MINUTE * 5, at(2)), Tokens(1_500));
        assert_eq!(warmth.at(2, Tokens(700), MINUTE * 5, at(2)), Tokens(700), "no more than the prompt");
        assert_eq!(warmth.at(1, Tokens(2_000), MINUTE * 5, at(2)), Tokens::ZERO);
        assert_eq!(warmth.at(2, Tokens(2_000), MINUTE * 5, at(6)), Tokens::ZERO);
    }

    #[test]
    fn a_system_prompt_is_warm_for_all_who_begin_with_it() {
        let map = AffinityMap::default();
        let shared = Some((3, Tokens(400)));
        map.served(&Conversation { shared, own: 7, lot: 0 }, 1, Tokens(900), at(0));
        let other = map.find(&Conversation { shared, own: 8, lot: 0 });
        assert_eq!(other.at(1, Tokens(1_000), MINUTE * 5, at(1)), Tokens(400));
    }

    #[test]
    fn it_never_grows_beyond_its_bound() {
        let map = AffinityMap::default();
        for own in 0..200_000 {
            map.served(&Conversation { shared: None, own, lot: 0 }, 1, Tokens(1), at(0));
        }
        let kept: usize = map.shards.iter().map(|shard| shard.lock().len()).sum();
        assert!(kept <= SHARDS * MOST, "{kept}");
        assert!(map.find(&Conversation { shared: None, own: 199_999, lot: 0 }).own.is_some());
    }
}
