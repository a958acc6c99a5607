//! Sources of data, made ready from the plan and the configuration.

use std::collections::HashMap;

use actix_web::http::StatusCode;
use http::{HeaderValue, Uri};
use policy_plan::Source as Named;
use url::Url;

use crate::config::Credential;
use crate::files::{Digests, FileSource};
use crate::problem::{Fault, Problem};
use crate::proxy::{Rewrite, Target};
use crate::stores::Stores;

/// A source that is ready to be read.
#[derive(Debug)]
pub(crate) enum Source {
    Http(Box<HttpSource>),
    Files(FileSource),
}

impl Source {
    /// Makes the plan's source ready. `public` is the flow's address, which replaces the source's own in links.
    ///
    /// # Errors
    /// 400 that names what the configuration lacks; the operator is at fault. 502 when a file root cannot be reached.
    pub(crate) async fn open(
        named: &Named,
        credentials: &HashMap<String, Credential>,
        roots: &Stores,
        digests: &Digests,
        public: &str,
    ) -> Result<Self, Problem> {
        match named {
            Named::Http { base_url, credential } => {
                let credential = credential.as_deref().map(|name| {
                    credentials.get(name).ok_or_else(|| {
                        unusable("credential_unknown", format!("there is no credential `{name}` in the configuration"))
                    })
                });
                HttpSource::new(base_url, credential.transpose()?, public).map(|source| Self::Http(Box::new(source)))
            }
            Named::Files { root, path, .. } => {
                let store = roots.get(root).ok_or_else(|| {
                    unusable("file_root_unknown", format!("there is no file root `{root}` in the configuration"))
                })?;
                FileSource::open(root, store, path, digests).await.map(Self::Files)
            }
        }
    }
}

fn unusable(code: &'static str, detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, code, Fault::Operator, detail)
}

/// An HTTP interface.
#[derive(Debug)]
pub(crate) struct HttpSource {
    /// The base as text, without a slash at the end.
    base: String,
    /// The base as it was given.
    pub(crate) url: Url,
    authorization: Option<HeaderValue>,
    tenant: Option<HeaderValue>,
    pub(crate) rewrite: Rewrite,
}

impl HttpSource {
    fn new(base_url: &str, credential: Option<&Credential>, public: &str) -> Result<Self, Problem> {
        let url = crate::config::parse_url(base_url).map_err(|fault| unusable("source_not_usable", fault))?;
        if credential.is_some_and(|credential| !credential.covers(&url)) {
            let detail = "the credential is not meant for the source's address; see its `url_prefix`";
            return Err(unusable("credential_not_for_source", detail));
        }
        Ok(Self {
            base: url.as_str().trim_end_matches('/').to_owned(),
            authorization: credential.and_then(|credential| credential.authorization.clone()),
            tenant: credential.and_then(|credential| credential.tenant.clone()),
            rewrite: Rewrite::new(&url, public),
            url,
        })
    }

    /// The exchange for a path and query that were admitted. An empty path is the base itself.
    ///
    /// # Errors
    /// 400 when path or query hold what no URL may hold.
    pub(crate) fn target(&self, path: &str, query: Option<&str>) -> Result<Target, Problem> {
        let base = if path.is_empty() { self.url.as_str() } else { self.base.as_str() };
        let text = match query {
            Some(query) => format!("{base}{path}?{query}"),
            None => format!("{base}{path}"),
        };
        let uri = Uri::try_from(text)
            .map_err(|_| Problem::bad_request("path_not_safe", "the path or the query is not a valid part of a URL"))?;
        Ok(Target { uri, authorization: self.authorization.clone(), tenant: self.tenant.clone(), drop_tenant: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(base_url: &str, credential: Option<&str>) -> Named {
        Named::Http { base_url: base_url.to_owned(), credential: credential.map(str::to_owned) }
    }

    async fn with(named: &Named, credentials: &HashMap<String, Credential>) -> Result<Source, Problem> {
        let digests = Digests::new(tokio::runtime::Handle::current());
        Source::open(named, credentials, &Stores::default(), &digests, "http://dp/flows/1").await
    }

    async fn open(base_url: &str) -> Result<Source, Problem> {
        let credential = Credential {
            url_prefix: Url::parse("http://broker:1026/api").unwrap(),
            authorization: Some(HeaderValue::from_static("Bearer SECRET")),
            tenant: None,
            access_key: None,
            login: None,
        };
        with(&named(base_url, Some("broker")), &HashMap::from([("broker".to_owned(), credential)])).await
    }

    #[actix_web::test]
    async fn a_credential_goes_only_where_its_prefix_says() {
        let Source::Http(source) = open("http://broker:1026/api/v1").await.unwrap() else { panic!("not http") };
        let target = source.target("/x", Some("a=b")).unwrap();
        assert_eq!(target.uri.to_string(), "http://broker:1026/api/v1/x?a=b");
        assert_eq!(target.authorization.unwrap(), "Bearer SECRET");
        for elsewhere in
            ["http://broker:1027/api", "http://evil/api", "http://broker:1026/apix", "https://broker:1026/api"]
        {
            assert_eq!(open(elsewhere).await.unwrap_err().code(), "credential_not_for_source", "{elsewhere}");
        }
    }

    #[actix_web::test]
    async fn the_host_cannot_be_changed_by_a_path() {
        let source = with(&named("http://broker", None), &HashMap::new()).await.unwrap();
        let Source::Http(source) = source else { panic!("not http") };
        for path in ["/@evil/x", "/x@evil", "/:80@evil", "/%2e%2e/x", "/http://evil"] {
            let target = source.target(path, None).unwrap();
            assert_eq!(target.uri.authority().unwrap(), "broker", "{path}");
        }
        assert!(source.target("/a b", None).is_err());
        assert_eq!(source.target("", None).unwrap().uri.to_string(), "http://broker/");
    }

    #[actix_web::test]
    async fn what_the_configuration_lacks_is_named() {
        let problem = with(&named("http://b", Some("x")), &HashMap::new()).await.unwrap_err();
        assert_eq!(problem.code(), "credential_unknown");
        let files = Named::Files { root: "r".into(), path: String::new(), standing: false };
        assert_eq!(with(&files, &HashMap::new()).await.unwrap_err().code(), "file_root_unknown");
    }
}
