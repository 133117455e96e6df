//! A real one-node cluster on this machine, for the demo and for the tests: Kubernetes, Tekton, Knative, KServe, an
//! image registry, an S3 store and Prometheus, from pinned modules.
//!
//! [`Cluster::up`] brings it up, or finds the one that KUBECONFIG names when `CLUSTER=current`.
//! [`Cluster::kill`] and [`Cluster::start`] are for tests of what survives a component's death.
//!
//! What is made before anything runs:
//! - `paths`: the cache that outlives a cluster, and the run directory that does not
//! - `build`: Debian's packages, programs from Go modules, manifests of the add-ons
//! - `images`: images that no Go module gives, and the registry that they are pushed to
//!
//! What the machine lends to a cluster, and gets back:
//! - `privileges`: whether this is root
//! - `lock`: one command at a time
//! - `sysctls`: kernel settings
//! - `network`: the pods' bridge and its firewall table
//! - `cgroups`: the control group of all pods
//! - `mounts`: the mount namespace of containerd and kubelet
//! - `process`: the processes of a cluster, by a label in their environment
//!
//! What runs:
//! - `certificates`: keys and certificates, new for each cluster
//! - `store`: keys and bucket of the S3 store
//! - `config`: configuration files
//! - `component`: one process of the host, started, watched and stopped
//! - `components`: all of them: program, flags, addresses
//! - `addons`: Tekton, Knative and KServe in the cluster
//!
//! What one does with it:
//! - `access`: addresses, keys and kubectl of a cluster that runs
//! - `up`: from whatever is there to a cluster that is ready
//! - `status`: what runs, and its logs
//! - `down`: from whatever is there to nothing
//! - `faults`: harm on purpose, for tests
//!
//! Beneath all of them:
//! - `command`: other programs, run to their end
//! - `wait`: looking again and again
//! - `progress`: what `up` shows while it works

mod access;
mod addons;
mod build;
mod certificates;
mod cgroups;
mod command;
mod component;
mod components;
mod config;
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
mod wait;

pub use access::{Cluster, Endpoint, Store, program};
pub use down::down;
pub use paths::{Cache, RUN};
pub use progress::Progress;
pub use status::{Row, log_command, status};
pub use up::{Report, up};
