//! One buyer in one market, event by event in virtual time, and what it came to in money.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use super::world::{Fault, Luck, Order, World};

/// The most calls for one order.
const ATTEMPTS: usize = 3;
/// Seconds until a refusal shows.
const REFUSED_AFTER: f64 = 0.1;
/// What a call that hangs is given by buyers who do not say.
pub(crate) const PATIENCE: f64 = 10.0;
/// How often a buyer may think.
pub(crate) const TICK: f64 = 0.25;

/// Why a call failed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Trouble {
    RateLimited,
    Down,
    Blocked,
    Timeout,
    Cut,
}

/// Whom to ask, and how long to wait for a first token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice {
    pub(crate) seller: usize,
    pub(crate) patience: f64,
}

/// What a buyer is told when a call has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending {
    pub(crate) seller: usize,
    pub(crate) sent: f64,
    pub(crate) first: f64,
    pub(crate) cached: f64,
    pub(crate) trouble: Option<Trouble>,
    /// Calls in flight there when it was sent.
    pub(crate) in_flight: u32,
    /// Which of the calls it was.
    pub(crate) call: usize,
}

/// Somebody who chooses.
pub(crate) trait Buyer {
    /// `None`: the order fails.
    fn choose(&mut self, order: &Order, tried: &[usize], now: f64) -> Option<Choice>;
    fn sent(&mut self, _order: &Order, _call: usize, _seller: usize, _now: f64) {}
    fn first_token(&mut self, _order: &Order, _ending: &Ending, _now: f64) {}
    fn ended(&mut self, order: &Order, ending: &Ending, now: f64);
    fn tick(&mut self, _now: f64) {}
    /// A price changed.
    fn reprice(&mut self, _world: &World, _now: f64) {}
    /// When to ask again for an order that nobody can take now, up to a bound.
    fn hold(&self) -> f64 {
        0.0
    }
}

/// One upstream call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) sent: f64,
    pub(crate) seller: usize,
    pub(crate) trouble: Option<Trouble>,
}

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    pub(crate) dollars: f64,
    pub(crate) wasted: f64,
    pub(crate) seconds: f64,
    pub(crate) late: usize,
    pub(crate) failures: usize,
    pub(crate) orders: usize,
    pub(crate) first_tokens: Vec<f64>,
    pub(crate) calls: Vec<Call>,
    pub(crate) total: f64,
}

impl Report {
    pub(crate) fn attempts(&self) -> f64 {
        self.calls.len() as f64 / self.orders.max(1) as f64
    }

    pub(crate) fn rate_limits(&self) -> usize {
        self.calls.iter().filter(|call| call.trouble == Some(Trouble::RateLimited)).count()
    }

    pub(crate) fn p95(&self) -> f64 {
        let mut sorted = self.first_tokens.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() * 95 / 100).copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn attainment(&self) -> f64 {
        1.0 - (self.late + self.failures) as f64 / self.orders.max(1) as f64
    }
}

#[derive(Clone, Copy, Debug)]
enum What {
    Arrives(usize),
    FirstToken(usize),
    Ends(usize),
    Reprice,
    Tick,
}

/// A call under way.
struct Running {
    order: usize,
    ending: Ending,
    end: f64,
    cut: bool,
}

struct Due {
    at: f64,
    number: usize,
    what: What,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}
impl Eq for Due {}
impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.total_cmp(&other.at).then(self.number.cmp(&other.number))
    }
}

/// What the sellers remember.
#[derive(Default)]
struct Shop {
    in_flight: u32,
    /// When an order came in, and its prompt.
    served: Vec<(f64, f64)>,
    /// When an answer was whole, and its length: providers count output when it is there.
    written: Vec<(f64, f64)>,
    free_used: f64,
    warm: HashMap<usize, (f64, f64)>,
}

pub(crate) struct Run<'a> {
    world: &'a World,
    shops: Vec<Shop>,
    tried: Vec<Vec<usize>>,
    running: Vec<Running>,
    due: BinaryHeap<Reverse<Due>>,
    numbered: usize,
    report: Report,
}

/// Lets `buyer` loose.
pub(crate) fn run(world: &World, buyer: &mut dyn Buyer) -> Report {
    let mut run = Run {
        world,
        shops: world.sellers.iter().map(|_| Shop::default()).collect(),
        tried: vec![Vec::new(); world.orders.len()],
        running: Vec::new(),
        due: BinaryHeap::new(),
        numbered: 0,
        report: Report { orders: world.orders.len(), ..Report::default() },
    };
    for seller in &world.sellers {
        for (from, _) in seller.prices.iter().filter(|(from, _)| *from > 0.0) {
            run.schedule(*from, What::Reprice);
        }
    }
    for order in &world.orders {
        run.schedule(order.at, What::Arrives(order.id));
    }
    run.schedule(TICK, What::Tick);
    while let Some(Reverse(due)) = run.due.pop() {
        run.happens(&due, buyer);
    }
    run.judge()
}

impl Run<'_> {
    fn schedule(&mut self, at: f64, what: What) {
        self.numbered += 1;
        self.due.push(Reverse(Due { at, number: self.numbered, what }));
    }

    fn happens(&mut self, due: &Due, buyer: &mut dyn Buyer) {
        match due.what {
            What::Arrives(order) => self.buy(order, due.at, buyer),
            What::FirstToken(call) => {
                let running = &self.running[call];
                buyer.first_token(&self.world.orders[running.order], &running.ending, due.at);
            }
            What::Ends(call) => self.end(call, due.at, buyer),
            What::Reprice => buyer.reprice(self.world, due.at),
            What::Tick => {
                buyer.tick(due.at);
                if due.at < self.world.span {
                    self.schedule(due.at + TICK, What::Tick);
                }
            }
        }
    }

    fn buy(&mut self, id: usize, now: f64, buyer: &mut dyn Buyer) {
        let order = &self.world.orders[id];
        if self.tried[id].len() >= ATTEMPTS {
            return self.fail(order, now);
        }
        match buyer.choose(order, &self.tried[id], now) {
            Some(choice) => self.send(order, choice, now, buyer),
            None if now - order.at < buyer.hold() => self.schedule(now + 0.05, What::Arrives(id)),
            None => self.fail(order, now),
        }
    }

    fn fail(&mut self, order: &Order, now: f64) {
        self.report.failures += 1;
        self.report.seconds += now - order.at;
    }

    fn send(&mut self, order: &Order, choice: Choice, now: f64, buyer: &mut dyn Buyer) {
        let Choice { seller, patience } = choice;
        let call = self.running.len();
        self.tried[order.id].push(seller);
        buyer.sent(order, call, seller, now);
        let in_flight = self.shops[seller].in_flight;
        self.shops[seller].in_flight += 1;
        let mut ending = Ending { seller, sent: now, first: 0.0, cached: 0.0, trouble: None, in_flight, call };
        let luck = self.world.sellers[seller].luck(self.world.seed, order, seller);
        let seller_is = &self.world.sellers[seller];
        let refusal = match seller_is.fault(now) {
            Some(Fault::Down) => Some((Trouble::Down, REFUSED_AFTER)),
            Some(Fault::Blocked) => Some((Trouble::Blocked, REFUSED_AFTER)),
            Some(Fault::Hangs) => Some((Trouble::Timeout, patience)),
            Some(Fault::Slow(_) | Fault::Drifts(_)) | None if self.is_full(seller, order, now) => {
                Some((Trouble::RateLimited, REFUSED_AFTER))
            }
            Some(Fault::Slow(_) | Fault::Drifts(_)) | None => None,
        };
        let (end, cut) = if let Some((trouble, after)) = refusal {
            ending.trouble = Some(trouble);
            (now + after, false)
        } else {
            self.serve(order, &mut ending, luck, patience)
        };
        self.report.calls.push(Call { sent: now, seller, trouble: ending.trouble });
        self.running.push(Running { order: order.id, ending, end, cut });
        self.schedule(end, What::Ends(call));
    }

    /// The order is at work; returns when it ends, and whether it breaks off.
    fn serve(&mut self, order: &Order, ending: &mut Ending, luck: Luck, patience: f64) -> (f64, bool) {
        let (now, seller) = (ending.sent, ending.seller);
        self.shops[seller].served.push((now, order.prompt));
        ending.cached = self.cached(seller, order, now, luck.warm);
        let is = &self.world.sellers[seller];
        let (odds, times) = is.straggle;
        let mean = 1.0 + odds * (times - 1.0);
        let (first, pace) = is.speed(now, order.prompt - ending.cached, f64::from(ending.in_flight));
        ending.first = first / mean * luck.times;
        if ending.first > patience {
            ending.trouble = Some(Trouble::Timeout);
            return (now + patience, false);
        }
        let share = if luck.cut { 0.5 } else { 1.0 };
        self.schedule(now + ending.first, What::FirstToken(ending.call));
        ending.trouble = luck.cut.then_some(Trouble::Cut);
        (now + ending.first + order.output * share * pace, luck.cut)
    }

    /// As the strictest of providers count: in any minute.
    fn is_full(&self, seller: usize, order: &Order, now: f64) -> bool {
        let quota = self.world.sellers[seller].quota;
        if quota.requests.is_none() && quota.tokens.is_none() {
            return false;
        }
        let shop = &self.shops[seller];
        let recent = |entries: &[(f64, f64)]| -> (u64, f64) {
            let recent = entries.iter().rev().take_while(|(at, _)| *at > now - 60.0);
            recent.fold((0, 0.0), |(count, sum), (_, tokens)| (count + 1, sum + tokens))
        };
        let ((count, prompts), (_, answers)) = (recent(&shop.served), recent(&shop.written));
        let tokens = prompts + answers + order.prompt;
        quota.requests.is_some_and(|most| count >= most) || quota.tokens.is_some_and(|most| tokens > most as f64)
    }

    fn cached(&self, seller: usize, order: &Order, now: f64, luck: f64) -> f64 {
        let Some(cache) = self.world.sellers[seller].cache else { return 0.0 };
        match self.shops[seller].warm.get(&order.conversation) {
            Some((at, tokens)) if now - at < cache.ttl && luck < cache.hit => tokens.min(order.prefix),
            Some(_) | None => 0.0,
        }
    }

    fn end(&mut self, call: usize, now: f64, buyer: &mut dyn Buyer) {
        let Running { order, ending, end, cut } = self.running[call];
        debug_assert!((end - now).abs() < 1e-9);
        let order = &self.world.orders[order];
        self.shops[ending.seller].in_flight -= 1;
        buyer.ended(order, &ending, now);
        let bill = self.bill(&ending, order);
        self.report.dollars += bill;
        match ending.trouble {
            None => {
                self.shops[ending.seller].written.push((now, order.output));
                self.shops[ending.seller].warm.insert(order.conversation, (now, order.prompt + order.output));
                self.answered(order, &ending, now);
            }
            Some(Trouble::Cut) => {
                debug_assert!(cut);
                self.report.wasted += bill;
                self.report.first_tokens.push(ending.sent + ending.first - order.at);
                self.fail(order, now);
            }
            Some(Trouble::RateLimited | Trouble::Down | Trouble::Blocked | Trouble::Timeout) => {
                self.report.wasted += bill;
                self.buy(order.id, now, buyer);
            }
        }
    }

    fn answered(&mut self, order: &Order, ending: &Ending, now: f64) {
        let first = ending.sent + ending.first - order.at;
        self.report.seconds += now - order.at;
        self.report.first_tokens.push(first);
        self.report.late += usize::from(first > self.world.worth.target);
    }

    fn bill(&mut self, ending: &Ending, order: &Order) -> f64 {
        let seller = &self.world.sellers[ending.seller];
        let uncached = order.prompt - ending.cached;
        let output = match ending.trouble {
            None => order.output,
            Some(Trouble::Cut) => order.output * 0.5,
            Some(Trouble::Timeout) => 0.0,
            Some(Trouble::RateLimited | Trouble::Down | Trouble::Blocked) => return 0.0,
        };
        // What hangs has not begun to work.
        if seller.fault(ending.sent) == Some(Fault::Hangs) {
            return 0.0;
        }
        let bill = seller.rates(ending.sent).bill(uncached, ending.cached, output);
        let Some(free) = seller.free else { return bill };
        let shop = &mut self.shops[ending.seller];
        let tokens = order.prompt + output;
        let covered = (free.tokens - shop.free_used).clamp(0.0, tokens);
        shop.free_used += covered;
        bill * (1.0 - covered / tokens)
    }

    fn judge(mut self) -> Report {
        let worth = self.world.worth;
        let report = &mut self.report;
        report.total = report.dollars
            + worth.second * report.seconds
            + worth.late * report.late as f64
            + worth.failure * report.failures as f64;
        self.report
    }
}
