//! Our DID document (did:web, Read).

use actix_web::{HttpResponse, web};
use identity::did::Did;

use super::{answer, services};
use crate::app::App;
use crate::service::ServiceError;

/// Where the document of a did:web lies below its host: `/.well-known/did.json`, or `/PATH/did.json`.
pub(super) fn path(did: &Did) -> String {
    let mut parts = did.method_specific_id().split(':').skip(1).peekable();
    if parts.peek().is_none() {
        return "/.well-known/did.json".to_owned();
    }
    let path: Vec<&str> = parts.collect();
    format!("/{}/did.json", path.join("/"))
}

/// Open to everybody; may be kept as long as others keep it anyway.
pub(super) async fn did(app: web::Data<App>) -> HttpResponse {
    let made = services(&app).and_then(|dcp| dcp.keys.document().map_err(ServiceError::internal));
    answer(made.map(|document| {
        HttpResponse::Ok()
            .content_type("application/did+json")
            .insert_header(("cache-control", "public, max-age=60"))
            .body(document.to_string())
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_lies_where_resolvers_look() {
        for (did, expected) in [
            ("did:web:city.example", "/.well-known/did.json"),
            ("did:web:city.example%3A8282", "/.well-known/did.json"),
            ("did:web:host.example:cities:arvenna", "/cities/arvenna/did.json"),
        ] {
            assert_eq!(path(&did.parse().unwrap()), expected);
        }
    }
}
