//! Where a secret of a catalog file is: in it, in the environment, or in a file of its own.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

/// What the process's surroundings hold; a pair of functions, so that planning is tested without them.
pub(crate) struct Surroundings<'a> {
    /// Reads an environment variable.
    pub(crate) variable: &'a dyn Fn(&str) -> Option<OsString>,
    /// Reads a file; a relative path is taken from the catalog file's folder.
    pub(crate) read: &'a dyn Fn(&Path) -> io::Result<String>,
}

/// The three ways to give one secret.
pub(crate) struct SecretSource<'a> {
    /// What the fields are called: `secret` or `password`.
    pub(crate) field: &'static str,
    /// In the clear.
    pub(crate) inline: Option<&'a str>,
    /// The name of an environment variable.
    pub(crate) variable: Option<&'a str>,
    /// A file whose text, without the line's end, it is.
    pub(crate) file: Option<&'a Path>,
}

impl SecretSource<'_> {
    /// The secret, or `None` when the file gives none.
    ///
    /// # Errors
    /// In words, never with the secret in them.
    pub(crate) fn resolve(&self, surroundings: &Surroundings<'_>) -> Result<Option<String>, String> {
        let field = self.field;
        match (self.inline, self.variable, self.file) {
            (None, None, None) => Ok(None),
            (Some(inline), None, None) => Ok(Some(inline.to_owned())),
            (None, Some(name), None) => match (surroundings.variable)(name) {
                Some(value) => value
                    .into_string()
                    .map(Some)
                    .map_err(|_| format!("the environment variable {name} is not UTF-8")),
                None => Err(format!(
                    "the environment variable {name} ({field}_env) is not set"
                )),
            },
            (None, None, Some(path)) => (surroundings.read)(path)
                .map(|text| Some(text.trim_end_matches(['\r', '\n']).to_owned()))
                .map_err(|error| format!("{field}_file {}: {error}", path.display())),
            _ => Err(format!("give only one of {field}, {field}_env and {field}_file")),
        }
    }
}

/// Reads files relative to the folder of the catalog file.
pub(crate) fn reader_from(catalog_file: &Path) -> impl Fn(&Path) -> io::Result<String> {
    let folder: PathBuf = catalog_file.parent().map(Path::to_owned).unwrap_or_default();
    move |path| std::fs::read_to_string(folder.join(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(
        inline: Option<&str>,
        variable: Option<&str>,
        file: Option<&str>,
    ) -> Result<Option<String>, String> {
        let surroundings = Surroundings {
            variable: &|name| (name == "KEY").then(|| OsString::from("from the environment")),
            read: &|path| match path.to_str() {
                Some("key.txt") => Ok("from the file\r\n".to_owned()),
                _ => Err(io::ErrorKind::NotFound.into()),
            },
        };
        let source = SecretSource {
            field: "secret",
            inline,
            variable,
            file: file.map(Path::new),
        };
        source.resolve(&surroundings)
    }

    #[test]
    fn a_secret_is_taken_from_where_the_file_says() {
        assert_eq!(resolve(None, None, None), Ok(None));
        assert_eq!(resolve(Some("s3"), None, None), Ok(Some("s3".to_owned())));
        assert_eq!(
            resolve(None, Some("KEY"), None),
            Ok(Some("from the environment".to_owned()))
        );
        assert_eq!(
            resolve(None, None, Some("key.txt")),
            Ok(Some("from the file".to_owned()))
        );
    }

    #[test]
    fn a_secret_that_is_not_there_is_explained_without_showing_another() {
        assert!(
            resolve(None, Some("NONE"), None)
                .unwrap_err()
                .contains("NONE (secret_env) is not set")
        );
        assert!(
            resolve(None, None, Some("gone.txt"))
                .unwrap_err()
                .contains("secret_file gone.txt")
        );
        let twice = resolve(Some("s3cret"), Some("KEY"), None).unwrap_err();
        assert!(twice.contains("only one of") && !twice.contains("s3cret"));
    }
}
