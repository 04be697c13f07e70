//! How many messages a second the simulator takes from a client over loopback, and what they cost it.
//!
//! `cargo run --release -p sim --example sim_alone -- [MESSAGES] [WINDOW] [BINDS] [receipts]`

use std::error::Error;
use std::io::Write;
use std::sync::mpsc;

use sim::load::{SubmitLoad, submit};
use sim::smsc::{CountBy, Smsc, SmscConfig, SmscHandle, Span};
use tokio::net::TcpListener;
use tokio::runtime::Builder;

/// Seconds of processor time that this thread has used, in user and in system mode.
fn thread_cpu_seconds() -> Option<f64> {
    const TICKS_A_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/thread-self/stat").ok()?;
    // The command's name may hold blanks; it ends with the last parenthesis.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / TICKS_A_SECOND)
}

/// Runs the simulator on a thread of its own, so that its processor time is measured apart from the client's.
fn simulate(receipts: bool, started: &mpsc::Sender<SmscHandle>) -> Result<f64, Box<dyn Error + Send + Sync>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let tasks = runtime.block_on(async {
        let mut config = SmscConfig {
            count_by: CountBy::Destination,
            kept_max: 0,
            ..SmscConfig::default()
        };
        config.behaviour.receipts.enabled = receipts;
        config.behaviour.receipts.delay_ms = Span::fixed(10);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let smsc = Smsc::start(config, listener)?;
        started.send(smsc.clone())?;
        smsc.stopped().await;
        Ok::<_, Box<dyn Error + Send + Sync>>(())
    });
    tasks.map(|()| thread_cpu_seconds().unwrap_or(f64::NAN))
}

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: u64| arguments.get(at).map_or(Ok(default), |text| text.parse());
    let (messages, window, binds) = (number(0, 1_000_000)?, number(1, 1_000)?, number(2, 1)?);
    let receipts = arguments.iter().any(|argument| argument == "receipts");
    let (started, starts) = mpsc::channel();
    let simulator = std::thread::spawn(move || simulate(receipts, &started));
    let smsc = starts.recv()?;
    let address = smsc.local_addr().to_string();
    let load = SubmitLoad {
        address,
        messages,
        binds,
        window: usize::try_from(window)?,
        receipts,
    };
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let elapsed = runtime.block_on(submit(load))?;
    let client = thread_cpu_seconds().unwrap_or(f64::NAN);
    let counts = smsc.counts();
    runtime.block_on(smsc.stop());
    let simulated = simulator.join().map_err(|_| "the simulator's thread failed")??;
    let per = |seconds: f64| messages as f64 / seconds;
    writeln!(
        std::io::stdout(),
        "{messages} messages, window {window}, binds {binds}, receipts {receipts}: {:.0}/s; \
         {:.0} a second of the simulator's processor time, {:.0} of the client's; taken {}, acknowledged {}",
        per(elapsed.as_secs_f64()),
        per(simulated),
        per(client),
        counts.taken,
        counts.receipts_acknowledged,
    )?;
    Ok(())
}
