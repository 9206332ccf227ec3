//! How long a client connection may do nothing: a bound on the request head, and another on idleness.
//!
//! hyper's own header timer also runs while a kept-alive connection is idle, so one value would have to serve both: a
//! bound short enough against slow heads would close idle connections under the hands of a client that is about to
//! reuse one. It also starts only once the HTTP version is known, which a client can put off for ever. So the bytes
//! themselves are watched, below hyper.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// nginx's default; clients' pools give up earlier.
const IDLE: Duration = Duration::from_secs(75);

/// How long a client may leave what was written to it unread. nginx's default.
const UNREAD: Duration = Duration::from_mins(1);

/// What the requests of one connection tell its watcher.
#[derive(Debug, Default)]
pub(super) struct Activity {
    running: AtomicU64,
    ended: AtomicU64,
    multiplexed: AtomicBool,
}

/// Marks a request as running until dropped.
#[derive(Debug)]
pub(super) struct Running(Arc<Activity>);

impl Activity {
    /// A request's head has arrived.
    pub(super) fn begin(self: &Arc<Self>, version: http::Version) -> Running {
        self.running.fetch_add(1, Ordering::Relaxed);
        if version == http::Version::HTTP_2 {
            self.multiplexed.store(true, Ordering::Relaxed);
        }
        Running(Arc::clone(self))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
        self.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}

/// A client's byte stream that fails with `TimedOut` when the client takes too long over a head, or over nothing.
#[derive(Debug)]
pub(super) struct Patient<I> {
    inner: I,
    activity: Arc<Activity>,
    head_limit: Duration,
    alarm: Pin<Box<Sleep>>,
    reading_head: bool,
    ended: u64,
    /// Runs while nothing can be written.
    unread: Option<Pin<Box<Sleep>>>,
}

impl<I> Patient<I> {
    /// Watches `inner`: every request head must be complete within `head_limit` of its first byte, the first head
    /// within `head_limit` of now.
    pub(super) fn new(inner: I, activity: Arc<Activity>, head_limit: Duration) -> Self {
        let alarm = Box::pin(tokio::time::sleep(head_limit));
        Self { inner, activity, head_limit, alarm, reading_head: true, ended: 0, unread: None }
    }

    fn rearm(&mut self, span: Duration) {
        let deadline = self.alarm.deadline();
        let now = crate::runtime::instant();
        // Moving the alarm costs a lock of the timer wheel: not worth it for less than a second.
        if now + span > deadline + Duration::from_secs(1) || now + span < deadline {
            self.alarm.as_mut().reset(now + span);
        }
    }

    /// Follows the requests: after the last of them has ended, the connection is idle.
    fn follow(&mut self) {
        let ended = self.activity.ended.load(Ordering::Relaxed);
        if ended != self.ended {
            self.ended = ended;
            self.reading_head = false;
            self.rearm(IDLE);
        }
    }

    fn heard(&mut self) {
        if self.activity.multiplexed.load(Ordering::Relaxed) {
            self.rearm(IDLE);
        } else if !self.reading_head {
            self.reading_head = true;
            self.rearm(self.head_limit);
        }
    }

    /// Passes on what came of writing, unless the client has read nothing for too long.
    fn written<T>(&mut self, written: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.unread = None;
            return written;
        }
        let alarm = self.unread.get_or_insert_with(|| Box::pin(tokio::time::sleep(UNREAD)));
        alarm.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    fn is_serving(&self) -> bool {
        self.activity.running.load(Ordering::Relaxed) > 0
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Patient<I> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(cx, buf);
        if self.is_serving() {
            return read;
        }
        self.follow();
        match read {
            Poll::Ready(result) => {
                if buf.filled().len() > before {
                    self.heard();
                }
                Poll::Ready(result)
            }
            Poll::Pending => match self.alarm.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
                Poll::Pending => Poll::Pending,
            },
        }
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Patient<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.written(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.written(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let written = Pin::new(&mut self.inner).poll_flush(cx);
        self.written(written, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_read_is_given_a_minute() {
        let (_client, server) = duplex(16);
        let mut patient = Patient::new(server, Arc::new(Activity::default()), LIMIT);
        let begin = crate::runtime::now();

        let error = patient.write_all(&[0; 64]).await.expect_err("nobody reads");

        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(crate::runtime::now().since(begin), UNREAD);
    }

    async fn read_error(patient: &mut Patient<tokio::io::DuplexStream>) -> (io::ErrorKind, Duration) {
        let begin = crate::runtime::now();
        let error = patient.read_u8().await.expect_err("nothing was sent");
        (error.kind(), crate::runtime::now().since(begin))
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_trickles_its_head_is_cut_off() {
        let (mut client, server) = duplex(64);
        let mut patient = Patient::new(server, Arc::default(), LIMIT);
        client.write_all(b"P").await.unwrap();
        assert_eq!(patient.read_u8().await.unwrap(), b'P');

        assert_eq!(read_error(&mut patient).await, (io::ErrorKind::TimedOut, LIMIT));
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_outlives_the_head_limit_but_its_next_head_does_not() {
        let (mut client, server) = duplex(64);
        let activity = Arc::new(Activity::default());
        let mut patient = Patient::new(server, Arc::clone(&activity), LIMIT);
        drop(activity.begin(http::Version::HTTP_11));

        let waited = tokio::time::timeout(IDLE / 2, patient.read_u8()).await;
        assert!(waited.is_err(), "closed before the idle limit");
        client.write_all(b"G").await.unwrap();
        assert_eq!(patient.read_u8().await.unwrap(), b'G');
        assert_eq!(read_error(&mut patient).await.0, io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_running_request_is_never_timed_here() {
        let (_client, server) = duplex(64);
        let activity = Arc::new(Activity::default());
        let mut patient = Patient::new(server, Arc::clone(&activity), LIMIT);
        let _running = activity.begin(http::Version::HTTP_11);

        assert!(tokio::time::timeout(IDLE * 10, patient.read_u8()).await.is_err());
    }
}
