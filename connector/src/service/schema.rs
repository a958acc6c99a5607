//! OpenAPI schemas of types that come from crates without OpenAPI.

use utoipa::openapi::schema::{ArrayBuilder, OneOfBuilder, SchemaType};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};

fn text(description: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).description(Some(description))
}

fn texts(description: &str) -> ArrayBuilder {
    ArrayBuilder::new().items(ObjectBuilder::new().schema_type(Type::String)).description(Some(description))
}

/// Schema of [`policy_plan::Source`].
pub(crate) fn source() -> RefOr<Schema> {
    let http = ObjectBuilder::new()
        .description(Some("An HTTP interface, such as an NGSI-LD broker"))
        .property("baseUrl", text("The address that a request's path is appended to"))
        .property("credential", text("Name of a credential in the data plane's configuration; never the secret itself"))
        .required("baseUrl");
    let files = ObjectBuilder::new()
        .description(Some("A file or a folder of files"))
        .property("root", text("Name of a folder in the data plane's configuration"))
        .property("path", text("Path below that folder; empty for the whole folder"))
        .required("root")
        .required("path");
    OneOfBuilder::new()
        .description(Some("Where the data plane finds the data"))
        .item(ObjectBuilder::new().property("http", http).required("http"))
        .item(ObjectBuilder::new().property("files", files).required("files"))
        .into()
}

/// Schema of [`policy_plan::Admission`].
pub(crate) fn admission() -> RefOr<Schema> {
    let rule = ObjectBuilder::new()
        .property("name", text("Name of the parameter"))
        .property("values", texts("Admitted values; any when left out"))
        .property("required", ObjectBuilder::new().schema_type(SchemaType::new(Type::Boolean)))
        .required("name");
    let rules = ArrayBuilder::new()
        .items(rule)
        .description(Some("Admitted query parameters; a parameter without a rule is refused. Any when left out"));
    ObjectBuilder::new()
        .description(Some("Which requests are admitted; anything else is refused"))
        .property("methods", texts("HTTP methods; HEAD is not implied by GET"))
        .property("paths", texts("`/a/b` is that path, `*` any one segment, `/a/**` is `/a` and all below"))
        .property("query", rules)
        .required("methods")
        .required("paths")
        .into()
}

/// Schema of [`policy_plan::Limits`].
pub(crate) fn limits() -> RefOr<Schema> {
    let number = |text: &str| ObjectBuilder::new().schema_type(SchemaType::new(Type::Integer)).description(Some(text));
    ObjectBuilder::new()
        .description(Some("How fast each flow may be used; what is left out is not limited"))
        .property("requestsPerSecond", number("Requests in each second; one too many is answered with 429"))
        .property("bytesPerSecond", number("Bytes of bodies in each second; a faster reader is slowed down"))
        .property("concurrent", number("Answers under way at once; one too many is answered with 429"))
        .into()
}

/// Schema of [`policy_plan::Selection`].
pub(crate) fn selection() -> RefOr<Schema> {
    let switch = |text: &str| ObjectBuilder::new().schema_type(SchemaType::new(Type::Boolean)).description(Some(text));
    let number = |text: &str| ObjectBuilder::new().schema_type(SchemaType::new(Type::Integer)).description(Some(text));
    let attribute = ObjectBuilder::new()
        .property("name", text("Expanded name"))
        .property(
            "subAttributes",
            texts("Expanded names of attributes of this attribute that pass; none when left out"),
        )
        .property("languages", texts("Languages that pass, `@none` among them; all when left out"))
        .property("datasetIds", texts("Instances that pass by `datasetId`, `@none` among them; all when left out"))
        .property("pseudonym", switch("The values become pseudonyms of the agreement"))
        .property("timeless", switch("It does not change with time, so that `time` says nothing about it"))
        .required("name");
    let area = ObjectBuilder::new()
        .description(Some("Where an entity must be"))
        .property("georel", text("`within`, `intersects` or `near`"))
        .property(
            "geometry",
            ObjectBuilder::new().description(Some("GeoJSON: `Polygon` or `MultiPolygon`, for `near` a `Point`")),
        )
        .property("maxDistanceMeters", number("For `near`: the greatest distance in metres"))
        .property("property", text("Expanded name of the attribute with the place; `location` when left out"))
        .required("georel")
        .required("geometry");
    let rows = ObjectBuilder::new()
        .description(Some("Conditions on an entity; one that does not certainly meet them is removed"))
        .property("q", text("An NGSI-LD query with expanded names, also about attributes that are not shown"))
        .property("geo", area);
    let time = ObjectBuilder::new()
        .description(Some("Which moments are shown, by `observedAt`; a value without it is removed"))
        .property("from", text("The first moment, RFC 3339"))
        .property("to", text("The moment before which a value must be observed, RFC 3339"))
        .property("minAgeSeconds", number("A value must be at least so old when it is asked for"))
        .property("maxAgeSeconds", number("A value must be at most so old when it is asked for"))
        .property("resolutionSeconds", number("One value of each period of so many seconds, once it is over"))
        .property("attribute", text("Expanded name of an attribute that tells the moment of a whole entity"))
        .property("assumedOffset", text("Offset from UTC of values of `attribute` that have none, such as `Z`"));
    let marking = ObjectBuilder::new()
        .description(Some("For each expanded type `{\"personal\": [names]}` or `{\"none\": true}`"));
    let personal = ObjectBuilder::new()
        .description(Some("What is personal, and what becomes of it; a type without a marking is refused"))
        .property("mode", text("`remove` or `pseudonymise`"))
        .property("marking", marking)
        .required("mode")
        .required("marking");
    ObjectBuilder::new()
        .description(Some("What of NGSI-LD entities is shown; whatever is not named is removed"))
        .property("types", texts("Expanded entity types"))
        .property("ids", texts("Patterns of entity ids, `*` for any characters; any id when left out"))
        .property("attributes", ArrayBuilder::new().items(attribute).description(Some("Attributes that pass")))
        .property("members", texts("Members beside the values that pass, such as `observedAt` or `modifiedAt`"))
        .property(
            "contexts",
            ArrayBuilder::new().items(context()).description(Some("Contexts that answers may be written in")),
        )
        .property("assumedContext", text("Address of the context of an answer that names none"))
        .property("coordinateDecimals", number("Decimals that coordinates keep"))
        .property(
            "pseudonymousIds",
            switch("Entity ids and targets of relationships become pseudonyms of the agreement"),
        )
        .property("rows", rows)
        .property("time", time)
        .property("personal", personal)
        .property("maxEntityBytes", number("Longest entity in bytes; 1048576 when left out"))
        .required("types")
        .required("attributes")
        .into()
}

/// Schema of [`policy_plan::Writing`].
pub(crate) fn writing() -> RefOr<Schema> {
    let number = |text: &str| ObjectBuilder::new().schema_type(SchemaType::new(Type::Integer)).description(Some(text));
    let attribute = ObjectBuilder::new()
        .property("name", text("Expanded name"))
        .property(
            "subAttributes",
            texts("Expanded names of attributes of this attribute that may be written; none when left out"),
        )
        .property(
            "datasetIds",
            texts("Instances that may be written by `datasetId`, `@none` among them; `@none` only when left out"),
        )
        .required("name");
    ObjectBuilder::new()
        .description(Some("What may be written to an NGSI-LD broker; whatever is not named is refused"))
        .property(
            "operations",
            texts("Any of `create`, `append`, `patch`, `merge`, `upsert`, `delete` (of attributes) and `deleteEntity`"),
        )
        .property("types", texts("Expanded entity types; every type of an entity must be among them"))
        .property("ids", texts("Patterns of entity ids, `*` for any characters; any id when left out"))
        .property(
            "attributes",
            ArrayBuilder::new().items(attribute).description(Some("Attributes that may be written")),
        )
        .property("members", texts("Members beside the values that may be written, such as `observedAt` or `scope`"))
        .property(
            "contexts",
            ArrayBuilder::new().items(context()).description(Some("Contexts that requests may be written in")),
        )
        .property("maxEntityBytes", number("Longest entity in bytes; 65536 when left out"))
        .property("maxEntities", number("Most entities of one batch; 100 when left out"))
        .required("operations")
        .required("types")
        .into()
}

/// A context and what it says.
fn context() -> ObjectBuilder {
    let terms = ObjectBuilder::new().description(Some("Terms and what they expand to"));
    ObjectBuilder::new().property("url", text("Its address")).property("terms", terms).required("url").required("terms")
}
