//! How a byte stream to an upstream comes to be: name, TCP, TLS.
//!
//! The one seam between the data plane and the network. Tests put in-memory pipes behind [`Dial`], so that hours of
//! traffic run in virtual time; TLS runs over whatever `Dial` gives.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tower_service::Service as _;

use crate::policy::model::{BaseUrl, Scheme};

/// A byte stream.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// A byte stream of whatever kind.
pub type BoxIo = Box<dyn Io>;

/// A future of a byte stream.
pub type Dialing<'a> = Pin<Box<dyn Future<Output = io::Result<BoxIo>> + Send + 'a>>;

/// Opens byte streams to hosts.
pub trait Dial: Send + Sync {
    /// Opens one to `host`, a name or an address.
    fn dial<'a>(&'a self, host: &'a str, port: u16) -> Dialing<'a>;
}

/// The system's resolver and TCP. Where a name has addresses of both families, the second is tried after a quarter of
/// a second, as RFC 8305 wants: a network with a broken IPv6 would else use up all the time there is.
#[derive(Clone, Debug)]
pub struct Tcp(HttpConnector);

impl Default for Tcp {
    fn default() -> Self {
        let mut connector = HttpConnector::new();
        // Without it, Nagle's algorithm holds small writes back for a round trip.
        connector.set_nodelay(true);
        connector.set_happy_eyeballs_timeout(Some(Duration::from_millis(250)));
        Self(connector)
    }
}

impl Dial for Tcp {
    fn dial<'a>(&'a self, host: &'a str, port: u16) -> Dialing<'a> {
        let mut connector = self.0.clone();
        Box::pin(async move {
            let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
            let address = format!("http://{host}:{port}/").parse::<Uri>().map_err(io::Error::other)?;
            let stream = connector.call(address).await.map_err(|error| root_cause(&error))?;
            Ok(Box::new(stream.into_inner()) as BoxIo)
        })
    }
}

/// What the system said, below the connector's own words.
fn root_cause(error: &(dyn std::error::Error + 'static)) -> io::Error {
    match (error.downcast_ref::<io::Error>(), error.source()) {
        (Some(system), _) => io::Error::new(system.kind(), system.to_string()),
        (None, Some(cause)) => root_cause(cause),
        (None, None) => io::Error::other(error.to_string()),
    }
}

/// Why no connection came about.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The resolver, the peer or the network refused.
    #[error("cannot connect to {host}:{port}: {source}")]
    Dial {
        /// The host that was asked for.
        host: Arc<str>,
        /// Its port.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
    /// The TLS handshake failed.
    #[error("TLS handshake with {host} failed: {source}")]
    Tls {
        /// The host that was asked for.
        host: Arc<str>,
        /// What the handshake met.
        source: io::Error,
    },
    /// TLS cannot be spoken at all.
    #[error("TLS is not available: {reason}")]
    NoTls {
        /// What is missing.
        reason: Arc<str>,
    },
    /// It took too long.
    #[error("no connection to {host}:{port} within {limit:?}")]
    Timeout {
        /// The host that was asked for.
        host: Arc<str>,
        /// Its port.
        port: u16,
        /// The policy's `timeouts.connect`.
        limit: Duration,
    },
    /// HTTP could not be begun on the new stream.
    #[error("HTTP handshake failed: {0}")]
    Http(#[from] hyper::Error),
}

/// Opens streams to base URLs, with TLS where they ask for it.
#[derive(Clone)]
pub struct Connector {
    dial: Arc<dyn Dial>,
    tls: Result<Arc<ClientConfig>, Arc<str>>,
}

impl Connector {
    /// Over the given dialer, trusting what the operating system trusts.
    ///
    /// A system without root certificates does not keep plain `http` upstreams from working: the reason is kept and
    /// told by every attempt to reach an `https` one.
    pub fn new(dial: Arc<dyn Dial>) -> Self {
        let tls = system_trust().map(Arc::new).map_err(|error| {
            tracing::warn!(%error, "no root certificates found: https upstreams cannot be reached");
            error.to_string().into()
        });
        Self { dial, tls }
    }

    /// Over the given dialer, with the given TLS configuration.
    pub fn with_tls(dial: Arc<dyn Dial>, tls: Arc<ClientConfig>) -> Self {
        Self { dial, tls: Ok(tls) }
    }

    /// Opens a stream to `url`, TLS included.
    pub async fn connect(&self, url: &BaseUrl) -> Result<BoxIo, ConnectError> {
        let host = &url.host;
        let stream = self.dial.dial(host, url.port).await.map_err(|source| ConnectError::Dial {
            host: Arc::clone(host),
            port: url.port,
            source,
        })?;
        match url.scheme {
            Scheme::Http => Ok(stream),
            Scheme::Https => self.secure(host, stream).await,
        }
    }

    async fn secure(&self, host: &Arc<str>, stream: BoxIo) -> Result<BoxIo, ConnectError> {
        let config = self.tls.clone().map_err(|reason| ConnectError::NoTls { reason })?;
        let failed = |source| ConnectError::Tls { host: Arc::clone(host), source };
        let name = ServerName::try_from(host.to_string()).map_err(|error| failed(io::Error::other(error)))?;
        let stream = TlsConnector::from(config).connect(name, stream).await.map_err(failed)?;
        Ok(Box::new(stream))
    }
}

fn system_trust() -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
