//! Datasets, as operators write them.

use async_trait::async_trait;
use policy_plan::{Admission, Limits, Selection, Source, Writing};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{MAX_TITLE_BYTES, Resource, Stamp, some};
use crate::app::App;
use crate::service::dataset::{DatasetBody, DistributionBody, HTTP_PULL, check_length, default_admission};
use crate::service::{ServiceResult, schema};
use crate::store::{Unit, dataset, offer, registry};

/// A dataset to be shared.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({
    "id": "urn:city:bari:traffic",
    "title": "Traffic counts",
    "description": "Vehicles per minute at the border crossings",
    "keywords": ["traffic"],
    "distributions": [{"format": "HttpData-PULL"}],
    "source": {"http": {"baseUrl": "http://127.0.0.1:1026"}},
    "admission": {
        "methods": ["GET"],
        "paths": ["/ngsi-ld/v1/entities", "/ngsi-ld/v1/entities/*"],
        "query": [{"name": "type", "values": ["TrafficFlowObserved"], "required": true}]
    }
}))]
pub(crate) struct DatasetInput {
    /// Id in the catalog; made when left out.
    id: Option<String>,
    /// Title for people.
    title: String,
    /// Description for people.
    description: Option<String>,
    /// Keywords.
    #[serde(default)]
    keywords: Vec<String>,
    /// Further DCAT members, shown in the catalog as they are.
    #[serde(default)]
    #[schema(value_type = Object)]
    properties: Map<String, Value>,
    /// The ways in which it can be had; `HttpData-PULL` when left out.
    distributions: Option<Vec<DistributionBody>>,
    /// Where the data plane finds it.
    #[schema(schema_with = schema::source)]
    source: Source,
    /// Which requests are admitted; when left out, reading: every path of a folder, or the reading interface of an
    /// NGSI-LD broker.
    #[schema(schema_with = schema::admission)]
    admission: Option<Admission>,
    /// What of NGSI-LD entities is shown; everything when left out.
    #[schema(schema_with = schema::selection)]
    selection: Option<Selection>,
    /// What may be written to an NGSI-LD broker, where an agreement permits `modify`; nothing when left out.
    #[schema(schema_with = schema::writing)]
    writing: Option<Writing>,
    /// How fast each flow may be used; as fast as it can when left out.
    #[serde(default)]
    #[schema(schema_with = schema::limits)]
    limits: Limits,
}

#[async_trait]
impl Resource for dataset::Entity {
    const NAME: &'static str = "dataset";
    type Input = DatasetInput;

    fn given_id(input: &DatasetInput) -> Option<&str> {
        input.id.as_deref()
    }

    async fn row(
        _app: &App,
        input: DatasetInput,
        stamp: Stamp,
        _before: Option<&dataset::Model>,
    ) -> ServiceResult<dataset::Model> {
        check_length("title", &input.title, MAX_TITLE_BYTES)?;
        let admission = input.admission.unwrap_or_else(|| default_admission(&input.source));
        let pull = || vec![DistributionBody::of(HTTP_PULL)];
        let body = DatasetBody {
            description: input.description,
            keywords: input.keywords,
            properties: input.properties,
            distributions: input.distributions.unwrap_or_else(pull),
            source: input.source,
            admission,
            selection: input.selection,
            writing: input.writing,
            limits: input.limits,
        };
        body.check()?;
        Ok(dataset::Model {
            context: stamp.context,
            id: stamp.id,
            title: input.title,
            body: body.to_text()?,
            created_at: stamp.now,
            updated_at: stamp.now,
        })
    }

    fn created_at(row: &mut dataset::Model) -> &mut i64 {
        &mut row.created_at
    }

    async fn used_by(unit: &Unit, context: &str, id: &str) -> ServiceResult<Option<String>> {
        let offers = registry::offers_using(unit, context, offer::Column::DatasetId, id).await?;
        if let Some(user) = some(offers, "offer") {
            return Ok(Some(user));
        }
        let open = registry::open_about_dataset(unit, context, id).await?;
        Ok(some(open, "open negotiation or transfer"))
    }
}
