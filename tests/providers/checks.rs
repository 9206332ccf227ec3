//! What is tried at each provider, one check per column of the table.

use serde_json::{Value, json};

use crate::answer::{CALLS, OBJECT, PICTURE, TEXT, THOUGHT};
use crate::asks;
use crate::client::{Reply, chat, question, with};
use crate::facts::Thoughts;
use crate::stage::{Host, Model, Provider, Stage};
use crate::{billing, errors, stream};

/// What came of one column: nothing to try, or whether it holds.
pub(crate) enum Outcome {
    Lacking,
    /// There is nothing to know: the provider tells none.
    Untold,
    Holds,
    Fails(String),
}

/// One provider in one run.
pub(crate) struct Probe<'a> {
    pub(crate) stage: &'a Stage,
    pub(crate) provider: &'a Provider,
}

/// Everything that is tried on a healthy provider, by column.
pub(crate) fn all(stage: &Stage, provider: &Provider) -> Vec<(&'static str, Outcome)> {
    let probe = Probe { stage, provider };
    let tried = |result: Result<(), String>| result.map_or_else(Outcome::Fails, |()| Outcome::Holds);
    let if_able = |what: &str, result: Result<(), String>| match (provider.can(what), tried(result)) {
        (false, Outcome::Holds) => Outcome::Lacking,
        (_, outcome) => outcome,
    };
    vec![
        ("chat", tried(probe.each(Probe::chats))),
        ("stream", tried(probe.each(Probe::streams))),
        ("tools", if_able("tools", probe.each(Probe::calls_tools))),
        ("streamed tools", if_able("tools", probe.each(Probe::streams_tools))),
        ("vision", if_able("vision", probe.each(Probe::sees))),
        ("JSON schema", if_able("json_schema", probe.each(Probe::keeps_to_a_schema))),
        ("usage", tried(billing::is_right(&probe))),
        ("quota headers", billing::quota(&probe)),
        ("errors", errors::are_understood(&probe)),
    ]
}

impl Probe<'_> {
    /// Tries every chat model of every host.
    fn each(&self, check: impl Fn(&Self, &Host, &Model) -> Result<(), String>) -> Result<(), String> {
        for (host, model) in self.provider.models() {
            check(self, host, model).map_err(|why| format!("{}/{}: {why}", host.upstream, model.name))?;
        }
        Ok(())
    }

    fn own(&self) -> Value {
        self.provider.facts.own_parameters.as_ref().map_or_else(|| json!({}), |own| own.0.clone())
    }

    fn chats(&self, host: &Host, model: &Model) -> Result<(), String> {
        let name = named(host, model);
        for (what, body) in asks::plain_ones(&name, &self.own()) {
            let message = self.message(&body).map_err(|why| format!("{what}: {why}"))?;
            same(&message["content"], TEXT)?;
            self.thought(model, &message)?;
        }
        self.message(&asks::two_answers(&name)).map(drop)
    }

    /// Thoughts stand where clients look for them, or nowhere, but never in the text.
    fn thought(&self, model: &Model, message: &Value) -> Result<(), String> {
        let answer = &self.provider.facts.answer;
        let thinks = answer.thinks.iter().any(|name| model.name.starts_with(name.as_str()));
        match answer.thoughts {
            Thoughts::ReasoningContent | Thoughts::ReasoningUnlessDeepseekStyle if thinks => {
                same(&message["reasoning_content"], THOUGHT)
            }
            Thoughts::Reasoning if thinks => same(&message["reasoning"], THOUGHT),
            _ => Ok(()),
        }
    }

    fn streams(&self, host: &Host, model: &Model) -> Result<(), String> {
        for (what, body) in asks::plain_ones(&named(host, model), &self.own()) {
            let told = self.streamed(&body).map_err(|why| format!("{what}: {why}"))?;
            same(&told.message["content"], TEXT)?;
            self.thought(model, &told.message)?;
            if told.reason != "stop" || told.chunks.iter().any(|chunk| chunk["choices"] == json!([])) {
                return Err(format!("{what}: ended with {}, or a chunk nobody asked for", told.reason));
            }
        }
        Ok(())
    }

    fn calls_tools(&self, host: &Host, model: &Model) -> Result<(), String> {
        let name = named(host, model);
        let body = asks::tools(&name);
        if !model.can("tools") {
            return self.is_not_capable(&body);
        }
        let message = self.message(&body)?;
        are_the_calls(&message["tool_calls"])?;
        let foreign = asks::as_elsewhere(&message["tool_calls"]);
        for (calls, thoughts) in
            [(&message["tool_calls"], None), (&message["tool_calls"], Some("Who knows.")), (&foreign, None)]
        {
            let body = asks::results(&name, calls, thoughts);
            same(&self.message(&body)?["content"], TEXT)?;
        }
        for choice in [json!("auto"), json!({ "type": "function", "function": { "name": "weather" } })] {
            are_the_calls(&self.message(&with(body.clone(), &json!({ "tool_choice": choice })))?["tool_calls"])?;
        }
        let none = self.message(&with(body, &json!({ "tool_choice": "none" })))?;
        if none["tool_calls"].is_array() { Err(format!("calls though none are wanted: {none}")) } else { Ok(()) }
    }

    fn streams_tools(&self, host: &Host, model: &Model) -> Result<(), String> {
        if !model.can("tools") {
            return Ok(());
        }
        let told = self.streamed(&asks::tools(&named(host, model)))?;
        are_the_calls(&told.message["tool_calls"])
    }

    fn sees(&self, host: &Host, model: &Model) -> Result<(), String> {
        let body = asks::picture(&named(host, model));
        if !model.can("vision") {
            return self.is_not_capable(&body);
        }
        same(&self.message(&body)?["content"], PICTURE)?;
        same(&self.streamed(&body)?.message["content"], PICTURE)
    }

    fn keeps_to_a_schema(&self, host: &Host, model: &Model) -> Result<(), String> {
        let body = asks::schema(&named(host, model));
        if !model.can("json_schema") {
            return self.is_not_capable(&body);
        }
        same(&self.message(&body)?["content"], OBJECT)?;
        same(&self.streamed(&body)?.message["content"], OBJECT)
    }

    /// What a model cannot do is not asked of it.
    fn is_not_capable(&self, body: &Value) -> Result<(), String> {
        let reply = chat(&self.stage.data, body)?;
        let is_refused = reply.status == 400 && reply.json()?["error"]["code"] == "no_capable_endpoint";
        if is_refused { Ok(()) } else { Err(format!("was asked for what it cannot do: {}", reply.text)) }
    }

    /// A whole answer's message.
    fn message(&self, body: &Value) -> Result<Value, String> {
        let reply = self.answered(body)?;
        Ok(reply.json()?["choices"][0]["message"].take())
    }

    fn streamed(&self, body: &Value) -> Result<stream::Told, String> {
        let reply = self.answered(&with(body.clone(), &json!({ "stream": true })))?;
        stream::told(reply.chunks()?)
    }

    /// A reply of this provider, and of nobody else.
    pub(crate) fn answered(&self, body: &Value) -> Result<Reply, String> {
        let reply = chat(&self.stage.data, body)?;
        let upstream = body["model"].as_str().and_then(|name| name.split('/').next());
        if reply.status != 200 || reply.header("x-faregate-upstream") != upstream {
            return Err(format!("{} {}", reply.status, reply.text));
        }
        match reply.header("set-cookie") {
            None => Ok(reply),
            Some(cookie) => Err(format!("the provider's cookie reached the client: {cookie}")),
        }
    }

    /// A question to the model that stands for the others.
    pub(crate) fn question(&self) -> Value {
        question(&self.provider.flagship(), "Say hello to the world.")
    }
}

fn named(host: &Host, model: &Model) -> String {
    format!("{}/{}", host.upstream, model.name)
}

pub(crate) fn same(found: &Value, expected: &str) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{found} instead of {expected:?}")) }
}

/// Each with an id of its own, a name, and arguments that can be read.
fn are_the_calls(found: &Value) -> Result<(), String> {
    let found: Vec<_> = found.as_array().into_iter().flatten().collect();
    let mut ids: Vec<_> = found.iter().filter_map(|call| call["id"].as_str().filter(|id| !id.is_empty())).collect();
    ids.dedup();
    let said = found.iter().map(|call| (call["function"]["name"].as_str(), call["function"]["arguments"].as_str()));
    let expected = CALLS.map(|(name, arguments)| (Some(name), Some(arguments)));
    if ids.len() == CALLS.len() && said.eq(expected) { Ok(()) } else { Err(format!("calls came as {found:?}")) }
}
