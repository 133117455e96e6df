//! What every HTTP client of ours reads the same way.

use std::time::{Duration, SystemTime};

use http::{
    HeaderMap,
    header::{DATE, HeaderName, RETRY_AFTER},
};

/// `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date, which is compared with the server's own
/// clock where it has one.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok().map(str::trim);
    let date = |name| httpdate::parse_http_date(text(name)?).ok();
    if let Ok(seconds) = text(RETRY_AFTER)?.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let now = date(DATE).unwrap_or_else(SystemTime::now);
    Some(date(RETRY_AFTER)?.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_says_when_to_come_back_in_seconds_or_by_a_date() {
        let wait = |pairs: &[(HeaderName, &str)]| {
            let headers = pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap()));
            retry_after(&headers.collect()).map(|wait| wait.as_secs())
        };
        let noon = (DATE, "Tue, 24 Nov 2026 12:00:00 GMT");
        assert_eq!(wait(&[(RETRY_AFTER, "7")]), Some(7));
        let date = |at| [(RETRY_AFTER, at), noon.clone()];
        assert_eq!(wait(&date("Tue, 24 Nov 2026 12:00:30 GMT")), Some(30));
        assert_eq!(wait(&date("Tue, 24 Nov 2026 11:00:00 GMT")), Some(0));
        // Without the server's clock, ours has to do.
        assert_eq!(wait(&[(RETRY_AFTER, "Sun, 06 Nov 1994 08:49:37 GMT")]), Some(0));
        let later = httpdate::fmt_http_date(SystemTime::now() + Duration::from_hours(1));
        assert!(wait(&[(RETRY_AFTER, &later)]).is_some_and(|wait| wait > 3000));
        for none in ["soon", "-1", "1.5", ""] {
            assert_eq!(wait(&[(RETRY_AFTER, none)]), None, "{none}");
        }
        assert_eq!(wait(&[]), None);
    }
}
