//! Unpacking an archive while it arrives, which is then never on disk itself.
//!
//! An archive says twice what it holds: before each entry, and in the directory at its end, which alone counts for whoever
//! has all of it. So what is unpacked from the front counts only when the directory turns out to say the same. The entries
//! of most archives tell how long they are (those of Python's `zipfile` do); of an archive whose entries do not, the
//! [whole](super::unpack) has to be there first.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, BufRead, Read, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use crc32fast::Hasher;
use zip::ZipArchive;
use zip::read::read_zipfile_from_stream;

use super::{COPY_BUFFER, bad, begin};
use crate::Result;
use crate::job_folder::LENGTH_FIELD;
use crate::session::local_file;

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unpacked {
    /// All of it is there.
    Whole,
    /// It can only be read from its end. None of its files is there.
    NotFromTheFront,
}

/// Unpacks what comes from `source`. The file `archive` is made for the directory alone, and gone afterwards.
pub(crate) fn unpack_arriving(source: impl BufRead, archive: &Path, target: &Path) -> Result<Unpacked> {
    fs::create_dir_all(target).map_err(|error| local_file(target, error))?;
    let mut source = Source { inner: source, position: 0 };
    let mut unpacked = Vec::new();
    let mut names = HashSet::new();
    loop {
        let start = source.position;
        let entry = match Header::read(&mut source) {
            Ok(Header::Entry(header)) => unpack_entry(&mut source, header, archive, target, &mut names)?,
            Ok(Header::Directory(signature)) => {
                check_directory(&mut source, start, signature, &unpacked, archive)?;
                return Ok(Unpacked::Whole);
            }
            Ok(Header::Other) => None,
            // What is cut off is no archive, whichever way it is read.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
            Err(error) => return Err(bad(archive, "it did not arrive").with_source(error)),
        };
        let Some((name, size, crc32)) = entry else {
            for file in names.iter().filter(|name| !name.ends_with('/')).map(|name| target.join(name)) {
                fs::remove_file(&file).map_err(|error| local_file(&file, error))?;
            }
            return Ok(Unpacked::NotFromTheFront);
        };
        unpacked.push(Entry { name, start, size, crc32 });
    }
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

/// Unpacks one entry; gives its name, size and checksum. None when that cannot be done from the front.
fn unpack_entry(
    source: &mut Source<impl BufRead>,
    header: LocalHeader,
    archive: &Path,
    target: &Path,
    names: &mut HashSet<String>,
) -> Result<Option<(String, u64, u32)>> {
    let damaged = |name: &str, error| bad(archive, &format!("the entry {name:?} is damaged")).with_source(error);
    if let Some((name, size)) = header.announced() {
        // Of two of one name the last counts, which is not known here.
        if !names.insert(name.clone()) {
            return Ok(None);
        }
        let Some((mut file, path)) = begin(archive, target, &name, false)? else { return Ok(None) };
        let mut crc32 = Hasher::new();
        let mut left = size;
        while left > 0 {
            let bytes = source.fill_buf().map_err(|error| damaged(&name, error))?;
            let count = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            if count == 0 {
                return Err(damaged(&name, io::ErrorKind::UnexpectedEof.into()));
            }
            crc32.update(&bytes[..count]);
            file.write_all(&bytes[..count]).map_err(|error| local_file(&path, error))?;
            source.consume(count);
            left -= count as u64;
        }
        let crc32 = crc32.finalize();
        let is_good = Descriptor::read(source, size).map_err(|error| damaged(&name, error))?.holds(crc32, size);
        return if is_good {
            Ok(Some((name, size, crc32)))
        } else {
            Err(damaged(&name, io::ErrorKind::InvalidData.into()))
        };
    }
    if header.flags() & LocalHeader::LENGTH_BEHIND != 0 {
        return Ok(None);
    }
    let mut input = header.0.as_slice().chain(source);
    // Whatever it cannot read here is judged when the whole archive is there.
    let Ok(Some(mut entry)) = read_zipfile_from_stream(&mut input) else { return Ok(None) };
    let Ok(name) = entry.name().map(std::borrow::Cow::into_owned) else { return Ok(None) };
    if !names.insert(name.clone()) {
        return Ok(None);
    }
    let crc32 = entry.crc32();
    let Some((mut file, path)) = begin(archive, target, &name, entry.is_dir())? else {
        return Ok((entry.size() == 0).then_some((name, 0, crc32)));
    };
    let mut buffer = vec![0; COPY_BUFFER.min(usize::try_from(entry.size()).unwrap_or(COPY_BUFFER)).max(1)];
    let mut size = 0;
    loop {
        let count = entry.read(&mut buffer).map_err(|error| damaged(&name, error))?;
        if count == 0 {
            return Ok(Some((name, size, crc32)));
        }
        file.write_all(&buffer[..count]).map_err(|error| local_file(&path, error))?;
        size += count as u64;
    }
}

/// Compares what was unpacked with what the directory says that there is: the rest of the source.
///
/// It is written to where it stands in the archive, behind nothing.
fn check_directory(
    source: &mut impl BufRead,
    start: u64,
    signature: [u8; 4],
    unpacked: &[Entry],
    archive: &Path,
) -> Result<()> {
    let contradiction = || bad(archive, "its directory does not say what its entries do");
    let mut keep = || {
        let mut file = File::options().read(true).write(true).create_new(true).open(archive)?;
        file.seek(SeekFrom::Start(start))?;
        file.write_all(&signature)?;
        io::copy(source, &mut file)?;
        Ok(file)
    };
    let file = keep().map_err(|error| local_file(archive, error))?;
    let zip = ZipArchive::new(file).map_err(|error| bad(archive, "no zip archive").with_source(error))?;
    if zip.offset() != 0 {
        return Err(contradiction());
    }
    let mut listed = Vec::with_capacity(zip.len());
    for index in 0..zip.len() {
        let entry = zip.by_index_data(index).map_err(|error| contradiction().with_source(error))?;
        let name = entry.name().map_err(|error| contradiction().with_source(error))?.into_owned();
        if entry.is_symlink() {
            return Err(bad(archive, &format!("the entry {name:?} is a symbolic link")));
        }
        listed.push(Entry { name, start: entry.header_start(), size: entry.size(), crc32: entry.crc32() });
    }
    listed.sort_unstable_by_key(|entry| entry.start);
    if listed != unpacked {
        return Err(contradiction());
    }
    drop(zip);
    fs::remove_file(archive).map_err(|error| local_file(archive, error))
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
            let width = if size >= crate::job_folder::WIDE { 8 } else { 4 };
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

    fn unpacked(archive: &[u8]) -> (tempfile::TempDir, Result<Unpacked>) {
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
            assert_eq!(result.unwrap(), Unpacked::Whole, "{lengths:?} {method:?}");
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing but the folder");
            for (name, content) in &ENTRIES[1..] {
                assert_eq!(fs::read(folder.path().join("job").join(name)).unwrap(), *content, "{lengths:?} {method:?}");
            }
        }
        let (folder, result) = unpacked(&packed(&[], Lengths::Before, CompressionMethod::Stored));
        assert_eq!(result.unwrap(), Unpacked::Whole);
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
        for archive in [deflated.as_slice(), &behind, &mixed, &with_prefix, b"nonsense", b"", b"PK\x03\x04cut"] {
            let (folder, result) = unpacked(archive);
            assert_eq!(result.unwrap(), Unpacked::NotFromTheFront);
            let (zip, job) = (folder.path().join("job.zip"), folder.path().join("job"));
            assert!(!zip.exists());
            // What was unpacked is not in the way of the whole.
            fs::write(&zip, archive).unwrap();
            if unpack(&zip, &job).is_ok() {
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
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        zip.add_symlink("j/link", "/etc", SimpleFileOptions::default()).unwrap();
        let (folder, result) = unpacked(zip.finish().unwrap().get_ref());
        assert!(result.unwrap_err().to_string().contains("symbolic link"));
        assert!(!folder.path().join("job/j/link").is_symlink());
    }

    #[test]
    fn what_the_directory_does_not_list_is_refused() {
        let whole = packed(&[("a", b"one"), ("b", b"two")], Lengths::Before, CompressionMethod::Stored);
        let other = packed(&[("a", b"one"), ("c", b"two")], Lengths::Before, CompressionMethod::Stored);
        let shorter = packed(&[("a", b"one")], Lengths::Before, CompressionMethod::Stored);
        let directory = |archive: &[u8]| archive.windows(4).position(|bytes| bytes == Header::DIRECTORY).unwrap();
        for listed in [&other, &shorter] {
            let mut archive = whole[..directory(&whole)].to_vec();
            archive.extend_from_slice(&listed[directory(listed)..]);
            let (_folder, result) = unpacked(&archive);
            let kind = result.map_err(|error| error.kind());
            assert_eq!(kind, Err(ErrorKind::ProtocolViolation));
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
            if result.is_ok_and(|unpacked| unpacked == Unpacked::Whole) {
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
