//! Where an endpoint's requests go, prepared once per snapshot: nothing here is built per request.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{HeaderValue, InvalidHeaderValue};
use http::{Uri, uri};
use memchr::memmem;
use secrecy::ExposeSecret;

use super::cells::ServerCell;
use crate::dialect::faults::FaultTable;
use crate::dialect::quota_headers::Windows;
use crate::dialect::{Kind, conceal_keys};
use crate::policy::model::{BaseUrl, Key, Upstream};

/// The fixed parts of requests to one upstream with one key.
#[derive(Debug)]
pub struct Target {
    /// What connections are pooled by.
    pub url: BaseUrl,
    /// The `Host` header.
    pub host: HeaderValue,
    /// The `Authorization` header. Marked as sensitive, so that it prints as such.
    pub authorization: Option<HeaderValue>,
    /// What its rate-limit headers mean.
    pub windows: Windows,
    /// What its errors mean.
    pub faults: FaultTable,
    /// What is learned of the server.
    pub server: Arc<ServerCell>,
    chat: Uri,
    completion: Uri,
    embedding: Uri,
}

/// A key or a URL that cannot be sent. The key is not named.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The key has bytes that no header may carry.
    #[error("the key {key} cannot be sent in a header: it holds control characters (a line break at its end?)")]
    Key {
        /// The key's name.
        key: String,
        /// What the header type said.
        source: InvalidHeaderValue,
    },
    /// The host cannot be sent as a header.
    #[error("the host of upstream {upstream} cannot be sent as a header")]
    Host {
        /// The upstream's name.
        upstream: String,
        /// What the header type said.
        source: InvalidHeaderValue,
    },
    /// The path cannot be sent in a request line.
    #[error("the base_url of upstream {upstream} has a path that cannot be sent")]
    Path {
        /// The upstream's name.
        upstream: String,
        /// What the URI type said.
        source: uri::InvalidUri,
    },
}

impl Target {
    /// What is sent to `upstream`, which is at `server`, with `key`.
    pub fn new(upstream: &Upstream, key: &Key, server: Arc<ServerCell>) -> Result<Self, TargetError> {
        let url = upstream.base_url.clone();
        let path = |tail: &str| {
            let path = format!("{}{tail}", url.path);
            path.parse::<Uri>().map_err(|source| TargetError::Path { upstream: upstream.name.to_string(), source })
        };
        let host = HeaderValue::from_str(&url.authority())
            .map_err(|source| TargetError::Host { upstream: upstream.name.to_string(), source })?;
        Ok(Self {
            chat: path("/chat/completions")?,
            completion: path("/completions")?,
            embedding: path("/embeddings")?,
            faults: upstream.faults.clone(),
            server,
            windows: upstream.quota_windows,
            authorization: authorization(key)?,
            host,
            url,
        })
    }

    /// The request line's target.
    pub fn uri(&self, kind: Kind) -> Uri {
        match kind {
            Kind::Chat => self.chat.clone(),
            Kind::Completion => self.completion.clone(),
            Kind::Embedding => self.embedding.clone(),
        }
    }

    /// `text` without the key, which some providers echo in their errors, and without any that looks like one.
    pub fn conceal(&self, text: Bytes) -> Bytes {
        conceal_keys(self.conceal_own(text))
    }

    fn conceal_own(&self, text: Bytes) -> Bytes {
        const MASK: &[u8] = b"[redacted]";
        let header = self.authorization.as_ref().map(HeaderValue::as_bytes).unwrap_or_default();
        let key = header.strip_prefix(b"Bearer ").unwrap_or_default();
        if key.is_empty() || memmem::find(&text, key).is_none() {
            return text;
        }
        let mut clean = Vec::with_capacity(text.len());
        let mut rest = &text[..];
        while let Some(at) = memmem::find(rest, key) {
            let (before, found) = rest.split_at(at);
            clean.extend_from_slice(before);
            clean.extend_from_slice(MASK);
            rest = found.strip_prefix(key).unwrap_or_default();
        }
        clean.extend_from_slice(rest);
        clean.into()
    }
}

fn authorization(key: &Key) -> Result<Option<HeaderValue>, TargetError> {
    let Some(secret) = &key.secret else { return Ok(None) };
    let mut value = HeaderValue::try_from(format!("Bearer {}", secret.0.expose_secret()))
        .map_err(|source| TargetError::Key { key: key.id.to_string(), source })?;
    value.set_sensitive(true);
    Ok(Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::model::Scheme;

    #[test]
    fn an_echoed_key_is_concealed_wherever_it_stands() {
        let target = Target {
            url: BaseUrl { scheme: Scheme::Http, host: "h".into(), port: 80, path: "".into() },
            host: HeaderValue::from_static("h"),
            authorization: Some(HeaderValue::from_static("Bearer s3cret")),
            windows: Windows::default(),
            chat: Uri::default(),
            completion: Uri::default(),
            embedding: Uri::default(),
            faults: FaultTable::default(),
            server: Arc::default(),
        };
        assert_eq!(target.conceal(Bytes::from("s3cret, Bearer s3cret!")), "[redacted], Bearer [redacted]!");
        assert_eq!(target.conceal(Bytes::from("s3cre")), "s3cre");
    }
}
