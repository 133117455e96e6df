//! Image references, as far as a release compares them.

use step::text::is_sha256;

/// Whether a reference names its content: `…@sha256:` and 64 hexadecimal digits.
pub fn has_digest(image: &str) -> bool {
    digest(image).is_some()
}

/// Whether two references name the same content: the same text, or the same digest.
pub fn same_image(one: &str, other: &str) -> bool {
    one == other || digest(one).is_some_and(|digest_of_one| digest(other) == Some(digest_of_one))
}

fn digest(image: &str) -> Option<&str> {
    let (repository, digest) = image.split_once("@sha256:")?;
    (!repository.is_empty() && is_sha256(digest)).then_some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const D: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn a_tag_or_half_a_digest_does_not_name_content() {
        assert!(has_digest(&format!("registry.local:5000/iris@{D}")));
        assert!(has_digest(&format!("iris:v1@{D}")));
        for image in
            ["iris", "iris:v1", "iris@sha256:0123", "@sha256:", &D.to_uppercase(), &format!("@{D}")]
        {
            assert!(!has_digest(image), "{image}");
        }
    }

    #[test]
    fn the_same_digest_is_the_same_image_whatever_its_tag_or_registry() {
        assert!(same_image(&format!("a/iris:v1@{D}"), &format!("b/iris@{D}")));
        assert!(same_image("iris:v1", "iris:v1"));
        assert!(!same_image("iris:v1", "iris:v2"));
        assert!(!same_image("iris:v1", &format!("iris:v1@{D}")));
    }
}
