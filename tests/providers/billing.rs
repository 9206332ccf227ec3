//! Whether what an answer used, and what is left of a quota, arrive as they were told: to the token.

use std::collections::BTreeMap;

use serde_json::json;

use crate::checks::{Outcome, Probe};
use crate::client::{eventually, with};
use crate::facts::{Facts, Price, Usage};
use crate::stage::YUAN;
use crate::stream;

/// Dollars that rounding may take.
const ROUNDING: f64 = 1e-9;

/// Plain and streamed, with and without being asked for.
pub(crate) fn is_right(probe: &Probe<'_>) -> Result<(), String> {
    let facts = &probe.provider.facts;
    let before = used(probe)?;
    let reply = probe.answered(&probe.question())?;
    let told = reply.json()?["usage"]["prompt_tokens"].clone();
    if told != facts.usage.report.0["prompt_tokens"] {
        return Err(format!("the client was told {told} tokens"));
    }
    let shown: f64 = reply.header("x-faregate-cost-usd").unwrap_or("none").parse().map_err(|_| "no cost")?;
    let bills = bills(&facts.usage);
    if !bills.iter().any(|bill| (shown - bill).abs() <= ROUNDING) {
        return Err(format!("costs {bills:?} dollars, and {shown} were billed"));
    }
    counted(probe, &before, 1)?;

    let asking = json!({ "stream": true, "stream_options": { "include_usage": true } });
    let streamed = stream::told(probe.answered(&with(probe.question(), &asking))?.chunks()?)?;
    if streamed.usage["prompt_tokens"] != facts.usage.report.0["prompt_tokens"] {
        return Err(format!("a stream was asked for usage, and had {}", streamed.usage));
    }
    counted(probe, &before, 2)?;

    let quiet = stream::told(probe.answered(&with(probe.question(), &json!({ "stream": true })))?.chunks()?)?;
    if quiet.chunks.iter().any(|chunk| chunk["choices"] == json!([])) {
        return Err("a stream had a chunk of usage that nobody asked for".to_owned());
    }
    counted(probe, &before, 3)
}

/// The tokens of all requests so far, by kind, and their dollars.
fn used(probe: &Probe<'_>) -> Result<BTreeMap<&'static str, f64>, String> {
    let (upstream, model) = (&probe.provider.first().upstream, &probe.provider.facts.model);
    let metrics = probe.stage.metrics()?;
    let tokens = ["input", "cached_input", "output", "reasoning"].map(|kind| {
        let labels = format!("kind=\"{kind}\",model=\"{model}\",tenant=\"none\",upstream=\"{upstream}\"");
        (kind, metrics.of(&format!("faregate_tokens_total{{{labels}}}")))
    });
    Ok(tokens.into_iter().collect())
}

/// Waits until as much as this many answers use has been counted, and no more.
fn counted(probe: &Probe<'_>, before: &BTreeMap<&'static str, f64>, answers: u32) -> Result<(), String> {
    let Usage { input, cached_input, output, reasoning, .. } = &probe.provider.facts.usage;
    let one = [("input", input), ("cached_input", cached_input), ("output", output), ("reasoning", reasoning)];
    let expected: BTreeMap<_, _> =
        one.into_iter().map(|(kind, tokens)| (kind, before[kind] + f64::from(answers) * number(*tokens))).collect();
    let told = eventually(|| Ok((used(probe)? == expected).then_some(())))?;
    told.ok_or_else(|| format!("after {answers} answers {:?} tokens were counted instead of {expected:?}", used(probe)))
}

/// What these tokens may cost in dollars, by the hour.
fn bills(usage: &Usage) -> Vec<f64> {
    let Price { input, cached_input, output, currency, at_peak } = &usage.price;
    let rate = if currency == "CNY" { YUAN } else { 1.0 };
    let fresh = number(usage.input - usage.cached_input) * input;
    let cached = number(usage.cached_input) * cached_input.unwrap_or(*input);
    let bill = (fresh + cached + number(usage.output) * output) / 1e6 * rate;
    [Some(1.0), *at_peak].into_iter().flatten().map(|times| times * bill).collect()
}

fn number(tokens: u64) -> f64 {
    f64::from(u32::try_from(tokens).unwrap())
}

/// What its headers tell of quota is what the admin plane shows.
pub(crate) fn quota(probe: &Probe<'_>) -> Outcome {
    let Facts { quota, model, .. } = &*probe.provider.facts;
    let Some(quota) = quota else { return Outcome::Lacking };
    let upstream = &probe.provider.first().upstream;
    let id = format!("{upstream}/{model}#main");
    let shows = |kind: &str, left: f64| -> Result<(), String> {
        let labels = format!("endpoint=\"{id}\",kind=\"{kind}\"");
        near(kind, probe.stage.metrics()?.of(&format!("faregate_quota_remaining_ratio{{{labels}}}")), left)
    };
    if quota.headers.is_empty() {
        return Outcome::Untold;
    }
    let check = || -> Result<(), String> {
        probe.answered(&probe.question())?;
        quota.left.iter().try_for_each(|(kind, left)| shows(kind, *left))?;
        let least = quota.left.values().copied().fold(f64::INFINITY, f64::min);
        let shown = probe.stage.endpoint(upstream, model)?["quota_remaining"].clone();
        near("/v1/endpoints", shown.as_f64().ok_or_else(|| format!("quota_remaining is {shown}"))?, least)
    };
    // It is told again with each answer, and forgotten a few seconds later: a busy machine may look too late.
    match eventually(|| Ok(check().ok())) {
        Ok(Some(())) => Outcome::Holds,
        Ok(None) | Err(_) => check().map_or_else(Outcome::Fails, |()| Outcome::Holds),
    }
}

/// It grows back from the moment that it was told.
fn near(what: &str, found: f64, told: f64) -> Result<(), String> {
    let fits = found >= told - 0.05 && found < 1.0 - (1.0 - told) / 2.0;
    if fits { Ok(()) } else { Err(format!("{what}: {told} were left, and it shows {found}")) }
}
