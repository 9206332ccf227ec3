//! From an accepted connection to requests: HTTP/1.1 or HTTP/2 by what the client sends first.
//!
//! Generic over the byte stream, so that a test's pipe is served by the very code that serves a socket.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::patience::{Activity, Patient};
use super::service;
use super::worker::Worker;

/// The largest request head that is read.
const MAX_HEAD: usize = 64 * 1024;
/// Streams that one HTTP/2 connection may have open.
const MAX_STREAMS: u32 = 1_000;
/// After a failed accept (out of file descriptors, say), wait for something to be freed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How far the shutdown has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Serving.
    Running,
    /// No new connections; running requests end.
    Draining,
    /// Everything ends at once.
    Stopped,
}

/// Accepts connections until `phase` says to drain, then waits until the last request has ended.
pub async fn run(listener: TcpListener, worker: Arc<Worker>, mut phase: watch::Receiver<Phase>) {
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = phase.wait_for(|phase| *phase != Phase::Running) => break,
        };
        match accepted {
            Ok((stream, _peer)) => {
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "TCP_NODELAY refused");
                }
                tokio::spawn(serve(stream, Arc::clone(&worker), graceful.watcher()));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    graceful.shutdown().await;
}

/// Serves one connection to its end.
pub async fn serve<I>(stream: I, worker: Arc<Worker>, watcher: Watcher)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Arc::new(Activity::default());
    let head_limit = worker.shared.snapshot().model.server.header_timeout;
    let io = TokioIo::new(Patient::new(stream, Arc::clone(&activity), head_limit));
    let handle = service_fn(move |request: Request<Incoming>| {
        let running = activity.begin(request.version());
        let worker = Arc::clone(&worker);
        async move { Ok::<_, Infallible>(service::answer(&worker, request, running).await) }
    });
    let builder = protocol();
    let connection = builder.serve_connection(io, handle).into_owned();
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "client connection ended");
    }
}

fn protocol() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(MAX_HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX))
        .adaptive_window(true)
        .keep_alive_interval(Duration::from_secs(30));
    builder
}
