//! `kill -9` at random moments under load: nothing accepted is lost, at most one window a bind is sent twice, and the ends
//! of messages and the inbound messages are reported.

use std::time::Duration;

use anyhow::Context;
use clap::Args;
use sim::seed::Question;
use tokio_util::sync::CancellationToken;

use crate::clients::{Turn, gather};
use crate::compare::ClientRequest;
use crate::folder::Folder;
use crate::mixed::{Mixed, Profile};
use crate::report::Report;
use crate::{Common, say};

/// Kills the program at random moments under load, and compares the answers to clients with what carriers received.
#[derive(Args, Clone, Debug)]
pub(crate) struct CrashArgs {
    #[command(flatten)]
    common: Common,
    /// How often it is killed at least
    #[arg(long, default_value_t = 20)]
    rounds: u64,
}

/// Recipients that one part of one round may have at most: each part has its own numbers.
const NUMBERS_A_PART: u64 = 500_000;

/// Many faults. Refusals pass after one try, so that no message runs out of tries; throttling is rare, because the gateway
/// slows down and would hardly send anything. No event meets two faults of the endpoint, because the second try comes after
/// five seconds and the third after five minutes.
const FAULT_PROFILE: Profile = Profile {
    carriers: r#"
        answers.delay_ms = [0, 8]
        binds.refused_share = 0.1
        [receipts]
        delay_ms = [0, 300]
        early_share = 0.1
        late_share = 0.05
        late_delay_ms = [1000, 3000]
        twice_share = 0.05
        shuffled = true
        [faults]
        disconnect_after = [100, 1500]
        garbage_after = [100, 500]
        [[rules]]
        share = 0.02
        status = "RSYSERR"
        times_per_message_max = 1
        [[rules]]
        share = 0.002
        status = "RTHROTTLED"
        times_per_message_max = 1
        [[rules]]
        share = 0.002
        status = "RMSGQFUL"
        times_per_message_max = 1
        [[rules]]
        share = 0.05
        states = ["UNDELIV"]
        error = "034"
        [[rules]]
        share = 0.02
        states = ["ACCEPTD", "DELIVRD"]
    "#,
    endpoint: r#"
        delay_ms = [0, 20]
        refused_share = 0.03
        redirected_share = 0.01
        cut_share = 0.01
        hung_share = 0.0005
        faults_per_event_max = 1
    "#,
    mo_per_s: 40.0,
};

/// The state of the campaign.
struct Campaign {
    mixed: Mixed,
    requests: Vec<ClientRequest>,
}

pub(crate) async fn run(args: CrashArgs) -> anyhow::Result<bool> {
    let seed = args.common.seed();
    say(&format!("crash: {} rounds, seed {seed}", args.rounds));
    let mut folder = Folder::make(&args.common, "crash")?;
    let done = campaign(&args, seed, &folder).await;
    if !matches!(done, Ok(true)) {
        folder.keep();
        say(&format!("to repeat the same faults: --seed {seed}"));
    }
    done
}

async fn campaign(args: &CrashArgs, seed: u64, folder: &Folder) -> anyhow::Result<bool> {
    let mut campaign = Campaign {
        mixed: Mixed::start(&args.common, seed, &FAULT_PROFILE, folder).await?,
        requests: Vec::new(),
    };
    campaign.mixed.disturb(1.0);
    for round in 0..args.rounds {
        campaign
            .round(round)
            .await
            .with_context(|| format!("round {round}"))?;
    }
    let mut report = Report::default();
    campaign.mixed.quiesce(&mut report).await?;
    campaign.mixed.compare(&campaign.requests, &mut report).await?;
    report.at_least("kills", campaign.mixed.kills, args.rounds);
    campaign.mixed.stop(&mut report).await?;
    Ok(report.conclude("crash"))
}

impl Campaign {
    /// Milliseconds drawn for a moment of a round.
    fn moment(&self, round: u64, which: u64, min: u64, max: u64) -> Duration {
        let roll = self.mixed.seed.roll(Question::Driver, round, which);
        Duration::from_millis(roll.within(min, max))
    }

    /// Clients send, the program is killed and started again, and the clients go on until each has its answer.
    async fn round(&mut self, round: u64) -> anyhow::Result<()> {
        let stop = CancellationToken::new();
        let seed = self.mixed.seed;
        let turn = Turn {
            name: &format!("crash-{:x}", seed.0),
            number: round,
            numbers_a_part: NUMBERS_A_PART,
            share: 1.0,
            time_max: Duration::from_secs(60),
            answer_timeout: Duration::from_secs(60),
            seed: seed.0,
        };
        let clients = self.mixed.send(&turn, &stop);
        let away = self.away(round);
        tokio::time::sleep(self.moment(round, 0, 200, 2_000)).await;
        self.mixed.kill()?;
        tokio::time::sleep(self.moment(round, 1, 0, 300)).await;
        self.mixed.node.spawn()?;
        // Sometimes it does not even get through its start.
        if seed.roll(Question::Driver, round, 2).hits(0.3) {
            tokio::time::sleep(self.moment(round, 3, 0, 400)).await;
            self.mixed.kill()?;
            self.mixed.node.spawn()?;
        }
        self.mixed.node.ready().await?;
        tokio::time::sleep(self.moment(round, 4, 0, 500)).await;
        stop.cancel();
        let before = self.mixed.sum.recipients_accepted;
        gather(clients, &mut self.requests, &mut self.mixed.sum).await?;
        away.await?;
        let accepted = self.mixed.sum.recipients_accepted - before;
        let sums = self.mixed.sums().counts;
        say(&format!(
            "  round {round:>3}: {accepted:>6} accepted; in all {} kills, {} parts at carriers, {} cuts, {} events",
            self.mixed.kills,
            sums.taken,
            sums.cuts,
            self.mixed.endpoint.sink.counts().events
        ));
        Ok(())
    }

    /// Now and then the endpoint is away for a while.
    fn away(&self, round: u64) -> tokio::task::JoinHandle<()> {
        let is_away = self.mixed.seed.roll(Question::Driver, round, 5).hits(0.3);
        let (after, long) = (self.moment(round, 6, 0, 1_500), self.moment(round, 7, 200, 1_500));
        let sink = self.mixed.endpoint.sink.clone();
        tokio::spawn(async move {
            if is_away {
                tokio::time::sleep(after).await;
                sink.leave();
                tokio::time::sleep(long).await;
                sink.come_back();
            }
        })
    }
}
