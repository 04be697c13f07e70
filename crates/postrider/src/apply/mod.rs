//! `postrider apply`: makes the store's catalog fit a file.

pub(crate) mod diff;
pub(crate) mod file;
pub(crate) mod plan;
pub(crate) mod secret;
