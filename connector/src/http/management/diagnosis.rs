//! What stands between us and a partner.

use actix_web::get;
use actix_web::web::{Data, Path};

use super::crud::{Answer, ok};
use crate::app::App;
use crate::dcp::diagnosis::{Diagnosis, of_partner};
use crate::dcp::operate::set_up;

/// Looks step by step at what stands between us and a partner, now: name, TLS, DID document, keys, clocks, versions, our
/// token there, its credential service, our credentials and their status, trust. Nothing is changed by it.
#[utoipa::path(
    tag = "partners",
    params(("id" = String, Path, description = "Participant id of a partner, or any DID, percent-encoded")),
    responses(
        (status = 200, description = "What was found", body = Diagnosis),
        (status = 409, description = "Verifiable credentials are not set up here")
    )
)]
#[get("/partners/{id}/diagnosis")]
pub(super) async fn partner(app: Data<App>, id: Path<String>) -> Answer {
    ok(&of_partner(&app, set_up(&app)?, &id).await?)
}
