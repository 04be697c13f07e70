//! One image: the program starts on it, and is asked about everything that had been answered before the cut.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use sim::load::{Answer, Told};
use sim::seed::Seed;
use tokio_util::sync::CancellationToken;

use super::cuts::Cut;
use super::dice::Dice;
use super::disk::Files;
use super::finals::Finals;
use super::images::Figures;
use super::recording::{self, Recording, turn};
use crate::accounts::Settings;
use crate::beside::free_address;
use crate::clients::PARTS;
use crate::compare::{Asked, Findings, ask};
use crate::node::{Environment, Node};

/// Requests that are sent again to each image.
const REPEATS: u64 = 4;

/// Numbers named in a complaint at most.
const NAMED_MAX: usize = 5;

/// What all images of a recording are held against.
#[derive(Clone)]
pub(crate) struct Oracle {
    pub(crate) program: PathBuf,
    /// Where images are laid out.
    pub(crate) base: PathBuf,
    pub(crate) seed: u64,
    pub(crate) recording: Arc<Recording>,
    pub(crate) finals: Arc<Finals>,
    pub(crate) figures: Figures,
}

/// The program's own check of a store.
const CHECK: [&str; 2] = ["check", "--deep"];

impl Oracle {
    /// What was asked and answered before the cut.
    pub(crate) fn answered(&self, at_ns: u64) -> impl Iterator<Item = &Asked> {
        let Recording { asked, moments, .. } = &*self.recording;
        let before = move |told: &Told| told.answered_at.is_some_and(|moment| moments.ns(moment) <= at_ns);
        asked.iter().filter(move |asked| before(&asked.told))
    }

    /// The folder of an image, with the files in it.
    pub(crate) fn lay_out(&self, cut: &Cut, files: &Files) -> anyhow::Result<PathBuf> {
        let folder = recording::image_folder(&self.base, cut.no);
        std::fs::create_dir_all(&folder)?;
        for (name, octets) in files {
            let path = folder.join(name);
            std::fs::write(&path, octets).with_context(|| format!("writing {}", path.display()))?;
        }
        Ok(folder)
    }

    /// Starts the program on an image, asks it, and kills it; what is wrong. The folder goes away if nothing is.
    pub(crate) async fn check(&self, cut: &Cut, files: &Files) -> anyhow::Result<Vec<String>> {
        let folder = self.lay_out(cut, files)?;
        let settings = Settings {
            api: free_address()?,
            metrics: free_address()?,
            ..self.recording.settings.clone()
        };
        let mut node = Node::written(&self.program, &folder, settings, Environment::new())?;
        let mut wrong = Vec::new();
        match node.start().await {
            Ok(()) => {
                if let Err(error) = self.ask(&node, cut, &mut wrong).await {
                    wrong.push(format!("it could not be asked: {error:#}"));
                }
            }
            Err(error) => wrong.push(format!("it does not start: {error:#}")),
        }
        node.kill()?;
        if let Err(error) = node.tool(&CHECK) {
            wrong.push(format!("its own check complains: {error:#}"));
        }
        if wrong.is_empty() {
            remove(&folder)?;
        }
        Ok(wrong)
    }

    async fn ask(&self, node: &Node, cut: &Cut, wrong: &mut Vec<String>) -> anyhow::Result<()> {
        let answered: Vec<Asked> = self.answered(cut.at_ns).cloned().collect();
        if answered.is_empty() {
            return Ok(());
        }
        let mut findings = Findings::default();
        ask(&node.settings, &answered, &HashMap::new(), &mut findings).await?;
        let open: HashSet<u64> = findings.open.iter().copied().collect();
        let ended_before = self.finals.until(cut.at_ns);
        let reopened: Vec<u64> = ended_before.filter(|number| open.contains(number)).collect();
        for (what, numbers) in [
            ("answered as accepted and not there", &findings.forgotten),
            ("there twice", &findings.accepted_twice),
            ("whose receipts were acknowledged and are lost", &reopened),
        ] {
            complain(wrong, what, numbers);
        }
        self.repeat(node, cut, &answered, wrong).await
    }

    /// Sends some requests again that had been answered: the answers must be the same.
    async fn repeat(
        &self,
        node: &Node,
        cut: &Cut,
        answered: &[Asked],
        wrong: &mut Vec<String>,
    ) -> anyhow::Result<()> {
        let mut dice = Dice::new(Seed(self.seed ^ 1), cut.no as u64);
        let part = dice.below(PARTS.len());
        let name = recording::name(self.seed);
        let turn = turn(&name, 0, self.seed, 1.0);
        let prefix = turn.prefix(part);
        let before: HashMap<&str, &Answer> = answered
            .iter()
            .filter(|asked| asked.told.request_id.starts_with(&prefix))
            .filter_map(|asked| Some((asked.told.request_id.as_str(), asked.told.answer.as_ref()?)))
            .collect();
        let skipped = dice.below(before.len()) as u64;
        let Some(load) = turn.again(&node.settings, part, skipped..skipped + REPEATS) else {
            return Ok(());
        };
        let outcome = sim::load::run(load, CancellationToken::new())
            .await
            .context("the catalog lacks a template")?;
        let differs = |again: &Told| match (before.get(again.request_id.as_str()), &again.answer) {
            (Some(Answer::Accepted { .. }), Some(Answer::AcceptedBefore)) | (None, _) => false,
            (Some(first @ Answer::Accepted { .. }), Some(answer)) => *first != answer,
            (Some(_), _) => false,
        };
        let wrongly: Vec<u64> = outcome
            .told
            .iter()
            .filter(|again| differs(again))
            .map(|again| again.first)
            .collect();
        complain(
            wrong,
            "whose request was repeated and is answered otherwise",
            &wrongly,
        );
        Ok(())
    }
}

/// A complaint about numbers, if there are any.
pub(super) fn complain(wrong: &mut Vec<String>, what: &str, numbers: &[u64]) {
    if !numbers.is_empty() {
        let named: Vec<u64> = numbers.iter().copied().take(NAMED_MAX).collect();
        wrong.push(format!("{} messages {what}, such as {named:?}", numbers.len()));
    }
}

/// Removes an image's folder.
pub(super) fn remove(folder: &Path) -> anyhow::Result<()> {
    std::fs::remove_dir_all(folder).with_context(|| format!("removing {}", folder.display()))
}
