//! A number of bytes as people and Kubernetes write it.

use std::{fmt, str::FromStr};

use thiserror::Error;

/// Bytes: `500Mi`, `20Gi`, `1G`, or a plain number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// What is wrong with a size.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "a size is a whole number of bytes, or one with Ki, Mi, Gi, Ti, k, M, G or T, such as `500Mi`"
)]
pub struct SizeError;

const UNITS: [(&str, u64); 8] = [
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
    ("k", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
];

impl FromStr for Size {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        let (digits, unit) = UNITS
            .iter()
            .find_map(|(suffix, unit)| text.strip_suffix(suffix).map(|digits| (digits, *unit)))
            .unwrap_or((text, 1));
        if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(SizeError); // `parse` would take a plus sign
        }
        digits
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(unit))
            .map(Self)
            .ok_or(SizeError)
    }
}

/// At most four characters and a unit: `8.7 kB`, `446.7 MB`.
impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut tenths, mut unit) = (u128::from(self.0) * 10, "B");
        for next in ["kB", "MB", "GB", "TB", "PB", "EB"] {
            if tenths < 9_995 {
                break;
            }
            (tenths, unit) = ((tenths + 500) / 1_000, next);
        }
        if unit == "B" || tenths % 10 == 0 {
            write!(f, "{} {unit}", tenths / 10)
        } else {
            write!(f, "{}.{} {unit}", tenths / 10, tenths % 10)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_read_with_kubernetes_units() {
        let read = |text: &str| text.parse::<Size>().map(|size| size.0);
        assert_eq!(read("20Gi"), Ok(20 << 30));
        assert_eq!(read("512"), Ok(512));
        assert_eq!(read("5M"), Ok(5_000_000));
        for bad in ["", "Gi", "-1", "+1", "1.5Gi", "1 Gi", "lots", "99999999999Ti"] {
            assert_eq!(read(bad), Err(SizeError), "{bad}");
        }
    }

    #[test]
    fn a_size_is_written_for_people() {
        let written = [0, 999, 1_000, 8_700, 446_700_000, 999_950_000, u64::MAX]
            .map(|bytes| Size(bytes).to_string());
        assert_eq!(written, ["0 B", "999 B", "1 kB", "8.7 kB", "446.7 MB", "1 GB", "18.4 EB"]);
    }
}
