//! How a command ends: what the exit codes mean.

use std::fmt;
use std::process::ExitCode;

/// Shown under `--help`.
pub(crate) const CODES: &str = "\
Exit codes:
  0    done
  1    tried and failed: the message on standard error says what was tried
  2    wrong arguments, or an error in the configuration or in the file given
  3    `check` found problems; `status` found no such message
  130  a second signal ended a graceful stop";

/// Why a command did not end well, and with which code.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    error: Option<anyhow::Error>,
}

impl Failure {
    /// What was given is wrong: arguments, configuration, catalog file.
    pub(crate) fn bad_input(error: impl Into<anyhow::Error>) -> Self {
        Self {
            code: 2,
            error: Some(error.into()),
        }
    }

    /// It was tried and failed, and the command has said so already.
    pub(crate) const fn silent() -> Self {
        Self { code: 1, error: None }
    }

    /// The command worked and what it looked for is not well; it has said so already.
    pub(crate) const fn found() -> Self {
        Self { code: 3, error: None }
    }

    /// The code to exit with.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }

    /// False when there is nothing more to say.
    pub(crate) fn has_message(&self) -> bool {
        self.error.is_some()
    }
}

impl fmt::Display for Failure {
    /// The error with all its causes on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.error {
            Some(error) => write!(f, "{error:#}"),
            None => Ok(()),
        }
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self {
            code: 1,
            error: Some(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn a_failure_tells_all_its_causes_on_one_line() {
        let error = Err::<(), _>(anyhow::anyhow!("disk full"))
            .context("write the key")
            .unwrap_err();
        assert_eq!(Failure::from(error).to_string(), "write the key: disk full");
        assert!(!Failure::found().has_message());
    }
}
