//! Reading a stream of server-sent events.

use reqwest::Response;
use serde_json::Value;

/// Longest line that is kept, in bytes.
const MAX_LINE: usize = 4 * 1024 * 1024;

/// A stream of events.
#[derive(Debug)]
pub(super) struct Events {
    response: Response,
    parser: Parser,
}

impl Events {
    /// The events of an open answer.
    pub(super) fn new(response: Response) -> Self {
        Self { response, parser: Parser::default() }
    }

    /// The next event; `None` at the end of the stream, however it came.
    pub(super) async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(event) = self.parser.next() {
                return Some(event);
            }
            let chunk = self.response.chunk().await.ok().flatten()?;
            self.parser.push(&chunk);
        }
    }
}

/// Takes bytes, gives the data of events.
#[derive(Debug, Default)]
struct Parser {
    bytes: Vec<u8>,
    data: String,
}

impl Parser {
    fn push(&mut self, chunk: &[u8]) {
        self.bytes.extend_from_slice(chunk);
        if self.bytes.len() > MAX_LINE && !self.bytes.contains(&b'\n') {
            self.bytes.clear();
        }
    }

    fn next(&mut self) -> Option<Value> {
        while let Some(end) = self.bytes.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.bytes.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\r', '\n']);
            if let Some(data) = line.strip_prefix("data:") {
                self.data.push_str(data.strip_prefix(' ').unwrap_or(data));
            } else if line.is_empty() && !self.data.is_empty() {
                let event = serde_json::from_str(&self.data).ok();
                self.data.clear();
                if event.is_some() {
                    return event;
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_arrive_in_any_pieces() {
        let stream = ": alive\n\nid: 1\nevent: a\ndata: {\"id\":1}\n\n: alive\r\n\r\nid: 2\r\ndata:{\"id\":\r\ndata: 2}\r\n\r\ndata: no json\n\ndata: 3\n\n";
        for size in [1, 2, 7, 1000] {
            let mut parser = Parser::default();
            let mut found = Vec::new();
            for chunk in stream.as_bytes().chunks(size) {
                parser.push(chunk);
                found.extend(std::iter::from_fn(|| parser.next()));
            }
            assert_eq!(found, [json!({"id": 1}), json!({"id": 2}), json!(3)], "{size}");
        }
    }

    #[test]
    fn a_line_without_end_does_not_fill_the_memory() {
        let mut parser = Parser::default();
        for _ in 0..10 {
            parser.push(&vec![b'x'; MAX_LINE / 2]);
            assert!(parser.next().is_none());
            assert!(parser.bytes.len() <= MAX_LINE);
        }
    }
}
