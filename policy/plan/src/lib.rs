//! The enforcement plan that a control plane signs and a data plane obeys.
