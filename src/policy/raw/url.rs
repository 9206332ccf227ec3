//! Base URLs: split once, here, into what a connection and a request line need.

use std::sync::Arc;

use crate::policy::model::{BaseUrl, Scheme};

/// Why a text is not a base URL. Never repeats the text, which may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UrlError {
    /// Neither `http://` nor `https://`.
    #[error("a base URL begins with http:// or https://")]
    Scheme,
    /// Nobody to call.
    #[error("the URL has no host, or one with unfit characters")]
    Host,
    /// `user:password@`.
    #[error("a base URL carries no user name or password")]
    UserInfo,
    /// `?` or `#`.
    #[error("a base URL has no query and no fragment")]
    Query,
    /// Not a port.
    #[error("the port is not a number from 1 to 65535")]
    Port,
    /// Not a path.
    #[error("the path has unfit characters")]
    Path,
}

/// Splits `https://host[:port][/path]`.
pub(crate) fn base_url(text: &str) -> Result<BaseUrl, UrlError> {
    let (scheme, rest) = if let Some(rest) = text.strip_prefix("https://") {
        (Scheme::Https, rest)
    } else if let Some(rest) = text.strip_prefix("http://") {
        (Scheme::Http, rest)
    } else {
        return Err(UrlError::Scheme);
    };
    if rest.contains(['?', '#']) {
        return Err(UrlError::Query);
    }
    split(scheme, rest)
}

/// Splits `https://host[:port]/path[?query]`; a query is kept as it is.
pub(crate) fn list_url(text: &str) -> Result<(BaseUrl, Option<Arc<str>>), UrlError> {
    let (plain, query) = text.split_once('?').map_or((text, None), |(plain, query)| (plain, Some(query)));
    if query.is_some_and(|query| query.contains(|c: char| !c.is_ascii_graphic() || c == '#')) {
        return Err(UrlError::Query);
    }
    Ok((base_url(plain)?, query.map(Arc::from)))
}

fn split(scheme: Scheme, rest: &str) -> Result<BaseUrl, UrlError> {
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if authority.contains('@') {
        return Err(UrlError::UserInfo);
    }
    let (host, port) = host_and_port(authority)?;
    let port = match port {
        None => match scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        },
        Some(digits) => digits.parse().ok().filter(|port| *port != 0).ok_or(UrlError::Port)?,
    };
    let path = path.trim_end_matches('/');
    if path.contains(|c: char| !c.is_ascii_graphic()) {
        return Err(UrlError::Path);
    }
    let path = if path.is_empty() { Arc::from("") } else { Arc::from(format!("/{path}")) };
    Ok(BaseUrl { scheme, host: host.into(), port, path })
}

fn host_and_port(authority: &str) -> Result<(&str, Option<&str>), UrlError> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (address, after) = rest.split_once(']').ok_or(UrlError::Host)?;
        let valid = address.parse::<std::net::Ipv6Addr>().is_ok();
        let port = if after.is_empty() { None } else { Some(after.strip_prefix(':').ok_or(UrlError::Port)?) };
        return if valid { Ok((address, port)) } else { Err(UrlError::Host) };
    }
    let (host, port) = authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
    let fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if host.is_empty() || !host.chars().all(fit) {
        return Err(UrlError::Host);
    }
    Ok((host, port))
}

/// Whether requests to `url` stay on this machine.
pub(crate) fn is_loopback(url: &BaseUrl) -> bool {
    let address = url.host.parse::<std::net::IpAddr>();
    address.map_or_else(|_| url.host.eq_ignore_ascii_case("localhost"), |address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> (String, u16, String) {
        let url = base_url(text).unwrap();
        (url.host.to_string(), url.port, url.path.to_string())
    }

    #[test]
    fn a_base_url_is_split_into_host_port_and_path() {
        assert_eq!(split("https://api.example.com/v1/"), ("api.example.com".into(), 443, "/v1".into()));
        assert_eq!(split("http://127.0.0.1:8000"), ("127.0.0.1".into(), 8000, String::new()));
        assert_eq!(split("http://[::1]:8000/a/b"), ("::1".into(), 8000, "/a/b".into()));
    }

    #[test]
    fn what_cannot_be_called_is_refused() {
        for (text, error) in [
            ("api.example.com", UrlError::Scheme),
            ("https:///v1", UrlError::Host),
            ("https://a b/v1", UrlError::Host),
            ("https://me:pw@host/", UrlError::UserInfo),
            ("https://host/v1?x=1", UrlError::Query),
            ("https://host:0/", UrlError::Port),
            ("https://host:x/", UrlError::Port),
            ("https://[::1/", UrlError::Host),
            ("https://host/v 1", UrlError::Path),
        ] {
            assert_eq!(base_url(text).unwrap_err(), error, "{text}");
        }
    }
}
