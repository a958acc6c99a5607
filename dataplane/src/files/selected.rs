//! Files under a selection: what passes of an NGSI-LD file or a table with entities.
//!
//! What a file shows is another document than the file, so it has neither the file's length nor its digest and tag.

use std::io;
use std::sync::Arc;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, http::Method};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use ngsi_ld_filter::{Answer, Filter, Shape, Stream};

use super::{FileBody, FileSource, disposition, failed, insert, listing, media_type, no_file, relative};
use crate::clock::now_ms;
use crate::flow::Ticket;
use crate::problem::Problem;
use crate::proxy::filtered_response;
use crate::stores::{ByteStream, FileFacts, Found, Node, OpenFile, join};

/// How much of a file is looked at for what it is.
const BEGINNING: u64 = 1024;

/// Whether a file of this name can be filtered.
pub(super) fn is_readable(name: &str) -> bool {
    shape(name).is_some()
}

/// What a file of this name is; for JSON the beginning tells whether it is one entity or a list.
fn shape(name: &str) -> Option<Shape> {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase())?;
    Some(match extension.as_str() {
        "json" | "jsonld" => Shape::Entities,
        "geojson" => Shape::Features,
        "ndjson" | "jsonl" => Shape::Lines,
        "csv" => Shape::Csv,
        _ => return None,
    })
}

async fn described(filter: &Filter, name: &str, file: &dyn OpenFile) -> io::Result<Answer> {
    let unreadable = || io::Error::new(io::ErrorKind::InvalidData, "a file of this kind cannot be filtered");
    let mut found = shape(name).ok_or_else(unreadable)?;
    if found == Shape::Entities {
        let mut beginning = file.read(0, file.facts().size.min(BEGINNING));
        let mut first = None;
        while let (None, Some(chunk)) = (first, beginning.next().await) {
            first = chunk?.iter().find(|byte| !byte.is_ascii_whitespace()).copied();
        }
        if first == Some(b'{') {
            found = Shape::Entity;
        }
    }
    Ok(filter.stored(found))
}

impl FileSource {
    /// The same files as far as a selection shows them: what a push sends.
    pub(crate) fn selected(&self, filter: &Arc<Filter>) -> Self {
        Self { filter: Some(Arc::clone(filter)), ..self.clone() }
    }

    /// Answers a request for `path`, percent-encoded, with what a selection shows of it.
    ///
    /// # Errors
    /// 404 and 405 for the caller; 502 when the file cannot be read or is nothing that rules can be applied to.
    pub(crate) async fn serve_selected(
        &self,
        filter: &Arc<Filter>,
        request: &HttpRequest,
        path: &str,
        ticket: Ticket,
    ) -> Result<HttpResponse, Problem> {
        if *request.method() != Method::GET {
            let detail = "only GET is admitted where an agreement selects what is shown";
            return Err(Problem::method_not_allowed("GET", detail));
        }
        let relative = relative(path).filter(|relative| !self.single || relative.is_empty()).ok_or_else(no_file)?;
        let full = join(&self.base, &relative);
        let name = full.rsplit('/').next().unwrap_or(&full);
        match self.store.open(&full).await.map_err(|error| failed(&error))? {
            Found::File(file) if is_readable(name) => {
                let answer = described(filter, name, file.as_ref()).await.map_err(|error| failed(&error))?;
                let size = file.facts().size;
                let stream = Stream::new(filter, answer, now_ms()).map_err(|fault| Problem::unreadable(&fault))?;
                let body = FileBody::new(file.read(0, size), size, ticket);
                let mut response = filtered_response(body, stream).await?;
                let out = response.headers_mut();
                insert(out, header::CONTENT_TYPE, media_type(name));
                insert(out, header::CONTENT_DISPOSITION, &disposition(name));
                Ok(response)
            }
            Found::File(_) => Err(no_file()),
            Found::Folder => {
                let shown = if relative.is_empty() { "/".to_owned() } else { format!("/{relative}/") };
                let mut entries = self.store.list(&full).await.map_err(|error| failed(&error))?;
                entries.retain(|entry| matches!(entry.node, Node::Folder(_)) || is_readable(&entry.name));
                Ok(listing::names(entries, &shown))
            }
        }
    }
}

/// What a selection shows of one version of a file, at one moment.
pub(super) struct Selected {
    file: Box<dyn OpenFile>,
    filter: Arc<Filter>,
    answer: Answer,
    now_ms: i64,
    facts: FileFacts,
}

impl Selected {
    /// Reads the file once, to know how much of it is shown.
    ///
    /// # Errors
    /// It cannot be read, or is nothing that rules can be applied to.
    pub(super) async fn open(file: Box<dyn OpenFile>, filter: &Arc<Filter>, name: &str) -> io::Result<Self> {
        let answer = described(filter, name, file.as_ref()).await?;
        let facts = file.facts().clone();
        let mut selected = Self { file, filter: Arc::clone(filter), answer, now_ms: now_ms(), facts };
        let mut bytes = selected.whole();
        let mut size = 0;
        while let Some(chunk) = bytes.next().await {
            size += chunk?.len() as u64;
        }
        selected.facts.size = size;
        Ok(selected)
    }

    fn whole(&self) -> ByteStream {
        let bytes = self.file.read(0, self.file.facts().size);
        match Stream::new(&self.filter, self.answer.clone(), self.now_ms) {
            Ok(stream) => filtered(bytes, stream),
            Err(fault) => stream::once(async move { Err(unreadable(fault)) }).boxed(),
        }
    }
}

#[async_trait]
impl OpenFile for Selected {
    fn facts(&self) -> &FileFacts {
        &self.facts
    }

    fn read(&self, first: u64, length: u64) -> ByteStream {
        let state = (self.whole(), first, length);
        let part = stream::try_unfold(state, |(mut bytes, mut skipped, mut left)| async move {
            while left > 0 {
                let Some(chunk) = bytes.next().await else { break };
                let mut chunk: Bytes = chunk?;
                let passed_by = usize::try_from(skipped).unwrap_or(usize::MAX).min(chunk.len());
                skipped -= passed_by as u64;
                let mut chunk = chunk.split_off(passed_by);
                chunk.truncate(usize::try_from(left).unwrap_or(usize::MAX));
                if !chunk.is_empty() {
                    left -= chunk.len() as u64;
                    return Ok(Some((chunk, (bytes, skipped, left))));
                }
            }
            Ok(None)
        });
        part.boxed()
    }
}

/// Bytes on their way through a filter.
pub(crate) fn filtered(bytes: ByteStream, stream: Stream) -> ByteStream {
    let passing = stream::try_unfold((bytes, Some(stream)), |(mut bytes, stream)| async move {
        let Some(mut stream) = stream else { return Ok(None) };
        let mut out = Vec::new();
        while let Some(chunk) = bytes.next().await {
            stream.push(&chunk?, &mut out).map_err(unreadable)?;
            if !out.is_empty() {
                return Ok(Some((Bytes::from(out), (bytes, Some(stream)))));
            }
        }
        stream.finish(&mut out).map_err(unreadable)?;
        Ok((!out.is_empty()).then(|| (Bytes::from(out), (bytes, None))))
    });
    passing.boxed()
}

fn unreadable(fault: ngsi_ld_filter::Fault) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, fault)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::files::Digests;
    use crate::stores::{FileStore, Folder};

    async fn bytes(mut stream: ByteStream) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(chunk) = stream.next().await {
            all.extend_from_slice(&chunk.unwrap());
        }
        all
    }

    #[actix_web::test]
    async fn a_part_of_what_is_shown_is_that_part() {
        let folder = tempfile::tempdir().unwrap();
        let lines: String = (0..5000)
            .map(|number| {
                let kind = if number % 3 == 0 { "Air" } else { "Car" };
                format!("{}\n", json!({"id": format!("urn:a:{number}"), "type": kind, "owner": "CANARY"}))
            })
            .collect();
        std::fs::write(folder.path().join("a.ndjson"), lines).unwrap();
        std::fs::write(folder.path().join("a.bin"), "CANARY").unwrap();
        let selection = json!({"types": ["https://m/Air"], "attributes": [{"name": "https://m/no2"}],
            "contexts": [{"url": "https://c/c.jsonld", "terms": {"Air": "https://m/Air"}}],
            "assumedContext": "https://c/c.jsonld"});
        let filter = Arc::new(Filter::new(serde_json::from_value(selection).unwrap()).unwrap());
        let store: Arc<dyn FileStore> = Arc::new(Folder::new(folder.path().to_owned()));
        let digests = Digests::new(tokio::runtime::Handle::current());
        let source = FileSource::open("r", &store, "", &digests).await.unwrap().selected(&filter);
        let found: Vec<String> = source.all().await.unwrap().into_iter().map(|(path, _)| path).collect();
        assert_eq!(found, ["a.ndjson"]);
        let file = source.read("a.ndjson").await.unwrap();
        let size = file.facts().size;
        let whole = bytes(file.read(0, size)).await;
        assert_eq!(whole.len() as u64, size);
        assert_eq!(whole.iter().filter(|byte| **byte == b'\n').count(), 1667);
        assert!(!String::from_utf8(whole.clone()).unwrap().contains("CANARY"));
        for (first, length) in [(0, 10), (7, 1), (size - 5, 5), (size, 0), (1000, size - 1000), (40_000, 10_000)] {
            let end = usize::try_from(first + length).unwrap();
            assert_eq!(bytes(file.read(first, length)).await, whole[usize::try_from(first).unwrap()..end]);
        }
        assert!(source.digest("a.ndjson", file.as_ref()).await.is_none());
        assert!(source.read("a.bin").await.is_err());
    }
}
