//! The demonstration in time: providers up, daemon up, traffic, turns of fate, and the closing words.

use std::io::Write;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use http::Method;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::cli::demo::board::Board;
use crate::cli::demo::client::{self, Failure, Seen};
use crate::cli::demo::daemon::Running;
use crate::cli::demo::files::{self, Files};
use crate::cli::demo::market::{Market, Turn, TurnKind};
use crate::cli::demo::screen::Screen;
use crate::cli::demo::summary::Outcome;
use crate::cli::demo::tally::Tally;
use crate::cli::demo::traffic::Drawn;
use crate::cli::demo::{DemoArgs, length, replay, traffic};
use crate::runtime;
use crate::simulated::{Listening, Provider};
use crate::units::{PicoUsd, Timestamp};

/// Where `serve` listens unless told otherwise: what an application uses once the demonstration is gone.
const USUAL: ([u8; 4], u16) = ([127, 0, 0, 1], 3273);
const ANYWHERE: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

/// Everything that takes part.
pub(super) struct Stage<W> {
    args: DemoArgs,
    market: Market,
    providers: Vec<Arc<Provider>>,
    listening: Vec<Listening>,
    policy: String,
    target: Duration,
    running: Running,
    files: Files,
    screen: Screen<W>,
    tally: Tally,
}

/// Why the traffic ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Curtain {
    Over,
    Interrupted,
}

impl<W: Write> Stage<W> {
    /// Starts the providers, and the daemon over them.
    pub(super) async fn set(args: &DemoArgs, policy: &str, screen: Screen<W>) -> anyhow::Result<Self> {
        let market = Market::over(length(args));
        let mut providers = Vec::new();
        let mut listening = Vec::new();
        for (seed, offer) in (args.seed..).zip(&market.offers) {
            let provider = Provider::new(offer.profile.clone(), seed);
            let listener = Arc::clone(&provider).listen(SocketAddr::from(ANYWHERE)).await;
            listening.push(listener.context("listening for a simulated provider")?);
            providers.push(provider);
        }
        let target = files::target(policy);
        let policy = files::policy(policy, &market).context("the policy is not TOML")?;
        let files = Files::create().context("creating the demonstration's files")?;
        let addresses: Vec<SocketAddr> = listening.iter().map(|listening| listening.addr).collect();
        let configuration = files::configuration(&market, &addresses, Duration::ZERO);
        files.write(&configuration, &policy).context("writing the demonstration's files")?;
        let running = Running::start(&files.configuration()).context("starting the daemon")?;
        let (args, tally) = (args.clone(), Tally::default());
        Ok(Self { args, market, providers, listening, policy, target, running, files, screen, tally })
    }

    /// Sends the traffic, tells what happens, and sums up.
    pub(super) async fn perform(mut self) -> anyhow::Result<()> {
        self.screen.say(&format!(
            "five simulated providers, faregate on http://{}/v1, {} requests a second for {} s",
            self.running.data, self.args.rps, self.args.seconds
        ))?;
        let requests = traffic::draw(self.args.rps, length(&self.args), self.args.seed);
        let began = self.begin();
        let (curtain, sent) = self.play(&requests, began).await?;
        let lasted = runtime::now().since(began);
        self.screen.keep();
        for line in self.outcome(requests.get(..sent).unwrap_or_default(), lasted).lines() {
            self.screen.say(&line)?;
        }
        if self.args.hold && curtain == Curtain::Over {
            self.hold().await?;
        }
        self.running.stop();
        Ok(())
    }

    /// Lets the providers' schedules begin now.
    fn begin(&self) -> Timestamp {
        for (provider, offer) in self.providers.iter().zip(&self.market.offers) {
            provider.set_schedule(offer.schedule.delayed(provider.elapsed()));
        }
        runtime::now()
    }

    async fn play(&mut self, requests: &[Drawn], began: Timestamp) -> anyhow::Result<(Curtain, usize)> {
        let mut asking: JoinSet<Seen> = JoinSet::new();
        let mut ticks = interval(self.screen.pace());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        // The first tick comes at once, and there is nothing to see yet.
        ticks.tick().await;
        let mut interrupted = pin!(tokio::signal::ctrl_c());
        let turns = self.market.turns.clone();
        let (mut sent, mut told) = (0, 0);
        loop {
            let elapsed = runtime::now().since(began);
            let (request, turn) = (requests.get(sent), turns.get(told));
            if request.is_none() && turn.is_none() && asking.is_empty() {
                self.draw().await?;
                return Ok((Curtain::Over, sent));
            }
            tokio::select! {
                request = when(request, |request| request.at, elapsed) => {
                    asking.spawn(client::ask(self.running.data, *request));
                    sent += 1;
                }
                turn = when(turn, |turn| turn.at, elapsed) => {
                    self.turn(turn, elapsed).await?;
                    told += 1;
                }
                Some(seen) = asking.join_next() => self.tally.add(seen.context("a client failed to run")?),
                _ = ticks.tick() => self.draw().await?,
                stop = &mut interrupted => {
                    stop.context("waiting for an interrupt")?;
                    return Ok((Curtain::Interrupted, sent));
                }
            }
        }
    }

    async fn turn(&mut self, turn: &Turn, elapsed: Duration) -> anyhow::Result<()> {
        self.screen.say(&format!("{:5.1} s  {}", turn.at.as_secs_f64(), turn.what))?;
        match turn.kind {
            TurnKind::Unannounced => Ok(()),
            TurnKind::PriceCut => {
                let addresses: Vec<SocketAddr> = self.listening.iter().map(|listening| listening.addr).collect();
                // The timer may be early by less than it can measure; the new price holds from the turn's own time.
                let now = elapsed.max(turn.at);
                self.files.write(&files::configuration(&self.market, &addresses, now), &self.policy)?;
                let reloaded = client::fetch(self.running.admin, Method::POST, "/v1/reload").await;
                reloaded.map(drop).context("reloading after the price cut")
            }
        }
    }

    async fn draw(&mut self) -> anyhow::Result<()> {
        let lines = match client::fetch(self.running.admin, Method::GET, "/v1/endpoints").await {
            Ok(reply) => Board::parse(&reply).context("reading /v1/endpoints")?.lines(),
            Err(failure @ (Failure::Connection(_) | Failure::Status(_) | Failure::CutShort | Failure::NoAnswer)) => {
                vec![format!("no table: {failure}")]
            }
        };
        Ok(self.screen.draw(&lines)?)
    }

    fn outcome(&mut self, sent: &[Drawn], lasted: Duration) -> Outcome {
        let billed = self.providers.iter().map(|provider| provider.stats().billed);
        Outcome {
            lasted,
            tally: std::mem::take(&mut self.tally),
            cost: billed.fold(PicoUsd::ZERO, |sum, bill| sum + bill),
            alone: self.market.offers.iter().map(|offer| replay::alone(offer, sent, self.args.seed)).collect(),
            target: self.target,
            data: if self.args.hold { self.running.data } else { SocketAddr::from(USUAL) },
        }
    }

    async fn hold(&mut self) -> anyhow::Result<()> {
        let Running { data, admin, .. } = &self.running;
        let lines = [
            String::new(),
            "Still serving, until interrupted:".to_owned(),
            format!("  data plane  http://{data}/v1"),
            format!("  metrics     http://{admin}/metrics"),
        ];
        for line in lines {
            self.screen.say(&line)?;
        }
        tokio::signal::ctrl_c().await.context("waiting for an interrupt")
    }
}

/// Waits until `item` is due, or for ever if there is none.
async fn when<T>(item: Option<T>, due: impl FnOnce(&T) -> Duration, elapsed: Duration) -> T {
    match item {
        Some(item) => {
            sleep(due(&item).saturating_sub(elapsed)).await;
            item
        }
        None => std::future::pending().await,
    }
}
