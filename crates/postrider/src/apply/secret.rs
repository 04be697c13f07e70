//! The sources of a secret of a catalog file: the file itself, the environment, or another file.

use engine::catalog::{SecretFault, secret_fault};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Octets of a secret file: a longer one holds something else.
const SECRET_FILE_BYTES_MAX: u64 = 64 * 1024;

/// Access to the process's environment as functions, so that planning is tested without it.
pub(crate) struct Environment<'a> {
    /// Reads an environment variable.
    pub(crate) variable: &'a dyn Fn(&str) -> Option<OsString>,
    /// Reads a file; a relative path is resolved against the directory of the catalog file.
    pub(crate) read: &'a dyn Fn(&Path) -> io::Result<String>,
    /// Checks that a file contains certificates of authorities; says why not.
    pub(crate) check_authorities: &'a dyn Fn(&Path) -> Result<(), String>,
}

/// The three ways to give one secret.
pub(crate) struct SecretSource<'a> {
    /// The name of the fields: `secret` or `password`.
    pub(crate) field: &'static str,
    /// In plain text.
    pub(crate) inline: Option<&'a str>,
    /// The name of an environment variable.
    pub(crate) variable: Option<&'a str>,
    /// A file that holds it; a byte order mark before it and line ends after it are ignored.
    pub(crate) file: Option<&'a Path>,
}

/// The secret that a file gives.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum GivenSecret {
    /// None: the stored one stays.
    None,
    /// This text, which has a visible character and no control character.
    Text(String),
    /// `secret = ""`: explicitly none, where that is allowed.
    Empty,
    /// The source is missing, and why. The stored secret may stay.
    Absent(String),
}

impl SecretSource<'_> {
    /// The secret as the file gives it.
    ///
    /// # Errors
    /// A message that never contains the secret. A source with an empty secret is an error: it was meant to hold one.
    pub(crate) fn resolve(&self, environment: &Environment<'_>) -> Result<GivenSecret, String> {
        let field = self.field;
        match (self.inline, self.variable, self.file) {
            (None, None, None) => Ok(GivenSecret::None),
            (Some(""), None, None) => Ok(GivenSecret::Empty),
            (Some(inline), None, None) => usable(inline, &format!("`{field}`")),
            (None, Some(name), None) => match (environment.variable)(name) {
                Some(value) => {
                    let value = value
                        .into_string()
                        .map_err(|_| format!("the environment variable {name} ({field}_env) is not UTF-8"))?;
                    usable(&value, &format!("the environment variable {name} ({field}_env)"))
                }
                None => Ok(GivenSecret::Absent(format!(
                    "the environment variable {name} ({field}_env) is not set"
                ))),
            },
            (None, None, Some(path)) => match (environment.read)(path) {
                Ok(text) => usable(&text, &format!("{field}_file {}", path.display())),
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

/// The secret in a text without what editors, shells and `echo` add: a byte order mark before it, line ends after it. A
/// trailing space may be intended.
fn usable(text: &str, place: &str) -> Result<GivenSecret, String> {
    let bare = text.strip_prefix('\u{feff}').unwrap_or(text);
    let bare = bare.trim_end_matches(['\r', '\n']);
    match secret_fault(bare) {
        None => Ok(GivenSecret::Text(bare.to_owned())),
        Some(fault @ SecretFault::Blank) => Err(format!("{place} {fault}: put the secret there")),
        Some(fault @ SecretFault::Control) => Err(format!(
            "{place} {fault}: a secret must be one line of text; encode binary data, for example in Base64"
        )),
    }
}

/// Reads files relative to the directory of the catalog file.
pub(crate) fn reader_from(catalog_file: &Path) -> impl Fn(&Path) -> io::Result<String> {
    let folder: PathBuf = catalog_file.parent().map(Path::to_owned).unwrap_or_default();
    move |path| {
        let mut text = String::new();
        let file = File::open(folder.join(path))?;
        file.take(SECRET_FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
        if text.len() as u64 > SECRET_FILE_BYTES_MAX {
            return Err(io::Error::other(format!(
                "longer than {SECRET_FILE_BYTES_MAX} octets"
            )));
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(
        inline: Option<&str>,
        variable: Option<&str>,
        file: Option<&str>,
    ) -> Result<GivenSecret, String> {
        let environment = Environment {
            variable: &|name| match name {
                "KEY" => Some(OsString::from("from the environment")),
                "EMPTY" => Some(OsString::new()),
                "BLANK" => Some(OsString::from("  ")),
                "LINE" => Some(OsString::from("\r\n")),
                "ENDED" => Some(OsString::from("from the environment\n")),
                _ => None,
            },
            read: &|path| match path.to_str() {
                Some("key.txt") => Ok("from the file\r\n".to_owned()),
                Some("marked.txt") => Ok("\u{feff}from the file\n".to_owned()),
                Some("lines.txt") => Ok("from the file\n\r\n\n".to_owned()),
                Some("blank behind.txt") => Ok("from the file \n".to_owned()),
                Some("empty.txt") => Ok(String::new()),
                Some("line end.txt") => Ok("\n".to_owned()),
                Some("blanks.txt") => Ok(" \t \r\n".to_owned()),
                Some("mark.txt") => Ok("\u{feff}".to_owned()),
                Some("two lines.txt") => Ok("one\ntwo\n".to_owned()),
                Some("nul.txt") => Ok("one\0".to_owned()),
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
        source.resolve(&environment)
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
    fn line_ends_behind_a_secret_are_no_part_of_it_and_blanks_are() {
        let text = |text: &str| Ok(GivenSecret::Text(text.to_owned()));
        assert_eq!(resolve(None, None, Some("lines.txt")), text("from the file"));
        assert_eq!(
            resolve(None, None, Some("blank behind.txt")),
            text("from the file ")
        );
        assert_eq!(resolve(None, Some("ENDED"), None), text("from the environment"));
    }

    #[test]
    fn a_place_with_an_empty_secret_is_named() {
        for file in ["empty.txt", "line end.txt", "blanks.txt", "mark.txt"] {
            let error = resolve(None, None, Some(file)).unwrap_err();
            assert!(
                error.starts_with(&format!("secret_file {file} ")) && error.contains("empty"),
                "{error}"
            );
        }
        for name in ["EMPTY", "BLANK", "LINE"] {
            let error = resolve(None, Some(name), None).unwrap_err();
            assert!(
                error.contains(&format!("{name} (secret_env)")) && error.contains("empty"),
                "{error}"
            );
        }
        assert_eq!(resolve(Some(""), None, None), Ok(GivenSecret::Empty));
        for inline in [" ", "\n", "\u{200b}", "\u{3000}"] {
            let error = resolve(Some(inline), None, None).unwrap_err();
            assert!(
                error.starts_with("`secret` ") && error.contains("empty"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_secret_of_several_lines_or_with_control_characters_is_refused() {
        for file in ["two lines.txt", "nul.txt"] {
            let error = resolve(None, None, Some(file)).unwrap_err();
            assert!(
                error.contains("control character") && !error.contains("one\n"),
                "{error}"
            );
        }
        assert!(resolve(Some("a\u{7}b"), None, None).is_err());
    }

    #[test]
    fn a_file_that_is_no_secret_is_not_read_to_its_end() {
        let read = reader_from(Path::new("/catalog.toml"));
        assert!(
            read(Path::new("dev/zero"))
                .unwrap_err()
                .to_string()
                .contains("longer than")
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
