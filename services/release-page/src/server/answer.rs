//! Pages and faults as responses.

use axum::{
    http::{HeaderValue, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse as _, Response},
};
use jiff::Timestamp;
use maud::{Markup, html};

use crate::{
    known::Known,
    page::{
        address::Address,
        layout::{Frame, document, fault},
        view::{Page, Site, View},
    },
};

/// Around whatever is answered to one request
pub(super) struct Around<'a> {
    pub(super) known: &'a Known,
    pub(super) site: &'a Site,
    pub(super) base: &'a str,
    pub(super) is_signed_in: bool,
}

impl Around<'_> {
    pub(super) fn view(&self, now: Timestamp) -> View<'_> {
        View { known: self.known, now, base: self.base, site: self.site }
    }

    /// A page; `live` is where the script hears of its changes.
    pub(super) fn page(&self, page: &Page, at: Option<&Address>, live: Option<&str>) -> Response {
        let frame = Frame { live, is_signed_in: self.is_signed_in };
        let status = if page.is_found { StatusCode::OK } else { StatusCode::NOT_FOUND };
        let text = document(page, &self.view(Timestamp::now()), frame, at).into_string();
        let mut response = of_type("text/html; charset=utf-8", text);
        *response.status_mut() = status;
        response
    }

    /// A page that says what is wrong.
    pub(super) fn fault(&self, status: StatusCode, title: &str, text: &str) -> Response {
        self.fault_with(
            status,
            title,
            text,
            &html! { p { a href=(format!("{}/", self.base)) { "To the services" } } },
        )
    }

    pub(super) fn fault_with(
        &self,
        status: StatusCode,
        title: &str,
        text: &str,
        more: &Markup,
    ) -> Response {
        let mut response = self.page(&fault(title, text, more), None, None);
        *response.status_mut() = status;
        response
    }
}

/// For programs, and for before there is anything to show.
pub(super) fn plain(status: StatusCode, text: &'static str) -> Response {
    (status, format!("{text}\n")).into_response()
}

pub(super) fn of_type(media_type: &'static str, body: impl Into<axum::body::Body>) -> Response {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}
