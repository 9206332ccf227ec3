//! Where a provider is reached: over anything that reads and writes, and over TCP, until it is killed.
//!
//! Killing severs: the listener and every open connection go at once, in the middle of whatever they were saying. A
//! graceful end is what a client gets from a provider that is well, and needs no simulation.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

use super::Provider;

/// A provider that listens. Dropping it kills it.
#[derive(Debug)]
pub struct Listening {
    /// Where; with the port that the system chose, if it was asked to.
    pub addr: SocketAddr,
    socket: Arc<Socket>,
    task: AbortHandle,
}

/// Shared with the accepting task, so that killing closes the port before that task runs again.
#[derive(Debug)]
struct Socket(Mutex<Option<TcpListener>>);

impl Socket {
    /// The next connection; never, once the socket is closed.
    async fn accept(&self) -> io::Result<TcpStream> {
        poll_fn(|context| match &*self.0.lock() {
            Some(listener) => listener.poll_accept(context).map_ok(|(stream, _)| stream),
            None => Poll::Pending,
        })
        .await
    }
}

impl Listening {
    /// Severs the listener and all open connections. Whoever connects afterwards is refused.
    pub fn kill(&self) {
        drop(self.socket.0.lock().take());
        self.task.abort();
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Provider {
    /// Serves one connection until either side ends it. Dropping the future severs it.
    pub async fn serve_connection<I>(self: Arc<Self>, io: I)
    where
        I: AsyncRead + AsyncWrite + Unpin,
    {
        let provider = &self;
        let service = service_fn(move |request| async move { Box::pin(provider.answer(request)).await });
        let connection = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(io), service);
        if let Err(error) = connection.await {
            // Faults and clients that leave end here; both are counted where they happen.
            tracing::debug!(provider = %self.name(), %error, "a simulated connection broke");
        }
    }

    /// Listens on `addr` and serves every connection, each in a task of its own.
    pub async fn listen(self: Arc<Self>, addr: SocketAddr) -> io::Result<Listening> {
        let listener = TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        let socket = Arc::new(Socket(Mutex::new(Some(listener))));
        let task = tokio::spawn(self.accept(Arc::clone(&socket))).abort_handle();
        Ok(Listening { addr, socket, task })
    }

    /// Owns the listener and all connections, so that aborting this one task drops them all.
    async fn accept(self: Arc<Self>, socket: Arc<Socket>) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = socket.accept() => match accepted {
                    Ok(stream) => {
                        // Tokens are small packets: Nagle would deliver them in clumps.
                        if let Err(error) = stream.set_nodelay(true) {
                            tracing::debug!(%error, "a simulated connection cannot be set to no delay");
                        }
                        connections.spawn(Arc::clone(&self).serve_connection(stream));
                    }
                    Err(error) => tracing::warn!(provider = %self.name(), %error, "a simulated provider cannot accept"),
                },
                Some(_) = connections.join_next() => {}
            }
        }
    }
}
