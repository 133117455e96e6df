//! Why a reading was ended.

use bento_retrieve::archive::ArchiveError;
use registry::RegistryError;
use thiserror::Error;

use crate::{environment::EnvironmentError, layer::LayerError, recipe::Whole};

#[derive(Debug, Error)]
pub enum PassError {
    #[error("it has to be built whole: {0}")]
    Whole(Whole),
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    #[error(transparent)]
    Layer(#[from] LayerError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

impl PassError {
    /// What the registry said, if it was the registry.
    pub fn registry(&self) -> Option<&RegistryError> {
        match self {
            Self::Registry(error) | Self::Environment(EnvironmentError::Registry(error)) => {
                Some(error)
            }
            Self::Layer(LayerError::Write(error)) => error.get_ref()?.downcast_ref(),
            _ => None,
        }
    }
}

impl From<PassError> for ArchiveError {
    fn from(error: PassError) -> Self {
        Self::Sink(error.into())
    }
}
