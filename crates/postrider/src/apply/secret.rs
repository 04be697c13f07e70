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
    /// Says why a file has no authorities to trust in it.
    pub(crate) check_authorities: &'a dyn Fn(&Path) -> Result<(), String>,
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

/// What a file gives as a secret.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum GivenSecret {
    /// Nothing: what is stored stays.
    None,
    /// This text.
    Text(String),
    /// It names a place where nothing is, and why. What is stored may stay.
    Absent(String),
}

impl SecretSource<'_> {
    /// The secret as the file gives it.
    ///
    /// # Errors
    /// In words, never with the secret in them.
    pub(crate) fn resolve(&self, surroundings: &Surroundings<'_>) -> Result<GivenSecret, String> {
        let field = self.field;
        match (self.inline, self.variable, self.file) {
            (None, None, None) => Ok(GivenSecret::None),
            (Some(inline), None, None) => Ok(GivenSecret::Text(inline.to_owned())),
            (None, Some(name), None) => match (surroundings.variable)(name) {
                Some(value) => value
                    .into_string()
                    .map(GivenSecret::Text)
                    .map_err(|_| format!("the environment variable {name} is not UTF-8")),
                None => Ok(GivenSecret::Absent(format!(
                    "the environment variable {name} ({field}_env) is not set"
                ))),
            },
            (None, None, Some(path)) => match (surroundings.read)(path) {
                Ok(text) => {
                    // Editors on some systems write a byte order mark before the text; it is no part of it.
                    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
                    Ok(GivenSecret::Text(text.trim_end_matches(['\r', '\n']).to_owned()))
                }
                Err(error) => {
                    let why = format!("{field}_file {}: {error}", path.display());
                    if error.kind() == io::ErrorKind::NotFound {
                        Ok(GivenSecret::Absent(why))
                    } else {
                        Err(why)
                    }
                }
            },
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
    ) -> Result<GivenSecret, String> {
        let surroundings = Surroundings {
            variable: &|name| (name == "KEY").then(|| OsString::from("from the environment")),
            read: &|path| match path.to_str() {
                Some("key.txt") => Ok("from the file\r\n".to_owned()),
                Some("marked.txt") => Ok("\u{feff}from the file\n".to_owned()),
                Some("closed.txt") => Err(io::ErrorKind::PermissionDenied.into()),
                _ => Err(io::ErrorKind::NotFound.into()),
            },
            check_authorities: &|_| Ok(()),
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
        let text = |text: &str| Ok(GivenSecret::Text(text.to_owned()));
        assert_eq!(resolve(None, None, None), Ok(GivenSecret::None));
        assert_eq!(resolve(Some("s3"), None, None), text("s3"));
        assert_eq!(resolve(None, Some("KEY"), None), text("from the environment"));
        assert_eq!(resolve(None, None, Some("key.txt")), text("from the file"));
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_a_secret() {
        assert_eq!(
            resolve(None, None, Some("marked.txt")),
            Ok(GivenSecret::Text("from the file".to_owned()))
        );
    }

    #[test]
    fn a_secret_that_is_not_there_is_explained_without_showing_another() {
        let absent = |given| match given {
            Ok(GivenSecret::Absent(why)) => why,
            other => panic!("{other:?}"),
        };
        assert!(absent(resolve(None, Some("NONE"), None)).contains("NONE (secret_env) is not set"));
        assert!(absent(resolve(None, None, Some("gone.txt"))).contains("secret_file gone.txt"));
        assert!(
            resolve(None, None, Some("closed.txt"))
                .unwrap_err()
                .contains("secret_file closed.txt")
        );
        let twice = resolve(Some("s3cret"), Some("KEY"), None).unwrap_err();
        assert!(twice.contains("only one of") && !twice.contains("s3cret"));
    }
}
