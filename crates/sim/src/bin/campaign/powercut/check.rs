//! Checks one image: the program starts on it, and the status of every request that was answered before the cut is queried.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use sim::load::{Answer, RequestResult};
use sim::seed::Seed;
use tokio_util::sync::CancellationToken;

use super::cuts::Cut;
use super::disk::Files;
use super::finals::Finals;
use super::images::Figures;
use super::recording::{self, Recording, turn};
use super::rng::ImageRng;
use crate::accounts::Settings;
use crate::beside::free_address;
use crate::clients::PARTS;
use crate::compare::{ClientRequest, Findings, query_status};
use crate::node::{Environment, Node};

/// Requests that are sent again to each image.
const REPEATS: u64 = 4;

/// Numbers shown with one violation at most.
const NAMED_MAX: usize = 5;

/// What all images of a recording are checked against.
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
    /// Requests that were answered before the cut.
    pub(crate) fn answered(&self, at_ns: u64) -> impl Iterator<Item = &ClientRequest> {
        let Recording {
            requests, moments, ..
        } = &*self.recording;
        let before = move |result: &RequestResult| {
            result
                .answered_at
                .is_some_and(|moment| moments.ns(moment) <= at_ns)
        };
        requests.iter().filter(move |request| before(&request.result))
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

    /// Starts the program on an image, queries it, and kills it; returns the violations. Removes the folder if there are none.
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
                if let Err(error) = self.query_status(&node, cut, &mut wrong).await {
                    wrong.push(format!("queries failed: {error:#}"));
                }
            }
            Err(error) => wrong.push(format!("the program does not start: {error:#}")),
        }
        node.kill()?;
        if let Err(error) = node.tool(&CHECK) {
            wrong.push(format!("check --deep failed: {error:#}"));
        }
        if wrong.is_empty() {
            remove(&folder)?;
        }
        Ok(wrong)
    }

    async fn query_status(&self, node: &Node, cut: &Cut, wrong: &mut Vec<String>) -> anyhow::Result<()> {
        let answered: Vec<ClientRequest> = self.answered(cut.at_ns).cloned().collect();
        if answered.is_empty() {
            return Ok(());
        }
        let mut findings = Findings::default();
        query_status(&node.settings, &answered, &HashMap::new(), &mut findings).await?;
        let open: HashSet<u64> = findings.open.iter().copied().collect();
        let ended_before = self.finals.until(cut.at_ns);
        let reopened: Vec<u64> = ended_before.filter(|number| open.contains(number)).collect();
        for (what, numbers) in [
            ("accepted and missing", &findings.not_found),
            ("stored twice", &findings.accepted_twice),
            ("open again although their receipts were acknowledged", &reopened),
        ] {
            complain(wrong, what, numbers);
        }
        self.repeat(node, cut, &answered, wrong).await
    }

    /// Repeats some requests that had been answered: the answers must be the same.
    async fn repeat(
        &self,
        node: &Node,
        cut: &Cut,
        answered: &[ClientRequest],
        wrong: &mut Vec<String>,
    ) -> anyhow::Result<()> {
        let mut rng = ImageRng::new(Seed(self.seed ^ 1), cut.no as u64);
        let part = rng.below(PARTS.len());
        let name = recording::name(self.seed);
        let turn = turn(&name, 0, self.seed, 1.0);
        let prefix = turn.prefix(part);
        let before: HashMap<&str, &Answer> = answered
            .iter()
            .filter(|request| request.result.request_id.starts_with(&prefix))
            .filter_map(|request| {
                Some((
                    request.result.request_id.as_str(),
                    request.result.answer.as_ref()?,
                ))
            })
            .collect();
        let skipped = rng.below(before.len()) as u64;
        let Some(load) = turn.again(&node.settings, part, skipped..skipped + REPEATS) else {
            return Ok(());
        };
        let outcome = sim::load::run(load, CancellationToken::new())
            .await
            .context("the catalog lacks a template")?;
        let differs = |again: &RequestResult| match (before.get(again.request_id.as_str()), &again.answer) {
            (Some(Answer::Accepted { .. }), Some(Answer::AcceptedBefore)) | (None, _) => false,
            (Some(first @ Answer::Accepted { .. }), Some(answer)) => *first != answer,
            (Some(_), _) => false,
        };
        let wrongly: Vec<u64> = outcome
            .results
            .iter()
            .filter(|again| differs(again))
            .map(|again| again.first)
            .collect();
        complain(wrong, "whose repeated request has another answer", &wrongly);
        Ok(())
    }
}

/// Adds a violation about numbers, if there are any.
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
