//! The control planes that registered here, and what each of them may do.

use std::sync::{Arc, PoisonError};

use actix_web::http::StatusCode;
use dps_signaling::{ControlPlaneRegistration, Dialect};
use policy_plan::PlanVerifier;
use url::Url;

use super::auth::{Outside, Trust};
use crate::config::{Config, parse_url};
use crate::plane::Plane;
use crate::problem::{Fault, Problem};
use crate::store::{Change, Kind};

/// Who calls the signaling interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Caller {
    /// Whoever shows what our configuration says: it speaks for all flows and control planes.
    Configured,
    /// This control plane, by what its registration says: it speaks for itself and its flows; others do not exist for it.
    Registered(String),
}

impl Caller {
    /// Whether the caller may remove the control plane `id`.
    ///
    /// # Errors
    /// 403.
    pub(crate) fn check_removal(&self, id: &str) -> Result<(), Problem> {
        match self {
            Self::Registered(own) if own != id => Err(not_yours("a control plane registers and removes itself alone")),
            _ => Ok(()),
        }
    }

    /// Whether the caller may speak of a flow of this control plane.
    ///
    /// # Errors
    /// 404, as for a flow that does not exist.
    pub(crate) fn check_owner(&self, owner: Option<&str>) -> Result<(), Problem> {
        match self {
            Self::Registered(own) if owner != Some(own.as_str()) => {
                Err(Problem::not_found("unknown_flow", "there is no such data flow"))
            }
            _ => Ok(()),
        }
    }

    /// The control plane of a new flow whose plan, where it has one, is signed by `signer`.
    ///
    /// # Errors
    /// 400 for a plan of another one.
    pub(crate) fn owner(&self, signer: Option<String>) -> Result<Option<String>, Problem> {
        match (self, signer) {
            (Self::Configured, signer) => Ok(signer),
            (Self::Registered(own), None) => Ok(Some(own.clone())),
            (Self::Registered(own), Some(signer)) if signer == *own => Ok(Some(signer)),
            (Self::Registered(_), Some(_)) => {
                Err(Problem::bad_request("plan_does_not_fit", "the plan is signed by another control plane"))
            }
        }
    }
}

fn not_yours(detail: &str) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "not_your_control_plane", Fault::Caller, detail)
}

/// A control plane that registered here.
#[derive(Clone)]
pub(crate) struct ControlPlane {
    registration: ControlPlaneRegistration,
    pub(crate) endpoint: String,
    pub(crate) verifier: Option<PlanVerifier>,
    /// How it and we authenticate to each other; `None` is as the configuration says.
    trust: Option<Arc<Trust>>,
}

impl ControlPlane {
    /// # Errors
    /// 400 for an endpoint, a key or an authorization that cannot be used.
    pub(crate) fn new(
        registration: ControlPlaneRegistration,
        config: &Config,
        outside: &Outside,
    ) -> Result<Self, Problem> {
        parse_url(&registration.endpoint).map_err(|fault| Problem::bad_request("bad_endpoint", fault))?;
        let verifier = registration.plan_keys().map(PlanVerifier::from_jwks).transpose();
        let verifier = verifier.map_err(|error| Problem::bad_request(error.code(), error.to_string()))?;
        let trust = Trust::registered(&registration, config, outside)?.map(Arc::new);
        let endpoint = registration.endpoint.trim_end_matches('/').to_owned();
        Ok(Self { registration, endpoint, verifier, trust })
    }
}

impl Plane {
    /// Keeps a control plane: where its callbacks go, the key of its plans, and how it authenticates. One that shows a token of its
    /// own may change its keys, not its address, and not go back to what was agreed with another.
    ///
    /// # Errors
    /// 400 for what cannot be used, 403 for what the caller may not change, 500 when the store fails.
    pub(crate) async fn add_control_plane(
        &self,
        caller: &Caller,
        registration: ControlPlaneRegistration,
    ) -> Result<(), Problem> {
        let id = registration.controlplane_id.clone();
        caller.check_removal(&id)?;
        let same = |known: &ControlPlane| known.registration == registration;
        if self.control_planes.read().unwrap_or_else(PoisonError::into_inner).get(&id).is_some_and(same) {
            // Its tokens and keys stay, and what has counted once.
            return Ok(());
        }
        let change = Change::put(Kind::ControlPlane, &id, &registration.encode(Dialect::Rc3));
        let known = ControlPlane::new(registration, &self.config, &self.outside())?;
        if let Caller::Registered(_) = caller {
            let before = self.control_planes.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
            if known.trust.is_none() || before.is_none_or(|before| before.endpoint != known.endpoint) {
                return Err(not_yours(
                    "with a token of its own a control plane changes its keys, not its address or way",
                ));
            }
        }
        self.write(vec![change]).await?;
        tracing::info!(control_plane = id, endpoint = known.endpoint, "a control plane registered");
        self.control_planes.write().unwrap_or_else(PoisonError::into_inner).insert(id, known);
        Ok(())
    }

    /// Forgets a control plane.
    ///
    /// # Errors
    /// 404 when it is not known, 500 when the store fails.
    pub(crate) async fn remove_control_plane(&self, id: &str) -> Result<(), Problem> {
        if !self.control_planes.read().unwrap_or_else(PoisonError::into_inner).contains_key(id) {
            return Err(Problem::not_found("unknown_control_plane", "there is no such control plane"));
        }
        self.write(vec![Ok(Change::forget(Kind::ControlPlane, id))]).await?;
        self.control_planes.write().unwrap_or_else(PoisonError::into_inner).remove(id);
        Ok(())
    }

    /// Who shows this value of `Authorization`; `None`: nobody that we know.
    pub(crate) async fn caller(&self, header: &[u8]) -> Option<Caller> {
        if self.trust.admits(header).await {
            return Some(Caller::Configured);
        }
        let registered: Vec<(String, Arc<Trust>)> = {
            let known = self.control_planes.read().unwrap_or_else(PoisonError::into_inner);
            known.iter().filter_map(|(id, known)| Some((id.clone(), Arc::clone(known.trust.as_ref()?)))).collect()
        };
        for (id, trust) in registered {
            if trust.admits(header).await {
                return Some(Caller::Registered(id));
            }
        }
        None
    }

    /// Whether the caller may speak of this flow.
    ///
    /// # Errors
    /// 404.
    pub(crate) fn check_flow(&self, caller: &Caller, id: &str) -> Result<(), Problem> {
        match self.flows.by_id(id) {
            Some(flow) => caller.check_owner(flow.terms.control_plane.as_deref()),
            None => Ok(()),
        }
    }

    /// How the control plane at this address and we authenticate to each other. What was agreed with one goes to no other: of those
    /// below whose endpoint the address lies the closest counts, else one at the same host, else the configuration.
    pub(crate) fn trust_at(&self, url: &str) -> Arc<Trust> {
        let below = |endpoint: &str| {
            let endpoint = endpoint.trim_end_matches('/');
            url.strip_prefix(endpoint).filter(|rest| rest.starts_with('/')).map(|_| endpoint.len())
        };
        let known = self.control_planes.read().unwrap_or_else(PoisonError::into_inner);
        let nearest = known.values().filter_map(|plane| Some((below(&plane.endpoint)?, plane)));
        let nearest = nearest.max_by_key(|(length, _)| *length);
        let configured = below(self.config.control_plane_url.as_str());
        let found = match nearest {
            Some((length, plane)) if configured.is_none_or(|configured| configured <= length) => Some(plane),
            _ if configured.is_some() => None,
            _ => Url::parse(url).ok().and_then(|target| {
                let same = |plane: &&ControlPlane| {
                    Url::parse(&plane.endpoint).is_ok_and(|endpoint| endpoint.origin() == target.origin())
                };
                known.values().find(same)
            }),
        };
        Arc::clone(found.and_then(|plane| plane.trust.as_ref()).unwrap_or(&self.trust))
    }
}
