//! Where an upstream or a price list is.

use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

/// Whose word an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addressed {
    /// The catalogue's, which may know where data is processed there.
    ByCatalogue,
    /// The operator's, who alone can know.
    ByOperator,
}

/// An `http` or `https` URL without query, split into what a connection and a request line need.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BaseUrl {
    /// Whether to speak TLS.
    pub scheme: Scheme,
    /// The host name or address, without brackets.
    pub host: Arc<str>,
    /// The port, explicit or by scheme.
    pub port: u16,
    /// The path in front of `/chat/completions`, without a trailing slash: `/v1`, or empty.
    pub path: Arc<str>,
}

/// How to reach an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain text.
    Http,
    /// TLS.
    Https,
}

impl BaseUrl {
    /// What the `Host` header says: `host`, or `host:port` where the port is not the scheme's own; IPv6 addresses in
    /// brackets.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.to_string() };
        if self.port == self.scheme.port() { host } else { format!("{host}:{}", self.port) }
    }
}

impl Display for BaseUrl {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme.label(), self.authority(), self.path)
    }
}

impl Scheme {
    const fn label(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_named_only_where_it_is_unusual() {
        let url = |scheme, host: &str, port| BaseUrl { scheme, host: host.into(), port, path: "/v1".into() };
        assert_eq!(url(Scheme::Https, "api.example.org", 443).authority(), "api.example.org");
        assert_eq!(url(Scheme::Http, "api.example.org", 8000).to_string(), "http://api.example.org:8000/v1");
        assert_eq!(url(Scheme::Http, "::1", 80).authority(), "[::1]");
    }
}
