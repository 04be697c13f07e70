//! Faults under load.

use crate::Common;
use crate::folder::Folder;
use crate::report::Verdict;

pub(crate) async fn run(
    _common: &Common,
    _seed: u64,
    _folder: &Folder,
    _verdict: &mut Verdict,
) -> anyhow::Result<()> {
    Ok(())
}
