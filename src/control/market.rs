//! Prices what is scarce, four times a second.

use std::sync::Arc;
use std::time::Duration;

use crate::proxy::worker::Shared;
use crate::runtime;
use crate::state::Market;

/// As often as prices are found.
const EVERY: Duration = Duration::from_millis(250);

/// Runs until dropped.
pub async fn run(shared: Arc<Shared>) {
    let mut market = Market::default();
    loop {
        tokio::time::sleep(EVERY).await;
        market.tick(&shared.snapshot(), runtime::now());
    }
}
