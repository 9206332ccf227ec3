//! Tool calls in streams as OpenAI's clients expect them.
//!
//! Clients put the pieces of a call together by `index`, and take `id` and `name` from wherever they stand. Some
//! providers number every call -1 or 0, repeat an empty id or name with each piece, or send no id at all: a client would
//! then lose a call, or its name. Frames that are as they should be are not touched.

use std::collections::HashMap;

use bytes::Bytes;
use serde_json::{Map, Value};

/// No answer makes so many calls. What goes beyond is passed on as it comes: more would be remembered for nobody.
const MOST_CALLS: usize = 1_024;
/// Nor so many choices; their numbers are the upstream's.
const MOST_CHOICES: usize = 128;

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
    ids: Vec<String>,
    /// Where the call of each number is that was told. Numbers are the upstream's and may be any.
    places: HashMap<u64, usize>,
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
            let pieces = choice.pointer_mut("/delta/tool_calls").and_then(Value::as_array_mut);
            if pieces.is_none() || (self.known.len() >= MOST_CHOICES && !self.known.contains_key(&number)) {
                continue;
            }
            let known = self.known.entry(number).or_default();
            for piece in pieces.into_iter().flatten().filter_map(Value::as_object_mut) {
                if known.ids.len() >= MOST_CALLS {
                    break;
                }
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
    let told = piece.get("index").and_then(Value::as_u64);
    let index = known.place(told, id.as_deref(), name.is_some());
    let mut changed = told.is_none_or(|told| usize::try_from(told) != Ok(index));
    if changed {
        piece.insert("index".to_owned(), index.into());
    }
    let begins = index == known.ids.len();
    if begins {
        let id = id.unwrap_or_else(|| {
            changed = true;
            format!("call_{stream}_{index}")
        });
        piece.insert("id".to_owned(), id.as_str().into());
        known.ids.push(id);
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
    /// The place of a piece that says it is at `told`, or does not say: that of a call that is known, or the next one.
    fn place(&mut self, told: Option<u64>, id: Option<&str>, has_name: bool) -> usize {
        let Some(told) = told else { return self.untold(id, has_name) };
        let count = self.ids.len();
        // A number beyond those that are due is taken for the next one: a gap is nobody's call.
        let due = || usize::try_from(told).unwrap_or(count).min(count);
        let here = *self.places.entry(told).or_insert_with(due);
        let (Some(id), Some(other)) = (id, self.ids.get(here)) else { return here };
        if id == other {
            return here;
        }
        // An id that is not the one of this place: another call under the same number, if it is known or has a name.
        let Some(place) = self.find(id).or_else(|| has_name.then_some(count)) else { return here };
        self.places.insert(told, place);
        place
    }

    /// The place of a piece that does not say it: a call of its own if it brings an id that is new, or a name without
    /// one.
    fn untold(&self, id: Option<&str>, has_name: bool) -> usize {
        let count = self.ids.len();
        match id {
            Some(id) => self.find(id).unwrap_or(count),
            None if has_name || count == 0 => count,
            None => count - 1,
        }
    }

    fn find(&self, id: &str) -> Option<usize> {
        self.ids.iter().position(|one| one == id)
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
    fn a_piece_that_names_a_call_is_of_that_call_whatever_its_number() {
        let piece = |id: &str, function: Value| json!([{ "index": 0, "id": id, "function": function }]);
        let found = repaired(&[
            piece("a", json!({ "name": "f", "arguments": "" })),
            piece("b", json!({ "name": "g", "arguments": "" })),
            piece("a", json!({ "arguments": "{}" })),
            piece("b", json!({ "arguments": "{}" })),
        ]);
        let index = |at: usize| found[at].as_ref().map(|pieces| pieces[0]["index"].clone());
        assert_eq!([index(0), index(1), index(2), index(3)], [None, Some(json!(1)), None, Some(json!(1))]);
    }

    #[test]
    fn a_number_beyond_what_is_due_is_the_next_one_and_takes_no_room() {
        for far in [9, 1_023, 900_000_000_000, u64::MAX] {
            let call = |number: u64, id: &str| json!([{ "index": number, "id": id, "function": { "name": "f", "arguments": "{" } }]);
            let more = |number: u64| json!([{ "index": number, "function": { "arguments": "}" } }]);
            let mut calls = ToolCalls::default();
            let mut place = |pieces: &Value| {
                let frame = frame(pieces);
                let bytes = calls.repair(frame.as_bytes()).unwrap_or_else(|| frame.into());
                let text = String::from_utf8(bytes.to_vec()).unwrap();
                let chunk: Value = serde_json::from_str(text.strip_prefix("data: ").unwrap()).unwrap();
                chunk["choices"][0]["delta"]["tool_calls"][0]["index"].as_u64().unwrap()
            };
            let second = far - 7;
            let found = [call(far, "a"), more(far), call(second, "a2"), more(second), more(far)].map(|one| place(&one));
            assert_eq!(found, [0, 0, 1, 1, 0], "{far}");
            let known = calls.known.values().next().unwrap();
            assert_eq!((known.ids.len(), known.ids.capacity() < 8), (2, true));
        }
    }

    #[test]
    fn calls_without_end_are_not_remembered() {
        let mut calls = ToolCalls::default();
        for number in 0..3_000 {
            let id = format!("id-{number}");
            calls.repair(frame(&json!([{ "index": 0, "id": id, "function": { "name": "f" } }])).as_bytes());
        }
        assert_eq!(calls.known.values().map(|known| known.ids.len()).max(), Some(MOST_CALLS));
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
