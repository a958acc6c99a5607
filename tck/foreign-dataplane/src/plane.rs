//! What happens at each signal of the control plane.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use dataplane_sdk::core::db::memory::{MemoryContext, MemoryTransaction};
use dataplane_sdk::core::error::HandlerResult;
use dataplane_sdk::core::handler::DataFlowHandler;
use dataplane_sdk::core::model::data_flow::{DataFlow, DataFlowState};
use dataplane_sdk::core::model::messages::DataFlowStatusMessage;
use dataplane_sdk::sdk::DataPlaneSdk;

use crate::flows::Flows;

/// The dataset whose flows start asynchronously.
const SLOW: &str = "slow";
/// How long after the answer such a flow has started.
const DELAY: Duration = Duration::from_millis(300);

/// The handler that the library calls.
#[derive(Clone)]
pub struct Plane {
    flows: Arc<Flows>,
    participant: String,
    sdk: Arc<OnceLock<DataPlaneSdk<MemoryContext>>>,
}

impl Plane {
    /// `participant`: the context under which the library keeps the flows.
    pub fn new(flows: Arc<Flows>, participant: String) -> Self {
        Self { flows, participant, sdk: Arc::default() }
    }

    /// The library's object is made with the handler inside, so the handler learns of it afterwards.
    pub fn reports_through(&self, sdk: DataPlaneSdk<MemoryContext>) {
        let _ = self.sdk.set(sdk);
    }

    fn start_later(&self, flow: &DataFlow) {
        let (this, id, dataset) = (self.clone(), flow.id.clone(), flow.dataset_id.clone());
        tokio::spawn(async move {
            tokio::time::sleep(DELAY).await;
            let address = this.flows.start(&id, &dataset);
            if let Some(sdk) = this.sdk.get()
                && let Err(error) = sdk.notify_started(&this.participant, &id, Some(address)).await
            {
                eprintln!("the control plane did not take that {id} has started: {error}");
            }
        });
    }
}

fn status(flow: &DataFlow, state: DataFlowState) -> DataFlowStatusMessage {
    DataFlowStatusMessage::builder().data_flow_id(flow.id.clone()).state(state).build()
}

#[async_trait::async_trait]
impl DataFlowHandler for Plane {
    type Transaction = MemoryTransaction;

    async fn can_handle(&self, _: &DataFlow) -> HandlerResult<bool> {
        Ok(true)
    }

    async fn on_start(&self, _: &mut MemoryTransaction, flow: &DataFlow) -> HandlerResult<DataFlowStatusMessage> {
        if flow.dataset_id == SLOW {
            self.start_later(flow);
            return Ok(status(flow, DataFlowState::Starting));
        }
        let mut answer = status(flow, DataFlowState::Started);
        answer.data_address = Some(self.flows.start(&flow.id, &flow.dataset_id));
        Ok(answer)
    }

    async fn on_prepare(&self, _: &mut MemoryTransaction, flow: &DataFlow) -> HandlerResult<DataFlowStatusMessage> {
        Ok(status(flow, DataFlowState::Prepared))
    }

    async fn on_started(&self, _: &mut MemoryTransaction, _: &DataFlow) -> HandlerResult<()> {
        Ok(())
    }

    async fn on_completed(&self, _: &mut MemoryTransaction, flow: &DataFlow) -> HandlerResult<()> {
        self.flows.stop(&flow.id);
        Ok(())
    }

    async fn on_terminate(&self, _: &mut MemoryTransaction, flow: &DataFlow) -> HandlerResult<()> {
        self.flows.stop(&flow.id);
        Ok(())
    }

    async fn on_suspend(&self, _: &mut MemoryTransaction, flow: &DataFlow) -> HandlerResult<()> {
        self.flows.stop(&flow.id);
        Ok(())
    }

    async fn on_resume(&self, _: &mut MemoryTransaction, flow: &DataFlow) -> HandlerResult<DataFlowStatusMessage> {
        let mut answer = status(flow, DataFlowState::Started);
        answer.data_address = Some(self.flows.start(&flow.id, &flow.dataset_id));
        Ok(answer)
    }
}
