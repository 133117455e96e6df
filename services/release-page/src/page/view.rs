//! What a page is made from, and what it comes to.

use jiff::Timestamp;
use maud::Markup;

use crate::{known::Known, page::address::Address};

/// What a page is made from
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub known: &'a Known,
    pub now: Timestamp,
    /// What all links begin with: empty, or `/PATH`
    pub base: &'a str,
    pub site: &'a Site,
}

/// What the commands on the pages name
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Site {
    /// Where events go: `http://el-canary:8080`
    pub event_listener: String,
    /// `s3://BUCKET/PREFIX`; empty where there is none
    pub store: String,
    /// Empty for AWS
    pub s3_endpoint: String,
}

/// A page without its frame
pub struct Page {
    pub title: String,
    /// What goes into `<main>`
    pub main: Markup,
    /// Something on it goes on, so that it is another one a moment later
    pub is_moving: bool,
    /// The state of it in a sentence, to be read out where it changes
    pub news: String,
    pub is_found: bool,
}

impl View<'_> {
    pub fn link(&self, address: &Address) -> String {
        address.below(self.base)
    }
}
