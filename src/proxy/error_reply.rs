//! The body of an error, as far as it is worth reading: for what it means, and for the client.
//!
//! Some providers give back the whole request in it. What goes on to the client is whole or said to be cut.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use http_body_util::BodyExt;

use super::pool::LeasedBody;
use crate::dialect::{WireError, error_body};

/// The most that is read, and for how long.
const MAX_READ: usize = 64 * 1024;
const PATIENCE: Duration = Duration::from_secs(5);

/// How much of a body there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    Whole,
    Beginning,
}

/// An error's body.
pub(super) struct ErrorReply {
    body: Bytes,
    extent: Extent,
}

impl ErrorReply {
    /// Reads it. An error about an error says nothing new: what came before it counts.
    pub(super) async fn read(mut body: LeasedBody) -> Self {
        let mut read = BytesMut::new();
        let reading = async {
            while let Some(frame) = body.frame().await {
                let Ok(frame) = frame else { return Extent::Beginning };
                read.extend_from_slice(&frame.into_data().unwrap_or_default());
                if read.len() > MAX_READ {
                    return Extent::Beginning;
                }
            }
            Extent::Whole
        };
        let extent = tokio::time::timeout(PATIENCE, reading).await.unwrap_or(Extent::Beginning);
        read.truncate(MAX_READ);
        Self { body: read.freeze(), extent }
    }

    /// What was read.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.body
    }

    /// What it says.
    pub(super) fn error(&self) -> WireError {
        match self.extent {
            Extent::Whole => WireError::parse(&self.body),
            Extent::Beginning => WireError::parse_beginning(&self.body),
        }
    }

    /// For the client: the upstream's words, or an error of ours with their beginning. `headers` are made to fit.
    pub(super) fn for_client(self, error: &WireError, headers: &mut HeaderMap) -> Bytes {
        if self.extent == Extent::Whole {
            return self.body;
        }
        headers.remove(CONTENT_ENCODING);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let message =
            format!("the upstream's error was not read to its end; it begins with: {}", error.redacted_message());
        let kind = error.kind.as_deref().unwrap_or("invalid_request_error");
        error_body(&message, kind, None, error.code.as_deref().unwrap_or("upstream_refused"))
    }
}
