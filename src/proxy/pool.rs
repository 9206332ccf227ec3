//! Keep-alive connections to upstreams, one pool per worker.
//!
//! A [`Lease`] says whether its connection was used before, because only then does "closed without a byte of reply"
//! mean that nothing happened and the request may be sent once more. A lease goes back when its reply body has ended;
//! dropped earlier, it closes the connection, which is how an upstream learns that nobody is listening any more.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;

use super::dial::{ConnectError, Connector};
use super::outgoing::Payload;
use crate::policy::model::BaseUrl;
use crate::runtime;
use crate::units::Timestamp;

/// Servers close idle connections after as little as five seconds; leaving earlier avoids most races.
const IDLE_LIFE: Duration = Duration::from_secs(4);
/// How long a connection may take to be ready for its next request.
const READY: Duration = Duration::from_millis(5);
/// More idle connections than this per upstream and worker are closed.
const MAX_IDLE: usize = 256;
/// The largest reply head that is accepted.
const MAX_REPLY_HEAD: usize = 64 * 1024;

/// The idle connections of one worker.
pub struct Pool {
    connector: Connector,
    idle: Mutex<HashMap<BaseUrl, Vec<Idle>>>,
}

struct Idle {
    sender: SendRequest<Payload>,
    since: Timestamp,
}

/// A connection in use.
pub struct Lease {
    /// Where requests are put in.
    pub sender: SendRequest<Payload>,
    /// Whether the connection served a request before this one.
    pub reused: Reuse,
    url: BaseUrl,
    pool: Arc<Pool>,
}

/// Whether a connection served a request before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// It did.
    Reused,
    /// It is new.
    Fresh,
}

impl Pool {
    /// An empty pool.
    pub fn new(connector: Connector) -> Self {
        Self { connector, idle: Mutex::new(HashMap::new()) }
    }

    /// A connection to `url`: the one used last if any is alive, else a new one, within `limit`.
    pub async fn checkout(self: &Arc<Self>, url: &BaseUrl, limit: Duration) -> Result<Lease, ConnectError> {
        while let Some(mut sender) = self.take_idle(url) {
            // The connection's own task may have to run once before the sender is ready again. One that takes longer is
            // still busy with a body that its upstream did not want to read.
            if let Ok(Ok(())) = tokio::time::timeout(READY, sender.ready()).await {
                return Ok(Lease { sender, reused: Reuse::Reused, url: url.clone(), pool: Arc::clone(self) });
            }
        }
        self.connect(url, limit).await
    }

    /// A new connection to `url` within `limit`.
    pub async fn connect(self: &Arc<Self>, url: &BaseUrl, limit: Duration) -> Result<Lease, ConnectError> {
        let sender = tokio::time::timeout(limit, self.open(url))
            .await
            .map_err(|_elapsed| ConnectError::Timeout { host: Arc::clone(&url.host), port: url.port, limit })??;
        Ok(Lease { sender, reused: Reuse::Fresh, url: url.clone(), pool: Arc::clone(self) })
    }

    async fn open(&self, url: &BaseUrl) -> Result<SendRequest<Payload>, ConnectError> {
        let stream = self.connector.connect(url).await?;
        let (sender, connection) = Builder::new().max_buf_size(MAX_REPLY_HEAD).handshake(TokioIo::new(stream)).await?;
        // Owned by its sender: it ends when the lease is dropped or the peer closes. Its errors reach the request.
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "upstream connection ended");
            }
        });
        Ok(sender)
    }

    fn take_idle(&self, url: &BaseUrl) -> Option<SendRequest<Payload>> {
        let now = runtime::now();
        let mut idle = self.idle.lock();
        let connections = idle.get_mut(url)?;
        while let Some(connection) = connections.pop() {
            if now.since(connection.since) > IDLE_LIFE {
                // The rest is older still.
                connections.clear();
                return None;
            }
            if !connection.sender.is_closed() {
                return Some(connection.sender);
            }
        }
        None
    }

    fn put_back(&self, url: BaseUrl, sender: SendRequest<Payload>) {
        if sender.is_closed() {
            return;
        }
        let idle = Idle { sender, since: runtime::now() };
        match self.idle.lock().entry(url) {
            Entry::Occupied(mut connections) => {
                if connections.get().len() < MAX_IDLE {
                    connections.get_mut().push(idle);
                }
            }
            Entry::Vacant(place) => {
                place.insert(vec![idle]);
            }
        }
    }

    /// Closes connections that have been idle for too long; to be called now and then.
    pub fn sweep(&self) {
        let now = runtime::now();
        self.idle.lock().retain(|_, connections| {
            connections.retain(|idle| now.since(idle.since) <= IDLE_LIFE && !idle.sender.is_closed());
            !connections.is_empty()
        });
    }
}

impl Lease {
    fn give_back(self) {
        let Self { sender, url, pool, reused: _ } = self;
        pool.put_back(url, sender);
    }
}

/// A reply body that holds its connection: returned to the pool at the end, closed when dropped before.
pub struct LeasedBody {
    incoming: Incoming,
    lease: Option<Lease>,
}

impl LeasedBody {
    /// The body that arrives over `lease`.
    pub fn new(incoming: Incoming, lease: Lease) -> Self {
        let mut body = Self { incoming, lease: Some(lease) };
        body.release_at_end();
        body
    }

    /// hyper never polls a body of known length to its final `None`, so the end is looked for after every frame.
    fn release_at_end(&mut self) {
        if self.incoming.is_end_stream()
            && let Some(lease) = self.lease.take()
        {
            lease.give_back();
        }
    }
}

impl Body for LeasedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.incoming).poll_frame(cx));
        match &frame {
            Some(Ok(_)) => self.release_at_end(),
            Some(Err(_)) => self.lease = None,
            None => {
                if let Some(lease) = self.lease.take() {
                    lease.give_back();
                }
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.incoming.size_hint()
    }
}
