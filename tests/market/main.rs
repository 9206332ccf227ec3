//! Whole markets in virtual time: what the decision comes to in money, beside how others choose and beside the least
//! that anybody could have paid.
//!
//! `cargo test --release --test market -- --ignored --nocapture table` prints scenario by scenario what everybody paid.
//! `cargo test --release --test market -- --ignored --nocapture bounds` computes the bounds anew that `bounds.txt` holds.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::print_stdout,
    reason = "a test may fail by panicking, and its figures stay small"
)]

mod bound;
mod ours;
mod rivals;
mod run;
mod scenarios;
mod world;

use ours::Ours;
use rivals::{Habit, Rival};
use run::{Report, run};

/// The seeds that the gate is held to.
const SEEDS: [u64; 3] = [1, 2, 3];

fn line(name: &str, bound: f64, report: &Report) {
    println!(
        "  {name:<16} {:>8.4} {:>6.3} {:>7.2} {:>6.1}% {:>5} {:>6.3} {:>5}",
        report.dollars,
        report.total / bound,
        report.p95(),
        100.0 * report.attainment(),
        report.failures,
        report.attempts(),
        report.rate_limits(),
    );
}

#[test]
#[ignore = "prints a table; run it by name"]
fn table() {
    let only = std::env::var("ONLY").unwrap_or_default();
    let mut ratios = Vec::new();
    for scenario in scenarios::ALL.iter().filter(|scenario| scenario.name.contains(&only)) {
        for seed in SEEDS {
            let world = scenario.world(seed);
            let begun = std::time::Instant::now();
            let bound = bound::bound(&world);
            println!(
                "{} seed {seed}: {} orders, J* = {bound:.4} ({:.1?})",
                scenario.name,
                world.orders.len(),
                begun.elapsed()
            );
            let report = run(&world, &mut Ours::new(&world));
            ratios.push(report.total / bound);
            line("ours", bound, &report);
            if std::env::var("SHARES").is_ok() {
                for from in (0..world.span as usize).step_by(5) {
                    let span = from as f64..from as f64 + 5.0;
                    let shares: Vec<_> = (0..world.sellers.len())
                        .map(|seller| {
                            let calls =
                                report.calls.iter().filter(|call| call.seller == seller && span.contains(&call.sent));
                            let (all, bad) = calls
                                .fold((0, 0), |(all, bad), call| (all + 1, bad + usize::from(call.trouble.is_some())));
                            format!("{all:>4}/{bad:<3}")
                        })
                        .collect();
                    println!("    {from:>3} s {}", shares.join(" "));
                }
            }
            if std::env::var("OURS").is_ok() {
                continue;
            }
            for (name, habit) in [
                ("cheapest", Habit::Cheapest),
                ("p2c-ewma", Habit::PeakEwma),
                ("lowest-latency", Habit::LowestLatency),
                ("inverse-square", Habit::InverseSquare),
                ("informed", Habit::Informed),
            ] {
                line(name, bound, &run(&world, &mut Rival::new(habit, &world)));
            }
        }
    }
    println!("mean J/J* {:.3}", ratios.iter().sum::<f64>() / ratios.len() as f64);
}
