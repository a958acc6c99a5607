//! One kind of error for the whole harness: a sentence that says what went wrong, for the person who reads the test's
//! output.

use std::fmt::{self, Display};

/// What went wrong, as a sentence.
#[derive(Clone, PartialEq, Eq)]
pub struct Error(String);

/// The result of everything in this crate that can fail.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error with this sentence.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `unwrap` in a test shows this: the sentence, without the wrapping of a derived implementation.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

/// Says what was being done when an error came up.
pub trait Context<T> {
    /// The error becomes "`doing`: error".
    ///
    /// # Errors
    /// The same as before, with more said.
    fn context(self, doing: impl Display) -> Result<T>;
}

impl<T, E: Display> Context<T> for std::result::Result<T, E> {
    fn context(self, doing: impl Display) -> Result<T> {
        self.map_err(|error| Error(format!("{doing}: {error}")))
    }
}

impl<T> Context<T> for Option<T> {
    fn context(self, doing: impl Display) -> Result<T> {
        self.ok_or_else(|| Error(doing.to_string()))
    }
}
