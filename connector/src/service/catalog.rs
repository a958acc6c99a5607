//! The catalog: ours, a page at a time and only what the caller may see; and those of partners, read for our operators.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dsp_protocol::catalog::{Catalog, CatalogRequestMessage, DataService, Dataset, Distribution};
use dsp_protocol::pid::{DatasetId, OfferId, ParticipantId};
use dsp_protocol::policy::Offer;
use identity::Participant;
use serde_json::{Map, Value, json};
use url::Url;

use super::dataset::DatasetBody;
use super::partner::{CounterPartyRef, resolve, unreachable};
use super::{ServiceError, ServiceResult};
use crate::app::App;
use crate::store::catalog::From;
use crate::store::{catalog as rows, dataset, offer};
use crate::worker::segment;

/// `@id` of the data service in our catalogs: its endpoint is where negotiations and transfers go.
const SERVICE_ID: &str = "urn:hansa:service:dsp";

/// Where the IRIs of media types begin (DCAT 3, dcat:mediaType).
const MEDIA_TYPES: &str = "https://www.iana.org/assignments/media-types/";

/// A page of our catalog.
pub(crate) struct CatalogPage {
    /// The Catalog message.
    pub catalog: Value,
    /// Cursor of the next page.
    pub next: Option<String>,
    /// Cursor of the page before.
    pub previous: Option<String>,
}

/// A page of our catalog for this participant (DSP 2025-1, Catalog Protocol; pagination by opaque cursors).
///
/// # Errors
/// `bad_cursor`, or what the database brought.
pub(crate) async fn page(app: &App, participant: &Participant, cursor: Option<&str>) -> ServiceResult<CatalogPage> {
    let from = cursor.map_or(Ok(From::Start), decode)?;
    let policies = app.decisions.access_policies(app).await?;
    let visible = app.decisions.visible(app, &policies, participant).await?;
    let limit = u64::from(app.config.catalog.page_size.max(1));
    let mut found = rows::page(&app.store, app.context(), &visible, &from, limit).await?;
    let more = found.len() as u64 > limit;
    let (before, after) = match &from {
        From::Start => (false, more),
        From::After(_) => (true, more),
        From::Before(_) => (more, true),
    };
    if more {
        match from {
            // Going backwards the extra row is the first of the ascending list.
            From::Before(_) => drop(found.drain(..1)),
            From::Start | From::After(_) => drop(found.pop()),
        }
    }
    let next = found.last().filter(|_| after).map(|row| encode("a", &row.id));
    let previous = found.first().filter(|_| before).map(|row| encode("b", &row.id));
    let datasets = describe(app, found, &visible).await?;
    let catalog = Catalog {
        id: format!("urn:hansa:catalog:{}", segment(&app.participant)),
        participant_id: Some(ParticipantId::parse(&app.participant).map_err(ServiceError::internal)?),
        services: vec![DataService::new(SERVICE_ID, &app.dsp_address)],
        datasets,
        catalogs: Vec::new(),
        distributions: Vec::new(),
        properties: Map::new(),
    };
    Ok(CatalogPage { catalog: catalog.to_value(), next, previous })
}

fn encode(direction: &str, id: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{direction}{id}"))
}

fn decode(cursor: &str) -> ServiceResult<From> {
    let bad = || ServiceError::bad_request("bad_cursor", "the cursor is not one that this catalog gave out");
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).map_err(|_| bad())?).map_err(|_| bad())?;
    match (text.strip_prefix('a'), text.strip_prefix('b')) {
        (Some(id), _) => Ok(From::After(id.to_owned())),
        (_, Some(id)) => Ok(From::Before(id.to_owned())),
        _ => Err(bad()),
    }
}

/// One of our datasets, if the participant may see an offer of it.
///
/// # Errors
/// `not_found`, also when the dataset is hidden from this caller.
pub(crate) async fn dataset(app: &App, participant: &Participant, id: &str) -> ServiceResult<Value> {
    let missing = || ServiceError::not_found(format!("no dataset `{id}` for this participant"));
    let row = crate::store::registry::find::<dataset::Entity>(app.store.reads(), app.context(), id).await?;
    let row = row.ok_or_else(missing)?;
    let policies = app.decisions.access_policies(app).await?;
    let visible = app.decisions.visible(app, &policies, participant).await?;
    let described = describe(app, vec![row], &visible).await?;
    described.first().filter(|dataset| dataset.is_listable()).map(Dataset::to_value).ok_or_else(missing)
}

async fn describe(app: &App, found: Vec<dataset::Model>, visible: &[String]) -> ServiceResult<Vec<Dataset>> {
    let ids: Vec<String> = found.iter().map(|row| row.id.clone()).collect();
    let mut offers: HashMap<String, Vec<Offer>> = HashMap::new();
    let offer_rows = rows::offers(&app.store, app.context(), visible, &ids).await?;
    let policies: Vec<String> = offer_rows.iter().map(|row| row.policy_id.clone()).collect();
    app.decisions.load(app, &policies).await?;
    for row in offer_rows {
        if let Some(offer) = offer_object(app, &row)? {
            offers.entry(row.dataset_id).or_default().push(offer);
        }
    }
    found
        .into_iter()
        .map(|row| {
            let offers = offers.remove(&row.id).unwrap_or_default();
            dataset_object(row, offers)
        })
        .collect()
}

fn offer_object(app: &App, row: &offer::Model) -> ServiceResult<Option<Offer>> {
    let Some(policy) = app.decisions.loaded(&row.policy_id) else { return Ok(None) };
    let id = OfferId::parse(&row.id).map_err(ServiceError::internal)?;
    let mut offer = Offer::new(id, policy.rules.clone());
    offer.assigner = Some(ParticipantId::parse(&app.participant).map_err(ServiceError::internal)?);
    offer.profile.clone_from(&policy.profile);
    Ok(Some(offer))
}

fn dataset_object(row: dataset::Model, offers: Vec<Offer>) -> ServiceResult<Dataset> {
    let body = DatasetBody::parse(&row.body).map_err(ServiceError::internal)?;
    let mut properties = body.properties;
    if !row.title.is_empty() {
        properties.insert("dct:title".to_owned(), row.title.into());
    }
    if let Some(description) = body.description {
        properties.insert("dct:description".to_owned(), description.into());
    }
    if !body.keywords.is_empty() {
        properties.insert("dcat:keyword".to_owned(), json!(body.keywords));
    }
    let distributions = body.distributions.iter().map(|distribution| {
        let mut shown = Distribution::new(&distribution.format, SERVICE_ID);
        if let Some(media_type) = &distribution.media_type {
            let iri = format!("{MEDIA_TYPES}{media_type}");
            shown.properties.insert("dcat:mediaType".to_owned(), json!({ "@id": iri }));
        }
        shown
    });
    let distributions = distributions.collect();
    Ok(Dataset { id: DatasetId::parse(row.id).map_err(ServiceError::internal)?, offers, distributions, properties })
}

/// A page of a partner's catalog.
pub(crate) struct PartnerCatalog {
    /// The participant that publishes it.
    pub participant_id: String,
    /// Dataset objects, compact.
    pub datasets: Vec<Value>,
    /// Cursor of the next page.
    pub next: Option<String>,
    /// The Catalog as it came, compacted.
    pub raw: Value,
}

/// Reads a page of a registered partner's catalog.
///
/// # Errors
/// When the partner is unknown, cannot be reached, refuses, or answers with something else.
pub(crate) async fn fetch_page(app: &App, partner: &str, cursor: Option<&str>) -> ServiceResult<PartnerCatalog> {
    let counter_party = CounterPartyRef { id: partner.to_owned(), address: None };
    let base = resolve(app, &counter_party).await?;
    let first = format!("{base}/catalog/request");
    let url = match cursor {
        None => first.clone(),
        Some(cursor) => page_url(&first, &text_of(cursor)?)?,
    };
    let to = identity::CounterParty { participant_id: partner, address: &base };
    let authorization = app.identity.authorization_for(&to).await.map_err(no_credentials)?;
    let request = CatalogRequestMessage { filter: Vec::new() }.to_value();
    let mut answer = app
        .fetcher
        .post_json(&url, &request, Some(&authorization))
        .await
        .map_err(|error| unreachable("the partner", &error))?;
    if answer.status == 405 {
        answer = app
            .fetcher
            .get_json(&url, Some(&authorization))
            .await
            .map_err(|error| unreachable("the partner", &error))?;
    }
    let raw = object_in(&answer, "catalog")?;
    let catalog = Catalog::parse(&raw).map_err(|error| bad_catalog(&error.message))?;
    let next = answer.link("next").map(|link| URL_SAFE_NO_PAD.encode(link));
    Ok(PartnerCatalog {
        participant_id: catalog.participant_id.as_ref().map_or_else(|| partner.to_owned(), ToString::to_string),
        datasets: catalog.datasets.iter().map(Dataset::to_node).collect(),
        next,
        raw,
    })
}

fn text_of(cursor: &str) -> ServiceResult<String> {
    let bad = || ServiceError::bad_request("bad_cursor", "the cursor is not one that this catalog gave out");
    String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).map_err(|_| bad())?).map_err(|_| bad())
}

/// The link of a next page; it must stay with the partner's own server, since our token goes there.
fn page_url(first: &str, link: &str) -> ServiceResult<String> {
    let bad = || ServiceError::peer("bad_link", "the partner's link to the next page leads elsewhere");
    let first = Url::parse(first).map_err(|_| bad())?;
    let url = first.join(link).map_err(|_| bad())?;
    if url.origin() == first.origin() { Ok(url.into()) } else { Err(bad()) }
}

/// Reads one dataset of a registered partner.
///
/// # Errors
/// As [`fetch_page`].
pub(crate) async fn fetch_dataset(app: &App, partner: &str, dataset: &str) -> ServiceResult<Value> {
    dataset_of(app, &CounterPartyRef { id: partner.to_owned(), address: None }, dataset).await
}

/// Reads one dataset of a counter-party.
///
/// # Errors
/// As [`fetch_page`].
pub(crate) async fn dataset_of(app: &App, counter_party: &CounterPartyRef, dataset: &str) -> ServiceResult<Value> {
    let base = resolve(app, counter_party).await?;
    let url = format!("{base}/catalog/datasets/{}", segment(dataset));
    let to = identity::CounterParty { participant_id: &counter_party.id, address: &base };
    let authorization = app.identity.authorization_for(&to).await.map_err(no_credentials)?;
    let answer =
        app.fetcher.get_json(&url, Some(&authorization)).await.map_err(|error| unreachable("the partner", &error))?;
    if answer.status == 404 {
        let text = format!("`{}` has no dataset `{dataset}` for us", counter_party.id);
        return Err(ServiceError { kind: super::Kind::NotFound, ..ServiceError::peer("unknown_dataset", text) });
    }
    let raw = object_in(&answer, "dataset")?;
    let found = Dataset::parse(&raw).map_err(|error| bad_catalog(&error.message))?;
    Ok(found.to_node())
}

fn object_in(answer: &crate::fetch::FetchResponse, what: &str) -> ServiceResult<Value> {
    if answer.status != 200 {
        let said = serde_json::from_slice::<Value>(&answer.body).ok();
        let reasons = said.map(|body| dsp_protocol::error::PeerError::read(&body).reasons.join("; "));
        let why = reasons.filter(|text| !text.is_empty()).map_or_else(String::new, |text| format!(": {text}"));
        let text = format!("the partner answered the {what} request with status {}{why}", answer.status);
        return Err(ServiceError::peer("refused_by_peer", text));
    }
    let value = serde_json::from_slice(&answer.body).map_err(|error| bad_catalog(&error.to_string()))?;
    dsp_protocol::context::compact(value).map_err(|error| bad_catalog(&error.message))
}

fn bad_catalog(why: &str) -> ServiceError {
    ServiceError::peer("bad_catalog", format!("the partner's catalog cannot be read: {why}"))
}

fn no_credentials(error: identity::IdentityError) -> ServiceError {
    ServiceError::operator("no_credentials", format!("we cannot introduce ourselves: {error}"))
}
