//! Throughput and latency on this machine, beside those of the parts alone.

mod backlog;
mod ceilings;
mod conditions;
mod figures;
mod scenario;
mod through;
mod webhooks;

use std::path::{Path, PathBuf};

use clap::Args;

use self::figures::Figures;
use self::scenario::Scenario;
use crate::folder::Folder;
use crate::{Common, say};

/// Measures the whole product, and in the same run what its parts can do alone.
#[derive(Args, Clone, Debug)]
pub(crate) struct BenchArgs {
    #[command(flatten)]
    common: Common,
    /// A tenth of the messages, and one run
    #[arg(long)]
    short: bool,
    /// An earlier build of the program, measured in turns with the present one: no figure may fall below 0.95 of it, or
    /// by more than it spreads by itself
    #[arg(long, value_name = "PROGRAM")]
    before: Option<PathBuf>,
    /// Runs; the one in the middle counts [default: 3, beside --before 5, with --short 1]
    #[arg(long)]
    runs: Option<u32>,
    /// Once more with so many messages stored before, such as 20000000
    #[arg(long, default_value_t = 0)]
    preload: u64,
    /// Only measure these parts [default: all of them]
    #[arg(long, value_enum, value_name = "PART", value_delimiter = ',')]
    parts: Vec<Part>,
    /// Only measure the full store
    #[arg(long, requires = "preload")]
    only_full: bool,
    /// The store's own example, which preloads and measures the store alone
    #[arg(
        long,
        env = "STORE_ALONE",
        default_value = "target/release/examples/store_alone"
    )]
    store_alone: PathBuf,
}

/// What one run measures, in this order.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// What the parts of the whole can do alone
    Ceilings,
    /// Batches of 1000 recipients
    Batches,
    /// Requests with one recipient
    Singles,
    /// One webhook a message, beside none
    Webhooks,
    /// A carrier that is away, and codes while its backlog drains
    Backlog,
    /// An endpoint that is away
    Events,
}

/// How much is sent in one run.
#[derive(Clone, Copy, Debug)]
struct Size {
    batches: u64,
    singles_s: u64,
    backlog: u64,
    alone: u64,
}

impl BenchArgs {
    fn size(&self) -> Size {
        match self.short {
            true => Size {
                batches: 50,
                singles_s: 5,
                backlog: 100,
                alone: 100_000,
            },
            false => Size {
                batches: 300,
                singles_s: 20,
                backlog: 1_000,
                alone: 1_000_000,
            },
        }
    }

    fn measures(&self, part: Part) -> bool {
        self.parts.is_empty() || self.parts.contains(&part)
    }

    fn runs(&self) -> u32 {
        self.runs.unwrap_or(match (self.short, &self.before) {
            (true, _) => 1,
            (false, None) => 3,
            (false, Some(_)) => 5,
        })
    }
}

pub(crate) async fn run(args: BenchArgs) -> anyhow::Result<bool> {
    let mut folder = Folder::make(&args.common, "bench")?;
    let done = measure(&args, &folder).await;
    if done.is_err() {
        folder.keep();
    }
    done
}

async fn measure(args: &BenchArgs, folder: &Folder) -> anyhow::Result<bool> {
    conditions::print(folder.path())?;
    let size = args.size();
    let (mut figures, mut before) = (Figures::default(), Figures::default());
    let runs = if args.only_full { 0 } else { args.runs() };
    for run in 0..runs {
        say(&format!("run {} of {runs}", run + 1));
        if args.measures(Part::Ceilings) {
            ceilings::store(args, size, &mut figures)?;
            ceilings::smpp(size, &mut figures).await?;
            ceilings::sink(size, &mut figures).await?;
        }
        // In turns, and the other one first each time: what else the machine does meets both.
        let now_first = run % 2 == 0;
        if now_first {
            one_run(
                args,
                &args.common.postrider,
                folder,
                &format!("run-{run}"),
                &mut figures,
            )
            .await?;
        }
        if let Some(program) = &args.before {
            say("  the program before");
            one_run(args, program, folder, &format!("run-{run}-before"), &mut before).await?;
        }
        if !now_first {
            one_run(
                args,
                &args.common.postrider,
                folder,
                &format!("run-{run}"),
                &mut figures,
            )
            .await?;
        }
    }
    if args.preload > 0 {
        full(args, size, folder, &mut figures).await?;
    }
    say("");
    figures.print();
    if args.before.is_none() {
        return Ok(true);
    }
    say("");
    let holds = figures.compare(&before);
    // One short run says too little to fail by.
    Ok(holds || args.short)
}

/// Everything that is measured of one program in one run, with a fresh store.
async fn one_run(
    args: &BenchArgs,
    program: &Path,
    folder: &Folder,
    name: &str,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let size = args.size();
    let mut scenario = Scenario::set_up(args, program, folder, name, 0).await?;
    if args.measures(Part::Ceilings) {
        ceilings::http(&scenario, size, figures).await?;
    }
    if args.measures(Part::Batches) {
        through::batches(&mut scenario, size, "", figures).await?;
    }
    if args.measures(Part::Singles) {
        through::singles(&mut scenario, size, "", figures).await?;
    }
    if args.measures(Part::Webhooks) {
        webhooks::beside(&mut scenario, size, figures).await?;
    }
    if args.measures(Part::Backlog) {
        backlog::backlog(&mut scenario, size, figures).await?;
    }
    if args.measures(Part::Events) {
        webhooks::backlog(&mut scenario, size, figures).await?;
    }
    scenario.stop().await
}

/// The same with a store that is full already: filling it takes longer than measuring, so all runs share one.
async fn full(args: &BenchArgs, size: Size, folder: &Folder, figures: &mut Figures) -> anyhow::Result<()> {
    let mut scenario = Scenario::set_up(args, &args.common.postrider, folder, "full", args.preload).await?;
    let when = format!(", {} stored before", crate::report::grouped(args.preload as f64));
    for run in 0..args.runs() {
        say(&format!("run {} of {}, full", run + 1, args.runs()));
        if args.measures(Part::Batches) {
            through::batches(&mut scenario, size, &when, figures).await?;
        }
        if args.measures(Part::Singles) {
            through::singles(&mut scenario, size, &when, figures).await?;
        }
    }
    scenario.stop().await
}
