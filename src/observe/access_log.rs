//! One JSON line per request, written by a thread of its own: a full disk or a slow pipe costs lines, never latency.
//!
//! The request path serialises its line and offers it to a bounded queue; what does not fit is dropped and counted. A
//! line holds names, numbers and classes of failure, but no body, no header and no key, so that the log can go where
//! prompts may not.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::metrics::Metrics;
use super::record::Record;

/// Lines that may wait for the writer: about a second of a busy core.
const QUEUE: usize = 8_192;
/// Bytes gathered before one write.
const BATCH: usize = 64 * 1024;

/// Where requests leave their lines. Shared by `Arc`.
#[derive(Debug)]
pub struct AccessLog {
    queue: Option<SyncSender<Message>>,
    metrics: Arc<Metrics>,
}

/// The thread that writes. To be finished when the last request has ended.
#[derive(Debug)]
pub struct AccessLogWriter {
    queue: SyncSender<Message>,
    /// Nothing ever comes; it closes when the thread ends.
    done: Receiver<()>,
    thread: JoinHandle<()>,
}

#[derive(Debug)]
enum Message {
    Line(Vec<u8>),
    Finish,
}

impl AccessLog {
    /// A log that writes nothing.
    pub const fn off(metrics: Arc<Metrics>) -> Self {
        Self { queue: None, metrics }
    }

    /// Starts the writer's thread.
    pub fn start(sink: impl Write + Send + 'static, metrics: Arc<Metrics>) -> io::Result<(Self, AccessLogWriter)> {
        Self::start_with_queue(QUEUE, sink, metrics)
    }

    fn start_with_queue(
        length: usize,
        sink: impl Write + Send + 'static,
        metrics: Arc<Metrics>,
    ) -> io::Result<(Self, AccessLogWriter)> {
        let (queue, lines) = sync_channel(length);
        let drops = Arc::clone(&metrics);
        let (working, done) = sync_channel(0);
        let body = move || {
            write_all(&lines, sink, &drops);
            drop(working);
        };
        let thread = std::thread::Builder::new().name("access-log".to_owned()).spawn(body)?;
        Ok((Self { queue: Some(queue.clone()), metrics }, AccessLogWriter { queue, done, thread }))
    }

    /// Leaves a line. Never waits: if the writer is behind, the line is dropped and counted.
    pub fn write(&self, record: &Record<'_>) {
        let Some(queue) = &self.queue else { return };
        let line = serde_json::to_vec(record).ok().map(|mut line| {
            line.push(b'\n');
            line
        });
        if line.is_none_or(|line| queue.try_send(Message::Line(line)).is_err()) {
            self.metrics.record_dropped_line();
        }
    }
}

impl AccessLogWriter {
    /// Writes what has been left so far and ends the thread. Waits a second for a reader that has stopped reading;
    /// lines left later are dropped.
    pub fn finish(self) {
        let mut asked = false;
        for _ in 0..1_000 {
            asked = asked || self.queue.try_send(Message::Finish).is_ok();
            if let Err(RecvTimeoutError::Disconnected) = self.done.recv_timeout(Duration::from_millis(1)) {
                if self.thread.join().is_err() {
                    tracing::error!("the access log's writer had stopped early; lines are missing");
                }
                return;
            }
        }
        tracing::warn!("nobody reads the access log; what is left of it is lost");
    }
}

/// Writes in batches: one write for whatever has gathered while the last one was under way.
fn write_all(lines: &Receiver<Message>, mut sink: impl Write, metrics: &Metrics) {
    let mut batch = Vec::with_capacity(BATCH);
    let mut failing = false;
    while let Ok(first) = lines.recv() {
        let (count, last) = gather(first, lines, &mut batch);
        match sink.write_all(&batch).and_then(|()| sink.flush()) {
            Ok(()) => failing = false,
            Err(error) => {
                (0..count).for_each(|_| metrics.record_dropped_line());
                // One message per outage: a broken pipe would otherwise fill the other log.
                if !failing {
                    tracing::error!(%error, "the access log cannot be written; its lines are dropped until it can");
                }
                failing = true;
            }
        }
        batch.clear();
        if last == Last::Yes {
            return;
        }
    }
}

#[derive(PartialEq)]
enum Last {
    Yes,
    No,
}

fn gather(first: Message, lines: &Receiver<Message>, batch: &mut Vec<u8>) -> (usize, Last) {
    let mut count = 0;
    let mut next = Some(first);
    while let Some(message) = next {
        match message {
            Message::Finish => return (count, Last::Yes),
            Message::Line(line) => batch.extend_from_slice(&line),
        }
        count += 1;
        next = if batch.len() < BATCH { lines.try_recv().ok() } else { None };
    }
    (count, Last::No)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use parking_lot::Mutex;

    use super::super::record::tests::record;
    use super::*;

    /// A sink that tests can read, and that waits for a permit before each write if it has a gate.
    #[derive(Clone, Default)]
    struct Sink {
        written: Arc<Mutex<Vec<u8>>>,
        gate: Option<Gate>,
    }

    #[derive(Clone)]
    struct Gate {
        arrived: Sender<()>,
        permits: Arc<Mutex<Receiver<()>>>,
    }

    impl Sink {
        fn lines(&self) -> usize {
            String::from_utf8(self.written.lock().clone()).unwrap().lines().count()
        }
    }

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if let Some(Gate { arrived, permits }) = &self.gate {
                arrived.send(()).ok();
                permits.lock().recv().ok();
            }
            self.written.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Broken;

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn metrics() -> Arc<Metrics> {
        Arc::new(Metrics::new().unwrap())
    }

    fn dropped(metrics: &Metrics) -> String {
        let text = metrics.render().unwrap();
        text.lines().find(|line| line.starts_with("faregate_access_log_dropped_total")).unwrap().to_owned()
    }

    #[test]
    fn finishing_writes_every_line_that_was_left() {
        let (sink, metrics) = (Sink::default(), metrics());
        let (log, writer) = AccessLog::start(sink.clone(), Arc::clone(&metrics)).unwrap();

        (0..1_000).for_each(|_| log.write(&record()));
        writer.finish();

        assert_eq!(sink.lines(), 1_000);
        assert_eq!(dropped(&metrics), "faregate_access_log_dropped_total 0");
    }

    #[test]
    fn a_full_queue_costs_lines_and_never_waits() {
        // Given a writer that is stuck in its first write
        let ((arrived, arrivals), (permit, permits)) = (channel(), channel());
        let gate = Gate { arrived, permits: Arc::new(Mutex::new(permits)) };
        let sink = Sink { gate: Some(gate), ..Sink::default() };
        let metrics = metrics();
        let (log, writer) = AccessLog::start_with_queue(4, sink.clone(), Arc::clone(&metrics)).unwrap();
        log.write(&record());
        arrivals.recv().unwrap();

        // When more lines are left than the queue holds
        (0..7).for_each(|_| log.write(&record()));

        // Then the excess is counted, and the rest is written once the writer moves again.
        assert_eq!(dropped(&metrics), "faregate_access_log_dropped_total 3");
        drop(permit);
        writer.finish();
        assert_eq!(sink.lines(), 5);
    }

    #[test]
    fn a_reader_that_has_stopped_reading_does_not_keep_the_daemon_from_ending() {
        let (arrived, _arrivals) = channel();
        let (_permit, permits) = channel();
        let sink = Sink { gate: Some(Gate { arrived, permits: Arc::new(Mutex::new(permits)) }), ..Sink::default() };
        let (log, writer) = AccessLog::start_with_queue(1, sink, metrics()).unwrap();
        for _ in 0..5 {
            log.write(&record());
        }

        writer.finish();
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted() {
        let metrics = metrics();
        let (log, writer) = AccessLog::start(Broken, Arc::clone(&metrics)).unwrap();
        (0..3).for_each(|_| log.write(&record()));
        writer.finish();
        assert_eq!(dropped(&metrics), "faregate_access_log_dropped_total 3");
    }
}
