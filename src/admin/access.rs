//! Who may use the admin plane.
//!
//! Probes and Prometheus need no token. The rest needs one on a plane that is bound beyond loopback; where none is
//! configured, and on a plane that is bound to loopback, it is enough to be on this machine, but a foreign `Host` or `Origin` is refused: a web page in a browser on this machine could otherwise be made to ask
//! (DNS rebinding).

use std::net::IpAddr;

use http::HeaderMap;
use http::header::{HOST, HeaderValue, ORIGIN};
use secrecy::ExposeSecret;
use subtle::ConstantTimeEq;

use crate::policy::model::Secret;
use crate::proxy::presented_key;

/// What a path needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing: metrics and probes.
    Nothing,
    /// The right to see and change.
    Operator,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denied {
    /// It needs the token, or another one.
    Token,
    /// It came with a foreign `Host` or `Origin`.
    Foreign,
    /// No token is configured, so that nobody may do this from elsewhere.
    NotConfigured,
}

/// Whether a request from `peer` to a plane bound to `bound` may go on.
pub(super) fn check(
    need: Need,
    bound: IpAddr,
    peer: IpAddr,
    headers: &HeaderMap,
    token: Option<&Secret>,
) -> Result<(), Denied> {
    if let (Some(token), Some(presented)) = (token, presented_key(headers))
        && bool::from(token.0.expose_secret().as_bytes().ct_eq(presented))
    {
        return Ok(());
    }
    // Behind a proxy on this machine everybody comes from here, so a token that is configured is asked for.
    let trusted = peer.is_loopback() && need == Need::Operator && token.is_none();
    if bound.is_loopback() || trusted {
        return if is_local(headers) { Ok(()) } else { Err(Denied::Foreign) };
    }
    match (need, token) {
        (Need::Nothing, _) => Ok(()),
        (Need::Operator, Some(_)) => Err(Denied::Token),
        (Need::Operator, None) => Err(Denied::NotConfigured),
    }
}

/// Whether `Host` and `Origin`, where present, name this machine.
fn is_local(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).is_none_or(|value| names_loopback(value.to_str().unwrap_or("?")));
    let origin = headers.get(ORIGIN).is_none_or(|value: &HeaderValue| {
        let text = value.to_str().unwrap_or("?");
        names_loopback(text.split_once("://").map_or(text, |(_, host)| host))
    });
    host && origin
}

fn names_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const ANY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);
    const FAR: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    fn token() -> Secret {
        Secret("t0ken".into())
    }

    #[test]
    fn a_page_that_rebinds_its_name_to_loopback_is_refused() {
        for pairs in
            [&[("host", "evil.example:3274")][..], &[("host", "localhost:3274"), ("origin", "https://evil.example")]]
        {
            assert_eq!(check(Need::Nothing, LOOPBACK, LOOPBACK, &headers(pairs), None), Err(Denied::Foreign));
            assert_eq!(check(Need::Operator, ANY, LOOPBACK, &headers(pairs), None), Err(Denied::Foreign));
        }
    }

    #[test]
    fn this_machine_needs_no_token() {
        for host in ["127.0.0.1:3274", "localhost", "[::1]:3274"] {
            assert_eq!(check(Need::Operator, LOOPBACK, LOOPBACK, &headers(&[("host", host)]), Some(&token())), Ok(()));
        }
    }

    #[test]
    fn behind_a_proxy_on_this_machine_a_configured_token_is_asked_for() {
        let local = headers(&[("host", "localhost")]);
        assert_eq!(check(Need::Operator, ANY, LOOPBACK, &local, Some(&token())), Err(Denied::Token));
        assert_eq!(check(Need::Operator, ANY, LOOPBACK, &local, None), Ok(()));
    }

    #[test]
    fn beyond_loopback_only_probes_and_metrics_go_without_the_token() {
        let none = headers(&[("host", "gateway:3274")]);
        let wrong = headers(&[("authorization", "Bearer t0ke")]);
        let right = headers(&[("authorization", "Bearer t0ken")]);
        assert_eq!(check(Need::Nothing, ANY, FAR, &none, Some(&token())), Ok(()));
        assert_eq!(check(Need::Operator, ANY, FAR, &none, Some(&token())), Err(Denied::Token));
        assert_eq!(check(Need::Operator, ANY, FAR, &wrong, Some(&token())), Err(Denied::Token));
        assert_eq!(check(Need::Operator, ANY, FAR, &right, Some(&token())), Ok(()));
        assert_eq!(check(Need::Operator, ANY, FAR, &none, None), Err(Denied::NotConfigured));
    }
}
