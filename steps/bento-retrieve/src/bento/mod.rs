//! What a bento is and says of itself.

pub mod details;
pub mod dockerfile;
pub mod image_name;
pub mod manifest;
pub mod peek;
pub mod tag;
