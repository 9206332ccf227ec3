//! One connection: requests in, replies out, over anything that reads and writes.
//!
//! HTTP/1.1 and HTTP/2 by the connection's first bytes. There are no time limits of its own: how long things take is
//! for the profile and the faults to say. Faults that act before the reply head act here, ahead of any look at the
//! request: a provider that is down does not check keys.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::simulated::call::Outcome;
use crate::simulated::reply::canned;
use crate::simulated::stream::{Cut, Playback};
use crate::simulated::{Fault, Provider, Recorded};

const MAX_BODY: usize = 64 << 20;

impl Provider {
    /// Serves one connection until either side ends it.
    pub async fn serve_connection<I>(self: Arc<Self>, io: I)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.serve_resettable(io, Arc::default()).await;
    }

    /// The same; `reset` tells the owner of the socket that it is to be reset rather than closed.
    pub(super) async fn serve_resettable<I>(self: Arc<Self>, io: I, reset: Arc<AtomicBool>)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        if self.is_out() {
            return;
        }
        let service = service_fn(move |request| Arc::clone(&self).respond(request, Arc::clone(&reset)));
        let server = auto::Builder::new(TokioExecutor::new());
        if let Err(error) = server.serve_connection(TokioIo::new(io), service).await {
            // Clients leave and faults cut: both are what this provider is for.
            tracing::debug!(error, "a simulated connection broke");
        }
    }

    async fn respond(
        self: Arc<Self>,
        request: Request<Incoming>,
        reset: Arc<AtomicBool>,
    ) -> Result<Response<Playback>, Cut> {
        let arrival = self.arrive();
        let (head, body) = request.into_parts();
        let body = self.read(&head, body).await?;
        match &arrival.fault {
            Some(fault @ (Fault::Outage | Fault::Reset)) => {
                reset.store(*fault == Fault::Reset, Ordering::Relaxed);
                arrival.call.settle(Outcome::Failed);
                Err(Cut)
            }
            // The arrival is held meanwhile, so that the client's leaving is counted.
            Some(Fault::HangBeforeHead) => std::future::pending().await,
            Some(Fault::Reply(reply)) => {
                let response = canned(reply);
                arrival.call.settle(Outcome::Failed);
                Ok(response)
            }
            None
            | Some(
                Fault::Slow(_)
                | Fault::HangBeforeFirstToken
                | Fault::CutBeforeContent
                | Fault::CutAfter(_)
                | Fault::ErrorEventFirst
                | Fault::ErrorEventAfter(_)
                | Fault::ErrorIn200
                | Fault::GarbageJson
                | Fault::KeepAliveComments(..),
            ) => Ok(self.answer(&head, body.as_deref(), arrival).await),
        }
    }

    /// The body (`None` if it is too large), recorded. Fails if the client leaves in the middle of its request; the
    /// arrival, dropped, counts that as aborted.
    async fn read(&self, head: &Parts, body: Incoming) -> Result<Option<Bytes>, Cut> {
        let body = match Limited::new(body, MAX_BODY).collect().await {
            Ok(body) => Some(body.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => None,
            Err(_) => return Err(Cut),
        };
        self.record(Recorded {
            method: head.method.clone(),
            path: head.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
            headers: head.headers.clone(),
            body: body.clone().unwrap_or_default(),
        });
        Ok(body)
    }
}
