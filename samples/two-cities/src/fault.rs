//! What goes wrong in a demo: a sentence for the reader.

/// Why a step of the story could not be told.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Fault(String);

impl Fault {
    /// A fault; the sentence starts in lower case and has no final period.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }

    /// A fault of the file system about `path`.
    pub fn file(path: &std::path::Path, error: &std::io::Error) -> Self {
        Self(format!("`{}`: {error}", path.display()))
    }
}

impl From<reqwest::Error> for Fault {
    fn from(error: reqwest::Error) -> Self {
        let mut sentence = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(deeper) = source {
            sentence = format!("{sentence}: {deeper}");
            source = deeper.source();
        }
        Self(sentence)
    }
}

/// A step that failed, by its name.
#[derive(Debug, thiserror::Error)]
#[error("the step \"{step}\" failed: {fault}")]
pub struct Failed {
    /// The step.
    pub step: String,
    /// The reason.
    pub fault: Fault,
}
