//! The API as its callers see it, on a new database.

mod access;
mod events;
mod identity;
mod input;
mod policy_tools;
mod processes;
mod registry;
mod terms;

use std::sync::Arc;

use actix_web::http::header::HeaderMap;
use actix_web::http::{Method, StatusCode};
use actix_web::{App as ActixApp, test};
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::configure;
use crate::app::App;
use crate::service::token::TokenHash;

const TOKEN: &str = "a-token-for-tests";

/// An installation and its management listener.
struct Api {
    _folder: TempDir,
    app: Arc<App>,
}

/// What a caller gets.
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Api {
    async fn new() -> Self {
        let (folder, app) = crate::testing::app().await;
        Self { _folder: folder, app }
    }

    async fn send(&self, request: test::TestRequest) -> Answer {
        let service = test::init_service(ActixApp::new().configure(configure(
            self.app.clone(),
            TokenHash::of(TOKEN),
            CancellationToken::new(),
        )))
        .await;
        let response = test::call_service(&service, request.to_request()).await;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = test::read_body(response).await;
        Answer { status, headers, body: serde_json::from_slice(&body).unwrap_or(Value::Null) }
    }

    async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let mut request = request(method, path).insert_header(("Authorization", format!("Bearer {TOKEN}")));
        if let Some(body) = body {
            request = request.set_json(body);
        }
        self.send(request).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, None).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.call("POST", path, Some(body)).await
    }

    async fn put(&self, path: &str, body: Value) -> Answer {
        self.call("PUT", path, Some(body)).await
    }

    async fn delete(&self, path: &str) -> Answer {
        self.call("DELETE", path, None).await
    }
}

impl Answer {
    /// The body of an answer with this status.
    #[track_caller]
    fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// Code and sentence of a problem with this status.
    #[track_caller]
    fn problem(self, status: StatusCode) -> (String, String) {
        assert_eq!(self.status, status.as_u16(), "{}", self.body);
        let text = |name: &str| self.body[name].as_str().unwrap_or_default().to_owned();
        assert_eq!(self.headers.get("content-type").unwrap(), "application/problem+json");
        assert_eq!(self.body["status"], status.as_u16());
        (text("code"), text("detail"))
    }
}

fn request(method: &str, path: &str) -> test::TestRequest {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    test::TestRequest::default().method(method).uri(&format!("/api/v1{path}"))
}
