//! Asks providers what is left in prepaid accounts.
//!
//! One account at a time, every few minutes; an empty one more often, so that money that arrives is used. A look-up that
//! fails changes nothing but is told: what is not known shuts nobody out.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::fetch::{self, Address, FetchError, Fetched};
use crate::dialect::balance::{Pointers, wallets};
use crate::policy::model::{Balance, BalanceCurrency, Model};
use crate::proxy::dial::Connector;
use crate::proxy::worker::Shared;
use crate::runtime;
use crate::state::{Seat, Snapshot};
use crate::units::{Dollars, Timestamp};

/// How often it is looked who is due.
const LOOK: Duration = Duration::from_secs(1);
const USUALLY: Duration = Duration::from_mins(5);
const WHEN_EMPTY: Duration = Duration::from_mins(1);
/// The longest answer that is read, in bytes; the longest known one has a few hundred.
const LARGEST: usize = 64 << 10;

/// Why nothing is known of a wallet.
#[derive(Debug, thiserror::Error)]
enum WalletError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("the answer does not have what `balance` says")]
    Unreadable,
    #[error("no exchange rate is known for {0}")]
    Currency(String),
}

/// Runs until dropped.
pub async fn run(shared: Arc<Shared>, connector: Connector) {
    let mut due: HashMap<Arc<str>, Timestamp> = HashMap::new();
    let mut failing: HashSet<Arc<str>> = HashSet::new();
    loop {
        let snapshot = shared.snapshot();
        for (account, seat, balance) in accounts(&snapshot) {
            if due.get(&account).is_some_and(|due| *due > runtime::now()) {
                continue;
            }
            match look(&connector, seat, balance, &snapshot.model).await {
                Ok(left) => {
                    failing.remove(&account);
                    if let Some(wallet) = &seat.wallet {
                        wallet.told(left, runtime::now());
                    }
                }
                Err(error) => {
                    if failing.insert(Arc::clone(&account)) {
                        tracing::warn!(%account, %error, "what is left in this account is not known");
                    }
                }
            }
            let pause = if seat.empty_until(runtime::now()).is_some() { WHEN_EMPTY } else { USUALLY };
            due.insert(account, runtime::now() + pause);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Each account that can be asked, with one of its endpoints.
fn accounts(snapshot: &Snapshot) -> Vec<(Arc<str>, &Seat, &Balance)> {
    let model = &snapshot.model;
    let mut seen = HashSet::new();
    let account = |(position, endpoint): (_, &crate::policy::model::Endpoint)| {
        let balance = model.upstreams[endpoint.upstream].balance.as_ref()?;
        let account = &model.keys[endpoint.key].account;
        let seat = &*snapshot.seats[position];
        let is_new = seat.target.authorization.is_some() && seen.insert(Arc::clone(account));
        is_new.then(|| (Arc::clone(account), seat, balance))
    };
    model.endpoints.iter().filter_map(account).collect()
}

/// What is left, in dollars, over all wallets of the account.
async fn look(connector: &Connector, seat: &Seat, balance: &Balance, model: &Model) -> Result<Dollars, WalletError> {
    let mut url = seat.target.url.clone();
    let (path, query) =
        balance.path.split_once('?').map_or((&*balance.path, None), |(path, query)| (path, Some(query)));
    url.path = format!("{}{path}", url.path).into();
    let from = Address { url, query: query.map(Arc::from), authorization: seat.target.authorization.clone() };
    let Fetched::Body { bytes, .. } = fetch::get(connector, &from, None, LARGEST).await? else {
        return Err(WalletError::Unreadable);
    };
    let (currency_at, fixed) = match &balance.currency {
        BalanceCurrency::At(pointer) => (Some(pointer.as_str()), None),
        BalanceCurrency::Is(code) => (None, Some(code.as_str())),
    };
    let at = Pointers { each: balance.each.as_deref(), amount: &balance.amount, currency: currency_at };
    let mut left = 0.0;
    for (amount, named) in wallets(&bytes, at).ok_or(WalletError::Unreadable)? {
        let currency = named.as_deref().or(fixed).unwrap_or("USD");
        left += amount * rate(model, currency).ok_or_else(|| WalletError::Currency(currency.to_owned()))?;
    }
    Ok(Dollars(left))
}

fn rate(model: &Model, currency: &str) -> Option<f64> {
    if currency == "USD" {
        return Some(1.0);
    }
    model.exchange.iter().find(|(known, _)| known == currency).map(|(_, rate)| *rate)
}
