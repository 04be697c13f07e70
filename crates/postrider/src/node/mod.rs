//! A node: store, engine, webhooks and listeners, wired together; how it starts and how it stops.
//!
//! Starting goes from the inside out: nothing is bound before the configuration is read and the store is open, and
//! the API is bound last. Stopping goes from the outside in: not ready, no more connections, requests finish,
//! windows drain, the store closes, and health and metrics answer until the end.

mod certificate;
pub(crate) mod descriptors;
mod exposition;
mod former_names;
mod health;
mod listen;
mod memory;
mod metrics;
mod ops;
mod page;
mod process;
mod signals;
#[cfg(test)]
mod tests;

pub(crate) use certificate::certificate;
pub(crate) use health::Health;
pub(crate) use listen::WhenTaken;
pub(crate) use signals::shutdown_signal;

use crate::config::{Config, MasterKey};
use crate::control::{self, Control};
use crate::exit::Failure;
use crate::logging::Logging;
use crate::open;
use anyhow::Context;
use api::serve::{Certificate, ServeMetrics};
use api::{Api, router};
use axum::Router;
use certificate::read_pems;
use descriptors::Descriptors;
use engine::Engine;
use engine::clock::SystemClock;
use listen::Listener;
use metrics::{HttpMetrics, Metrics};
use signals::{Signal, Signals};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::Store as _;
use store::sqlite::{Mode, SqliteStore};
use tokio::task::JoinHandle;

/// A node with its store open and nothing bound yet.
pub(crate) struct Opened {
    config: Config,
    key: MasterKey,
    store: Arc<SqliteStore>,
    signals: Signals,
}

/// What a command adds to a node.
pub(crate) struct Extras {
    /// Routes beside the vendors' on the API's listener.
    pub(crate) routes: fn(&Arc<Engine>) -> Router,
    /// Whether `postrider send` may send texts without a template.
    pub(crate) free_text: bool,
    /// Whether the clock is right whatever it says.
    pub(crate) trust_clock: bool,
    /// What stands before all routes.
    pub(crate) before: fn(Router) -> Router,
    /// What happens when the API's address is taken already.
    pub(crate) api_when_taken: WhenTaken,
    /// What happens when the address of health and metrics is taken already.
    pub(crate) metrics_when_taken: WhenTaken,
}

impl Default for Extras {
    fn default() -> Self {
        Self {
            routes: |_| Router::new(),
            free_text: false,
            trust_clock: false,
            before: |router| router,
            api_when_taken: WhenTaken::Fail,
            metrics_when_taken: WhenTaken::Fail,
        }
    }
}

/// A node at work.
pub(crate) struct Node {
    config: Config,
    engine: Arc<Engine>,
    health: Arc<Health>,
    api: Listener,
    ops: Listener,
    certificate: Option<Arc<Certificate>>,
    control: Option<Control>,
    descriptors: Descriptors,
    /// Gives back what peaks have left.
    memory: JoinHandle<()>,
    signals: Signals,
}

impl Opened {
    /// Opens the store. From here on signals wait until the node runs.
    pub(crate) async fn open(config: Config, key: MasterKey) -> anyhow::Result<Self> {
        let signals = Signals::new()?;
        let store = open::store(&config, Mode::Serve).await?;
        tracing::info!(path = %config.store.path.display(), "store open");
        Ok(Self {
            config,
            key,
            store,
            signals,
        })
    }

    /// Refuses a master key that does not open what is stored, before anything is started.
    pub(crate) async fn check_key(&self) -> Result<(), Failure> {
        let catalog = self.store.load_catalog().await.context("read the catalog")?;
        open::check_key(catalog, &self.key.vault(), &self.config.secrets)
    }

    /// The store, to be prepared before anything runs on it.
    pub(crate) fn store(&self) -> &Arc<SqliteStore> {
        &self.store
    }

    /// Starts the engine and binds the listeners.
    pub(crate) async fn start(self, extras: Extras) -> anyhow::Result<Node> {
        let Self {
            config,
            key,
            store,
            signals,
        } = self;
        if !extras.trust_clock {
            let now = engine::clock::Clock::now(&SystemClock);
            engine::clock_watch::check(now, store::Store::newest_at(&*store)).context(
                "set the machine's clock right, or start once with `postrider serve --trust-clock` if it is",
            )?;
        }
        let certificate = certificate(&config)?;
        let health = Arc::new(Health::new(Arc::clone(&store)));
        let http = HttpMetrics::default();
        let (connections, ops_connections) = (ServeMetrics::default(), ServeMetrics::default());

        // Health first: settling what a kill left can take a while, and somebody may ask how it goes.
        let bound = listen::bind("metrics.listen", config.metrics.listen, extras.metrics_when_taken).await?;
        let metrics = Metrics::new(Arc::clone(&store), http.clone(), &connections);
        let ops_settings = ops::settings(&config.api.connections);
        let ops_router = ops::router(Arc::clone(&health), metrics.clone());
        let ops = Listener::start(bound, ops_router, ops_settings, None, ops_connections);
        tracing::info!(addr = %ops.addr, "health and metrics listening");

        let engine = Engine::start(
            Arc::clone(&store) as _,
            key.vault(),
            Arc::new(SystemClock),
            config.engine_settings(),
        )
        .await
        .context("start the engine")?;
        metrics.follow(&engine);
        engine
            .start_notify(api::formats(), config.webhooks.limits())
            .context("begin to tell accounts their events")?;
        let control = Control::start(
            control::socket_path(&config.store.path),
            Arc::clone(&engine),
            Arc::clone(&health),
            extras.free_text,
        );

        let descriptors = Descriptors::raised(&config, &engine);
        memory::set_up();
        let memory = memory::watch(connections.clone());
        let bound = listen::bind("api.listen", config.api.listen, extras.api_when_taken).await?;
        let api = Arc::new(Api::new(Arc::clone(&engine), config.api.limits.clone()));
        let routes = (extras.before)(router(api).merge((extras.routes)(&engine)));
        let routes = routes.layer(axum::middleware::from_fn_with_state(http, metrics::count_request));
        let acceptor = certificate.as_ref().map(Certificate::acceptor).transpose()?;
        let tls = acceptor.is_some();
        let api = Listener::start(bound, routes, config.api.settings(), acceptor, connections);
        tracing::info!(addr = %api.addr, tls, "APIs listening");
        health.ready();
        Ok(Node {
            config,
            engine,
            health,
            api,
            ops,
            certificate,
            control,
            descriptors,
            memory,
            signals,
        })
    }
}

impl Node {
    /// Where the APIs are.
    pub(crate) fn api_addr(&self) -> SocketAddr {
        self.api.addr
    }

    /// Where health and metrics are.
    pub(crate) fn metrics_addr(&self) -> SocketAddr {
        self.ops.addr
    }

    /// The engine.
    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Works until a signal ends it, then stops in order. A second signal ends the process at once.
    ///
    /// # Errors
    /// When part of the node has failed for good: then it ends at once, as by a kill. Nothing that was accepted is lost by
    /// that, and whoever runs the process (systemd, a container's runtime) starts it again.
    ///
    /// `config_file` is read again on SIGHUP.
    pub(crate) async fn run(mut self, log: Logging, config_file: Option<PathBuf>) -> anyhow::Result<()> {
        let mut look = tokio::time::interval(descriptors::LOOK_EVERY);
        loop {
            let next = tokio::select! {
                signal = self.signals.next() => Ok(signal),
                _ = look.tick() => {
                    self.descriptors.look(&self.config, &self.engine);
                    continue;
                }
                why = failed(&self.engine, &mut self.api, &mut self.ops) => Err(why),
            };
            match next {
                Ok(Signal::Stop) => break,
                Ok(Signal::Reload) => self.reload(&log, config_file.as_deref()).await,
                Err(why) => {
                    self.health.failed(&why);
                    tracing::error!(%why, "part of the node failed for good: the process ends");
                    anyhow::bail!("part of the node failed for good: {why}");
                }
            }
        }
        self.stop().await
    }

    /// Takes over what can change while running: catalog, log level, certificate.
    async fn reload(&mut self, log: &Logging, config_file: Option<&std::path::Path>) {
        match self.engine.reload_catalog().await {
            Ok(()) => tracing::info!("catalog read again"),
            Err(error) => tracing::error!(%error, "the catalog could not be read again; the old one stands"),
        }
        let Some(path) = config_file else { return };
        let config = match Config::load(path) {
            Ok(config) => config,
            Err(error) => return tracing::error!(%error, "the configuration was not taken over"),
        };
        match log.set_level(&config.log.level) {
            Ok(()) => tracing::info!(level = %config.log.level, "log level taken over"),
            Err(error) => tracing::error!(%error, "the log level was not taken over"),
        }
        if let Some(certificate) = &self.certificate {
            match read_pems(&config).and_then(|(chain, key)| Ok(certificate.replace(&chain, &key)?)) {
                Ok(()) => tracing::info!("certificate read again"),
                Err(error) => {
                    tracing::error!(%error, "the certificate was not taken over; the old one stands")
                }
            }
        }
        config.warn_of_former_names();
        config.warn_of_fixed(&self.config);
    }

    /// Stops in order.
    async fn stop(self) -> anyhow::Result<()> {
        self.signals.exit_on_next();
        let began = Instant::now();
        let grace = self.config.grace();
        self.health.stopping();
        tracing::info!(?grace, "stopping");
        self.engine.inbox().end_waits();
        let drain = Duration::from_secs(u64::from(self.config.shutdown.drain_s));
        tokio::time::sleep(drain).await;
        let stopped = self.api.stop().await;
        if stopped.cut > 0 {
            tracing::warn!(cut = stopped.cut, "requests did not finish within the grace");
        }
        if let Some(control) = self.control {
            control.stop(grace).await;
        }
        self.engine.stop(grace).await.context("stop the engine")?;
        self.ops.stop().await;
        self.memory.abort();
        tracing::info!(took_ms = began.elapsed().as_millis() as u64, "stopped");
        Ok(())
    }
}

/// Waits until a part without which a node is of no use has failed for good.
async fn failed(engine: &Engine, api: &mut Listener, ops: &mut Listener) -> String {
    tokio::select! {
        why = engine.failed() => why.to_string(),
        _ = &mut api.task => "the APIs' listener ended".to_owned(),
        _ = &mut ops.task => "the listener of health and metrics ended".to_owned(),
    }
}
