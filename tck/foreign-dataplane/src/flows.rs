//! The running flows: what they serve, and the token that opens each.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use dataplane_sdk::core::model::data_address::{DataAddress, EndpointProperty};

/// The profile that the plane is registered with, and the type of the addresses it gives out.
const HTTP_PULL: &str = "https://w3id.org/dspace-sig/profile/http-pull";

struct Open {
    token: String,
    text: String,
}

/// Flows by id. Only a running flow is in it, so a suspended or ended one serves nothing.
pub struct Flows {
    base: String,
    open: Mutex<HashMap<String, Open>>,
}

impl Flows {
    /// `base`: where data is served; the flow's id is appended.
    pub fn new(base: String) -> Self {
        Self { base, open: Mutex::default() }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<String, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a flow under a new token, and says where and with what it can be read.
    pub fn start(&self, flow: &str, dataset: &str) -> DataAddress {
        let token = uuid::Uuid::new_v4().to_string();
        let property = |name: &str, value: &str| EndpointProperty::builder().name(name).value(value).build();
        let address = DataAddress::builder()
            .endpoint(format!("{}/{flow}", self.base))
            .endpoint_type(HTTP_PULL)
            .endpoint_properties(vec![property("authorization", &token), property("authType", "bearer")])
            .build();
        self.open()
            .insert(flow.to_owned(), Open { token, text: format!("text of {dataset} from a foreign data plane\n") });
        address
    }

    /// Closes a flow; its token opens nothing any more.
    pub fn stop(&self, flow: &str) {
        self.open().remove(flow);
    }

    /// What the flow serves, for the holder of its token.
    pub fn read(&self, flow: &str, token: &str) -> Option<String> {
        self.open().get(flow).filter(|open| open.token == token).map(|open| open.text.clone())
    }
}
