//! A file of marked blocks for the workloads on files: how it is made, which block is next, and what has to be in it.

use std::fs::{self, File};
use std::io::{self, Write as _};
#[cfg(unix)]
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

#[cfg(unix)]
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::measurement::Result;

/// Bytes in one block, and in one operation.
pub(crate) const BLOCK_BYTES: usize = 4096;
/// Blocks of the file: 64 MiB of them.
pub(crate) const BLOCKS: u64 = 16_384;
/// Operations that are under way at once.
pub(crate) const DEPTH: u64 = 32;

/// Names the directory in which the file is made, instead of the program's own.
pub(crate) const DIRECTORY_VARIABLE: &str = "PROACTOR_BENCH_DIRECTORY";

/// Blocks between one operation's and the next one's: odd, so that each block gets its turn, and large, so that reading
/// ahead is of no use.
const STRIDE: u64 = 7919;
/// Blocks that are moved at once while the file is made and looked over.
const CHUNK: u64 = 256;
/// Tells the mark of a block that the run has written from that of one which it found.
const WRITTEN: u64 = 1 << 63;

const _: () = assert!(BLOCKS.is_power_of_two() && STRIDE % 2 == 1 && BLOCKS.is_multiple_of(CHUNK));

/// What is done with the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Transfer {
    pub(crate) is_write: bool,
    /// Past the system's cache.
    pub(crate) is_direct: bool,
}

/// A block, aligned as every disk wants it.
#[repr(C, align(4096))]
#[derive(Debug)]
pub(crate) struct Block(pub(crate) [u8; BLOCK_BYTES]);

/// The file, whose name is gone already.
#[derive(Debug)]
pub(crate) struct Blocks {
    /// Opened for the transfers.
    pub(crate) file: File,
    /// Opened once more.
    pub(crate) cached: Cached,
}

/// The file once more, through the cache: to look it over.
#[derive(Debug)]
pub(crate) struct Cached(File);

impl Blocks {
    /// Makes a file, stored on its disk and held by the system's cache.
    ///
    /// # Errors
    /// What the system answers. Past the cache: that this file system has nothing to go past.
    pub(crate) fn make(transfer: Transfer) -> Result<Self> {
        let directory = directory()?;
        // On WASI a program has no number, and a place of its own to run.
        let number = if cfg!(unix) { std::process::id() } else { 0 };
        let path = directory.join(format!("proactor-bench-file-{number}"));
        let cached = File::options().read(true).write(true).create_new(true).open(&path);
        let mut cached = cached.map_err(|error| format!("cannot make {}: {error}", path.display()))?;
        let file = open(&path, transfer.is_direct);
        // Gone with this process, however that ends.
        fs::remove_file(&path)?;
        let file = match file {
            Ok(file) if !(transfer.is_direct && is_in_memory(&file)?) => file,
            Err(error) if error.raw_os_error() != Some(Errno::INVAL.raw_os_error()) => {
                return Err(error.into());
            }
            _ => {
                let directory = directory.display();
                return Err(format!(
                    "no transfers past the cache (O_DIRECT) in {directory}: have {DIRECTORY_VARIABLE} name a \
                     directory on a disk"
                )
                .into());
            }
        };
        fill(&mut cached)?;
        Ok(Self { file, cached: Cached(cached) })
    }

    /// As [`Cached::check_written`].
    ///
    /// # Errors
    /// The same.
    pub(crate) fn check_written(&self, count: u64) -> Result<()> {
        self.cached.check_written(count)
    }
}

impl Cached {
    /// Looks over what `count` writes have left. What it costs does not depend on how many they were.
    ///
    /// # Errors
    /// A block that is not what was written last.
    pub(crate) fn check_written(&self, count: u64) -> Result<()> {
        let mut last: Vec<u64> = (0..BLOCKS).map(|block| block * BLOCK_BYTES as u64).collect();
        for first in 0..BLOCKS.min(count) {
            let number = first + (count - 1 - first) / BLOCKS * BLOCKS;
            last[(offset(first) / BLOCK_BYTES as u64) as usize] = number | WRITTEN;
        }
        let mut chunk = vec![0; CHUNK as usize * BLOCK_BYTES];
        for (index, marks) in (0..).zip(last.chunks_exact(CHUNK as usize)) {
            read_exact_at(&self.0, &mut chunk, index * CHUNK * BLOCK_BYTES as u64)?;
            for (block, &expected) in chunk.chunks_exact(BLOCK_BYTES).zip(marks) {
                check(block, expected)?;
            }
        }
        Ok(())
    }
}

/// Where operation number `number` is, in bytes; no two of those that are under way at once meet.
#[inline]
pub(crate) const fn offset(number: u64) -> u64 {
    number.wrapping_mul(STRIDE) % BLOCKS * BLOCK_BYTES as u64
}

/// Marks a block as what operation number `number` writes.
#[inline]
pub(crate) fn mark_written(block: &mut [u8], number: u64) {
    mark(block, number | WRITTEN);
}

/// Checks that what was read is what was at `offset`.
///
/// # Errors
/// When it is not.
#[inline]
pub(crate) fn check_read(block: &[u8], offset: u64) -> Result<()> {
    check(block, offset)
}

/// What is said of a transfer that moved less than a block.
#[cold]
pub(crate) fn incomplete(moved: usize) -> Box<dyn std::error::Error + Send + Sync> {
    format!("{moved} bytes of a block of {BLOCK_BYTES} were moved").into()
}

/// As [`incomplete`], of a result in which a negative number is an error's.
#[cold]
pub(crate) fn incomplete_code(result: i32) -> Box<dyn std::error::Error + Send + Sync> {
    usize::try_from(result).map_or_else(|_| std::io::Error::from_raw_os_error(-result).into(), incomplete)
}

/// At both ends, so that half a block is not taken for a whole one.
#[inline]
fn mark(block: &mut [u8], mark: u64) {
    block[..8].copy_from_slice(&mark.to_le_bytes());
    block[BLOCK_BYTES - 8..BLOCK_BYTES].copy_from_slice(&(!mark).to_le_bytes());
}

#[inline]
fn check(block: &[u8], mark: u64) -> Result<()> {
    if block[..8] == mark.to_le_bytes() && block[BLOCK_BYTES - 8..BLOCK_BYTES] == (!mark).to_le_bytes() {
        return Ok(());
    }
    Err("a block holds what does not belong there".into())
}

/// Opens it for the transfers.
#[cfg(unix)]
fn open(path: &Path, is_direct: bool) -> io::Result<File> {
    let direct = if is_direct { OFlags::DIRECT } else { OFlags::empty() };
    File::options().read(true).write(true).custom_flags(direct.bits().cast_signed()).open(path)
}

/// Opens it for the transfers, of which none goes past the cache.
#[cfg(not(unix))]
fn open(path: &Path, is_direct: bool) -> io::Result<File> {
    if is_direct {
        return Err(Errno::INVAL.into());
    }
    File::options().read(true).write(true).open(path)
}

fn read_exact_at(file: &File, mut bytes: &mut [u8], mut offset: u64) -> Result<()> {
    while !bytes.is_empty() {
        match rustix::io::pread(file, &mut *bytes, offset) {
            Ok(0) => return Err("the file is too short".into()),
            Ok(count) => {
                bytes = &mut bytes[count..];
                offset += count as u64;
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Where files are made.
///
/// # Errors
/// When that is not known.
pub(crate) fn directory() -> Result<PathBuf> {
    if let Some(directory) = std::env::var_os(DIRECTORY_VARIABLE) {
        return Ok(directory.into());
    }
    let program = std::env::current_exe()?;
    Ok(program.parent().ok_or("the program's own directory is not known")?.to_path_buf())
}

/// Whether a file is in memory only: such a system may take the flag, and have nothing that it could go past.
#[cfg(unix)]
fn is_in_memory(file: &File) -> Result<bool> {
    const TMPFS: u64 = 0x0102_1994;
    const RAMFS: u64 = 0x8584_58f6;
    Ok(matches!(u64::try_from(rustix::fs::fstatfs(file)?.f_type), Ok(TMPFS | RAMFS)))
}

/// Whether a file is in memory only, which a program of WASI cannot know.
#[cfg(not(unix))]
const fn is_in_memory(_file: &File) -> Result<bool> {
    Ok(false)
}

/// Writes the blocks, and has them stored, so that nothing is written back later, while it is measured.
fn fill(file: &mut File) -> Result<()> {
    let mut chunk = vec![0; CHUNK as usize * BLOCK_BYTES];
    for index in 0..BLOCKS / CHUNK {
        for (block, place) in (index * CHUNK..).zip(chunk.chunks_exact_mut(BLOCK_BYTES)) {
            mark(place, block * BLOCK_BYTES as u64);
        }
        file.write_all(&chunk)?;
    }
    Ok(file.sync_all()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::os::unix::fs::FileExt as _;

    const CACHED: Transfer = Transfer { is_write: true, is_direct: false };

    #[test]
    fn each_block_gets_its_turn_before_any_gets_another() {
        let mut offsets: Vec<u64> = (0..BLOCKS).map(offset).collect();
        assert_eq!(offset(BLOCKS), offset(0));
        offsets.sort_unstable();
        assert!(offsets.into_iter().eq((0..BLOCKS).map(|block| block * BLOCK_BYTES as u64)));
    }

    #[test]
    fn what_is_read_is_checked_at_both_ends() {
        let blocks = Blocks::make(CACHED).expect("a file beside the program");
        let mut block = vec![0; BLOCK_BYTES];
        let at = offset(5);
        blocks.file.read_exact_at(&mut block, at).expect("it is there");
        check_read(&block, at).expect("its own");
        check_read(&block, offset(6)).expect_err("another's");
        block[BLOCK_BYTES - 1] ^= 1;
        check_read(&block, at).expect_err("its end is wrong");
    }

    #[test]
    fn what_was_written_is_looked_over() {
        let blocks = Blocks::make(CACHED).expect("a file beside the program");
        blocks.check_written(0).expect("nothing was written");
        let mut block = vec![0; BLOCK_BYTES];
        for number in 0..BLOCKS + 3 {
            mark_written(&mut block, number);
            blocks.file.write_all_at(&block, offset(number)).expect("it is written");
        }
        blocks.check_written(BLOCKS + 3).expect("all of it");
        blocks.check_written(BLOCKS + 4).expect_err("one more was not");
        blocks.check_written(BLOCKS + 2).expect_err("one less would have left another");
    }
}
