//! What people ask for by name: the table of everybody, the bounds, and how far figures move from seed to seed.

use std::fmt::Write as _;

use super::bound::bound;
use super::gate::{SEEDS, known_bound};
use super::ours::Ours;
use super::rivals::{Habit, Rival};
use super::run::{Buyer, Report, run};
use super::scenarios::{ALL, Scenario};
use super::world::World;

const HABITS: [(&str, Habit); 5] = [
    ("cheapest", Habit::Cheapest),
    ("p2c-peak-ewma", Habit::PeakEwma),
    ("lowest-latency", Habit::LowestLatency),
    ("inverse-square", Habit::InverseSquare),
    ("true-means", Habit::Informed),
];
/// Above this, the best that a rule with true means does is shown beside it.
const HARD: f64 = 1.3;

fn buyers(world: &World) -> Vec<(&'static str, Box<dyn Buyer + '_>)> {
    let mut all: Vec<(&str, Box<dyn Buyer + '_>)> = vec![("faregate", Box::new(Ours::new(world)))];
    all.extend(HABITS.map(|(name, habit)| (name, Box::new(Rival::new(habit, world)) as Box<dyn Buyer + '_>)));
    all
}

/// Sums over the seeds of one scenario.
#[derive(Default)]
struct Line {
    dollars: f64,
    ratio: f64,
    p95: f64,
    attainment: f64,
    failures: usize,
    attempts: f64,
    rate_limits: usize,
}

impl Line {
    fn add(&mut self, report: &Report, bound: f64) {
        self.dollars += report.dollars;
        self.ratio += report.total / bound;
        self.p95 += report.p95();
        self.attainment += report.attainment();
        self.failures += report.failures;
        self.attempts += report.attempts();
        self.rate_limits += report.rate_limits();
    }

    fn print(&self, scenario: &str, buyer: &str) {
        let mean = |sum: f64| sum / SEEDS.len() as f64;
        println!(
            "{scenario:<15} {buyer:<15} {:>9.4} {:>7.3} {:>8.2} {:>8.1}% {:>8} {:>8.3} {:>6}",
            mean(self.dollars),
            mean(self.ratio),
            mean(self.p95),
            100.0 * mean(self.attainment),
            self.failures,
            mean(self.attempts),
            self.rate_limits,
        );
    }
}

fn tabulate(scenario: &Scenario, sums: &mut [(&'static str, f64)]) {
    let mut lines: Vec<(&str, Line)> = Vec::new();
    for seed in SEEDS {
        let world = scenario.world(seed);
        for (index, (name, mut buyer)) in buyers(&world).into_iter().enumerate() {
            if lines.len() <= index {
                lines.push((name, Line::default()));
            }
            lines[index].1.add(&run(&world, buyer.as_mut()), known_bound(scenario.name, seed));
        }
    }
    let is_hard = lines[0].1.ratio / SEEDS.len() as f64 > HARD;
    for ((name, line), (_, sum)) in lines.iter().zip(sums) {
        *sum += line.ratio / SEEDS.len() as f64 / ALL.len() as f64;
        if *name != "true-means" || is_hard {
            line.print(scenario.name, name);
        }
    }
}

#[test]
#[ignore = "prints a table; run it by name"]
fn table() {
    println!("scenario        buyer             dollars    J/J*  p95 (s)   on time  failures attempts   429s");
    let mut sums: Vec<_> =
        std::iter::once("faregate").chain(HABITS.map(|(name, _)| name)).map(|name| (name, 0.0)).collect();
    for scenario in &ALL {
        tabulate(scenario, &mut sums);
    }
    for (name, mean) in sums.iter().filter(|(name, _)| *name != "true-means") {
        println!("mean J/J*       {name:<15} {mean:>17.3}");
    }
}

#[test]
#[ignore = "writes tests/market/bounds.txt; run it by name"]
fn bounds() {
    let mut text = String::new();
    for scenario in &ALL {
        for seed in SEEDS {
            writeln!(text, "{} {seed} {:.6}", scenario.name, bound(&scenario.world(seed))).unwrap();
        }
    }
    std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/market/bounds.txt"), &text).unwrap();
    println!("{text}");
}

#[test]
#[ignore = "takes a minute; run it by name"]
fn variation() {
    let mut all = Vec::new();
    for scenario in &ALL {
        let mut ratios: Vec<f64> = (101..121)
            .map(|seed| {
                let world = scenario.world(seed);
                run(&world, &mut Ours::new(&world)).total / bound(&world)
            })
            .collect();
        ratios.sort_by(f64::total_cmp);
        let mean = ratios.iter().sum::<f64>() / ratios.len() as f64;
        println!("{:<15} mean {mean:.3}, from {:.3} to {:.3}", scenario.name, ratios[0], ratios[ratios.len() - 1]);
        all.push(mean);
    }
    println!("mean over scenarios and seeds: {:.3}", all.iter().sum::<f64>() / all.len() as f64);
}
