//! A folder for one test or one example, gone when it ends.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("xtask-test-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("the folder for temporary files is writable");
        Self { path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn write(&self, relative: &str, text: &str) -> PathBuf {
        let path = self.path.join(relative);
        let folder = path.parent().expect("a file lies in a folder");
        std::fs::create_dir_all(folder).expect("the scratch folder is ours");
        std::fs::write(&path, text).expect("the scratch folder is ours");
        path
    }

    /// A script that can be run.
    #[cfg(test)]
    pub(crate) fn program(&self, relative: &str, script: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        // Written by a child that is gone when this returns: a file that we hold open for writing while another test's
        // thread forks could not be run ("text file busy").
        let staged = self.write(&format!("{relative}.staged"), script);
        std::fs::set_permissions(&staged, std::fs::Permissions::from_mode(0o755)).expect("the file is ours");
        let path = self.path.join(relative);
        let copied = std::process::Command::new("cp").arg("-p").arg(&staged).arg(&path).status();
        assert!(copied.expect("every system has cp").success());
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A folder that stays behind harms nobody; a panic in a drop would hide the test's own.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}
