//! Where `LIBKQUEUE_DIR` names the folder of an installed libkqueue, that is linked in place of the emulation.

use std::fs;
use std::path::Path;

/// A call of the library's newer versions.
const DRAIN: &[u8] = b"libkqueue_drain_pending_close";

fn main() {
    println!("cargo::rustc-check-cfg=cfg(libkqueue, libkqueue_drains)");
    println!("cargo::rerun-if-env-changed=LIBKQUEUE_DIR");
    let Some(folder) = std::env::var_os("LIBKQUEUE_DIR").filter(|folder| !folder.is_empty()) else { return };
    let folder = Path::new(&folder);
    let library = folder.join("libkqueue.so");
    println!("cargo::rerun-if-changed={}", library.display());
    println!("cargo::rustc-cfg=libkqueue");
    println!("cargo::rustc-link-search=native={}", folder.display());
    println!("cargo::rustc-link-lib=dylib=kqueue");
    if fs::read(library).is_ok_and(|bytes| bytes.windows(DRAIN.len()).any(|window| window == DRAIN)) {
        println!("cargo::rustc-cfg=libkqueue_drains");
    }
}
