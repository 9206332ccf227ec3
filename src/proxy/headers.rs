//! Which headers pass, by allow-list in both directions.
//!
//! A list of what to drop would leak the next credential header that somebody invents; a list of what may pass cannot.
//! Hop-by-hop headers, cookies, keys and organisation headers are on neither list.

use http::HeaderMap;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE, HOST,
    HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT,
};

/// What a client may tell an upstream.
const TO_UPSTREAM: [HeaderName; 8] = [
    CONTENT_TYPE,
    ACCEPT,
    USER_AGENT,
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("openai-beta"),
    HeaderName::from_static("anthropic-version"),
    HeaderName::from_static("anthropic-beta"),
];

/// What an upstream may tell a client.
const TO_CLIENT: [HeaderName; 10] = [
    CONTENT_TYPE,
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CACHE_CONTROL,
    RETRY_AFTER,
    HeaderName::from_static("retry-after-ms"),
    HeaderName::from_static("x-should-retry"),
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("request-id"),
    HeaderName::from_static("openai-processing-ms"),
];

/// Families of headers that an upstream may tell a client.
const TO_CLIENT_PREFIXES: [&str; 3] = ["x-ratelimit-", "ratelimit-", "anthropic-ratelimit-"];

/// The head of the request that an upstream sees.
pub(super) fn to_upstream(client: &HeaderMap, host: &HeaderValue, authorization: Option<&HeaderValue>) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(TO_UPSTREAM.len() + 3);
    headers.insert(HOST, host.clone());
    for name in &TO_UPSTREAM {
        if let Some(value) = client.get(name) {
            headers.insert(name.clone(), value.clone());
        }
    }
    // A compressed reply could not be read for usage and errors.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if let Some(value) = authorization {
        headers.insert(AUTHORIZATION, value.clone());
    }
    headers
}

/// What of an upstream's reply head goes on to the client.
pub(super) fn to_client(upstream: &HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(upstream.len().min(16) + 8);
    for (name, value) in upstream {
        let passes =
            TO_CLIENT.contains(name) || TO_CLIENT_PREFIXES.iter().any(|prefix| name.as_str().starts_with(prefix));
        if passes {
            headers.append(name.clone(), value.clone());
        }
    }
    headers
}

/// The key that a client presents: `Authorization: Bearer …`, else `x-api-key` or `api-key`.
pub fn presented_key(client: &HeaderMap) -> Option<&[u8]> {
    let bearer = client.get(AUTHORIZATION).map(HeaderValue::as_bytes).and_then(|value| {
        let (scheme, key) = value.split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then(|| key.trim_ascii())
    });
    bearer.or_else(|| ["x-api-key", "api-key"].iter().find_map(|name| client.get(*name).map(HeaderValue::as_bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn no_credential_of_the_client_reaches_an_upstream() {
        let client = map(&[
            ("authorization", "Bearer mine"),
            ("x-api-key", "mine"),
            ("api-key", "mine"),
            ("x-goog-api-key", "mine"),
            ("cookie", "mine=1"),
            ("openai-organization", "mine"),
            ("openai-project", "mine"),
            ("x-faregate-tag", "mine"),
            ("x-forwarded-for", "10.0.0.1"),
            ("connection", "keep-alive, x-secret"),
            ("te", "trailers"),
            ("user-agent", "app/1"),
        ]);

        let sent =
            to_upstream(&client, &HeaderValue::from_static("up:1"), Some(&HeaderValue::from_static("Bearer up")));

        let mut names: Vec<_> = sent.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                ("accept-encoding", "identity"),
                ("authorization", "Bearer up"),
                ("host", "up:1"),
                ("user-agent", "app/1")
            ]
        );
    }

    #[test]
    fn cookies_and_hop_by_hop_headers_do_not_reach_the_client() {
        let upstream = map(&[
            ("set-cookie", "a=b"),
            ("connection", "close"),
            ("transfer-encoding", "chunked"),
            ("location", "http://elsewhere"),
            ("server", "x"),
            ("content-type", "application/json"),
            ("x-ratelimit-remaining-requests", "7"),
            ("x-request-id", "r1"),
        ]);

        let sent = to_client(&upstream);

        let mut names: Vec<_> = sent.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-type", "x-ratelimit-remaining-requests", "x-request-id"]);
    }

    #[test]
    fn a_key_is_found_in_either_header() {
        assert_eq!(presented_key(&map(&[("authorization", "bearer  k1 ")])), Some(b"k1".as_slice()));
        assert_eq!(presented_key(&map(&[("x-api-key", "k2")])), Some(b"k2".as_slice()));
        assert_eq!(presented_key(&map(&[("authorization", "Basic zzz"), ("api-key", "k3")])), Some(b"k3".as_slice()));
        assert_eq!(presented_key(&map(&[])), None);
    }
}
