//! The policy as text: what good answers are worth, as the balanced policy has it, and the routes of the draft.

use std::time::Duration;

use crate::policy::builtin;

use super::draft::{Draft, Refusals, Rules, Unlisted};
use super::laid::Laid;
use super::layout::Layout;
use super::toml_text::{WIDTH, comment, list, put, quoted};

/// More tries than these only make a failure late.
pub(super) const MOST_ATTEMPTS: u64 = 10;
const USUAL_ATTEMPTS: u64 = 3;
const USUAL_TOTAL: Duration = Duration::from_mins(5);

/// `policy.toml`; `None` where one that is built in will do.
pub(super) fn policy(draft: &Draft, layout: &Layout, origin: &str) -> Option<String> {
    match draft.rules {
        Rules::Own => {}
        Rules::BuiltIn => return None,
        Rules::Copied(policy) => return Some(policy.text.to_owned()),
    }
    let mut text = comment(&format!(
        "How to choose; written by `faregate init`{origin}. It is reloaded while it runs. Weights and strategies are \
         gone: inside a tier the lowest expected cost of each request wins, money, waiting and failures counted."
    ));
    put!(text, "\n{}", objective());
    defaults(draft, layout, &mut text);
    layout.routes.iter().for_each(|one| route(one, attempts(draft), &mut text));
    Some(text)
}

/// `[objective]` of the balanced policy, with its comments.
fn objective() -> &'static str {
    let text = builtin("balanced").map_or("", |one| one.text);
    let after = text.find("[objective]").and_then(|start| text.get(start..)).unwrap_or("");
    after.split_once("[defaults]").map_or(after, |(objective, _)| objective).trim_end()
}

fn defaults(draft: &Draft, layout: &Layout, text: &mut String) {
    *text += "\n[defaults]\n";
    *text += match draft.unlisted {
        Unlisted::Refuse => {
            "# A model that no route lists is refused, as before; \"allow\" serves all that upstreams have.\n\
             unlisted = \"refuse\"\n"
        }
        Unlisted::Allow => {
            "# A model that no route lists goes to the upstreams that have it; \"refuse\" answers `no_route`.\n\
             unlisted = \"allow\"\n"
        }
    };
    if layout.upstreams.iter().flat_map(|one| &one.models).any(super::models::Model::is_unpriced) {
        *text += "\n# Some models have no price yet: they serve after all of their tier that have one. \"exclude\" leaves them out.\n";
        *text += "unknown_price = \"allow\"\n";
    }
    let total = time(draft.total.unwrap_or(USUAL_TOTAL));
    *text += "\n# How long to wait: for a connection, a stream's first token, between its tokens, and in all.\n";
    put!(text, "timeouts = {{ connect = \"1s\", first_token = \"10s\", idle = \"30s\", total = {total} }}");
    let attempts = attempts(draft);
    *text += "\n# Tries per request, the first included; extra ones stay below this share of all requests.\n";
    put!(text, "retry = {{ attempts = {attempts}, budget = \"20%\", floor = \"1/s\" }}");
}

/// Tries per request that the draft wants, the first included.
fn attempts(draft: &Draft) -> u64 {
    draft.attempts.unwrap_or(USUAL_ATTEMPTS).clamp(1, MOST_ATTEMPTS)
}

/// A time as policies write it.
fn time(time: Duration) -> String {
    let millis = time.as_millis();
    if millis.is_multiple_of(1_000) { format!("\"{}s\"", millis / 1_000) } else { format!("\"{millis}ms\"") }
}

fn route(route: &Laid, attempts: u64, text: &mut String) {
    put!(text, "\n[[routes]]\nname = {}\nmodels = {}", quoted(&route.name), names(&route.models));
    if route.tiers.iter().flatten().any(|entry| entry.contains("/*")) {
        *text += "# `upstream/*` is the model that is asked for; for a name with a date that it does not have, the one without.\n";
    }
    match route.tiers.as_slice() {
        [tier] => put!(text, "cluster = {}", list(tier)),
        tiers => {
            *text += "cluster = [  # a tier is used when nothing in those above can answer\n";
            for tier in tiers {
                put!(text, "  {},", list(tier));
            }
            *text += "]\n";
        }
    }
    let least = u64::try_from(route.least_attempts).unwrap_or(MOST_ATTEMPTS).min(MOST_ATTEMPTS);
    if least > attempts {
        put!(text, "retry = {{ attempts = {least} }}  # as many as come to the last tier");
    }
    route.total.iter().for_each(|total| put!(text, "timeouts = {{ total = {} }}", time(*total)));
    match route.refusals {
        Refusals::Final => {}
        Refusals::AskOthers => *text += "failover_on = [\"content_filter\"]\n",
    }
}

/// A list of names, in lines of bearable length.
fn names(names: &[String]) -> String {
    let whole = list(names);
    if whole.chars().count() < WIDTH {
        return whole;
    }
    let mut lines = vec![String::new()];
    for name in names {
        let name = quoted(name) + ", ";
        let fits = lines.last().is_some_and(|line| line.chars().count() + name.chars().count() < WIDTH);
        if !fits {
            lines.push(String::new());
        }
        lines.iter_mut().last().into_iter().for_each(|line| line.push_str(&name));
    }
    let lines = lines.iter().filter(|line| !line.is_empty()).map(|line| format!("  {}\n", line.trim_end()));
    format!("[\n{}]", lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_objective_is_the_balanced_policys() {
        let table: toml::Table = objective().parse().unwrap();
        let balanced: toml::Table = builtin("balanced").unwrap().text.parse().unwrap();
        assert_eq!((table.len(), table.get("objective")), (1, balanced.get("objective")));
    }
}
