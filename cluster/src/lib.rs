//! A real one-node cluster on this machine, for the demo and for the tests: Kubernetes, Tekton,
//! Knative, KServe, an image registry, an S3 store and Prometheus, from pinned modules.
//!
//! [`Cluster::up`] brings it up, or finds the one that KUBECONFIG names when `CLUSTER=current`.
//! [`Cluster::kill`] and [`Cluster::start`] are for tests of what survives a part's death.

mod access;
mod addons;
mod build;
mod certificates;
mod cgroups;
mod command;
mod component;
mod components;
mod down;
mod faults;
mod images;
mod lock;
mod mounts;
mod network;
mod paths;
mod privileges;
mod process;
mod progress;
mod status;
mod store;
mod sysctls;
mod up;

pub use access::{Cluster, Endpoint, Store, program};
pub use down::down;
pub use paths::{Cache, RUN};
pub use progress::Progress;
pub use status::{Row, log_command, status};
pub use up::{Report, up};
