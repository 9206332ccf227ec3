//! What the wire format's readers promise, on golden streams and on arbitrary bytes.

mod body;
mod sse;
