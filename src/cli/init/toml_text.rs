//! The configuration as text: TOML with the comments that a reader needs.

use crate::engine::{Limits, Price, Rates};
use crate::units::PricePerMtok;

use super::draft::{Draft, Rules, printable};
use super::layout::{Access, Layout, Upstream};
use super::models::{Basis, Model, Standing};
use super::texts::POLICY;

/// How long a line of a comment may be.
pub(super) const WIDTH: usize = 116;

/// Adds a line to a string.
macro_rules! put {
    ($text:expr, $($arguments:tt)*) => {{
        $text.push_str(&format!($($arguments)*));
        $text.push('\n');
    }};
}
pub(super) use put;

/// `faregate.toml`.
pub(super) fn configuration(draft: &Draft, layout: &Layout, origin: &str) -> String {
    let mut text = String::new();
    text += &comment(&format!(
        "Written by `faregate init`{origin}. `faregate check FILE --resolve` shows what it comes to."
    ));
    let remarks = draft.remarks.lines();
    if !remarks.is_empty() {
        put!(text, "#\n# {}", draft.heading());
        for remark in &remarks {
            text += &item(remark);
        }
    }
    let policy = match draft.rules {
        Rules::Own | Rules::Copied(_) => POLICY,
        Rules::BuiltIn => "builtin:balanced",
    };
    put!(text, "\npolicy = {}", quoted(policy));
    draft.hint.iter().for_each(|hint| text += &comment(hint));
    text += "\n[server]\nlisten = \"127.0.0.1:3273\"  # the applications' base URL is http://127.0.0.1:3273/v1\n";
    text += "admin = \"127.0.0.1:3274\"   # /metrics, /readyz, and what it is doing\n";
    layout.upstreams.iter().for_each(|one| upstream(one, &mut text));
    for (name, reference) in &layout.tenants {
        text += "\n# Who may call; without any tenant, whoever reaches the address.\n";
        put!(text, "[[tenants]]\nname = {}\nkeys = [{}]", quoted(name), quoted(reference));
    }
    text
}

fn upstream(upstream: &Upstream, text: &mut String) {
    put!(text, "\n[upstreams.{}]", upstream.name);
    let whose = |provider| format!("provider = {}", quoted(provider));
    put!(text, "{}", upstream.address.provider.map_or_else(|| "dialect = \"openai\"".to_owned(), whose));
    upstream.address.region.iter().for_each(|region| put!(text, "region = {}", quoted(region)));
    upstream.address.base_url.iter().for_each(|url| put!(text, "base_url = {}", quoted(url)));
    let keys = upstream.keys.iter().filter_map(access).collect::<Vec<_>>();
    let labelled = |label: Option<&String>| label.map(|label| format!("  # {}", printable(label))).unwrap_or_default();
    match keys.as_slice() {
        [] => *text += "keys = []\n",
        [(one, label)] => put!(text, "keys = [{one}]{}", labelled(*label)),
        several => {
            *text += "keys = [\n";
            for (key, label) in several {
                put!(text, "  {key},{}", labelled(*label));
            }
            *text += "]\n";
        }
    }
    upstream.models.iter().for_each(|one| model(&upstream.name, one, text));
}

fn access(key: &Access) -> Option<(String, Option<&String>)> {
    let reference = quoted(key.reference.as_ref()?);
    let entry = match &key.models {
        None => reference,
        Some(models) => format!("{{ key = {reference}, models = {} }}", list(models)),
    };
    Some((entry, key.label.as_ref()))
}

fn model(upstream: &str, model: &Model, text: &mut String) {
    put!(text, "\n[upstreams.{upstream}.models.{}]", quoted(&model.name));
    let dated = match model.standing {
        Standing::Undated => "  # the name without its date: if this one has another price, say it",
        Standing::Listed | Standing::Unknown => "",
    };
    model.facts.base.iter().for_each(|base| put!(text, "base = {}{dated}", quoted(base)));
    match &model.facts.price {
        Some(price) => self::price(price, text),
        None if model.is_unpriced() => unpriced(model, text),
        None => {}
    }
    model.facts.context.iter().for_each(|tokens| put!(text, "context = {tokens}"));
    model.facts.max_output.iter().for_each(|tokens| put!(text, "max_output = {tokens}"));
    match model.capabilities() {
        Some((names, Basis::Said)) => put!(text, "capabilities = {}", list(&names)),
        Some((names, Basis::Assumed)) => {
            put!(text, "capabilities = {}  # taken for granted: strike what it cannot do", list(&names));
        }
        Some((names, Basis::AssumedForText)) => {
            let names = list(&names);
            put!(
                text,
                "capabilities = {names}  # taken for granted: strike what it cannot do, add \"vision\" if it can"
            );
        }
        None => {}
    }
    if model.facts.limits != Limits::default() {
        put!(text, "limits = {{ {} }}", limits(&model.facts.limits));
    }
}

fn price(price: &Price, text: &mut String) {
    put!(text, "price = {{ {} }}", rates(&price.rates));
    if !price.tiers.is_empty() {
        *text += "tiers = [  # longer prompts have other prices\n";
        for tier in &price.tiers {
            let above = tier.above_input.unwrap_or_default().0;
            put!(text, "  {{ above_input = {above}, {} }},", rates(&tier.rates));
        }
        *text += "]\n";
    }
}

fn rates(rates: &Rates) -> String {
    let all = [
        ("input", Some(rates.input)),
        ("output", Some(rates.output)),
        ("cached_input", rates.cached_input),
        ("cache_write", rates.cache_write),
        ("reasoning", rates.reasoning),
    ];
    let set = all.iter().filter_map(|(name, price)| price.map(|price| format!("{name} = {}", dollars(price))));
    set.collect::<Vec<_>>().join(", ")
}

/// What is to be filled in.
fn unpriced(model: &Model, text: &mut String) {
    *text += "# No price is known (per million tokens): used after all that have one.\n";
    *text += "# price = { input = \"… USD\", output = \"… USD\" }\n";
    if let Some(base) = &model.resembles {
        put!(
            text,
            "# base = {}  # if it costs and can do what it does there; then strike `capabilities`",
            quoted(base)
        );
    }
}

fn limits(limits: &Limits) -> String {
    let all = [
        ("rpm", limits.requests_per_minute),
        ("tpm", limits.tokens_per_minute),
        ("itpm", limits.input_tokens_per_minute),
        ("otpm", limits.output_tokens_per_minute),
        ("concurrency", limits.concurrency.map(u64::from)),
    ];
    let set = all.iter().filter_map(|(name, limit)| limit.map(|limit| format!("{name} = {limit}")));
    set.collect::<Vec<_>>().join(", ")
}

/// A price as the configuration writes it, digit for digit.
fn dollars(price: PricePerMtok) -> String {
    let (whole, rest) = (price.0 / 1_000_000, price.0 % 1_000_000);
    let rest = format!("{rest:06}");
    let rest = rest.trim_end_matches('0');
    if rest.is_empty() { format!("\"{whole} USD\"") } else { format!("\"{whole}.{rest} USD\"") }
}

/// A TOML string.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.extend(format!("\\u{:04x}", u32::from(c)).chars()),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

/// A TOML list of strings.
pub(super) fn list(texts: &[impl AsRef<str>]) -> String {
    format!("[{}]", texts.iter().map(|text| quoted(text.as_ref())).collect::<Vec<_>>().join(", "))
}

/// A comment, in lines of bearable length.
pub(super) fn comment(text: &str) -> String {
    wrapped(text, "# ", "# ")
}

/// An entry of a list in a comment.
pub(super) fn item(text: &str) -> String {
    wrapped(text, "# * ", "#   ")
}

fn wrapped(text: &str, first: &str, further: &str) -> String {
    let mut lines = vec![first.to_owned()];
    for word in printable(text).split_whitespace() {
        let fits = lines.last().is_some_and(|line| line.chars().count() + word.chars().count() < WIDTH);
        if !fits {
            lines.push(further.to_owned());
        }
        lines.iter_mut().last().into_iter().for_each(|line| line.extend([word, " "]));
    }
    lines.iter().fold(String::new(), |text, line| text + line.trim_end() + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_price_is_written_digit_for_digit() {
        let of = |text: &str| dollars(crate::feeds::per_token(text).unwrap());
        assert_eq!(of("2.5e-06"), "\"2.5 USD\"");
        assert_eq!(of("0.00000015"), "\"0.15 USD\"");
        assert_eq!(of("1.5e-7"), "\"0.15 USD\"");
        assert_eq!(of("8.900000000000001e-07"), "\"0.89 USD\"");
        assert_eq!(of("0"), "\"0 USD\"");
        assert_eq!(of("0.00003"), "\"30 USD\"");
    }

    proptest! {
        #[test]
        fn every_text_comes_back_from_toml(text in "\\PC{0,20}|[\\x00-\\x7f]{0,20}") {
            let line = format!("{} = {}", quoted(&text), quoted(&text));
            let table: toml::Table = line.parse().unwrap();
            prop_assert_eq!(table.get(&text).and_then(toml::Value::as_str), Some(text.as_str()));
        }

        #[test]
        fn no_text_ends_a_comment(text in "[\\x00-\\x7f\u{202e}\u{85}]{0,300}") {
            let table: toml::Table = item(&text).parse().unwrap();
            prop_assert!(table.is_empty());
        }
    }
}
