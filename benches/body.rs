//! What reading a request's head and splicing its model costs, on a 64 KB chat. Aim: 40 µs Latin, 90 µs Chinese. Then what
//! a provider's quirks cost on top: looked for in vain, and found.
#![expect(clippy::unwrap_used, reason = "a bench may fail")]

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use faregate::dialect::{Adjustments, Bounds, InjectUsage, Kind, adjust, read_head, splice};
use std::hint::black_box;

fn chat(text: &str) -> Bytes {
    let turn = text.repeat(64 * 1024 / 8 / text.len());
    let messages: Vec<_> = (0..8).map(|_| serde_json::json!({"role": "user", "content": turn})).collect();
    serde_json::json!({"messages": messages, "model": "gpt-4o", "stream": true, "temperature": 0.2}).to_string().into()
}

/// As many as the catalogue's longest list has.
fn quirks(dropped: &str, bounded: &str) -> Adjustments {
    let absent = ["logit_bias", "logprobs", "top_logprobs", "service_tier", "store", "metadata", "messages[].name"];
    Adjustments {
        rename: vec![("max_completion_tokens".to_owned(), "max_tokens".to_owned())],
        drop: absent.into_iter().chain([dropped]).map(str::to_owned).collect(),
        bounds: vec![(bounded.to_owned(), Bounds { min: None, max: Some(0.1) })],
        roles: vec![("developer".to_owned(), "system".to_owned())],
        ..Adjustments::default()
    }
}

fn body(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("body");
    let texts = [
        ("latin", "It was a bright cold day in April, and nobody had yet asked the router what a token costs.\n"),
        ("cjk", "价格随时变化，额度与时延也是。没有人能在昨天知道今天哪一家最便宜，哪一家最快。\n"),
        // The worst for a parser of strings: an escape in every eight bytes.
        ("code", "say(\"hi\");\n\tif x {\n"),
    ];
    for (name, text) in texts {
        let body = chat(text);
        group.throughput(Throughput::Bytes(body.len().try_into().unwrap()));
        group.bench_function(format!("head_and_splice/{name}"), |bencher| {
            bencher.iter(|| {
                let head = read_head(Kind::Chat, &body).unwrap();
                black_box(splice(&body, &head.splice_points(), "glm-5.3", InjectUsage::Yes))
            });
        });
        let (vain, found) = (quirks("seed", "n"), quirks("stream", "temperature"));
        for (what, rules) in [("vain", &vain), ("found", &found)] {
            group.bench_function(format!("head_and_quirks_{what}/{name}"), |bencher| {
                bencher.iter(|| {
                    let head = read_head(Kind::Chat, &body).unwrap();
                    black_box(adjust(Kind::Chat, &body, &head.splice_points(), "glm-5.3", InjectUsage::Yes, &[rules]))
                });
            });
        }
        group.bench_function(format!("full_tree_for_comparison/{name}"), |bencher| {
            bencher.iter(|| {
                let mut tree: serde_json::Value = serde_json::from_slice(black_box(&body)).unwrap();
                *tree.get_mut("model").unwrap() = "glm-5.3".into();
                black_box(serde_json::to_vec(&tree).unwrap())
            });
        });
    }
    group.finish();
}

criterion_group!(benches, body);
criterion_main!(benches);
