//! Whether what a provider says when something is wrong is understood: the class that is counted, and who is left alone.

use serde_json::json;

use crate::checks::{Outcome, Probe};
use crate::client::{self, chat, eventually, with};
use crate::facts::Error;

/// Classes for which an endpoint is left alone at once.
const BENCHING: [&str; 3] = ["auth", "quota_exhausted", "region_blocked"];

/// Every error that is known of the provider. Heads that tell of quota are believed, so these come last.
pub(crate) fn are_understood(probe: &Probe<'_>) -> Outcome {
    let mut errors: Vec<_> = probe.provider.facts.errors.iter().collect();
    errors.sort_by_key(|error| (error.class == "rate_limited", !error.headers.is_empty()));
    let failures: Vec<_> = errors.iter().filter_map(|error| is_understood(probe, error).err()).collect();
    match (errors.is_empty(), failures.is_empty()) {
        (true, _) => Outcome::Lacking,
        (false, true) => Outcome::Holds,
        (false, false) => Outcome::Fails(failures.join("; ")),
    }
}

fn is_understood(probe: &Probe<'_>, error: &Error) -> Result<(), String> {
    let (upstream, model) = (&probe.provider.first().upstream, &probe.provider.facts.model);
    let wrong = |why: String| format!("{} of {upstream} ({}): {why}", error.name, error.source);
    let all = || -> Result<Vec<(String, f64)>, String> {
        let text = client::page(&probe.stage.admin, "/metrics")?.text;
        let of_model = format!("model=\"{model}\"");
        let series = text.lines().filter(|line| {
            line.starts_with("faregate_attempts_total{")
                && line.contains(&of_model)
                && line.contains(&format!("upstream=\"{upstream}\""))
        });
        Ok(series
            .filter_map(|line| line.rsplit_once(' '))
            .map(|(name, n)| (name.to_owned(), n.parse().unwrap()))
            .collect())
    };
    let before = all()?;
    let prompt = client::question(&probe.provider.flagship(), &format!("provoke:{}", error.name));
    let reply = chat(&probe.stage.data, &with(prompt, &json!({ "stream": error.stream })))?;
    let counted = eventually(|| Ok(all()?.into_iter().find(|one| !before.contains(one)).map(|(name, _)| name)))?;
    let counted = counted.ok_or_else(|| wrong(format!("was counted nowhere: {} {}", reply.status, reply.text)))?;
    if !counted.contains(&format!("result=\"{}\"", error.class)) {
        return Err(wrong(format!("is {}, and was counted as {counted}", error.class)));
    }
    if BENCHING.contains(&error.class.as_str()) {
        let because = probe.stage.endpoint(upstream, model)?["because"].clone();
        if because != error.class.as_str() {
            return Err(wrong(format!("the endpoint is left alone because of {because}")));
        }
    }
    probe.stage.reset(upstream)
}
