//! Unpacking an archive while it arrives, so that it need not be on disk itself.
//!
//! An archive says twice what it holds: before each entry, and in the directory at its end, which alone counts for whoever
//! has all of it. So what is unpacked from the front counts only when the directory turns out to say the same. The entries
//! of most archives tell how long they are (those of Python's `zipfile` do). Of an archive whose entries do not, or that is
//! odd in any other way, the [whole](super::unpack) has to be there: it is judged there, and nowhere else.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, BufRead, Read, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use crc32fast::Hasher;
use zip::ZipArchive;
use zip::read::read_zipfile_from_stream;

use super::{COPY_BUFFER, begin};
use crate::Result;
use crate::job_folder::{LENGTH_FIELD, WIDE};
use crate::session::local_file;

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrived {
    /// All of it is there.
    Whole,
    /// It can only be read from its end. Nothing of it is there.
    NotFromTheFront,
}

/// Unpacks what comes from `source` into a new folder. The file `archive` is made for the directory alone, and gone
/// afterwards.
///
/// # Errors
/// When something cannot be written, or would be outside of the folder.
pub(crate) fn unpack_arriving(source: impl BufRead, archive: &Path, target: &Path) -> Result<Arrived> {
    match fs::create_dir(target) {
        Ok(()) => {}
        // What was there before is not ours to remove.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(Arrived::NotFromTheFront),
        Err(error) => return Err(local_file(target, error)),
    }
    let source = Source { inner: source, position: 0 };
    let is_whole = Front { source, archive, target, names: HashSet::new() }.unpack()?;
    match fs::remove_file(archive) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(local_file(archive, error)),
        _ => {}
    }
    if is_whole {
        return Ok(Arrived::Whole);
    }
    fs::remove_dir_all(target).map_err(|error| local_file(target, error))?;
    Ok(Arrived::NotFromTheFront)
}

/// An entry that was unpacked.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    name: String,
    /// Where it begins in the archive.
    start: u64,
    /// Bytes that it holds.
    size: u64,
    crc32: u32,
}

/// An archive that is read from the front.
struct Front<'a, R> {
    source: Source<R>,
    archive: &'a Path,
    target: &'a Path,
    /// Those of the entries so far.
    names: HashSet<String>,
}

impl<R: BufRead> Front<'_, R> {
    /// False when it cannot be read so; then some of it may be there.
    fn unpack(&mut self) -> Result<bool> {
        let mut unpacked = Vec::new();
        loop {
            let start = self.source.position;
            let entry = match Header::read(&mut self.source) {
                Ok(Header::Entry(header)) => match header.announced() {
                    Some((name, size)) => self.unpack_announced(start, name, size)?,
                    None if header.flags() & LocalHeader::LENGTH_BEHIND != 0 => None,
                    None => self.unpack_entry(start, &header)?,
                },
                Ok(Header::Directory(signature)) => {
                    return agrees(&mut self.source, start, signature, &unpacked, self.archive);
                }
                Ok(Header::Other) | Err(_) => None,
            };
            let Some(entry) = entry else { return Ok(false) };
            unpacked.push(entry);
        }
    }

    /// Unpacks a file that says in a field of ours how long it is.
    fn unpack_announced(&mut self, start: u64, name: String, size: u64) -> Result<Option<Entry>> {
        if !self.names.insert(name.clone()) {
            return Ok(None);
        }
        let Some((mut file, path)) = begin(self.archive, self.target, &name, false)? else { return Ok(None) };
        let mut crc32 = Hasher::new();
        let mut left = size;
        while left > 0 {
            let Ok(bytes @ [_, ..]) = self.source.fill_buf() else { return Ok(None) };
            let count = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            crc32.update(&bytes[..count]);
            file.write_all(&bytes[..count]).map_err(|error| local_file(&path, error))?;
            self.source.consume(count);
            left -= count as u64;
        }
        let crc32 = crc32.finalize();
        let is_good = Descriptor::read(&mut self.source, size).is_ok_and(|behind| behind.holds(crc32, size));
        Ok(is_good.then_some(Entry { name, start, size, crc32 }))
    }

    /// Unpacks an entry whose own header says how long it is.
    fn unpack_entry(&mut self, start: u64, header: &LocalHeader) -> Result<Option<Entry>> {
        let mut input = header.0.as_slice().chain(&mut self.source);
        let Ok(Some(mut entry)) = read_zipfile_from_stream(&mut input) else { return Ok(None) };
        let Ok(name) = entry.name().map(Cow::into_owned) else { return Ok(None) };
        // Of two of one name the last counts, which is not known here.
        if !self.names.insert(name.clone()) {
            return Ok(None);
        }
        let crc32 = entry.crc32();
        let Some((mut file, path)) = begin(self.archive, self.target, &name, entry.is_dir())? else {
            return Ok((entry.size() == 0).then_some(Entry { name, start, size: 0, crc32 }));
        };
        let mut buffer = vec![0; COPY_BUFFER.min(usize::try_from(entry.size()).unwrap_or(COPY_BUFFER)).max(1)];
        let mut size = 0;
        loop {
            // The end is reached only when the checksum is right.
            let Ok(count) = entry.read(&mut buffer) else { return Ok(None) };
            if count == 0 {
                return Ok(Some(Entry { name, start, size, crc32 }));
            }
            file.write_all(&buffer[..count]).map_err(|error| local_file(&path, error))?;
            size += count as u64;
        }
    }
}

/// Compares what was unpacked with what the directory says that there is: the rest of the source. False when they do not
/// say the same.
///
/// It is written to where it stands in the archive. On the file systems of today, what is before it takes no room.
fn agrees(
    source: &mut impl BufRead,
    start: u64,
    signature: [u8; 4],
    unpacked: &[Entry],
    archive: &Path,
) -> Result<bool> {
    let mut keep = || {
        let mut file = File::options().read(true).write(true).create_new(true).open(archive)?;
        file.seek(SeekFrom::Start(start))?;
        file.write_all(&signature)?;
        io::copy(source, &mut file)?;
        Ok(file)
    };
    let file = keep().map_err(|error| local_file(archive, error))?;
    let Ok(zip) = ZipArchive::new(file) else { return Ok(false) };
    if zip.offset() != 0 {
        return Ok(false);
    }
    let mut listed = Vec::with_capacity(zip.len());
    for index in 0..zip.len() {
        let Ok(entry) = zip.by_index_data(index) else { return Ok(false) };
        let Ok(name) = entry.name().map(Cow::into_owned) else { return Ok(false) };
        if entry.is_symlink() || entry.encrypted() {
            return Ok(false);
        }
        listed.push(Entry { name, start: entry.header_start(), size: entry.size(), crc32: entry.crc32() });
    }
    listed.sort_unstable_by_key(|entry| entry.start);
    Ok(listed == unpacked)
}

/// What stands where an entry may begin.
enum Header {
    Entry(LocalHeader),
    /// The directory, with what was read of it.
    Directory([u8; 4]),
    Other,
}

impl Header {
    const ENTRY: [u8; 4] = *b"PK\x03\x04";
    const DIRECTORY: [u8; 4] = *b"PK\x01\x02";
    /// Of a directory without entries.
    const DIRECTORY_END: [u8; 4] = *b"PK\x05\x06";

    fn read(source: &mut impl Read) -> io::Result<Self> {
        let mut signature = [0; 4];
        source.read_exact(&mut signature)?;
        match signature {
            Self::ENTRY => LocalHeader::read(source).map(Self::Entry),
            Self::DIRECTORY | Self::DIRECTORY_END => Ok(Self::Directory(signature)),
            _ => Ok(Self::Other),
        }
    }
}

/// What stands before an entry, signature and all.
struct LocalHeader(Vec<u8>);

impl LocalHeader {
    /// Bytes before the name.
    const FIXED: usize = 30;
    /// The flag of an entry whose length stands behind it.
    const LENGTH_BEHIND: u16 = 1 << 3;

    fn read(source: &mut impl Read) -> io::Result<Self> {
        let mut header = Self(Header::ENTRY.to_vec());
        header.0.resize(Self::FIXED, 0);
        source.read_exact(&mut header.0[Header::ENTRY.len()..])?;
        header.0.resize(header.extra_start() + usize::from(header.u16_at(28)), 0);
        source.read_exact(&mut header.0[Self::FIXED..])?;
        Ok(header)
    }

    fn u16_at(&self, start: usize) -> u16 {
        u16::from_le_bytes([self.0[start], self.0[start + 1]])
    }

    fn flags(&self) -> u16 {
        self.u16_at(6)
    }

    fn extra_start(&self) -> usize {
        Self::FIXED + usize::from(self.u16_at(26))
    }

    /// The name and the length of a file that a client of ours has packed, which says it although it stands behind too.
    fn announced(&self) -> Option<(String, u64)> {
        const STORED: u16 = 0;
        /// The encrypted, patched and strongly encrypted.
        const UNREADABLE: u16 = 1 | 1 << 5 | 1 << 6;
        let is_ours =
            self.flags() & Self::LENGTH_BEHIND != 0 && self.flags() & UNREADABLE == 0 && self.u16_at(8) == STORED;
        let name = std::str::from_utf8(&self.0[Self::FIXED..self.extra_start()]).ok().filter(|_| is_ours)?;
        let mut extra = &self.0[self.extra_start()..];
        while let [id_low, id_high, len_low, len_high, rest @ ..] = extra {
            let (id, len) = (u16::from_le_bytes([*id_low, *id_high]), u16::from_le_bytes([*len_low, *len_high]));
            let (data, behind) = rest.split_at_checked(usize::from(len))?;
            if id == LENGTH_FIELD {
                return Some((name.to_owned(), u64::from_le_bytes(data.try_into().ok()?)));
            }
            extra = behind;
        }
        None
    }
}

/// What stands behind an entry whose length was not known when it began.
struct Descriptor {
    crc32: u32,
    sizes: [u64; 2],
}

impl Descriptor {
    const SIGNATURE: [u8; 4] = *b"PK\x07\x08";

    /// Reads that of an entry of this size: it is wide when that is.
    fn read(source: &mut impl Read, size: u64) -> io::Result<Self> {
        let mut start = [0; 8];
        source.read_exact(&mut start)?;
        let [s0, s1, s2, s3, crc32 @ ..] = start;
        if [s0, s1, s2, s3] != Self::SIGNATURE {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut sizes = [0; 2];
        for one in &mut sizes {
            let mut bytes = [0; 8];
            let width = if size >= WIDE { 8 } else { 4 };
            source.read_exact(&mut bytes[..width])?;
            *one = u64::from_le_bytes(bytes);
        }
        Ok(Self { crc32: u32::from_le_bytes(crc32), sizes })
    }

    fn holds(&self, crc32: u32, size: u64) -> bool {
        self.crc32 == crc32 && self.sizes == [size; 2]
    }
}

/// Counts what is read.
struct Source<R> {
    inner: R,
    position: u64,
}

impl<R: BufRead> Read for Source<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.position += count as u64;
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Source<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.inner.consume(count);
        self.position += count as u64;
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use proptest::prelude::*;
    use zip::write::{FullFileOptions, SimpleFileOptions};
    use zip::{CompressionMethod, ZipWriter};

    use super::super::unpack;
    use super::*;
    use crate::ErrorKind;

    /// How the entries of an archive tell their lengths.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Lengths {
        /// Before the entry, as Python's `zipfile` does.
        Before,
        /// Behind it, and before it in a field of ours.
        Announced,
        Behind,
    }

    fn packed(entries: &[(&str, &[u8])], lengths: Lengths, method: CompressionMethod) -> Vec<u8> {
        fn fill<W: Write + io::Seek>(
            mut zip: ZipWriter<W>,
            entries: &[(&str, &[u8])],
            options: impl Fn(usize) -> FullFileOptions<'static, 'static>,
        ) -> W {
            for (name, content) in entries {
                if name.ends_with('/') {
                    zip.add_directory(*name, SimpleFileOptions::default()).unwrap();
                } else {
                    zip.start_file(*name, options(content.len())).unwrap();
                    zip.write_all(content).unwrap();
                }
            }
            zip.finish().unwrap()
        }
        let options = |len: usize| {
            let mut options = FullFileOptions::default().compression_method(method);
            if lengths == Lengths::Announced {
                options.add_extra_field(LENGTH_FIELD, (len as u64).to_le_bytes(), false).unwrap();
            }
            options
        };
        if lengths == Lengths::Before {
            fill(ZipWriter::new(Cursor::new(Vec::new())), entries, options).into_inner()
        } else {
            fill(ZipWriter::new_stream(Vec::new()), entries, options).into_inner()
        }
    }

    fn unpacked(archive: &[u8]) -> (tempfile::TempDir, Result<Arrived>) {
        let folder = tempfile::tempdir().unwrap();
        let result = unpack_arriving(archive, &folder.path().join("job.zip"), &folder.path().join("job"));
        (folder, result)
    }

    const ENTRIES: [(&str, &[u8]); 4] =
        [("j/", b""), ("j/meta.json", b"{}"), ("j/app/x.bin", &[7; 100_000]), ("j/app/empty", b"")];

    #[test]
    fn an_archive_becomes_a_folder() {
        for (lengths, method) in [
            (Lengths::Before, CompressionMethod::Stored),
            (Lengths::Before, CompressionMethod::Deflated),
            (Lengths::Announced, CompressionMethod::Stored),
        ] {
            let (folder, result) = unpacked(&packed(&ENTRIES, lengths, method));
            assert_eq!(result.unwrap(), Arrived::Whole, "{lengths:?} {method:?}");
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing but the folder");
            for (name, content) in &ENTRIES[1..] {
                assert_eq!(fs::read(folder.path().join("job").join(name)).unwrap(), *content, "{lengths:?} {method:?}");
            }
        }
        let (folder, result) = unpacked(&packed(&[], Lengths::Before, CompressionMethod::Stored));
        assert_eq!(result.unwrap(), Arrived::Whole);
        assert!(folder.path().join("job").is_dir());
    }

    #[test]
    fn what_cannot_be_unpacked_from_the_front_is_left_to_the_whole() {
        let deflated = packed(&ENTRIES, Lengths::Announced, CompressionMethod::Deflated);
        let behind = packed(&ENTRIES, Lengths::Behind, CompressionMethod::Stored);
        let mut with_prefix = b"#!/usr/bin/python\n".to_vec();
        with_prefix.extend(packed(&ENTRIES, Lengths::Before, CompressionMethod::Stored));
        let mut mixed = ZipWriter::new_stream(Vec::new());
        for (number, (name, content)) in ENTRIES[1..].iter().enumerate() {
            let mut options = FullFileOptions::default().compression_method(CompressionMethod::Stored);
            if number == 0 {
                options.add_extra_field(LENGTH_FIELD, (content.len() as u64).to_le_bytes(), false).unwrap();
            }
            mixed.start_file(*name, options).unwrap();
            mixed.write_all(content).unwrap();
        }
        let mixed = mixed.finish().unwrap().into_inner();
        let good = [deflated.as_slice(), &behind, &mixed, &with_prefix].map(|archive| (archive, true));
        let bad = [b"nonsense".as_slice(), b"", b"PK\x03\x04cut"].map(|archive| (archive, false));
        for (archive, is_good) in good.into_iter().chain(bad) {
            let (folder, result) = unpacked(archive);
            assert_eq!(result.unwrap(), Arrived::NotFromTheFront);
            let (zip, job) = (folder.path().join("job.zip"), folder.path().join("job"));
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
            // What was unpacked is not in the way of the whole.
            fs::write(&zip, archive).unwrap();
            assert_eq!(unpack(&zip, &job).is_ok(), is_good);
            if is_good {
                assert_eq!(fs::read(job.join(ENTRIES[2].0)).unwrap(), ENTRIES[2].1);
            }
        }
    }

    #[test]
    fn entries_that_would_leave_the_folder_are_refused() {
        for lengths in [Lengths::Before, Lengths::Announced] {
            for name in ["../x", "j/../../x", "/tmp/x", "j\\..\\x"] {
                let (folder, result) = unpacked(&packed(&[(name, b"x")], lengths, CompressionMethod::Stored));
                assert_eq!(result.unwrap_err().kind(), ErrorKind::ProtocolViolation, "{name}");
                assert!(!folder.path().join("x").exists(), "{name}");
            }
        }
        // A link is one only for the directory, so the whole is asked, which refuses it.
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        zip.add_symlink("j/link", "/etc", SimpleFileOptions::default()).unwrap();
        let (folder, result) = unpacked(zip.finish().unwrap().get_ref());
        assert_eq!(result.unwrap(), Arrived::NotFromTheFront);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_the_directory_contradicts_is_left_to_the_whole() {
        let whole = packed(&[("a", b"one"), ("b", b"two")], Lengths::Before, CompressionMethod::Stored);
        let other = packed(&[("a", b"one"), ("c", b"two")], Lengths::Before, CompressionMethod::Stored);
        let shorter = packed(&[("a", b"one")], Lengths::Before, CompressionMethod::Stored);
        let directory = |archive: &[u8]| archive.windows(4).position(|bytes| bytes == Header::DIRECTORY).unwrap();
        for listed in [&other, &shorter] {
            let mut archive = whole[..directory(&whole)].to_vec();
            archive.extend_from_slice(&listed[directory(listed)..]);
            let (folder, result) = unpacked(&archive);
            assert_eq!(result.unwrap(), Arrived::NotFromTheFront);
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        }
    }

    #[test]
    fn of_two_entries_of_one_name_the_whole_decides() {
        // The library writes no such archive, so the second name is changed to the first.
        for lengths in [Lengths::Before, Lengths::Announced] {
            let mut archive = packed(&[("one", b"1"), ("two", b"2")], lengths, CompressionMethod::Stored);
            while let Some(position) = archive.windows(3).position(|bytes| bytes == b"two") {
                archive[position..position + 3].copy_from_slice(b"one");
            }
            assert_eq!(unpacked(&archive).1.unwrap(), Arrived::NotFromTheFront);
        }
    }

    #[test]
    fn a_length_is_announced_in_eight_bytes() {
        let header = |extra: &[u8]| {
            let mut header = vec![0; LocalHeader::FIXED];
            header[6] = 1 << 3;
            header[26] = 1;
            header.push(b'x');
            header.extend_from_slice(extra);
            LocalHeader(header)
        };
        // Behind another field, as of files whose lengths need 64 bits.
        let announced = header(b"\x01\x00\x02\x00..FL\x08\x00\xff\xff\xff\xff\x00\x00\x00\x00");
        assert_eq!(announced.announced(), Some(("x".to_owned(), WIDE)));
        for other in [b"FL\x04\x00\x01\x00\x00\x00".as_slice(), b"FL\x08\x00\x01", b"FL\x08", b"LF\x00\x00", b""] {
            assert_eq!(header(other).announced(), None, "{other:?}");
        }
    }

    #[test]
    fn what_stands_behind_an_entry_is_wide_when_it_is() {
        for (size, width) in [(7, 4), (WIDE - 1, 4), (WIDE, 8), (WIDE + 7, 8)] {
            let mut bytes = Descriptor::SIGNATURE.to_vec();
            bytes.extend_from_slice(&0xABCD_u32.to_le_bytes());
            for _ in 0..2 {
                bytes.extend_from_slice(&size.to_le_bytes()[..width]);
            }
            let mut source = bytes.as_slice();
            assert!(Descriptor::read(&mut source, size).unwrap().holds(0xABCD, size), "{size}");
            assert!(source.is_empty());
            bytes[0] = b'Q';
            assert!(Descriptor::read(&mut bytes.as_slice(), size).is_err());
        }
    }

    proptest! {
        /// Whatever is changed or cut off, it is refused, or nobody who has the whole archive sees anything else in it.
        #[test]
        fn a_damaged_archive_never_passes_for_another(
            lengths in prop_oneof![Just(Lengths::Before), Just(Lengths::Announced)],
            position in any::<prop::sample::Index>(),
            change in 1..=u8::MAX,
            is_cut in any::<bool>(),
        ) {
            let mut archive = packed(&ENTRIES[..3], lengths, CompressionMethod::Stored);
            let position = position.index(archive.len());
            if is_cut {
                archive.truncate(position);
            } else {
                archive[position] ^= change;
            }
            let (folder, result) = unpacked(&archive);
            if result.is_ok_and(|unpacked| unpacked == Arrived::Whole) {
                let other = tempfile::tempdir().unwrap();
                fs::write(other.path().join("job.zip"), &archive).unwrap();
                // Of what the entries themselves do not say, such as a password, only this reader knows.
                let whole = unpack(&other.path().join("job.zip"), &other.path().join("job"));
                for (name, _) in ENTRIES[1..3].iter().filter(|_| whole.is_ok()) {
                    let content = |folder: &Path| fs::read(folder.join("job").join(name)).ok();
                    prop_assert_eq!(content(folder.path()), content(other.path()));
                }
            }
        }
    }
}
