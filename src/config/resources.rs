//! `[resource-limit]`: the kind of value that only it has, and what its keys mean together.

use super::diagnostic::Span;
use super::schema;
use super::shape::Shape;
use super::values::{Cx, Number, Read};
use crate::model::ResourceLimit;
use std::num::NonZeroU32;
use toml::de::DeValue;

/// A `memory` of fewer bytes is a number whose unit was forgotten.
const LEAST_MEMORY: u64 = 1 << 20;

/// Processors, in thousandths: the kernel divides time no finer than into hundredths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Processors(pub u32);

impl Read for Processors {
    const TYPE: &'static str = "a number, 0.01 or more";
    const SHAPE: Shape = Shape::Number(0.01, 1e6);
    fn read(value: DeValue<'_>, span: Span, cx: &mut Cx<'_>) -> Option<Self> {
        if !(value.is_float() || value.is_integer()) {
            return cx.refuse(&value, span);
        }
        let Number(number) = Number::read(value, span, cx)?;
        let thousandths = (f64::from(number) * 1000.0).round();
        if !(10.0..=1e9).contains(&thousandths) {
            return cx.out_of_range(span, "0.01 or more: it is a number of processors");
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 10 and 1e9")]
        Some(Processors(thousandths as u32))
    }
}

/// The limits of one service; none without any.
pub fn lower(table: schema::ResourceLimit, cx: &mut Cx<'_>) -> Option<ResourceLimit> {
    if let Some(at) = table.memory.as_ref().filter(|at| at.value.0 < LEAST_MEMORY) {
        let error = at.error("no program can run in less than 1 MiB of memory");
        cx.push(error.help("give it a unit: \"100MiB\", say"));
    }
    let limit = ResourceLimit {
        cpu: table.cpu.map(|at| at.value.0),
        memory: table.memory.map(|at| at.value.0),
        pids_max: table.pids_max.map(|at| NonZeroU32::get(at.value)),
        strict: table.strict.as_ref().is_some_and(|at| at.value),
    };
    if let Some(at) = table.strict.filter(|at| limit.is_empty() && !at.place.is_inherited() && !cx.has_errors()) {
        let warning = at.warning("there is no limit for `strict` to be about");
        cx.push(warning.help("add `cpu`, `memory` or `pids-max`"));
    }
    (!limit.is_empty()).then_some(limit)
}
