//! What the wire format's readers promise, on golden streams and on arbitrary bytes.

mod adjust;
mod body;
mod sse;
