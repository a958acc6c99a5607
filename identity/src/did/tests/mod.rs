//! DIDs, documents and their resolution.

mod documents;
mod names;
mod own;
mod resolution;

use super::*;

fn did(text: &str) -> Did {
    text.parse().unwrap()
}

fn method(text: &str) -> DidUrl {
    DidUrl::parse(text).unwrap()
}
