//! How one endpoint wants requests otherwise, as data. What is done with it is `adjust`.
//!
//! Rules come from a provider's file and then from an operator, who has the last word on each field: what is said later
//! of a field takes the place of what was said before, and `keep` takes back all of it.

/// Changes to a request, made in the order of the fields.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Adjustments {
    /// Fields of which nothing holds that was said before.
    pub keep: Vec<String>,
    /// Fields that have another name there. Where both stand in the body, the other one counts, but of two bounds on the
    /// answer the smaller, and whatever a route has decided.
    pub rename: Vec<(String, String)>,
    /// Fields that are refused there, by their paths: `seed`, `tools[].function.strict`.
    pub drop: Vec<String>,
    /// Texts that are called otherwise: the field by its path, the text, and what is written instead.
    pub replace: Vec<(String, String, String)>,
    /// Fields that are left out unless they are one of these JSON values.
    pub only: Vec<(String, Vec<String>)>,
    /// Numbers that have to lie between others.
    pub bounds: Vec<(String, Bounds)>,
    /// JSON values for fields that are missing.
    pub default: Vec<(String, String)>,
    /// JSON values for fields whatever they are.
    pub set: Vec<(String, String)>,
    /// What becomes of the reasoning in earlier turns.
    pub reasoning: Option<Reasoning>,
    /// In which form messages are taken.
    pub content: Option<Content>,
    /// Which ids of tool calls are taken.
    pub call_ids: Option<CallIds>,
    /// Roles that are called otherwise.
    pub roles: Vec<(String, String)>,
    /// Which streams are asked for as whole answers.
    pub fake_stream: Option<FakeStream>,
}

/// Which streams an endpoint cannot give: they are asked for as whole answers, and made into streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FakeStream {
    /// It can give all.
    Never,
    /// Not where tools may be called.
    WithTools,
    /// None.
    Always,
}

/// The least and the most that a number may be.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bounds {
    /// The least.
    pub min: Option<f64>,
    /// The most.
    pub max: Option<f64>,
}

/// What becomes of `reasoning_content` in the messages of the assistant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reasoning {
    /// It stays as it is.
    Kept,
    /// It is taken out: a field that is not known there is refused.
    Stripped,
    /// It has to be there where tools were called, and is put there if it is not.
    Required,
}

/// In which form messages are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// As texts and as lists of parts.
    Any,
    /// As texts: a list of nothing but texts becomes one.
    Text,
}

/// Which ids of tool calls are taken: those in a conversation may be another provider's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallIds {
    /// All.
    Any,
    /// Nine letters and digits; another one becomes such a one, the same wherever it stands.
    Nine,
}

/// Names of one and the same bound on the answer.
pub const LENGTHS: [&str; 2] = ["max_tokens", "max_completion_tokens"];

impl Adjustments {
    /// Whether it changes nothing, whatever the request.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What makes a stream's request one for a whole answer.
    pub fn whole_answer() -> Self {
        let set = vec![("stream".to_owned(), "false".to_owned())];
        Self { drop: vec!["stream_options".to_owned()], set, ..Self::default() }
    }

    /// Whether a stream has to be made of a whole answer.
    pub const fn fakes_stream(&self, with_tools: bool) -> bool {
        match self.fake_stream {
            None | Some(FakeStream::Never) => false,
            Some(FakeStream::WithTools) => with_tools,
            Some(FakeStream::Always) => true,
        }
    }

    /// Whether whoever has to be told which tools to call can be.
    pub fn keeps_tool_choice(&self) -> bool {
        const NAME: &str = "tool_choice";
        let is_weaker = |(path, _, to): &(String, String, String)| path == NAME && (to == "auto" || to == "none");
        !self.drops(NAME) && !self.only.iter().any(|(name, _)| name == NAME) && !self.replace.iter().any(is_weaker)
    }

    /// Whether a field is refused.
    pub fn drops(&self, name: &str) -> bool {
        self.drop.iter().any(|dropped| dropped == name)
    }

    /// The most tokens of an answer of which the client accepts `asked`.
    pub fn answer_bound(&self, asked: Option<u64>) -> Option<u64> {
        let length = |(name, value): &(String, String)| LENGTHS.contains(&name.as_str()).then(|| value.parse().ok())?;
        let wanted = asked.or_else(|| self.default.iter().find_map(length));
        let most = self.bounds.iter().filter(|(name, _)| LENGTHS.contains(&name.as_str()));
        let most = most.filter_map(|(_, bounds)| bounds.max).fold(f64::INFINITY, f64::min);
        let wanted = self.set.iter().find_map(length).or(wanted)?;
        Some(if most.is_finite() { wanted.min(crate::units::round_to_u64(most)) } else { wanted })
    }

    /// A cap on one of the names of an answer's length holds for both, and where the client asks for no bound.
    #[must_use]
    pub fn with_cap(mut self, name: &str, max: f64) -> Self {
        let bounds = Bounds { min: None, max: Some(max) };
        if !LENGTHS.contains(&name) {
            self.bounds.push((name.to_owned(), bounds));
            return self;
        }
        self.bounds.extend(LENGTHS.map(|length| (length.to_owned(), bounds)));
        if !self.default.iter().any(|(known, _)| LENGTHS.contains(&known.as_str())) {
            self.default.push((name.to_owned(), crate::units::round_to_u64(max).to_string()));
        }
        self
    }

    /// These, and then `more`, which has the last word on every field that it names.
    pub fn extend(&mut self, more: &Self) {
        for name in &more.keep {
            self.forget(name);
        }
        put(&mut self.rename, &more.rename, |one, other| one.0 == other.0);
        put(&mut self.drop, &more.drop, |one, other| one == other);
        put(&mut self.replace, &more.replace, |one, other| (&one.0, &one.1) == (&other.0, &other.1));
        put(&mut self.only, &more.only, |one, other| one.0 == other.0);
        put(&mut self.default, &more.default, |one, other| one.0 == other.0);
        put(&mut self.set, &more.set, |one, other| one.0 == other.0);
        put(&mut self.roles, &more.roles, |one, other| one.0 == other.0);
        for (name, more) in &more.bounds {
            let known = self.bounds.iter().find(|(known, _)| known == name).map_or_else(Bounds::default, |(_, b)| *b);
            let bounds = Bounds { min: more.min.or(known.min), max: more.max.or(known.max) };
            put(&mut self.bounds, &[(name.clone(), bounds)], |one, other| one.0 == other.0);
        }
        self.fake_stream = more.fake_stream.or(self.fake_stream);
        self.reasoning = more.reasoning.or(self.reasoning);
        self.content = more.content.or(self.content);
        self.call_ids = more.call_ids.or(self.call_ids);
    }

    /// Takes back what was said of a field.
    fn forget(&mut self, name: &str) {
        self.rename.retain(|(known, _)| known != name);
        self.drop.retain(|known| known != name);
        self.replace.retain(|(known, ..)| known != name);
        self.only.retain(|(known, _)| known != name);
        self.bounds.retain(|(known, _)| known != name);
        self.default.retain(|(known, _)| known != name);
        self.set.retain(|(known, _)| known != name);
    }
}

/// Adds `more`, each in place of what speaks of the same.
fn put<T: Clone>(all: &mut Vec<T>, more: &[T], same: impl Fn(&T, &T) -> bool) {
    for one in more {
        all.retain(|known| !same(known, one));
        all.push(one.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounded(min: Option<f64>, max: Option<f64>) -> Adjustments {
        Adjustments { bounds: vec![("temperature".to_owned(), Bounds { min, max })], ..Adjustments::default() }
    }

    #[test]
    fn the_last_word_on_a_field_counts() {
        let mut all = bounded(Some(0.1), Some(1.0));
        all.set = vec![("a".to_owned(), "1".to_owned())];
        (all.fake_stream, all.reasoning) = (Some(FakeStream::Always), Some(Reasoning::Stripped));
        let mut more = bounded(None, Some(2.0));
        more.set = vec![("a".to_owned(), "2".to_owned())];
        more.fake_stream = Some(FakeStream::Never);
        all.extend(&more);
        assert_eq!(all.bounds, bounded(Some(0.1), Some(2.0)).bounds);
        assert_eq!(all.set, more.set);
        assert_eq!((all.fake_stream, all.reasoning), (Some(FakeStream::Never), Some(Reasoning::Stripped)));
    }

    #[test]
    fn what_is_kept_is_as_if_nothing_had_been_said() {
        let mut all = bounded(Some(0.1), Some(1.0));
        all.drop = vec!["seed".to_owned(), "logit_bias".to_owned()];
        all.extend(&Adjustments { keep: vec!["temperature".to_owned(), "seed".to_owned()], ..Adjustments::default() });
        assert_eq!((all.bounds.len(), all.drop), (0, vec!["logit_bias".to_owned()]));
    }
}
