//! Where a campaign keeps its files.

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::{Common, say};

/// A folder that goes away unless something was wrong.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    keep: bool,
}

impl Folder {
    pub(crate) fn make(common: &Common, what: &str) -> anyhow::Result<Self> {
        let parent = common.folder.clone().unwrap_or_else(std::env::temp_dir);
        let path = parent.join(format!(
            "postrider-{what}-{}-{:08x}",
            std::process::id(),
            rand::random::<u32>()
        ));
        std::fs::create_dir_all(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(Self {
            path,
            keep: common.keep,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps the files for the analysis of a failure.
    pub(crate) fn keep(&mut self) {
        self.keep = true;
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.keep || std::thread::panicking() {
            say(&format!("kept: {}", self.path.display()));
            return;
        }
        if let Err(error) = std::fs::remove_dir_all(&self.path) {
            say(&format!("cannot remove {}: {error}", self.path.display()));
        }
    }
}
