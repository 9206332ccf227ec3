//! Quotas, each behind a short lock of its own: an account's over all its models, and one for each of its models.
//!
//! Keys of one account share both. What is set aside for a request is set aside in both or in neither.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::engine::{Ledger, Limits, Load, QuotaReading, Reservation, Supplies, Told};
use crate::units::{Timestamp, Tokens};

/// One quota.
#[derive(Debug)]
pub struct QuotaCell {
    /// `upstream@account`, or `upstream@account/model`.
    pub id: Arc<str>,
    ledger: Mutex<Ledger>,
}

/// The quotas of one endpoint.
#[derive(Clone, Debug)]
pub struct Quotas {
    /// Over all models of the account.
    pub account: Arc<QuotaCell>,
    /// Of this model.
    pub model: Arc<QuotaCell>,
}

/// Quota set aside in both.
#[derive(Debug)]
pub struct Tickets {
    account: Reservation,
    model: Reservation,
}

impl QuotaCell {
    /// Nothing used yet.
    pub fn new(id: &str, limits: &Limits) -> Self {
        Self { id: id.into(), ledger: Mutex::new(Ledger::new(limits)) }
    }

    /// Takes the limits of a new snapshot; what was used stays used.
    pub fn relimit(&self, limits: &Limits) {
        self.ledger.lock().relimit(limits);
    }

    /// What each limit allows a second.
    pub fn supplies(&self, now: Timestamp) -> Supplies {
        self.ledger.lock().supplies(now)
    }
}

impl Quotas {
    /// What is left for a prompt of so many tokens.
    pub fn read(&self, prompt: Tokens, now: Timestamp) -> QuotaReading {
        self.account.ledger.lock().read(prompt, now).merge(self.model.ledger.lock().read(prompt, now))
    }

    /// Sets quota aside for a request that is about to be sent; `None` if another was faster.
    pub fn admit(&self, load: Load, now: Timestamp) -> Option<Tickets> {
        let account = self.account.ledger.lock().reserve(load, now).ok()?;
        let Ok(model) = self.model.ledger.lock().reserve(load, now) else {
            self.account.ledger.lock().give_back(account, now);
            return None;
        };
        Some(Tickets { account, model })
    }

    /// Learns what the reply to a call says of its quota. Most providers count by model.
    pub fn learn(&self, tickets: &Tickets, told: &[Told], now: Timestamp) {
        self.model.ledger.lock().learn(&tickets.model, told, now);
    }

    /// Learns from a refusal for lack of quota.
    pub fn refused(&self, tickets: &Tickets, now: Timestamp) {
        self.model.ledger.lock().refused(&tickets.model, now);
    }

    /// Forgets what headers have told and refusals have shown: the provider may have raised a limit.
    pub fn unlearn(&self) {
        self.model.ledger.lock().unlearn();
    }

    /// Replaces what was set aside by what was used.
    pub fn settle(&self, tickets: Tickets, used: Load, now: Timestamp) {
        self.account.ledger.lock().settle(tickets.account, used, now);
        self.model.ledger.lock().settle(tickets.model, used, now);
    }

    /// Gives back what was set aside: the request never went out.
    pub fn give_back(&self, tickets: Tickets, now: Timestamp) {
        self.account.ledger.lock().give_back(tickets.account, now);
        self.model.ledger.lock().give_back(tickets.model, now);
    }
}
