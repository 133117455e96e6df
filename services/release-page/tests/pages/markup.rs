//! Whether a page has no other markup than its templates write.

const ELEMENTS: [&str; 63] = [
    "html",
    "head",
    "meta",
    "title",
    "link",
    "script",
    "body",
    "a",
    "svg",
    "defs",
    "pattern",
    "path",
    "rect",
    "line",
    "text",
    "header",
    "nav",
    "span",
    "form",
    "button",
    "main",
    "p",
    "footer",
    "div",
    "h1",
    "h2",
    "h3",
    "label",
    "input",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "ul",
    "ol",
    "li",
    "b",
    "small",
    "strong",
    "code",
    "pre",
    "dl",
    "dt",
    "dd",
    "section",
    "article",
    "details",
    "summary",
    "iframe",
    "figure",
    "figcaption",
    "time",
    "i",
    "circle",
    "g",
    "em",
    "br",
    "hr",
    "abbr",
    "kbd",
    "wbr",
];
const ATTRIBUTES: [&str; 51] = [
    "aria-current",
    "aria-hidden",
    "aria-label",
    "aria-labelledby",
    "action",
    "autocomplete",
    "autofocus",
    "charset",
    "class",
    "content",
    "d",
    "data-ago",
    "data-copy",
    "data-label",
    "data-live",
    "data-news",
    "datetime",
    "defer",
    "fill",
    "focusable",
    "for",
    "height",
    "hidden",
    "href",
    "id",
    "lang",
    "loading",
    "maxlength",
    "method",
    "name",
    "open",
    "patternunits",
    "placeholder",
    "rel",
    "required",
    "role",
    "rx",
    "sandbox",
    "scope",
    "spellcheck",
    "src",
    "tabindex",
    "text-anchor",
    "title",
    "type",
    "value",
    "viewbox",
    "width",
    "x",
    "y",
    "x1",
];
const MORE: [&str; 3] = ["x2", "y1", "y2"];
const EMPTY: [&str; 3] = ["meta", "link", "input"];
const ADDRESSES: [&str; 4] = ["href", "src", "action", "data-live"];
const ESCAPES: [&str; 4] = ["amp;", "lt;", "gt;", "quot;"];

/// Reads a document more strictly than a browser does, and says what it found that no template writes.
pub(crate) fn check(page: &str, base: &str) -> Result<(), String> {
    let page = page.strip_prefix("<!DOCTYPE html>").ok_or("no document type")?;
    let mut open: Vec<&str> = Vec::new();
    let mut rest = page;
    while !rest.is_empty() {
        let at = rest.find('<').unwrap_or(rest.len());
        text(&rest[..at])?;
        rest = &rest[at..];
        if rest.is_empty() {
            break;
        }
        let end =
            tag_end(rest).ok_or_else(|| format!("a tag without an end: {}", excerpt(rest)))?;
        let (tag, after) = (&rest[1..end], &rest[end + 1..]);
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            if open.pop() != Some(name) {
                return Err(format!("</{name}> closes nothing"));
            }
            continue;
        }
        let (name, attributes_) = tag.split_at(tag.find(' ').unwrap_or(tag.len()));
        if !ELEMENTS.contains(&name) {
            return Err(format!("element <{name}>"));
        }
        attributes(name, attributes_, base)?;
        if name == "script" && !after.starts_with("</script>") {
            return Err("a script within the page".into());
        }
        if !EMPTY.contains(&name) {
            open.push(name);
        }
    }
    if open.is_empty() { Ok(()) } else { Err(format!("not closed: {open:?}")) }
}

/// Where a tag ends, outside of its quotes.
fn tag_end(text: &str) -> Option<usize> {
    let mut quoted = false;
    text.char_indices().find_map(|(at, c)| {
        quoted ^= c == '"';
        (c == '>' && !quoted).then_some(at)
    })
}

fn attributes(element: &str, mut rest: &str, base: &str) -> Result<(), String> {
    while let Some(more) = rest.strip_prefix(' ') {
        let end = more.find(['=', ' ']).unwrap_or(more.len());
        let name = more[..end].to_ascii_lowercase();
        if !ATTRIBUTES.contains(&name.as_str()) && !MORE.contains(&name.as_str()) {
            return Err(format!("attribute `{name}` of <{element}>"));
        }
        rest = &more[end..];
        let Some(value) = rest.strip_prefix("=\"") else { continue };
        let (value, after) = value.split_once('"').ok_or("a value without an end")?;
        text(value)?;
        let is_own = (value.starts_with(&format!("{base}/"))
            && !value.starts_with(&format!("{base}//")))
            || value == "#main";
        if ADDRESSES.contains(&name.as_str()) && !is_own {
            return Err(format!("`{name}` leads elsewhere: {}", excerpt(value)));
        }
        if name == "fill" && value != "url(#hatch)" {
            return Err(format!("fill `{value}`"));
        }
        rest = after;
    }
    if rest.is_empty() { Ok(()) } else { Err(format!("within <{element}>: {}", excerpt(rest))) }
}

/// Nothing that a parser or a reader would take for something else.
fn text(text: &str) -> Result<(), String> {
    if let Some(found) = text.chars().find(|c| matches!(c, '<' | '>' | '\0'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')) {
        return Err(format!("{found:?} in a text: {}", excerpt(text)));
    }
    let escapes = text.split('&').skip(1);
    match escapes.into_iter().find(|rest| !ESCAPES.iter().any(|escape| rest.starts_with(escape))) {
        Some(found) => Err(format!("a bare `&`: {}", excerpt(found))),
        None => Ok(()),
    }
}

fn excerpt(text: &str) -> String {
    text.chars().take(120).collect()
}

#[test]
fn markup_that_no_template_writes_is_found() {
    let page = |body: &str| check(&format!("<!DOCTYPE html><html>{body}</html>"), "/base");
    assert_eq!(page("<p class=\"a\">x &amp; y</p><a href=\"/base/\">b</a>"), Ok(()));
    for body in [
        "<img src=\"/base/x\">",
        "<p onclick=\"x\"></p>",
        "<a href=\"javascript:x\">x</a>",
        "<p>a & b</p>",
        "<p>a > b</p>",
        "<script>x</script>",
        "<p>",
        "</p>",
        "<p class=\"\"x\">",
        "<p>\u{202e}</p>",
        "<a href=\"//evil/\">x</a>",
    ] {
        assert!(page(body).is_err(), "{body}");
    }
}
