//! Tool calls in streams as OpenAI's clients expect them.
//!
//! Clients put the pieces of a call together by `index`, and take `id` and `name` from wherever they stand. Some
//! providers number every call -1 or 0, repeat an empty id or name with each piece, or send no id at all: a client would
//! then lose a call, or its name. Frames that are as they should be are not touched.

use std::collections::HashMap;

use bytes::Bytes;
use serde_json::{Map, Value};

/// What is known of the calls of one stream.
#[derive(Debug, Default)]
pub struct ToolCalls {
    /// By choice.
    known: HashMap<u64, Known>,
}

/// What is known of the calls of one choice.
#[derive(Debug, Default)]
struct Known {
    /// Their ids, in their order.
    ids: Vec<Option<String>>,
    /// Where the calls are now whose number was that of another one.
    moved: HashMap<usize, usize>,
}

impl ToolCalls {
    /// `frame`, an event with pieces of calls, as it should be; `None` if it is so.
    pub fn repair(&mut self, frame: &[u8]) -> Option<Bytes> {
        let text = std::str::from_utf8(frame).ok()?;
        let data = text.lines().find_map(|line| line.strip_prefix("data:"))?.trim();
        let mut chunk: Value = serde_json::from_str(data).ok()?;
        let stream = chunk.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut changed = false;
        for choice in chunk.get_mut("choices")?.as_array_mut()? {
            let number = choice.get("index").and_then(Value::as_u64).unwrap_or_default();
            let known = self.known.entry(number).or_default();
            let pieces = choice.pointer_mut("/delta/tool_calls").and_then(Value::as_array_mut);
            for piece in pieces.into_iter().flatten().filter_map(Value::as_object_mut) {
                changed |= mend(piece, known, &stream);
            }
        }
        changed.then(|| format!("data: {chunk}\n\n").into())
    }
}

/// Mends one piece of a call. Says whether there was anything to mend.
fn mend(piece: &mut Map<String, Value>, known: &mut Known, stream: &str) -> bool {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
    let id = text(piece.get("id"));
    let name = text(piece.get("function").and_then(|function| function.get("name")));
    let told = piece.get("index").and_then(Value::as_u64).and_then(|index| usize::try_from(index).ok());
    let index = known.place(told, id.as_deref(), name.is_some());
    let mut changed = told != Some(index);
    if changed {
        piece.insert("index".to_owned(), index.into());
    }
    let begins = known.ids.get(index).is_none();
    if begins {
        known.ids.resize(index + 1, None);
        let id = id.unwrap_or_else(|| {
            changed = true;
            format!("call_{stream}_{index}")
        });
        piece.insert("id".to_owned(), id.as_str().into());
        if let Some(place) = known.ids.get_mut(index) {
            *place = Some(id);
        }
        return changed;
    }
    changed |= piece.get("id").is_some_and(|id| id == "") && piece.remove("id").is_some();
    let function = piece.get_mut("function").and_then(Value::as_object_mut);
    changed
        | function.is_some_and(|function| {
            function.get("name").is_some_and(|name| name == "") && function.remove("name").is_some()
        })
}

impl Known {
    /// The place of a piece that says it is at `told`, or does not say.
    fn place(&mut self, told: Option<usize>, id: Option<&str>, has_name: bool) -> usize {
        let Some(told) = told else { return self.untold(id, has_name) };
        let here = self.moved.get(&told).copied().unwrap_or(told);
        let other = self.ids.get(here).and_then(Option::as_deref);
        // A name under an id that is not the one of this place: another call under the same number.
        let begins_another = has_name && other.is_some() && id.is_some_and(|id| Some(id) != other);
        if !begins_another {
            return here;
        }
        let place = self.untold(id, has_name);
        self.moved.insert(told, place);
        place
    }

    /// The place of a piece that does not say it: a call of its own if it brings an id that is new, or a name without
    /// one.
    fn untold(&self, id: Option<&str>, has_name: bool) -> usize {
        let count = self.ids.len();
        match id {
            Some(id) => self.ids.iter().position(|one| one.as_deref() == Some(id)).unwrap_or(count),
            None if has_name || count == 0 => count,
            None => count - 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn frame(pieces: &Value) -> String {
        let chunk = json!({ "id": "chat-1", "choices": [{ "index": 0, "delta": { "tool_calls": pieces } }] });
        format!("data: {chunk}\n\n")
    }

    /// The pieces of each frame as a client gets them.
    fn repaired(frames: &[Value]) -> Vec<Option<Value>> {
        let mut calls = ToolCalls::default();
        let pieces = |bytes: Bytes| {
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            let chunk: Value = serde_json::from_str(text.strip_prefix("data: ").unwrap()).unwrap();
            chunk["choices"][0]["delta"]["tool_calls"].clone()
        };
        frames.iter().map(|one| calls.repair(frame(one).as_bytes()).map(pieces)).collect()
    }

    #[test]
    fn what_is_as_it_should_be_is_not_touched() {
        let begin =
            json!([{ "index": 0, "id": "a", "type": "function", "function": { "name": "f", "arguments": "" } }]);
        let go_on = json!([{ "index": 0, "function": { "arguments": "{}" } }]);
        let other = json!([{ "index": 1, "id": "b", "function": { "name": "f", "arguments": "{}" } }]);
        assert_eq!(repaired(&[begin, go_on, other]), [None, None, None]);
    }

    #[test]
    fn calls_without_a_number_are_numbered() {
        let call = |id: &str, arguments: &str| json!([{ "index": -1, "id": id, "function": { "name": "f", "arguments": arguments } }]);
        let more = json!([{ "index": -1, "function": { "arguments": "}" } }]);
        let found = repaired(&[call("a", "{"), more, call("b", "{}")]);
        let index = |at: usize| found[at].as_ref().unwrap()[0]["index"].clone();
        assert_eq!([index(0), index(1), index(2)], [json!(0), json!(0), json!(1)]);
    }

    #[test]
    fn calls_that_share_a_number_are_told_apart_by_their_ids() {
        let call = |id: &str, arguments: &str| json!([{ "index": 0, "id": id, "function": { "name": "f", "arguments": arguments } }]);
        let more = json!([{ "index": 0, "function": { "arguments": "}" } }]);
        let found = repaired(&[call("a", "{}"), call("b", "{"), more]);
        let index = |at: usize| found[at].as_ref().unwrap()[0]["index"].clone();
        assert_eq!((&found[0], index(1), index(2)), (&None, json!(1), json!(1)));
    }

    #[test]
    fn empty_ids_and_names_of_later_pieces_are_left_out() {
        let begin = json!([{ "index": 0, "id": "a", "function": { "name": "f", "arguments": "" } }]);
        let more = json!([{ "index": 0, "id": "", "function": { "name": "", "arguments": "{}" } }]);
        let found = repaired(&[begin, more]);
        assert_eq!(found[1], Some(json!([{ "index": 0, "function": { "arguments": "{}" } }])));
    }

    #[test]
    fn a_call_without_an_id_gets_one() {
        let whole = json!([{ "function": { "name": "f", "arguments": "{}" } }, { "function": { "name": "g", "arguments": "{}" } }]);
        let found = repaired(&[whole]);
        let found = found[0].as_ref().unwrap();
        assert_eq!((&found[0]["id"], &found[1]["id"]), (&json!("call_chat-1_0"), &json!("call_chat-1_1")));
        assert_eq!((&found[0]["index"], &found[1]["index"]), (&json!(0), &json!(1)));
    }

    #[test]
    fn nothing_else_is_a_frame_of_calls() {
        let mut calls = ToolCalls::default();
        for frame in
            ["data: [DONE]\n\n", ": ping\n\n", "data: {\"choices\":[{\"delta\":{\"content\":\"tool_calls\"}}]}\n\n"]
        {
            assert_eq!(calls.repair(frame.as_bytes()), None);
        }
    }
}
