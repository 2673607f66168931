//! Bytes in parts.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;

/// Bytes in one or more parts that follow each other, so that what is long need not be copied only to stand beside
/// something short. Two are equal when their bytes are, however they are parted.
#[derive(Clone, Default)]
pub struct Segments {
    /// All of it, mostly.
    first: Bytes,
    rest: Vec<Bytes>,
}

impl Segments {
    /// No bytes.
    #[must_use]
    pub const fn new() -> Self {
        Self { first: Bytes::new(), rest: Vec::new() }
    }

    /// Number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.parts().map(Bytes::len).sum()
    }

    /// True when there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    /// Adds bytes at the end.
    pub fn push(&mut self, part: Bytes) {
        match (self.first.is_empty(), part.is_empty()) {
            (_, true) => {}
            (true, false) => self.first = part,
            (false, false) => self.rest.push(part),
        }
    }

    /// The parts in their order; none is empty, unless there is nothing but that one.
    pub fn parts(&self) -> impl Iterator<Item = &Bytes> {
        std::iter::once(&self.first).chain(&self.rest)
    }

    /// The bytes of a range, which are not copied.
    ///
    /// # Panics
    /// When it does not lie within these.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= self.len(), "{range:?} is not within {} bytes", self.len());
        let mut slice = Self::new();
        let mut start = 0;
        for part in self.parts() {
            let end = start + part.len();
            let (from, to) = (range.start.max(start), range.end.min(end));
            if from < to {
                slice.push(part.slice(from - start..to - start));
            }
            start = end;
        }
        slice
    }

    /// All bytes in one part; they are copied when there are more.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        if self.rest.is_empty() { self.first.clone() } else { self.to_vec().into() }
    }

    /// A copy of all bytes.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        let mut whole = Vec::with_capacity(self.len());
        self.parts().for_each(|part| whole.extend_from_slice(part));
        whole
    }

    /// The first part: all bytes, or as many as stand together.
    pub(crate) const fn first(&self) -> &Bytes {
        &self.first
    }
}

impl From<Bytes> for Segments {
    fn from(bytes: Bytes) -> Self {
        Self { first: bytes, rest: Vec::new() }
    }
}

impl From<Vec<u8>> for Segments {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl FromIterator<Bytes> for Segments {
    fn from_iter<I: IntoIterator<Item = Bytes>>(parts: I) -> Self {
        let mut segments = Self::new();
        parts.into_iter().for_each(|part| segments.push(part));
        segments
    }
}

impl PartialEq for Segments {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.parts().flatten().eq(other.parts().flatten())
    }
}

impl Eq for Segments {}

impl PartialEq<[u8]> for Segments {
    fn eq(&self, other: &[u8]) -> bool {
        self.len() == other.len() && self.parts().flatten().eq(other)
    }
}

impl fmt::Debug for Segments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_bytes().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(parts: &[&'static [u8]]) -> Segments {
        parts.iter().map(|part| Bytes::from_static(part)).collect()
    }

    #[test]
    fn parts_are_joined_in_their_order() {
        let parted = segments(&[b"", b"ab", b"", b"cde", b"f"]);
        assert_eq!((parted.len(), parted.parts().count()), (6, 3));
        assert_eq!(parted.to_bytes(), "abcdef");
        assert_eq!(parted.to_vec(), b"abcdef");
        assert_eq!(parted, segments(&[b"abcdef"]));
        assert_ne!(parted, segments(&[b"abcdeg"]));
        assert!(segments(&[b""]).is_empty() && Segments::new().to_bytes().is_empty());
    }

    #[test]
    fn every_range_is_what_it_is_of_the_whole() {
        let parted = segments(&[b"ab", b"cde", b"f"]);
        for start in 0..=6 {
            for end in start..=6 {
                assert_eq!(parted.slice(start..end), b"abcdef"[start..end], "{start}..{end}");
            }
        }
    }
}
