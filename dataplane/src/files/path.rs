//! Paths that others give: decoded, and refused where they could lead out of a folder or to hidden files.

use percent_encoding::percent_decode_str;

/// Longest segment, in bytes: what file systems take.
const MAX_SEGMENT: usize = 255;
/// Most segments.
const MAX_SEGMENTS: usize = 32;

/// A percent-encoded path as a relative one; `None` when it is not safe. Slashes around it do not count.
pub(crate) fn relative(path: &str) -> Option<String> {
    let rest = path.trim_matches('/');
    if rest.is_empty() {
        return Some(String::new());
    }
    let mut segments = Vec::new();
    for segment in rest.split('/') {
        let segment = percent_decode_str(segment).decode_utf8().ok()?;
        // Hidden names are never served; this covers `.` and `..`.
        let hidden = segment.is_empty() || segment.starts_with('.');
        if hidden
            || segment.len() > MAX_SEGMENT
            || segment.contains(|c: char| matches!(c, '/' | '\\') || c.is_control())
        {
            return None;
        }
        segments.push(segment.into_owned());
    }
    (segments.len() <= MAX_SEGMENTS).then(|| segments.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_lead_nowhere() {
        for path in
            ["/../x", "/%2e%2e/x", "/a/.git/config", "/a%2fb", "/a%5cb", "/a%00b", "/%ff", "/a//b", "/a%0Ab", ".part"]
        {
            assert_eq!(relative(path), None, "{path}");
        }
        assert_eq!(relative(&"x".repeat(256)), None);
        assert_eq!(relative(&"x/".repeat(33)), None);
        assert_eq!(relative("/a%20b/c.txt").unwrap(), "a b/c.txt");
        assert_eq!(relative("/").unwrap(), "");
        assert_eq!(relative("").unwrap(), "");
    }
}
