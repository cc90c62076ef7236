//! What the figures were measured on: without it they say nothing.

use std::fs;

/// Processor, number of processors that may be used, and kernel, in one line.
pub(crate) fn describe(available_cores: usize) -> String {
    let processor = fs::read_to_string("/proc/cpuinfo").ok();
    let processor = processor.as_deref().and_then(model_name).unwrap_or(std::env::consts::ARCH);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cores = if available_cores == 1 { "core" } else { "cores" };
    format!("{processor}, {available_cores} {cores}, Linux {}", kernel.trim())
}

fn model_name(cpuinfo: &str) -> Option<&str> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_the_first_processor_s() {
        let text = "processor\t: 0\nmodel name\t: Fast One\n\nprocessor\t: 1\nmodel name\t: Other\n";
        assert_eq!(model_name(text), Some("Fast One"));
        assert_eq!(model_name("processor\t: 0\n"), None);
    }
}
