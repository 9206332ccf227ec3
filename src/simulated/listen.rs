//! A simulated provider on a socket, which can be killed with everything that hangs on it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use super::provider::Provider;

/// A provider that listens. Dropping it severs everything.
#[derive(Debug)]
pub struct Listening {
    /// Where.
    pub addr: SocketAddr,
    task: JoinHandle<()>,
}

impl Provider {
    /// Listens on `address`.
    pub async fn listen(self: Arc<Self>, address: SocketAddr) -> io::Result<Listening> {
        let listener = TcpListener::bind(address).await?;
        let addr = listener.local_addr()?;
        let task = tokio::spawn(async move {
            // Aborts the connections with it when it is dropped.
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => match accepted {
                        Ok((stream, _)) => {
                            if stream.set_nodelay(true).is_ok() {
                                connections.spawn(Arc::clone(&self).serve_connection(stream));
                            }
                        }
                        Err(error) => tracing::debug!(%error, "simulated provider cannot accept"),
                    },
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        Ok(Listening { addr, task })
    }
}

impl Listening {
    /// Stops listening and severs every connection.
    pub fn kill(self) {
        drop(self);
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}
