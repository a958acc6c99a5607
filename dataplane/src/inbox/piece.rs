//! Which part of a file a request brings (RFC 9110, 14.4 and 14.5).

use actix_web::HttpRequest;
use actix_web::http::header;

use crate::problem::Problem;

/// A part of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    /// Place of its first byte.
    pub(super) first: u64,
    /// Its length.
    pub(super) length: u64,
    /// Length of the file.
    pub(super) size: u64,
    /// The request says nothing of parts.
    pub(super) is_whole: bool,
    /// No bytes: all have arrived, and now the digest is told.
    pub(super) closes: bool,
}

impl Piece {
    /// The part that the headers of a request name.
    ///
    /// # Errors
    /// 400 when they contradict themselves or cannot be read, 411 without a length.
    pub(super) fn of(request: &HttpRequest, length: Option<u64>) -> Result<Self, Problem> {
        match request.headers().get(header::CONTENT_RANGE) {
            None => {
                let size = length.ok_or_else(|| {
                    Problem::bad_request("length_missing", "a file is sent with `Content-Length` or `Content-Range`")
                })?;
                Ok(Self { first: 0, length: size, size, is_whole: true, closes: false })
            }
            Some(value) => value.to_str().ok().and_then(|text| Self::parse(text, length)).ok_or_else(|| {
                Problem::bad_request("range_not_readable", "`Content-Range` does not name a part that fits the body")
            }),
        }
    }

    /// Where the body ends, in the file.
    pub(super) fn end(self) -> u64 {
        self.first + self.length
    }

    fn parse(text: &str, length: Option<u64>) -> Option<Self> {
        let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
        let size: u64 = size.parse().ok()?;
        if range == "*" {
            let fits = length.unwrap_or(0) == 0;
            return fits.then_some(Self { first: size, length: 0, size, is_whole: false, closes: true });
        }
        let (first, last) = range.split_once('-')?;
        let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        let told = last.checked_sub(first)?.checked_add(1)?;
        let fits = last < size && length.is_none_or(|length| length == told);
        fits.then_some(Self { first, length: told, size, is_whole: false, closes: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_9110_14_4_values() {
        let piece = |first, length, size, closes| Some(Piece { first, length, size, is_whole: false, closes });
        for (text, length, expected) in [
            ("bytes 0-9/10", Some(10), piece(0, 10, 10, false)),
            ("bytes 5-9/10", None, piece(5, 5, 10, false)),
            ("bytes */10", Some(0), piece(10, 0, 10, true)),
            ("bytes */10", Some(1), None),
            ("bytes 5-9/10", Some(4), None),
            ("bytes 5-10/10", None, None),
            ("bytes 9-5/10", None, None),
            ("bytes 0-18446744073709551615/18446744073709551615", None, None),
            ("bytes 0-9/*", None, None),
            ("lines 0-9/10", None, None),
            ("bytes 0-9", None, None),
        ] {
            assert_eq!(Piece::parse(text, length), expected, "{text}");
        }
    }
}
