//! Names of parts: what is not complete yet, hidden beside the file that it will be.

use super::{join, split};

/// The path of the part of the upload `key` of a file.
pub(super) fn path(file: &str, key: &str) -> String {
    join(split(file).0, &format!(".{key}.part"))
}
