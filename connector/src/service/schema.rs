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
