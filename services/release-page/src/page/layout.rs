//! The frame of every page.

use maud::{DOCTYPE, Markup, html};
use step::text::short;

use crate::page::{
    address::Address,
    assets::{SCRIPT, STYLE},
    split::hatches,
    view::{Page, View},
    when::date,
};

/// What is around `<main>`
#[derive(Clone, Copy)]
pub struct Frame<'a> {
    /// Where the script hears of changes of this page
    pub live: Option<&'a str>,
    /// Somebody could sign out
    pub is_signed_in: bool,
}

/// A whole document.
pub fn document(page: &Page, view: &View<'_>, frame: Frame<'_>, at: Option<&Address>) -> Markup {
    let base = view.base;
    let here = |address: &Address| {
        let same = match (at, address) {
            (
                Some(Address::Services { .. } | Address::Service { .. } | Address::Release { .. }),
                Address::Services { .. },
            )
            | (Some(Address::Models { .. } | Address::Model { .. }), Address::Models { .. }) => {
                "true"
            }
            _ => return None,
        };
        Some(if at.is_some_and(|at| at.below("") == address.below("")) { "page" } else { same })
    };
    let services = Address::Services { query: String::new(), number: 1 };
    let models = Address::Models { query: String::new(), number: 1 };
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (page.title) " – releases" }
                link rel="icon" href=(format!("{base}/assets/icon.svg")) type="image/svg+xml";
                link rel="stylesheet" href=(STYLE.address(base));
                script src=(SCRIPT.address(base)) defer {}
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                (hatches())
                header.top {
                    div.wide {
                        a.brand href=(view.link(&services)) {
                            svg width="22" height="22" viewBox="0 0 22 22" aria-hidden="true" {
                                rect.share.s0 x="1" y="13" width="5" height="8" rx="1" {}
                                rect.share.s0 x="8.5" y="8" width="5" height="13" rx="1" {}
                                rect.share.canary x="16" y="1" width="5" height="20" rx="1" {}
                            }
                            "releases"
                        }
                        nav aria-label="Pages" {
                            a href=(view.link(&services)) aria-current=[here(&services)] { "Services" }
                            a href=(view.link(&models)) aria-current=[here(&models)] { "Models" }
                        }
                        span #live.live hidden { "live" }
                        @if frame.is_signed_in {
                            form.out method="post" action=(format!("{base}/logout")) { button type="submit" { "Sign out" } }
                        }
                    }
                }
                (main(page, frame))
                p #news.unseen role="status" {}
                footer.wide { p { "Times are in UTC. " span.still { "As of " (date(view.now)) ": load the page again for a newer one." } } }
            }
        }
    }
}

/// `<main>` alone, which is what changes.
pub fn main(page: &Page, frame: Frame<'_>) -> Markup {
    html! { main #main.wide tabindex="-1" data-live=[frame.live] data-news=(page.news) { (page.main) } }
}

/// A page that says what is wrong, and where to go on.
pub fn fault(title: &str, text: &str, more: &Markup) -> Page {
    Page {
        title: title.to_owned(),
        main: html! { div.fault { h1 { (title) } p { (text) } (more) } },
        is_moving: false,
        news: String::new(),
        is_found: false,
    }
}

/// Links to the other parts of a list.
pub(super) fn pages(view: &View<'_>, at: &Address, number: usize, count: usize) -> Markup {
    html! {
        @if count > 1 {
            nav.pages aria-label="Parts of the list" {
                @if number > 1 { a rel="prev" href=(view.link(&at.at(number - 1))) { "← Newer" } }
                span { "Part " (number) " of " (count) }
                @if number < count { a rel="next" href=(view.link(&at.at(number + 1))) { "Older →" } }
            }
        }
    }
}

/// The part of a list that a page shows, which part it is, and of how many.
pub(super) fn part<T>(all: &[T], number: usize, most: usize) -> (&[T], usize, usize) {
    let count = all.len().div_ceil(most).max(1);
    let number = number.clamp(1, count);
    let from = (number - 1) * most;
    (&all[from..all.len().min(from + most)], number, count)
}

/// A form that searches a list.
pub(super) fn search(action: &str, query: &str, label: &str, hint: &str) -> Markup {
    html! {
        form.search method="get" action=(action) role="search" {
            label for="q" { (label) }
            input #q type="search" name="q" value=(short(query, 200)) placeholder=(hint) maxlength="200" autocomplete="off" spellcheck="false";
            button type="submit" { "Search" }
        }
    }
}
