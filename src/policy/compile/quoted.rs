//! Which tariff a model has: the user's, the first feed's that is believed, or the catalogue's.

use crate::policy::book::{Doubted, Judge, Verdict};
use crate::policy::model::{Feed, PriceDoubt};
use crate::policy::tariff::Tariff;

use super::Context;
use super::exchange::Exchange;
use super::tariff::{self, Said};

/// The tariff that counts, and what a feed says that does not.
pub(super) fn tariff(
    said: Said<'_>,
    exchange: &Exchange,
    context: &Context<'_>,
) -> (Option<Tariff>, Option<PriceDoubt>) {
    let listed = tariff::compile(said, exchange, context);
    if said.is_own() {
        return (listed, None);
    }
    let rate = |currency: &str| exchange.in_dollars_of(currency);
    let judge = Judge { now: context.inputs.now(), rate: &rate };
    let mut doubt = None;
    for feed in in_order(context.feeds) {
        let Some(book) = context.inputs.book() else { continue };
        let verdict = match (book.find(feed, said.address), book.lost(feed, said.address)) {
            (Some(quote), _) => judge.judge(feed, quote, listed.as_ref()),
            (None, Some(known)) => match judge.judge_loss(feed, known, listed.as_ref()) {
                Some(held) => held,
                None => continue,
            },
            (None, None) => continue,
        };
        match verdict {
            Verdict::Counts(tariff) => return (Some(tariff), doubt),
            Verdict::Held { meanwhile, doubt: held } => return (Some(meanwhile), Some(doubted(feed, true, &held))),
            // The next feed may know more.
            Verdict::Coarser(coarser) => doubt = doubt.or_else(|| Some(doubted(feed, false, &coarser))),
        }
    }
    (listed, doubt)
}

/// A provider's own list knows best; the others count in the order of the file.
fn in_order(feeds: &[Feed]) -> impl Iterator<Item = &Feed> {
    let own = feeds.iter().filter(|feed| feed.upstream.is_some());
    own.chain(feeds.iter().filter(|feed| feed.upstream.is_none()))
}

fn doubted(feed: &Feed, held: bool, doubted: &Doubted) -> PriceDoubt {
    let text = format!("{} says {}: {}", feed.name, doubted.says, doubted.why);
    PriceDoubt { feed: feed.name.clone(), held, text: text.into() }
}
