//! Where `LIBKQUEUE_DIR` names the folder of an installed libkqueue, that is linked in place of the emulation.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(libkqueue)");
    println!("cargo::rerun-if-env-changed=LIBKQUEUE_DIR");
    if let Some(folder) = std::env::var_os("LIBKQUEUE_DIR") {
        println!("cargo::rustc-cfg=libkqueue");
        println!("cargo::rustc-link-search=native={}", folder.display());
        println!("cargo::rustc-link-lib=kqueue");
    }
}
