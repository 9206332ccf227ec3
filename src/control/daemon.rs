//! The threads of a daemon and their order: workers serve, one control thread reloads and answers the admin plane.
//!
//! Every worker has a runtime of its own and a listening socket of its own on the same address (`SO_REUSEPORT`), so
//! that a request never crosses cores. Nothing is bound or spawned until the configuration has been found valid.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, watch};

use super::feeds::{self, Clerk};
use super::reload::{Reloader, Trigger, build, mention};
use super::source::{Source, Texts};
use super::{market, prices, wallets, watch as files};
use crate::admin;
use crate::observe::{AccessLog as Log, AccessLogWriter, Metrics, MetricsError};
use crate::policy::model::AccessLog;
use crate::policy::{self, Loaded};
use crate::proxy::dial::{Connector, Tcp};
use crate::proxy::listener::{self, Phase};
use crate::proxy::pool::Pool;
use crate::proxy::worker::{Shared, Worker};
use crate::runtime;
use crate::state::{BuildError, Cells};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;
/// How often idle upstream connections are looked through.
const SWEEP: Duration = Duration::from_secs(2);

/// Why a daemon did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The files are invalid.
    #[error("invalid configuration\n{diagnostics}")]
    Configuration {
        /// All diagnostics, as `check` prints them.
        diagnostics: String,
    },
    /// The configuration is valid but cannot be put in force.
    #[error("the configuration cannot be put in force")]
    Build(#[from] BuildError),
    /// An address cannot be listened on.
    #[error("cannot listen on {address} ({setting})")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Where it is set.
        setting: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A thread or a runtime cannot be started.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    /// The metrics cannot be declared.
    #[error("metrics")]
    Metrics(#[from] MetricsError),
}

/// A running daemon.
pub struct Daemon {
    /// The data plane's address.
    pub data: SocketAddr,
    /// The admin plane's address.
    pub admin: SocketAddr,
    phase: watch::Sender<Phase>,
    reloader: Arc<Reloader>,
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    control: Option<JoinHandle<()>>,
    writer: Option<AccessLogWriter>,
    busy: mpsc::Receiver<()>,
}

impl Daemon {
    /// Reads the configuration, binds the addresses and starts the threads.
    pub fn start(source: Source) -> Result<Self, StartError> {
        let connector = Connector::new(Arc::new(Tcp::default()));
        let (clerk, (Loaded { model, diagnostics, files, .. }, texts)) = load(&source, &connector);
        let Some(model) = model else {
            return Err(StartError::Configuration { diagnostics: policy::render(&diagnostics) });
        };
        mention(&diagnostics);
        if !model.feeds.is_empty() {
            clerk.prepare();
        }
        let server = model.server.clone();
        let metrics = Arc::new(Metrics::new()?);
        let cells = Arc::new(Mutex::new(Cells::default()));
        let snapshot = Arc::new(build(model, 1, &cells, &metrics)?);
        let count = server.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
        let sockets = bind(server.listen, "server.listen", count)?;
        let admin_socket = bind(server.admin, "server.admin", 1)?;
        let data = local_address(&sockets, server.listen)?;
        let admin = local_address(&admin_socket, server.admin)?;
        let (log, writer) = access_log(server.access_log, &metrics)?;
        metrics.started_with(1);
        let shared = Arc::new(Shared::new(snapshot, metrics, log));
        let reloader = Arc::new(Reloader::new(Arc::clone(&shared), source, cells, files));
        reloader.remember(texts);
        let (phase, _) = watch::channel(Phase::Running);
        let (working, busy) = mpsc::channel(1);
        let mut daemon =
            Self { data, admin, phase, reloader, shared, workers: Vec::new(), control: None, writer, busy };
        daemon.start_workers(sockets, &connector, &working)?;
        daemon.start_control(admin_socket, Arc::new(clerk), connector)?;
        Ok(daemon)
    }

    fn start_workers(
        &mut self,
        sockets: Vec<TcpListener>,
        connector: &Connector,
        working: &mpsc::Sender<()>,
    ) -> Result<(), StartError> {
        for (number, socket) in sockets.into_iter().enumerate() {
            let runtime = single_threaded()?;
            let worker = Arc::new(Worker {
                shared: Arc::clone(&self.shared),
                pool: Arc::new(Pool::new(connector.clone())),
                rng: Mutex::new(runtime::seeded_by_system()),
            });
            let (phase, working) = (self.phase.subscribe(), working.clone());
            let body = move || {
                runtime.block_on(work(socket, worker, phase));
                drop(working);
            };
            let thread = std::thread::Builder::new().name(format!("worker-{number}")).spawn(body);
            self.workers.push(thread.map_err(StartError::Thread)?);
        }
        Ok(())
    }

    fn start_control(
        &mut self,
        sockets: Vec<TcpListener>,
        clerk: Arc<Clerk>,
        connector: Connector,
    ) -> Result<(), StartError> {
        let runtime = single_threaded()?;
        let (shared, reloader) = (Arc::clone(&self.shared), Arc::clone(&self.reloader));
        let plane = admin::Plane::new(shared, reloader, Arc::clone(&clerk), self.phase.subscribe());
        let (reloader, shared) = (Arc::clone(&self.reloader), Arc::clone(&self.shared));
        let mut phase = self.phase.subscribe();
        let body = move || {
            runtime.block_on(async move {
                for socket in sockets {
                    tokio::spawn(admin::serve(socket, plane.clone()));
                }
                tokio::spawn(prices::run(Arc::clone(&reloader)));
                tokio::spawn(feeds::run(clerk, Arc::clone(&reloader)));
                tokio::spawn(market::run(Arc::clone(&shared)));
                tokio::spawn(wallets::run(shared, connector));
                tokio::spawn(files::run(reloader));
                // Outlives the workers, so that a drain can be watched.
                if phase.wait_for(|phase| *phase == Phase::Stopped).await.is_err() {
                    tracing::debug!("the daemon is gone");
                }
            });
            // A price list that is being read from a disk that does not answer holds up nobody's end.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("control".to_owned()).spawn(body);
        self.control = Some(thread.map_err(StartError::Thread)?);
        Ok(())
    }

    /// How long a drain may take.
    pub fn drain_limit(&self) -> Duration {
        self.shared.snapshot().model.server.drain
    }

    /// Reloads now.
    pub fn reload(&self) {
        self.reloader.reload(Trigger::Request);
    }

    /// Takes no new connections; running requests go on.
    pub fn drain(&self) {
        self.phase.send_replace(Phase::Draining);
    }

    /// Waits until the workers have ended, after [`Daemon::drain`].
    pub async fn drained(&mut self) {
        while self.busy.recv().await.is_some() {}
    }

    /// Ends at once, cutting what still runs, and waits for the threads.
    pub fn stop(mut self) {
        self.phase.send_replace(Phase::Stopped);
        let threads = self.workers.drain(..).chain(self.control.take());
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread had panicked");
            }
        }
        if let Some(writer) = self.writer.take() {
            writer.finish();
        }
    }
}

/// The configuration, with what was kept of its price feeds.
pub(super) fn load(source: &Source, connector: &Connector) -> (Clerk, (Loaded, Texts)) {
    let first = source.load();
    let (folder, feeds) =
        first.0.model.as_ref().map_or((None, &[][..]), |model| (model.keep_prices.clone(), &model.feeds));
    let clerk = Clerk::new(Arc::clone(&source.book), connector.clone(), folder.or_else(|| feeds::usual_folder(source)));
    if feeds.is_empty() {
        return (clerk, first);
    }
    clerk.recall(feeds);
    (clerk, source.load())
}

/// One worker's life.
async fn work(socket: TcpListener, worker: Arc<Worker>, mut phase: watch::Receiver<Phase>) {
    let pool = Arc::clone(&worker.pool);
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(SWEEP).await;
            pool.sweep();
        }
    });
    let listener = match tokio::net::TcpListener::from_std(socket) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "a worker cannot use its socket"),
    };
    let serving = listener::run(listener, worker, phase.clone());
    tokio::select! {
        () = serving => {}
        _ = phase.wait_for(|phase| *phase == Phase::Stopped) => {}
    }
}

fn single_threaded() -> Result<Runtime, StartError> {
    Builder::new_current_thread().enable_all().build().map_err(StartError::Thread)
}

/// `count` sockets on one address. With port 0 the first one's port is used by all.
fn bind(address: SocketAddr, setting: &'static str, count: usize) -> Result<Vec<TcpListener>, StartError> {
    let refused = |source| StartError::Listen { address, setting, source };
    // A shared port would let a second daemon take half of the first one's connections without a word.
    drop(listen(address, Port::Exclusive).map_err(refused)?);
    let mut at = address;
    let mut sockets = Vec::with_capacity(count);
    for _ in 0..count.max(1) {
        let shared = if count > 1 { Port::Shared } else { Port::Exclusive };
        let socket = listen(at, shared).map_err(refused)?;
        at = socket.local_addr().map_err(refused)?;
        sockets.push(socket);
    }
    Ok(sockets)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Port {
    Shared,
    Exclusive,
}

fn listen(address: SocketAddr, port: Port) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(port == Port::Shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn local_address(sockets: &[TcpListener], address: SocketAddr) -> Result<SocketAddr, StartError> {
    sockets.first().map_or(Ok(address), |socket| {
        socket.local_addr().map_err(|source| StartError::Listen { address, setting: "server", source })
    })
}

fn access_log(to: AccessLog, metrics: &Arc<Metrics>) -> Result<(Log, Option<AccessLogWriter>), StartError> {
    match to {
        AccessLog::Off => Ok((Log::off(Arc::clone(metrics)), None)),
        AccessLog::Stdout => {
            let (log, writer) = Log::start(io::stdout(), Arc::clone(metrics)).map_err(StartError::Thread)?;
            Ok((log, Some(writer)))
        }
    }
}
