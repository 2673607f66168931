//! The rules on `resource_spec` and `launcher_spec`.

use flare_wire::hci::{JsonObject, python_repr};
use serde_json::Value;

use super::docker;
use crate::jobs::python::{ExceptionClass, PythonError, is_truthy, to_text, type_name};
use crate::release::Release;

/// The block of `resource_spec` that holds for every site.
const DEFAULT_RESOURCES: &str = "@default";

/// The block of `launcher_spec` that holds for every site.
const DEFAULT_LAUNCHER: &str = "default";

/// Modes of launching a job, in alphabetical order.
const MODES: [&str; 4] = ["docker", "k8s", "process", "slurm"];

/// Resources that every launcher understands.
const PORTABLE: [&str; 3] = ["num_of_gpus", "num_of_cpus", "memory"];

/// A portable resource and a launcher's own names of it, in alphabetical order.
type NativeNames = (&'static str, &'static [&'static str]);

/// For each mode, the launcher's own names of each portable resource.
const NATIVE: [(&str, &[NativeNames]); 3] = [
    (
        "docker",
        &[
            ("num_of_gpus", &["device_requests", "num_of_gpus"]),
            ("num_of_cpus", &["nano_cpus"]),
            ("memory", &["mem_limit"]),
        ],
    ),
    (
        "k8s",
        &[
            ("num_of_gpus", &["num_of_gpus"]),
            ("num_of_cpus", &["cpu", "cpu_request"]),
            ("memory", &["memory", "memory_request"]),
        ],
    ),
    ("slurm", &[("num_of_cpus", &["cpus_per_node"]), ("memory", &["mem_per_node"])]),
];

fn refuse<T>(text: String) -> Result<T, PythonError> {
    Err(PythonError::value(text))
}

/// Checks `resource_spec`.
pub(super) fn resource_spec(job: &str, meta: &JsonObject, release: Release) -> Result<(), PythonError> {
    let is_old = release < Release::V2_9;
    let spec = match meta.get("resource_spec") {
        None | Some(Value::Null) => return Ok(()),
        // What is empty in Python's sense passed for none.
        Some(value) if is_old && !is_truthy(value) => return Ok(()),
        Some(Value::Object(spec)) => spec,
        Some(_) => return refuse(format!("Invalid resource_spec for job {job}")),
    };
    for (site, resources) in spec {
        if is_old && !is_truthy(resources) {
            continue;
        }
        let Value::Object(resources) = resources else {
            return refuse(format!("value for key {site} in resource spec is expecting a dictionary"));
        };
        if let Some(docker) = resources.get("docker").filter(|docker| !docker.is_null() && !is_old) {
            docker::check(docker, &format!("resource_spec['{site}']['docker'] for job {job}"))?;
        }
    }
    if is_old { Ok(()) } else { portable_fields(spec) }
}

fn portable_fields(spec: &JsonObject) -> Result<(), PythonError> {
    let default = spec.get(DEFAULT_RESOURCES).and_then(Value::as_object);
    if let Some(default) = default {
        let mut unknown: Vec<&str> = default.keys().map(String::as_str).filter(|key| !PORTABLE.contains(key)).collect();
        if !unknown.is_empty() {
            unknown.sort_unstable();
            let unknown = python_repr(&unknown.into_iter().collect());
            return refuse(format!("resource_spec['{DEFAULT_RESOURCES}'] contains unsupported field(s): {unknown}"));
        }
        portable_values(default, &format!("resource_spec['{DEFAULT_RESOURCES}']"))?;
    }
    for (site, resources) in spec.iter().filter(|(site, _)| *site != DEFAULT_RESOURCES) {
        let Some(resources) = resources.as_object() else { continue };
        if default.is_some() {
            portable_values(
                &fields(&of_mode(resources, "process"), Use::Access)?,
                &format!("resource_spec['{site}']"),
            )?;
        } else if !is_nested(resources) {
            portable_values(resources, &format!("resource_spec['{site}']"))?;
        }
    }
    Ok(())
}

/// True when a site's resources are given mode by mode.
fn is_nested(resources: &JsonObject) -> bool {
    MODES.iter().any(|mode| resources.contains_key(*mode))
}

/// A site's resources for one mode; flat ones are those of the process mode. Nothing checks that they have fields.
fn of_mode(resources: &JsonObject, mode: &str) -> Value {
    if is_nested(resources) {
        return resources.get(mode).cloned().unwrap_or_else(|| Value::Object(JsonObject::new()));
    }
    Value::Object(if mode == "process" { resources.clone() } else { JsonObject::new() })
}

/// How the real server goes about a value that should have fields, which decides what it says when it has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// `key in value`
    Containment,
    /// `set(value)`
    Iteration,
    /// `{**value}`
    Unpacking,
    /// `value.get(key)`
    Access,
}

/// The fields of a value. For containment and iteration, texts and lists merely have none that matter.
fn fields(value: &Value, used_for: Use) -> Result<JsonObject, PythonError> {
    let kind = type_name(value);
    let (class, text) = match (value, used_for) {
        (Value::Object(map), _) => return Ok(map.clone()),
        (Value::String(_) | Value::Array(_), Use::Containment | Use::Iteration) => return Ok(JsonObject::new()),
        (_, Use::Containment) => (ExceptionClass::Type, format!("argument of type '{kind}' is not iterable")),
        (_, Use::Iteration) => (ExceptionClass::Type, format!("'{kind}' object is not iterable")),
        (_, Use::Unpacking) => (ExceptionClass::Type, format!("'{kind}' object is not a mapping")),
        (_, Use::Access) => (ExceptionClass::Attribute, format!("'{kind}' object has no attribute 'get'")),
    };
    Err(PythonError::new(class, text))
}

fn portable_values(fields: &JsonObject, label: &str) -> Result<(), PythonError> {
    let at_least = |key: &str, least: u64| {
        fields.get(key).is_none_or(|value| value.as_u64().is_some_and(|number| number >= least))
    };
    if !at_least("num_of_gpus", 0) {
        return refuse(format!("{label}.num_of_gpus must be an integer greater than or equal to 0"));
    }
    if !at_least("num_of_cpus", 1) {
        return refuse(format!("{label}.num_of_cpus must be an integer greater than or equal to 1"));
    }
    if !fields.get("memory").is_none_or(|value| value.as_str().is_some_and(is_memory)) {
        return refuse(format!("{label}.memory must be a positive integer followed by Mi, Gi, or Ti"));
    }
    Ok(())
}

fn is_memory(text: &str) -> bool {
    ["Mi", "Gi", "Ti"].iter().filter_map(|unit| text.strip_suffix(unit)).any(|digits| {
        digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.starts_with(|first| ('1'..='9').contains(&first))
    })
}

/// The resources that a job asks of a site's resource manager. CPUs and memory are the launcher's business, and zero
/// GPUs are none.
#[must_use]
pub fn resource_requirement(meta: &JsonObject, site: &str) -> JsonObject {
    let empty = JsonObject::new();
    let spec = meta.get("resource_spec").and_then(Value::as_object).unwrap_or(&empty);
    let of = |key: &str| spec.get(key).and_then(Value::as_object).cloned().unwrap_or_default();
    let own = of(site);
    let mut result = if !spec.contains_key(DEFAULT_RESOURCES) && is_nested(&own) {
        fields(&of_mode(&own, "process"), Use::Unpacking).unwrap_or_default()
    } else {
        let mut resolved = of(DEFAULT_RESOURCES);
        resolved.extend(fields(&of_mode(&own, "process"), Use::Unpacking).unwrap_or_default());
        resolved.shift_remove("num_of_cpus");
        resolved.shift_remove("memory");
        resolved
    };
    if result.get("num_of_gpus").and_then(Value::as_f64) == Some(0.0) {
        result.shift_remove("num_of_gpus");
        result.shift_remove("mem_per_gpu_in_GiB");
    }
    result
}

/// Checks `launcher_spec`.
pub(super) fn launcher_spec(job: &str, meta: &JsonObject, release: Release) -> Result<(), PythonError> {
    // Before 2.8 it had no meaning, and Slurm came with 2.9.
    let modes_known = match release {
        Release::V2_7 => return Ok(()),
        Release::V2_8 => &MODES[..MODES.len() - 1],
        Release::V2_9 => &MODES[..],
    };
    let spec = match meta.get("launcher_spec") {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::Object(spec)) => spec,
        Some(_) => return refuse(format!("launcher_spec for job {job} must be a dict")),
    };
    for (site, modes) in spec {
        let Value::Object(modes) = modes else {
            return refuse(format!("launcher_spec['{site}'] for job {job} must be a dict"));
        };
        for (mode, fields) in modes {
            if !modes_known.contains(&mode.as_str()) {
                let modes = python_repr(&modes_known.iter().copied().collect());
                return refuse(format!(
                    "launcher_spec['{site}'] for job {job} contains unknown launcher mode '{mode}'; valid modes: {modes}"
                ));
            }
            if !fields.is_object() {
                return refuse(format!("launcher_spec['{site}']['{mode}'] for job {job} must be a dict"));
            }
            if mode == "docker" && release >= Release::V2_9 {
                docker::check(fields, &format!("launcher_spec['{site}']['docker'] for job {job}"))?;
            }
        }
    }
    Ok(())
}

/// True when a job tells a site's launcher which image or interpreter to use, which counts as code of its own.
#[must_use]
pub fn launcher_brings_code(meta: &JsonObject, site: &str) -> bool {
    let empty = JsonObject::new();
    let specs = Specs::of(meta, &empty);
    ["docker", "k8s", "slurm"].into_iter().any(|mode| {
        let spec = specs.launcher(site, mode).and_then(|spec| fields(&spec, Use::Unpacking));
        let fields = spec.unwrap_or_default();
        let by_mode = match mode {
            "docker" => fields.contains_key("entrypoint"),
            "slurm" => fields.get("additional_node_command").is_some_and(|command| !command.is_null()),
            _ => false,
        };
        by_mode || fields.contains_key("image") || fields.contains_key("python_path")
    })
}

/// The two specifications of a job, each empty when it is missing or null.
struct Specs<'a> {
    resources: &'a JsonObject,
    launchers: &'a JsonObject,
}

/// Checks that no resource is asked for twice, portably and in the launcher's own words.
pub(super) fn conflicts(meta: &JsonObject) -> Result<(), PythonError> {
    let empty = JsonObject::new();
    let specs = Specs::of(meta, &empty);
    let mut sites: Vec<&str> = Vec::new();
    let named = specs.resources.keys().filter(|site| *site != DEFAULT_RESOURCES);
    for site in named.chain(specs.launchers.keys().filter(|site| *site != DEFAULT_LAUNCHER)) {
        if !sites.contains(&site.as_str()) {
            sites.push(site);
        }
    }
    for site in sites {
        specs.gpu_consistency(site)?;
        specs.site_conflicts(site)?;
    }
    specs.default_conflicts()
}

impl<'a> Specs<'a> {
    fn of(meta: &'a JsonObject, empty: &'a JsonObject) -> Self {
        let block = |key: &str| meta.get(key).and_then(Value::as_object).unwrap_or(empty);
        Self { resources: block("resource_spec"), launchers: block("launcher_spec") }
    }
    fn of_site(&self, site: &str) -> JsonObject {
        self.resources.get(site).and_then(Value::as_object).cloned().unwrap_or_default()
    }

    /// What the launcher of this mode gets for a site.
    fn launcher(&self, site: &str, mode: &str) -> Result<Value, PythonError> {
        let of = |site: &str| self.launchers.get(site).and_then(|modes| modes.get(mode));
        let default = of(DEFAULT_LAUNCHER).filter(|spec| is_truthy(spec));
        let own = of(site).filter(|spec| !spec.is_null());
        if default.is_none() && own.is_none() {
            return Ok(of_mode(&self.of_site(site), mode));
        }
        let mut merged = JsonObject::new();
        for part in [default, own].into_iter().flatten() {
            merged.extend(fields(part, Use::Unpacking)?);
        }
        Ok(Value::Object(merged))
    }

    fn gpu_consistency(&self, site: &str) -> Result<(), PythonError> {
        let resources = self.of_site(site);
        if !is_nested(&resources) {
            return Ok(());
        }
        let process = fields(&of_mode(&resources, "process"), Use::Containment)?;
        let Some(reserved) = process.get("num_of_gpus") else { return Ok(()) };
        let docker = fields(&self.launcher(site, "docker")?, Use::Containment)?;
        if docker.contains_key("device_requests") {
            return refuse(format!(
                "legacy process num_of_gpus conflicts with launcher_spec docker field 'device_requests' for site '{site}'"
            ));
        }
        for (mode, spec) in [("docker", docker), ("k8s", fields(&self.launcher(site, "k8s")?, Use::Containment)?)] {
            if let Some(asked) = spec.get("num_of_gpus").filter(|asked| !is_equal(asked, reserved)) {
                return refuse(format!(
                    "legacy process num_of_gpus ({}) must match launcher_spec {mode} num_of_gpus ({}) for site '{site}'",
                    to_text(reserved),
                    to_text(asked)
                ));
            }
        }
        let slurm = fields(&self.launcher(site, "slurm")?, Use::Access)?;
        let nodes = slurm.get("nodes").map_or(Some(1), Value::as_i64);
        let per_node = slurm.get("gpus_per_node").and_then(Value::as_i64);
        if let (Some(reserved), Some(nodes), Some(per_node)) = (reserved.as_i64(), nodes, per_node)
            && nodes.saturating_mul(per_node) != reserved
        {
            return refuse(format!(
                "legacy process num_of_gpus ({reserved}) must match launcher_spec slurm total GPUs ({}) for site '{site}'",
                nodes.saturating_mul(per_node)
            ));
        }
        Ok(())
    }

    fn portable(&self, site: &str) -> Result<JsonObject, PythonError> {
        let resources = self.of_site(site);
        let resolved = if self.resources.contains_key(DEFAULT_RESOURCES) {
            let mut resolved = self.of_site(DEFAULT_RESOURCES);
            resolved.extend(fields(&of_mode(&resources, "process"), Use::Unpacking)?);
            resolved
        } else if is_nested(&resources) {
            JsonObject::new()
        } else {
            resources
        };
        let portable: JsonObject = resolved.into_iter().filter(|(key, _)| PORTABLE.contains(&key.as_str())).collect();
        portable_values(&portable, &format!("resource_spec for site '{site}'"))?;
        Ok(portable)
    }

    fn site_conflicts(&self, site: &str) -> Result<(), PythonError> {
        let resources = self.of_site(site);
        let process = of_mode(&resources, "process");
        let nested_gpus = is_nested(&resources) && fields(&process, Use::Containment)?.contains_key("num_of_gpus");
        let portable = self.portable(site)?;
        for (mode, names) in NATIVE {
            let native = self.launcher(site, mode)?;
            for (key, names) in names {
                let found = doubled(&portable, key, &native, names)?;
                if found.is_empty() || (*key == "num_of_gpus" && found == ["num_of_gpus"] && nested_gpus) {
                    continue;
                }
                let found = python_repr(&found.into_iter().collect());
                return refuse(format!(
                    "portable resource '{key}' conflicts with launcher_spec {mode} field(s) {found} for site '{site}'"
                ));
            }
        }
        Ok(())
    }

    fn default_conflicts(&self) -> Result<(), PythonError> {
        let portable = self.of_site(DEFAULT_RESOURCES);
        for (mode, names) in NATIVE {
            let native = self.launchers.get(DEFAULT_LAUNCHER).and_then(|modes| modes.get(mode));
            let native = native.filter(|native| is_truthy(native)).cloned();
            let native = native.unwrap_or_else(|| Value::Object(JsonObject::new()));
            for (key, names) in names {
                let found = doubled(&portable, key, &native, names)?;
                if !found.is_empty() {
                    let found = python_repr(&found.into_iter().collect());
                    return refuse(format!(
                        "portable resource '{key}' conflicts with launcher_spec {mode} field(s) {found} in the default \
                         blocks"
                    ));
                }
            }
        }
        Ok(())
    }
}

/// The launcher's own names (in alphabetical order) that are used beside the portable one.
fn doubled<'a>(
    portable: &JsonObject,
    key: &str,
    native: &Value,
    names: &[&'a str],
) -> Result<Vec<&'a str>, PythonError> {
    if !portable.contains_key(key) {
        return Ok(Vec::new());
    }
    let native = fields(native, Use::Iteration)?;
    Ok(names.iter().copied().filter(|name| native.contains_key(*name)).collect())
}

/// Python's `==`: numbers and truth values by their amount.
fn is_equal(left: &Value, right: &Value) -> bool {
    let amount = |value: &Value| match value {
        Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
        other => other.as_f64(),
    };
    left == right || amount(left).is_some_and(|left| Some(left) == amount(right))
}
