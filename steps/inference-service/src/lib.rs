//! What the canary steps know of KServe: what is observed of a service, what is desired, and the way
//! from one to the other.
//!
//! A step is a pure function from what is [`Observed`] to an [`Action`]. [`Service::reconcile`] looks, asks
//! that function, does the one thing it says, and looks again. All state lives in the cluster, so a step
//! that is killed between any two of these and run again ends in the same place.
//!
//! - `objects`: the fields that matter of an `InferenceService` and of a Knative revision
//! - `image`: image references, as far as a release compares them
//! - `paging`: lists of many objects, read page by page
//! - `tekton_runs`: `PipelineRuns` and `TaskRuns`, which of them wait in vain for a pod, and their end
//! - `owner_lease`: the mark in a Lease: what the last release was, and which images were rejected
//! - `decision_lease`: what people decide about a release, in another Lease
//! - `stop_switch`: the `ConfigMap` that stops all releases of a namespace
//! - `observed`: what one look found
//! - `route`: which revision gets which share of the requests, and what that makes of it
//! - `diagnosis`: why a revision does not start, and whether waiting helps
//! - `unfinished_canary`: a canary that has not ended, and the runs that will end it
//! - `room`: pods for a canary before its share of the requests grows
//! - `logger`: the logger that sends answers to be counted, and its url
//! - `service_logger`: whose the logger of a service is, and what becomes of it with a canary
//! - `desired`: what there shall be in the spec
//! - `patch`: JSON Patches with `test` preconditions
//! - `action`: what a step wants to happen next
//! - `api_error`: a request that failed, what that means, and what helps
//! - `client`: reads and writes of one service
//! - `decide`: writes of what people decide
//! - `reconcile`: observe, decide, act, until it is done
//! - `preview`: what would be done first, for people
//! - `simulator`: KServe and Knative as far as a canary meets them, for tests

mod action;
mod api_error;
mod client;
mod decide;
mod decision_lease;
mod desired;
mod diagnosis;
mod image;
mod logger;
mod objects;
mod observed;
mod owner_lease;
mod paging;
mod patch;
mod preview;
mod reconcile;
mod room;
mod route;
mod service_logger;
#[cfg(any(test, feature = "simulator"))]
pub mod simulator;
mod stop_switch;
mod tekton_runs;
mod unfinished_canary;

pub use action::Action;
pub use client::{Service, connect, services};
pub use decision_lease::{Decision, Decisions, decision_lease};
pub use desired::DesiredSpec;
pub use diagnosis::Diagnosis;
pub use image::{has_digest, same_image};
pub use logger::{LoggerChange, answers_url, logger_to};
pub use model_container::Fields;
pub use objects::{
    CONTAINER, Component, Condition, DEPLOYMENT_MODE, InferenceService, KNATIVE, LOGGER_PENDING,
    LONGEST_NAME, PROGRESS_DEADLINE, Revision, TAG_ROUTING, Target, inference_services, revisions,
};
pub use observed::Observed;
pub use owner_lease::{Mark, Release, lease_name};
pub use paging::list_all;
pub use patch::GuardedPatch;
pub use reconcile::SETTLES_WITHIN;
pub use room::{MissingRoom, ScalePatch};
pub use route::Live;
pub use stop_switch::{STOP_SWITCH, StopSwitch};
pub use tekton_runs::{
    CANNOT_GO_ON, LostPod, PIPELINE_RUN, Run, TASK_RUN, cancel, pipeline_run, runs,
};
