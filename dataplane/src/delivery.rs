//! What a consumer wants done with a transfer's data beside reading it: looked at when the flow comes, so that nothing leaves for
//! a wish that cannot be met.

use std::sync::Arc;

use actix_web::http::StatusCode;
use dps_signaling::{DELIVERY, Delivery, Direction, FlowRequest};
use serde_json::Value;

use crate::config::Broker;
use crate::flow::{Flow, Role};
use crate::plane::Plane;
use crate::problem::{Fault, Problem};
use crate::{context_source, mirror};

impl Plane {
    /// The wish in a request's metadata.
    ///
    /// # Errors
    /// 400: `delivery_not_possible` where nothing is pulled, `unknown_broker`, or what is wrong with the member.
    pub(crate) fn delivery(
        &self,
        role: Role,
        direction: Direction,
        request: &FlowRequest,
    ) -> Result<Option<Delivery>, Problem> {
        let Some(wish) = request.metadata.get(DELIVERY) else { return Ok(None) };
        let delivery = Delivery::decode(wish)?;
        if (role, direction) != (Role::Consumer, Direction::Pull) {
            let detail = "only what a consumer pulls can be delivered to a broker of its own";
            return Err(Problem::bad_request("delivery_not_possible", detail));
        }
        self.broker(delivery.broker())?;
        Ok(Some(delivery))
    }

    /// The broker of ours with this name.
    ///
    /// # Errors
    /// 400 `unknown_broker`; the operator is at fault.
    pub(crate) fn broker(&self, name: &str) -> Result<&Broker, Problem> {
        self.config.brokers.get(name).ok_or_else(|| {
            let shown: String = name.chars().filter(|c| !c.is_control()).take(80).collect();
            let detail = format!("there is no `brokers.{shown}` in the configuration");
            Problem::new(StatusCode::BAD_REQUEST, "unknown_broker", Fault::Operator, detail)
        })
    }
}

/// Begins deliveries that have to run and ends those that are over, whenever a flow has moved; never ends.
pub(crate) async fn keep(plane: Arc<Plane>) {
    loop {
        mirror::look(&plane).await;
        context_source::look(&plane);
        plane.deliveries.notified().await;
    }
}

/// How far a flow's delivery is, for an operator.
pub(crate) fn shown(plane: &Plane, flow: &Flow) -> Option<Value> {
    plane.mirrors.shown(flow).or_else(|| plane.context_sources.shown(flow))
}
