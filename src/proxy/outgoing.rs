//! What is sent to an upstream: a head of our own, and the client's body with the model's name spliced in.
//!
//! The body is a short list of slices of the client's bytes; sending it to the next upstream after a failure copies
//! nothing but the list.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use hyper::body::{Body, Frame, SizeHint};

use super::headers;

/// A request body made of slices.
#[derive(Debug, Clone, Default)]
pub struct Payload {
    segments: std::vec::IntoIter<Bytes>,
    left: u64,
}

impl Payload {
    /// The concatenation of `segments`.
    pub fn new(segments: impl IntoIterator<Item = Bytes>) -> Self {
        let segments: Vec<Bytes> = segments.into_iter().filter(Bytes::has_remaining).collect();
        let left = segments.iter().map(|segment| crate::units::len_to_u64(segment.len())).sum();
        Self { segments: segments.into_iter(), left }
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.segments.next();
        if let Some(segment) = &next {
            self.left -= crate::units::len_to_u64(segment.len());
        }
        Poll::Ready(next.map(|segment| Ok(Frame::data(segment))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// The request for one attempt.
pub(super) fn request(
    uri: Uri,
    client: &HeaderMap,
    host: &HeaderValue,
    authorization: Option<&HeaderValue>,
    payload: Payload,
) -> Request<Payload> {
    let mut request = Request::new(payload);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers::to_upstream(client, host, authorization);
    request
}
