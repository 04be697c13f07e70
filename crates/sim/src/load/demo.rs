//! Where to send to, and as whom: the `demo.json` that a node set up for trying out leaves in its data folder.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Where a node listens, and one account's credentials and templates.
#[derive(Clone, Deserialize, Serialize)]
pub struct Demo {
    /// Where the vendors' APIs are, such as `http://127.0.0.1:8080`.
    pub base_url: String,
    /// Where metrics are.
    pub metrics_url: String,
    /// The account.
    pub account_id: u64,
    /// uSpeedo's credential.
    pub uspeedo: Uspeedo,
    /// UCloud's credential and signature.
    pub ucloud: Ucloud,
    /// SendCloud's credential.
    pub sendcloud: SendCloud,
    /// EngageLab's credential.
    pub engagelab: EngageLab,
    /// Templates: `code` has the variable `code`, `notice` has `name` and `place`, `plain` none.
    pub templates: HashMap<String, Template>,
    /// How many seconds the node's clock was from the right one at times; empty: it was right.
    #[serde(skip)]
    pub clock_offsets_s: Vec<i64>,
}

/// uSpeedo's credential.
#[derive(Clone, Deserialize, Serialize)]
pub struct Uspeedo {
    /// `ACCESSKEY_ID`
    pub access_key_id: String,
    /// `ACCESSKEY_SECRET`
    pub access_key_secret: String,
}

/// UCloud's credential, and a signature that is approved.
#[derive(Clone, Deserialize, Serialize)]
pub struct Ucloud {
    /// `PublicKey`
    pub public_key: String,
    /// The key that requests are signed with.
    pub private_key: String,
    /// `SigContent`
    pub sig_content: String,
}

/// SendCloud's credential.
#[derive(Clone, Deserialize, Serialize)]
pub struct SendCloud {
    /// `smsUser`
    pub sms_user: String,
    /// `smsKey`
    pub sms_key: String,
}

/// EngageLab's credential.
#[derive(Clone, Deserialize, Serialize)]
pub struct EngageLab {
    /// `sms_user`
    pub sms_user: String,
    /// `sms_key`
    pub sms_key: String,
}

/// A template's two names.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Template {
    /// What SendCloud and EngageLab call it.
    pub number: u64,
    /// What uSpeedo calls it.
    pub ut_id: String,
}

/// Why a `demo.json` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// It cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It does not say what it should.
    #[error("cannot understand {path}")]
    Parse {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: serde_json::Error,
    },
}

impl Demo {
    /// Reads the `demo.json` of a data folder.
    ///
    /// # Errors
    /// [`DemoError`] if it is missing or incomplete.
    pub fn read(data: &Path) -> Result<Self, DemoError> {
        let path = data.join("demo.json");
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(source) => return Err(DemoError::Read { path, source }),
        };
        serde_json::from_slice(&text).map_err(|source| DemoError::Parse { path, source })
    }
}

impl std::fmt::Debug for Demo {
    /// Without its secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Demo")
            .field("base_url", &self.base_url)
            .field("account_id", &self.account_id)
            .finish_non_exhaustive()
    }
}
