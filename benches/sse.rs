//! What a streamed token costs: one frame cut out of its chunk and read.
#![expect(clippy::unwrap_used, reason = "a bench may fail")]

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use faregate::dialect::sse::{Splitter, inspect};
use std::hint::black_box;

const FRAMES: usize = 64;

fn sse(criterion: &mut Criterion) {
    let frame = concat!(
        r#"data: {"id":"chatcmpl-9x","object":"chat.completion.chunk","created":1763870000,"model":"gpt-4o-mini","#,
        r#""system_fingerprint":"fp_1","choices":[{"index":0,"delta":{"content":" token"},"logprobs":null,"finish_reason":null}],"usage":null}"#,
        "\n\n"
    );
    let mut group = criterion.benchmark_group("sse");
    group.throughput(Throughput::Elements(FRAMES.try_into().unwrap()));
    for (name, per_chunk) in [("a_frame_to_a_chunk", 1), ("eight_frames_to_a_chunk", 8)] {
        let chunk = Bytes::from(frame.repeat(per_chunk));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut splitter = Splitter::new();
                for _ in 0..FRAMES / per_chunk {
                    splitter.push(chunk.clone());
                    while let Some(frame) = splitter.next_frame().unwrap() {
                        black_box(inspect(&frame));
                    }
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, sse);
criterion_main!(benches);
