//! Pages, their changes and kept reports over HTTP.
//!
//! - `settings`: who may see it, and where it is published
//! - `token`: what a browser or a program shows to be let in
//! - `proxies`: what a trusted proxy says of a request
//! - `headers`: what a browser may do with an answer
//! - `shown`: what is shown, from its sources
//! - `visit`: what all requests share, and what holds for one
//! - `answer`: pages and faults as responses
//! - `render`: the page of an address
//! - `live`: the same again at each change
//! - `evidence`: what gates have left
//! - `front`: from a request to whoever answers it
//! - `listen`: connections, bounded in number and time

mod answer;
mod evidence;
mod front;
mod headers;
mod listen;
mod live;
mod proxies;
mod render;
mod settings;
mod shown;
mod token;
mod visit;

pub use front::{metrics_router, router};
pub use listen::{Listeners, serve};
pub use proxies::Peer;
pub use settings::{BasePath, Settings};
pub use shown::{Archive, Shown};
pub use token::TokenFile;
