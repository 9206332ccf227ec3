//! What a provider does not take of a request.
//!
//! A rule names a field by its path (`messages[].role`, `tools[].function.strict`) and says which values are taken; one
//! that says nothing takes none. `messages[tool_calls].x` looks only at messages that have `tool_calls`.

use serde::Deserialize;
use serde_json::Value;

/// One rule.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    /// Which models it holds for, by the beginning of their names; all if empty.
    #[serde(default)]
    models: Vec<String>,
    /// Which models it does not hold for.
    #[serde(default)]
    but: Vec<String>,
    /// For which requests.
    #[serde(default)]
    with: Vec<Trait>,
    /// The path. `*` means that any field of the request has to be one of `among`.
    field: String,
    /// Values that are taken.
    among: Option<Vec<toml::Value>>,
    min: Option<f64>,
    max: Option<f64>,
    above: Option<f64>,
    below: Option<f64>,
    /// It has to be a text, if it is there.
    #[serde(default)]
    text: bool,
    /// So many letters and digits, and nothing else.
    alphanumeric: Option<usize>,
    /// It has to be there.
    #[serde(default)]
    wanted: bool,
    /// Whose word that is.
    pub(crate) source: String,
}

/// What a request may be.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Trait {
    Plain,
    Stream,
    Tools,
}

impl Trait {
    fn of(self, body: &Value) -> bool {
        let is_stream = body.get("stream") == Some(&Value::Bool(true));
        match self {
            Self::Plain => !is_stream,
            Self::Stream => is_stream,
            Self::Tools => body.get("tools").is_some_and(|tools| !tools.is_null()),
        }
    }
}

impl Rule {
    /// Why this request is not taken; `None` if it is.
    pub(crate) fn breach(&self, body: &Value) -> Option<String> {
        let model = body["model"].as_str().unwrap_or_default();
        let fits = |names: &[String]| names.iter().any(|name| model.starts_with(name.as_str()));
        let concerned = (self.models.is_empty() || fits(&self.models)) && !fits(&self.but);
        if !concerned || !self.with.iter().all(|one| one.of(body)) {
            return None;
        }
        if self.field == "*" {
            let unknown = body.as_object()?.keys().find(|key| !self.lists(&Value::from(key.as_str())));
            return unknown.map(|key| format!("extra fields are not permitted: {key}"));
        }
        let mut found = Vec::new();
        collect(body, &self.field, &mut found);
        let wrong = |value: Option<&Value>| match value {
            None => self.wanted,
            Some(value) => !self.takes(value),
        };
        let value = found.into_iter().find(|value| wrong(*value))?;
        Some(format!("{} = {} is not supported by {model}", self.field, value.unwrap_or(&Value::Null)))
    }

    fn takes(&self, value: &Value) -> bool {
        let number = || value.as_f64().unwrap_or(f64::NAN);
        let limits = [
            self.among.as_ref().map(|_| self.lists(value)),
            self.min.map(|min| number() >= min),
            self.max.map(|max| number() <= max),
            self.above.map(|above| number() > above),
            self.below.map(|below| number() < below),
            self.alphanumeric.map(|length| is_alphanumeric(value, length)),
            self.text.then(|| value.is_string() || value.is_null()),
            self.wanted.then(|| !matches!(value.as_str(), None | Some("")) || value.is_boolean()),
        ];
        let mut told = limits.into_iter().flatten().peekable();
        told.peek().is_some() && told.all(|holds| holds)
    }

    fn lists(&self, value: &Value) -> bool {
        let same =
            |one: &toml::Value| serde_json::to_value(one).is_ok_and(|one| one == *value || as_number(&one, value));
        self.among.iter().flatten().any(same)
    }
}

fn is_alphanumeric(value: &Value, length: usize) -> bool {
    value.as_str().is_some_and(|text| text.len() == length && text.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// Whether both are one number: 1 is 1.0.
fn as_number(one: &Value, other: &Value) -> bool {
    one.as_f64().zip(other.as_f64()).is_some_and(|(one, other)| one.total_cmp(&other).is_eq())
}

/// The values at `path`, and `None` where there is none.
fn collect<'a>(value: &'a Value, path: &str, found: &mut Vec<Option<&'a Value>>) {
    let (step, rest) = path.split_once('.').unwrap_or((path, ""));
    let (name, filter) = step.strip_suffix(']').and_then(|step| step.split_once('[')).unwrap_or((step, "-"));
    let Some(next) = value.get(name) else {
        if filter == "-" {
            found.push(None);
        }
        return;
    };
    if filter == "-" {
        return if rest.is_empty() { found.push(Some(next)) } else { collect(next, rest, found) };
    }
    for item in next.as_array().into_iter().flatten().filter(|item| filter.is_empty() || item.get(filter).is_some()) {
        collect(item, rest, found);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn breach(rule: &str, body: &Value) -> bool {
        let rule: Rule = toml::from_str(&format!("source = \"test\"\n{rule}")).unwrap();
        rule.breach(body).is_some()
    }

    #[test]
    fn a_rule_that_says_nothing_takes_no_value_and_one_that_says_something_takes_that() {
        let body = json!({ "model": "m-1", "temperature": 0, "n": 1, "stream": true });
        assert!(breach("field = \"n\"", &body) && !breach("field = \"seed\"", &body));
        assert!(breach("field = \"temperature\"\nabove = 0.0\nmax = 1.0", &body));
        assert!(!breach("field = \"temperature\"\nmin = 0.0\nmax = 1.0", &body));
        assert!(!breach("field = \"n\"\namong = [1]", &body) && breach("field = \"n\"\namong = [2]", &body));
        assert!(breach("field = \"n\"\nmodels = [\"m-\"]", &body) && !breach("field = \"n\"\nmodels = [\"x\"]", &body));
        assert!(
            !breach("field = \"n\"\nwith = [\"plain\"]", &body) && !breach("field = \"n\"\nwith = [\"tools\"]", &body)
        );
        assert!(breach("field = \"*\"\namong = [\"model\", \"n\"]", &body));
        assert!(breach("field = \"enable\"\namong = [false]\nwanted = true", &body));
    }

    #[test]
    fn a_path_leads_into_lists() {
        let body = json!({ "model": "m", "messages": [
            { "role": "user", "content": [] }, { "role": "assistant", "tool_calls": [], "thoughts": "" },
        ], "tools": [{ "function": { "strict": true } }] });
        assert!(breach("field = \"messages[].content\"\ntext = true", &body));
        assert!(breach("field = \"messages[].role\"\namong = [\"user\"]", &body));
        assert!(!breach("field = \"messages[].role\"\namong = [\"user\", \"assistant\"]", &body));
        assert!(breach("field = \"tools[].function.strict\"", &body));
        assert!(breach("field = \"messages[tool_calls].thoughts\"\nwanted = true", &body));
        assert!(!breach("field = \"messages[name].thoughts\"\nwanted = true", &body));
    }
}
