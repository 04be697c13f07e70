//! A node: store, engine, webhooks and listeners; start and stop.
//!
//! Start order: configuration, store, health and metrics, engine, and the API last. Stop order: not ready, no more connections,
//! requests finish, windows drain, the store closes; health and metrics respond until the end.

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
pub(crate) use listen::PortConflict;
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

/// A node with its store open and no listener bound yet.
pub(crate) struct NodeBuilder {
    config: Config,
    key: MasterKey,
    store: Arc<SqliteStore>,
    signals: Signals,
}

/// Options of a node.
pub(crate) struct NodeOptions {
    /// Routes besides the vendors' on the API's listener.
    pub(crate) routes: fn(&Arc<Engine>) -> Router,
    /// Whether `postrider send` may send texts without a template.
    pub(crate) free_text: bool,
    /// Whether any clock is accepted.
    pub(crate) trust_clock: bool,
    /// A layer before all routes.
    pub(crate) before: fn(Router) -> Router,
    /// What to do when the API's address is in use.
    pub(crate) api_port_conflict: PortConflict,
    /// What to do when the address of health and metrics is in use.
    pub(crate) metrics_port_conflict: PortConflict,
}

impl Default for NodeOptions {
    fn default() -> Self {
        Self {
            routes: |_| Router::new(),
            free_text: false,
            trust_clock: false,
            before: |router| router,
            api_port_conflict: PortConflict::Fail,
            metrics_port_conflict: PortConflict::Fail,
        }
    }
}

/// A running node.
pub(crate) struct Node {
    config: Config,
    engine: Arc<Engine>,
    health: Arc<Health>,
    api: Listener,
    ops: Listener,
    certificate: Option<Arc<Certificate>>,
    control: Option<Control>,
    descriptors: Descriptors,
    /// Returns memory to the system after peaks.
    memory: JoinHandle<()>,
    signals: Signals,
}

impl NodeBuilder {
    /// Opens the store. From here on signals are deferred until the node runs.
    pub(crate) async fn open(config: Config, key: MasterKey) -> anyhow::Result<Self> {
        let signals = Signals::new()?;
        let store = open::store(&config, Mode::Serve).await?;
        tracing::info!(path = %config.store.path.display(), "store opened");
        Ok(Self {
            config,
            key,
            store,
            signals,
        })
    }

    /// Rejects a master key that does not open the stored secrets, before anything is started.
    pub(crate) async fn check_key(&self) -> Result<(), Failure> {
        let catalog = self.store.load_catalog().await.context("read the catalog")?;
        open::check_key(catalog, &self.key.sealer(), &self.config.secrets)
    }

    /// The store, for changes before anything runs on it.
    pub(crate) fn store(&self) -> &Arc<SqliteStore> {
        &self.store
    }

    /// Starts the engine and binds the listeners.
    pub(crate) async fn start(self, options: NodeOptions) -> anyhow::Result<Node> {
        let Self {
            config,
            key,
            store,
            signals,
        } = self;
        if !options.trust_clock {
            let now = engine::clock::Clock::now(&SystemClock);
            engine::clock_watch::check(now, store::Store::newest_at(&*store)).context(
                "correct the machine's clock, or start once with `postrider serve --trust-clock` if it is right",
            )?;
        }
        let certificate = certificate(&config)?;
        let health = Arc::new(Health::new(Arc::clone(&store)));
        let http = HttpMetrics::default();
        let (connections, ops_connections) = (ServeMetrics::default(), ServeMetrics::default());

        // Health first: recovery after a kill can take a while, and monitoring must see that.
        let bound = listen::bind(
            "metrics.listen",
            config.metrics.listen,
            options.metrics_port_conflict,
        )
        .await?;
        let metrics = Metrics::new(Arc::clone(&store), http.clone(), &connections);
        let ops_settings = ops::settings(&config.api.connections);
        let ops_router = ops::router(Arc::clone(&health), metrics.clone());
        let ops = Listener::start(bound, ops_router, ops_settings, None, ops_connections);
        tracing::info!(addr = %ops.addr, "health and metrics listening");

        let engine = Engine::start(
            Arc::clone(&store) as _,
            key.sealer(),
            Arc::new(SystemClock),
            config.engine_settings(),
        )
        .await
        .context("start the engine")?;
        metrics.follow(&engine);
        engine
            .start_webhooks(api::formats(), config.webhooks.limits())
            .context("start the webhooks")?;
        let control = Control::start(
            control::socket_path(&config.store.path),
            Arc::clone(&engine),
            Arc::clone(&health),
            options.free_text,
        );

        let descriptors = Descriptors::raised(&config, &engine);
        memory::set_up();
        let memory = memory::watch(connections.clone());
        let bound = listen::bind("api.listen", config.api.listen, options.api_port_conflict).await?;
        let api = Arc::new(Api::new(Arc::clone(&engine), config.api.limits.clone()));
        let routes = (options.before)(router(api).merge((options.routes)(&engine)));
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
    /// The address of the APIs.
    pub(crate) fn api_addr(&self) -> SocketAddr {
        self.api.addr
    }

    /// The address of health and metrics.
    pub(crate) fn metrics_addr(&self) -> SocketAddr {
        self.ops.addr
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Runs until a signal, then stops gracefully. A second signal ends the process at once.
    ///
    /// # Errors
    /// When a part of the node has failed permanently: then it ends at once, as by a kill. Accepted messages are not lost by
    /// that, and the service manager (systemd, a container's runtime) starts it again.
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
                    tracing::error!(reason = %why, "node failed");
                    anyhow::bail!("the node failed: {why}");
                }
            }
        }
        self.stop().await
    }

    /// Reloads what can change at runtime: catalog, log level, certificate.
    async fn reload(&mut self, log: &Logging, config_file: Option<&std::path::Path>) {
        match self.engine.reload_catalog().await {
            Ok(()) => tracing::info!("catalog reloaded"),
            Err(error) => tracing::error!(%error, "catalog reload failed"),
        }
        let Some(path) = config_file else { return };
        let config = match Config::load(path) {
            Ok(config) => config,
            Err(error) => return tracing::error!(%error, "configuration reload failed"),
        };
        match log.set_level(&config.log.level) {
            Ok(()) => tracing::info!(level = %config.log.level, "log level changed"),
            Err(error) => tracing::error!(%error, "log level not changed"),
        }
        if let Some(certificate) = &self.certificate {
            match read_pems(&config).and_then(|(chain, key)| Ok(certificate.replace(&chain, &key)?)) {
                Ok(()) => tracing::info!("certificate reloaded"),
                Err(error) => {
                    tracing::error!(%error, "certificate reload failed")
                }
            }
        }
        config.warn_of_former_names();
        config.warn_of_fixed(&self.config);
    }

    /// Stops gracefully.
    async fn stop(self) -> anyhow::Result<()> {
        self.signals.exit_on_next();
        let began = Instant::now();
        let grace = self.config.grace();
        self.health.stopping();
        tracing::info!(grace_ms = grace.as_millis() as u64, "node stopping");
        self.engine.inbox().end_waits();
        let drain = Duration::from_secs(u64::from(self.config.shutdown.drain_s));
        tokio::time::sleep(drain).await;
        let stopped = self.api.stop().await;
        if stopped.cut > 0 {
            tracing::warn!(count = stopped.cut, "requests cut off");
        }
        if let Some(control) = self.control {
            control.stop(grace).await;
        }
        self.engine.stop(grace).await.context("stop the engine")?;
        self.ops.stop().await;
        self.memory.abort();
        tracing::info!(took_ms = began.elapsed().as_millis() as u64, "node stopped");
        Ok(())
    }
}

/// Waits until an essential part of the node has failed permanently.
async fn failed(engine: &Engine, api: &mut Listener, ops: &mut Listener) -> String {
    tokio::select! {
        why = engine.failed() => why.to_string(),
        _ = &mut api.task => "the APIs' listener ended".to_owned(),
        _ = &mut ops.task => "the listener of health and metrics ended".to_owned(),
    }
}
