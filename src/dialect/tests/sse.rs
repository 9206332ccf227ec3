//! Event streams: frames, whatever the chunks, and what each of them says.

use bytes::Bytes;
use proptest::prelude::*;

use crate::dialect::sse::{Frame, Splitter, inspect};
use crate::units::Tokens;

const GOLDEN: [(&str, &str); 10] = [
    ("openai_text_usage", include_str!("../../../tests/golden/openai/openai_text_usage.sse")),
    ("openai_tool_call", include_str!("../../../tests/golden/openai/openai_tool_call.sse")),
    ("openai_error_midstream", include_str!("../../../tests/golden/openai/openai_error_midstream.sse")),
    ("azure_first_chunk", include_str!("../../../tests/golden/openai/azure_first_chunk.sse")),
    ("deepseek_reasoning", include_str!("../../../tests/golden/openai/deepseek_reasoning.sse")),
    ("groq_x_groq", include_str!("../../../tests/golden/openai/groq_x_groq.sse")),
    ("mistral_tool_call", include_str!("../../../tests/golden/openai/mistral_tool_call.sse")),
    ("qwen_reasoning", include_str!("../../../tests/golden/openai/qwen_reasoning.sse")),
    ("qwen_text_usage", include_str!("../../../tests/golden/openai/qwen_text_usage.sse")),
    ("zhipu_glm", include_str!("../../../tests/golden/openai/zhipu_glm.sse")),
];

fn frames(chunks: impl IntoIterator<Item = Bytes>) -> Vec<Bytes> {
    let mut splitter = Splitter::new();
    let mut frames = Vec::new();
    for chunk in chunks {
        splitter.push(chunk);
        while let Some(frame) = splitter.next_frame().unwrap() {
            frames.push(frame);
        }
    }
    frames.extend(splitter.rest());
    frames
}

fn letter(frame: &[u8]) -> char {
    match inspect(frame).kind {
        Frame::KeepAlive => 'k',
        Frame::Preamble => 'p',
        Frame::Content => 'c',
        Frame::Finish => 'f',
        Frame::Usage => 'u',
        Frame::Error(_) => 'e',
        Frame::Done => 'd',
        Frame::Other => 'o',
    }
}

fn shape(stream: &str) -> String {
    frames([Bytes::copy_from_slice(stream.as_bytes())]).iter().map(|frame| letter(frame)).collect()
}

#[test]
fn every_golden_stream_begins_with_content_after_preamble_and_says_how_it_ends() {
    for (name, stream) in GOLDEN {
        let shape = shape(stream);
        let quiet = shape.trim_start_matches(['k', 'p']);
        assert!(quiet.starts_with('c'), "{name}: {shape}");
        assert!(!shape.contains('o'), "{name}: {shape}");
        if name.contains("error") {
            assert!(shape.ends_with('e') && !shape.contains('d'), "{name}: {shape}");
        } else {
            assert!(shape.contains('f') && shape.ends_with('d'), "{name}: {shape}");
        }
    }
}

#[test]
fn usage_is_found_wherever_a_stream_puts_it() {
    let silent = ["openai_tool_call", "openai_error_midstream", "azure_first_chunk"];
    for (name, stream) in GOLDEN.iter().filter(|(name, _)| !silent.contains(name)) {
        let usage =
            frames([Bytes::from_static(stream.as_bytes())]).iter().filter_map(|frame| inspect(frame).usage).next_back();
        assert!(
            usage.is_some_and(|usage| usage.input > Tokens::ZERO && usage.output > Tokens::ZERO),
            "{name}: {usage:?}"
        );
    }
}

#[test]
fn keep_alives_are_not_tokens() {
    for frame in [": keep-alive\n\n", ": OPENROUTER PROCESSING\n\n", "\n", "data:\n\n", "event: ping\n\n"] {
        assert_eq!(letter(frame.as_bytes()), 'k', "{frame:?}");
    }
}

#[test]
fn an_error_is_seen_in_every_disguise() {
    for data in [
        r#"{"error":{"message":"m","code":502},"choices":[]}"#,
        r#"{"error":"m"}"#,
        r#"{"choices":[{"delta":{"content":""},"finish_reason":"error"}]}"#,
        r#"{"error_code":336,"error_msg":"m"}"#,
    ] {
        assert_eq!(letter(format!("data: {data}\n\n").as_bytes()), 'e', "{data}");
    }
    assert_eq!(letter(b"event: error\ndata: {\"message\":\"m\"}\n\n"), 'e');
    assert_eq!(letter(b"data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}],\"error\":null}\n\n"), 'c');
}

#[test]
fn reasoning_and_tool_calls_are_first_tokens_and_empty_deltas_are_not() {
    let kind = |delta: &str| {
        letter(format!("data: {{\"choices\":[{{\"delta\":{delta},\"finish_reason\":null}}]}}\n\n").as_bytes())
    };
    assert_eq!(kind(r#"{"role":"assistant","content":""}"#), 'p');
    assert_eq!(kind(r#"{"content":null,"tool_calls":[]}"#), 'p');
    assert_eq!(kind(r#"{"reasoning_content":"hm"}"#), 'c');
    assert_eq!(kind(r#"{"tool_calls":[{"index":0}]}"#), 'c');
    assert_eq!(kind(r#"{"content":"\n"}"#), 'c');
}

#[test]
fn lines_may_end_in_any_way_and_data_may_stand_on_several() {
    for end in ["\n", "\r\n", "\r"] {
        let stream = format!(
            "\u{feff}data: {{\"choices\":{end}data: [{{\"delta\":{{\"content\":\"x\"}}}}]}}{end}{end}data: [DONE]{end}{end}"
        );
        assert_eq!(shape(&stream), "cd", "{end:?}");
    }
}

#[test]
fn a_frame_that_lies_in_one_chunk_is_not_copied() {
    let chunk = Bytes::from_static(b"data: {}\n\ndata: [DONE]\n\n");
    let frames = frames([chunk.clone()]);
    assert_eq!(frames.iter().map(|frame| frame.as_ptr()).collect::<Vec<_>>(), [chunk.as_ptr(), chunk[10..].as_ptr()]);
}

proptest! {
    #[test]
    fn chunks_cut_anywhere_give_the_same_frames(which in 0..GOLDEN.len(), mut cuts in proptest::collection::vec(0_usize..1_600, 0..12), crlf: bool) {
        let stream = if crlf { GOLDEN[which].1.replace('\n', "\r\n") } else { GOLDEN[which].1.to_owned() };
        let whole = Bytes::from(stream);
        cuts.push(whole.len());
        cuts.retain(|cut| *cut <= whole.len());
        cuts.sort_unstable();
        let mut from = 0;
        let pieces: Vec<Bytes> = cuts.into_iter().map(|cut| { let piece = whole.slice(from..cut); from = cut; piece }).collect();

        let cut = frames(pieces);

        prop_assert_eq!(cut.concat(), whole.to_vec());
        prop_assert_eq!(cut, frames([whole]));
    }

    #[test]
    fn any_bytes_are_inspected_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for frame in frames([Bytes::from(bytes)]) {
            inspect(&frame);
        }
    }
}
