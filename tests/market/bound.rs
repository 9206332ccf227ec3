//! The clairvoyant bound `J*`: the cheapest assignment of all orders by a linear programme that knows lengths, prices,
//! quotas and faults to come, and the mean of everything that is luck.
//!
//! Variables are shares of orders at sellers (warm and cold apart), so fractions are allowed: nobody can do better. A
//! minute's quota is asked of windows that begin every five seconds, and crowding of spans of two seconds, by tangents to
//! its convex cost: both are weaker than the truth, which keeps it a bound.

use microlp::{ComparisonOp, LinearExpr, OptimizationDirection, Problem, SolveOutcome, Variable};

use super::world::{Order, Seller, World};

/// Seconds between the windows that a quota is asked of.
const WINDOW_STEP: f64 = 5.0;
/// Seconds of one crowding span.
const SPAN: f64 = 2.0;

/// One seller's part in one order.
struct Share {
    order: usize,
    seller: usize,
    variable: Variable,
}

/// The least that `world` can cost.
pub(crate) fn bound(world: &World) -> f64 {
    let mut problem = Problem::new(OptimizationDirection::Minimize);
    let mut shares: Vec<Share> = Vec::new();
    let mut by_order: Vec<Vec<usize>> = vec![Vec::new(); world.orders.len()];
    for order in &world.orders {
        let mut all = LinearExpr::empty();
        all.add(problem.add_var(world.worth.failure, (0.0, 1.0)), 1.0);
        for (at, seller) in world.sellers.iter().enumerate().filter(|(_, seller)| seller.is_up(order.at)) {
            let cold = problem.add_var(cost(world, seller, order, 0.0), (0.0, 1.0));
            all.add(cold, 1.0);
            by_order[order.id].push(shares.len());
            shares.push(Share { order: order.id, seller: at, variable: cold });
            let Some(previous) = warm_from(world, seller, order) else { continue };
            let warm = problem.add_var(cost(world, seller, order, 1.0), (0.0, 1.0));
            all.add(warm, 1.0);
            let mut source = LinearExpr::empty();
            source.add(warm, 1.0);
            for share in by_order[previous].iter().map(|share| &shares[*share]).filter(|share| share.seller == at) {
                source.add(share.variable, -1.0);
            }
            problem.add_constraint(source, ComparisonOp::Le, 0.0);
            by_order[order.id].push(shares.len());
            shares.push(Share { order: order.id, seller: at, variable: warm });
        }
        problem.add_constraint(all, ComparisonOp::Eq, 1.0);
    }
    for at in 0..world.sellers.len() {
        limit_quota(&mut problem, world, at, &shares);
        grant_allowance(&mut problem, world, at, &shares);
        charge_crowding(&mut problem, world, at, &shares);
    }
    let outcome = problem.solve().expect("failing is always possible");
    let SolveOutcome::Solution(solution) = outcome else { panic!("no limit was set") };
    solution.objective()
}

/// The turn before, where its prompt may still be warm at this seller.
fn warm_from(world: &World, seller: &Seller, order: &Order) -> Option<usize> {
    let previous = order.after?;
    let cache = seller.cache?;
    (order.at - world.orders[previous].at < cache.ttl + 10.0).then_some(previous)
}

/// What an order costs at a seller on average, with nobody else there.
fn cost(world: &World, seller: &Seller, order: &Order, warm: f64) -> f64 {
    let hit = seller.cache.map_or(0.0, |cache| cache.hit) * warm;
    let cached = hit * order.prefix;
    let worth = world.worth;
    let (first, pace) = seller.speed(order.at, order.prompt - cached, 0.0);
    let bill = |output: f64| seller.rates(order.at).bill(order.prompt - cached, cached, output);
    let (odds, times) = seller.straggle;
    let usual = first / (1.0 + odds * (times - 1.0));
    let beyond = |mean: f64| late(mean, seller.sigma, worth.target);
    let late = (1.0 - odds) * beyond(usual) + odds * beyond(usual * times);
    let whole = bill(order.output) + worth.second * (first + order.output * pace) + worth.late * late;
    let broken = bill(order.output / 2.0) + worth.second * (first + order.output / 2.0 * pace) + worth.failure;
    (1.0 - seller.cut) * whole + seller.cut * broken
}

/// The chance that a log-normal time with this mean exceeds the target.
pub(crate) fn late(mean: f64, sigma: f64, target: f64) -> f64 {
    let z = (target.ln() - (mean.ln() - sigma * sigma / 2.0)) / sigma;
    // Abramowitz and Stegun 7.1.26.
    let x = z.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let poly =
        t * (0.254_829_592 + t * (-0.284_496_736 + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))));
    let tail = 0.5 * poly * (-x * x).exp();
    if z < 0.0 { 1.0 - tail } else { tail }
}

fn limit_quota(problem: &mut Problem, world: &World, at: usize, shares: &[Share]) {
    let quota = world.sellers[at].quota;
    let windows = (world.span / WINDOW_STEP).ceil() as usize;
    for (most, weighs) in [(quota.requests, false), (quota.tokens, true)] {
        let Some(most) = most else { continue };
        for window in 0..windows {
            let from = window as f64 * WINDOW_STEP;
            let mut sum = LinearExpr::empty();
            for share in shares.iter().filter(|share| share.seller == at) {
                let order = &world.orders[share.order];
                if (from..from + 60.0).contains(&order.at) {
                    sum.add(share.variable, if weighs { order.prompt + order.output } else { 1.0 });
                }
            }
            problem.add_constraint(sum, ComparisonOp::Le, most as f64);
        }
    }
}

/// A covered share of an order gives its bill back.
fn grant_allowance(problem: &mut Problem, world: &World, at: usize, shares: &[Share]) {
    let Some(free) = world.sellers[at].free else { return };
    let mut sum = LinearExpr::empty();
    for share in shares.iter().filter(|share| share.seller == at) {
        let order = &world.orders[share.order];
        let bill = world.sellers[at].rates(order.at).bill(order.prompt, 0.0, order.output);
        let covered = problem.add_var(-bill, (0.0, 1.0));
        problem.add_constraint([(covered, 1.0), (share.variable, -1.0)], ComparisonOp::Le, 0.0);
        sum.add(covered, order.prompt + order.output);
    }
    problem.add_constraint(sum, ComparisonOp::Le, free.tokens);
}

/// With `w` seconds of work a second at a seller that slows by `c` for each in flight, `n = w / (1 - c w)` are in flight
/// and each second of work takes `1 / (1 - c w)`: the extra `c w² / (1 - c w)` is convex, so tangents bound it.
fn charge_crowding(problem: &mut Problem, world: &World, at: usize, shares: &[Share]) {
    let seller = &world.sellers[at];
    if seller.crowding <= 0.0 {
        return;
    }
    let c = seller.crowding;
    let worth = world.worth.second * SPAN;
    for span in 0..(world.span / SPAN).ceil() as usize {
        let from = span as f64 * SPAN;
        let mut work: Vec<(Variable, f64)> = Vec::new();
        for share in shares.iter().filter(|share| share.seller == at) {
            let order = &world.orders[share.order];
            if (from..from + SPAN).contains(&order.at) {
                let (first, pace) = seller.speed(order.at, order.prompt, 0.0);
                work.push((share.variable, (first + order.output * pace) / SPAN));
            }
        }
        let extra = problem.add_var(worth, (0.0, f64::INFINITY));
        for step in 1..20 {
            let w = f64::from(step) * 0.05 / c;
            let value = c * w * w / (1.0 - c * w);
            let slope = (2.0 * c * w - c * c * w * w) / (1.0 - c * w).powi(2);
            // extra >= value + slope (work - w)
            let mut tangent = LinearExpr::empty();
            tangent.add(extra, 1.0);
            for (variable, coefficient) in &work {
                tangent.add(*variable, -slope * coefficient);
            }
            problem.add_constraint(tangent, ComparisonOp::Ge, value - slope * w);
        }
    }
}
