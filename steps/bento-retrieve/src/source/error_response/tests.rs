use super::*;

/// An error as S3 writes it.
fn xml(code: &str, more: &str) -> String {
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code>{more}</Error>")
}

fn meaning(status: u16, body: String) -> SourceError {
    let right = Permission { action: "s3:GetObject", resource: "bentos/iris/v1.tar.gz".into() };
    ErrorResponse { status, body: body.into(), region: None, retry_after: None }
        .meaning(Some(right))
}

/// The variant's name alone.
fn kind(fault: &SourceError) -> String {
    let text = format!("{fault:?}");
    text.split(['(', ' ']).next().unwrap_or_default().to_owned()
}

/// Status, code, message, the meaning, and whether it heals.
const CODES: [(u16, &str, &str, &str, bool); 41] = [
    (404, "NoSuchKey", "", "NoObject", false),
    (404, "NoSuchVersion", "", "NoObject", false),
    (404, "NoSuchBucket", "", "NoBucket", false),
    (400, "InvalidBucketName", "", "NoBucket", false),
    (403, "AccessDenied", "Access Denied", "Denied", false),
    (403, "AccessDenied", "Request has expired", "Expired", false),
    (403, "AccessDenied", "not authorized to perform: kms:Decrypt on …", "Encryption", false),
    (403, "InvalidAccessKeyId", "", "UnknownKey", false),
    (403, "SignatureDoesNotMatch", "", "Signature", false),
    (400, "AuthorizationHeaderMalformed", "the Credential is mal-formed", "UnknownKey", false),
    (400, "ExpiredToken", "", "Expired", false),
    (400, "TokenRefreshRequired", "", "Expired", false),
    (400, "InvalidToken", "", "Token", false),
    (403, "RequestTimeTooSkewed", "", "Clock", true),
    (403, "InvalidObjectState", "", "Archived", false),
    (400, "KMS.DisabledException", "", "Encryption", false),
    (400, "KMS.KMSInvalidStateException", "", "Encryption", false),
    (400, "KMS.NotFoundException", "", "Encryption", false),
    (400, "KMSNotConfigured", "", "Encryption", false),
    (400, "KMS.ThrottlingException", "", "Busy", true),
    (400, "InvalidRequest", "stored using a form of Server Side Encryption", "CustomerKey", false),
    (400, "InvalidRequest", "something else", "Refused", false),
    (403, "AllAccessDisabled", "", "Account", false),
    (403, "AccountProblem", "", "Account", false),
    (403, "NotSignedUp", "", "Account", false),
    (301, "PermanentRedirect", "", "Elsewhere", false),
    (307, "TemporaryRedirect", "", "Elsewhere", false),
    (400, "IllegalLocationConstraintException", "", "Elsewhere", false),
    (412, "PreconditionFailed", "", "Replaced", false),
    (416, "InvalidRange", "", "Refused", false),
    (405, "MethodNotAllowed", "", "Unsupported", false),
    (501, "NotImplemented", "", "Unsupported", false),
    (503, "SlowDown", "", "Busy", true),
    (503, "ServiceUnavailable", "", "Busy", true),
    (500, "InternalError", "", "Busy", true),
    (400, "RequestTimeout", "", "Busy", true),
    (409, "OperationAborted", "", "Busy", true),
    (429, "TooManyRequests", "", "Busy", true),
    (509, "BandwidthLimitExceeded", "", "Busy", true),
    (403, "SomethingNew", "", "Denied", false),
    (400, "SomethingNew", "", "Refused", false),
];

#[test]
fn each_code_of_s3_has_its_meaning_and_only_what_heals_is_tried_again() {
    for (status, code, message, meant, heals) in CODES {
        let fault = meaning(status, xml(code, &format!("<Message>{message}</Message>")));
        assert_eq!(
            (kind(&fault).as_str(), fault.is_retryable()),
            (meant, heals),
            "{status} {code}"
        );
    }
}

#[test]
fn the_region_is_found_wherever_the_answer_has_it() {
    let by = |status, code: &str, more: &str| meaning(status, xml(code, more));
    let right = SourceError::Region("eu-west-1".into());
    for fault in [
        by(400, "AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>"),
        by(
            400,
            "AuthorizationHeaderMalformed",
            "<Message>the region 'us-east-1' is wrong; expecting 'eu-west-1'</Message>",
        ),
        by(301, "PermanentRedirect", "<Endpoint>bentos.s3.eu-west-1.amazonaws.com</Endpoint>"),
        by(301, "PermanentRedirect", "<Endpoint>bentos.s3-eu-west-1.amazonaws.com</Endpoint>"),
        by(307, "TemporaryRedirect", "<Endpoint>bentos.s3.eu-west-1.amazonaws.com</Endpoint>"),
        ErrorResponse {
            status: 301,
            body: "".into(),
            region: Some("eu-west-1".into()),
            retry_after: None,
        }
        .meaning(None),
    ] {
        assert_eq!(fault, right);
    }
    let nowhere = by(301, "PermanentRedirect", "<Endpoint>bentos.s3.amazonaws.com</Endpoint>");
    assert_eq!(kind(&nowhere), "Elsewhere");
    let hostile = by(301, "PermanentRedirect", "<Region>x\u{1b}[2J; rm</Region>");
    assert_eq!(kind(&hostile), "Elsewhere", "it is shown, so it has to look like one");
}

#[test]
fn an_answer_of_something_else_than_a_store_is_told_from_a_store_s() {
    let page = "<!DOCTYPE html><html><body>Sign in</body></html>";
    let table = [
        (200, page, "NoStore"),
        (400, page, "NoStore"),
        (403, page, "NoStore"),
        (404, page, "NoStore"),
        (418, "hello", "NoStore"),
        (502, page, "Busy"),
        (503, page, "Busy"),
        (404, "", "NoObject"),
        (403, "", "Denied"),
        (301, "", "Elsewhere"),
        (400, "", "Refused"),
        (501, "", "Unsupported"),
        (400, "Client sent an HTTP request to an HTTPS server.\n", "NeedsTls"),
        (400, "<html>The plain HTTP request was sent to HTTPS port</html>", "NeedsTls"),
    ];
    for (status, body, meant) in table {
        assert_eq!(kind(&meaning(status, body.into())), meant, "{status} {body}");
    }
    let of_an_address = |status| {
        ErrorResponse { status, body: page.into(), region: None, retry_after: None }.meaning(None)
    };
    assert_eq!(
        of_an_address(404),
        SourceError::NoObject,
        "any server may have pages for its errors"
    );
    assert_eq!(kind(&of_an_address(403)), "Denied");
}

#[test]
fn an_archived_object_and_a_wrong_clock_say_what_the_store_said_of_them() {
    let archived =
        meaning(403, xml("InvalidObjectState", "<StorageClass>DEEP_ARCHIVE</StorageClass>"));
    assert_eq!(archived, SourceError::Archived("DEEP_ARCHIVE".into()));
    let skewed =
        meaning(403, xml("RequestTimeTooSkewed", "<ServerTime>2026-11-24T06:00:00Z</ServerTime>"));
    let text = skewed.to_string();
    assert!(
        text.contains("the clock here says 20")
            && text.ends_with("the store's 2026-11-24T06:00:00Z"),
        "{text}"
    );
}

#[test]
fn a_busy_server_says_how_long_it_wants_to_be_left_alone() {
    let mut headers = Headers::new();
    assert_eq!(retry_after(&headers), None);
    headers.insert("retry-after", "Tue, 24 Nov 2026 12:00:07 GMT");
    headers.insert("date", "Tue, 24 Nov 2026 12:00:00 GMT");
    let retry_after = retry_after(&headers);
    let busy = ErrorResponse { status: 503, body: "".into(), region: None, retry_after };
    let SourceError::Busy(_, asked) = busy.meaning(None) else { panic!("it is busy") };
    assert_eq!(asked, Some(Duration::from_secs(7)));
}
