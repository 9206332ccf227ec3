//! By what a request's conversation is known, as its route wants it.
//!
//! The tenant is part of every key: one tenant's prompts are never warm for another's, whatever the provider does.

use http::HeaderMap;

use super::exchange::Exchange;
use crate::dialect::Head;
use crate::ids::{RouteIx, TenantIx};
use crate::policy::model::Affinity;
use crate::state::Conversation;
use crate::units::{Tokens, len_to_u64};

/// Bytes to a token, near enough for what conversations share.
const BYTES_PER_TOKEN: u64 = 4;

/// The conversation that `head` continues or begins; `None` where its route does not care or it cannot be told.
pub(super) fn conversation(
    exchange: &Exchange,
    route: RouteIx,
    headers: &HeaderMap,
    head: &Head<'_>,
    session: Option<&str>,
) -> Option<Conversation> {
    let map = &exchange.snapshot.conversations;
    let tenant = exchange.tenant;
    let named = |by: &str, name: &[u8]| {
        let own = map.key((tenant, by, name));
        Conversation { shared: None, own, lot: own }
    };
    if let Some(session) = session {
        return Some(named("session", session.as_bytes()));
    }
    let route = &exchange.snapshot.model.routes[route];
    match &route.affinity {
        Affinity::None => None,
        Affinity::User => head.user.as_ref().map(|user| named("user", user.as_bytes())),
        Affinity::Header(name) => headers.get(&**name).map(|value| named("header", value.as_bytes())),
        Affinity::PromptPrefix => {
            let opening = head.opening?;
            let key = |tenant: Option<TenantIx>, second: Option<&str>| map.key((tenant, opening.first, second));
            Some(Conversation {
                shared: opening
                    .second
                    .map(|_| (key(tenant, None), Tokens(len_to_u64(opening.first.len()) / BYTES_PER_TOKEN))),
                own: key(tenant, opening.second),
                lot: if route.draws_lots() { map.key((tenant, "lot", opening.question())) } else { 0 },
            })
        }
    }
}
