//! Which classes a configuration may name.
//!
//! The list holds the modules and classes of nvflare 2.9.0 (names only). Other packages cannot be known: what comes
//! from one that machine-learning jobs use is taken to be there, what comes from nowhere is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// One line per module of the `nvflare` package: its name, and its classes.
const NVFLARE: &str = include_str!("nvflare_classes.txt");

/// Packages that are taken to be installed, with whatever they define.
const OTHER_PACKAGES: [&str; 16] = [
    "flwr",
    "keras",
    "lightning",
    "math",
    "monai",
    "monai_nvflare",
    "numpy",
    "os",
    "pandas",
    "pytorch_lightning",
    "sklearn",
    "tensorflow",
    "torch",
    "torchvision",
    "transformers",
    "xgboost",
];

static MODULES: LazyLock<BTreeMap<&str, BTreeSet<&str>>> = LazyLock::new(|| {
    let lines = NVFLARE.lines().map(|line| line.split(' '));
    lines.filter_map(|mut words| Some((words.next()?, words.collect()))).collect()
});

/// True when `path` (`module.Class`) names a class of nvflare, of the app's own code or of a usual package.
pub(super) fn exists(path: &str, custom: &[String]) -> bool {
    if custom.iter().any(|class| class == path) {
        return true;
    }
    let Some((module, class)) = path.rsplit_once('.') else { return false };
    match module.strip_prefix("nvflare.") {
        Some(module) => match MODULES.get(module) {
            Some(classes) => classes.contains(class),
            // A package passes on what its modules define.
            None => {
                let inside = format!("{module}.");
                MODULES.iter().any(|(name, classes)| name.starts_with(&inside) && classes.contains(class))
            }
        },
        None => {
            let package = module.split('.').next().unwrap_or_default();
            OTHER_PACKAGES.contains(&package)
        }
    }
}

/// The path of a class that a configuration names without its module.
pub(super) fn path_of(class: &str) -> Option<String> {
    let module = MODULES.iter().find(|(_, classes)| classes.contains(class))?;
    Some(format!("nvflare.{}.{class}", module.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_found_where_they_are() {
        for path in [
            "nvflare.app_common.workflows.scatter_and_gather.ScatterAndGather",
            "nvflare.app_common.np.np_trainer.NPTrainer",
            "torch.nn.Linear",
            "net.Net",
        ] {
            assert!(exists(path, &["net.Net".to_owned()]), "{path}");
        }
        for path in ["nvflare.no.such.Class", "nvflare.app_common.np.np_trainer.Nope", "no.such.Class", "Class", ""] {
            assert!(!exists(path, &[]), "{path}");
        }
        let path = path_of("ScatterAndGather").unwrap();
        assert_eq!(path, "nvflare.app_common.workflows.scatter_and_gather.ScatterAndGather");
    }
}
