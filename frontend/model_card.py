"""A model version as HTML: its summary, its accuracy beside that of others, and its whole provenance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from digits.client.choices import GateData
from digits.client.records import Evaluation, GateComparison, Model, Provenance, TrainingOptions

from frontend import wording
from frontend.verdict import points

DIGITS: Mapping[GateData, str] = {
    GateData.UNSPECIFIED: "unknown images",
    GateData.VALIDATION: "validation digits",
    GateData.SAMPLES: "of My digits",
}


def card_html(model: Model, beside: Sequence[Model]) -> str:
    """What it is, how well it reads and when it was made. `beside` are the versions to compare it with."""
    source = model.provenance.data_source
    facts = (
        f"{model.parameters:,} parameters",
        wording.size(model.artifact_bytes),
        wording.ago(model.create_time),
        *(["came with the software"] if model.is_shipped else []),
    )
    taught = _taught(model.provenance)
    return (
        '<div class="model"><div class="model-name">'
        f"<b>Version {model.model_version}</b> <span>{escape(model.provenance.recipe)}</span>"
        f"</div>{_accuracy_html(model.evaluation, beside)}"
        f'<div class="small-print">{escape(" · ".join(facts))}<br>'
        f"{escape(source.description) if source else 'Trained on unknown data'}"
        f"{f'<br>{escape(taught)}' if taught else ''}</div></div>"
    )


def gate_line(model: Model) -> str:
    """Whether it passed the gate and why, in a line or two; empty for a version that was never there."""
    gate = model.gate
    if gate is None:
        return ""
    if gate.passed:
        verdict, why = "Passed the gate", "; ".join(map(_compared, gate.comparisons))
        against = f" against version {gate.serving_version}: {why}." if gate.serving_version else "."
        return f'<div class="gate-line"><b>{verdict}</b>{escape(against)}</div>'
    so = "A person has deployed it all the same." if model.is_deployed else "It stays a candidate."
    return (
        f'<div class="gate-line"><b>Did not pass the gate.</b> {so}'
        f'<div class="small-print">{escape(" ".join(gate.reasons))}</div></div>'
    )


def _compared(comparison: GateComparison) -> str:
    return (
        f"{points(comparison.difference)} points on {comparison.images:,} {DIGITS[comparison.data]} "
        f"(95 % interval {points(comparison.difference_low)} to {points(comparison.difference_high)})"
    )


def _taught(provenance: Provenance) -> str:
    """What it went on from and how much it was taught; empty for a version that began anew."""
    if not provenance.base_version:
        return ""
    learnt = (
        f", taught {wording.count(provenance.samples, 'digit')} of My digits" if provenance.samples else ""
    )
    return f"Went on from version {provenance.base_version}{learnt}"


def _accuracy_html(evaluation: Evaluation | None, beside: Sequence[Model]) -> str:
    """The accuracy with its 95 % interval, in figures and on a scale that versions measured alike share."""
    if evaluation is None or not evaluation.images:
        return '<div class="model-accuracy small-print">Not measured yet</div>'
    alike = [m.evaluation for m in beside if m.evaluation and m.evaluation.dataset == evaluation.dataset]
    lowest = min(each.accuracy_low for each in alike)
    span = max(1.0 - lowest, 1e-6)

    def place(share: float) -> float:
        return max(0.0, min(100.0, (share - lowest) / span * 100))

    left, right = place(evaluation.accuracy_low), place(evaluation.accuracy_high)
    return (
        '<div class="model-accuracy">'
        f"<div><b>{wording.percent(evaluation.accuracy, 2)}</b> right on the "
        f"{wording.DATASETS[evaluation.dataset]}</div>"
        f'<div class="interval" aria-hidden="true"><i style="left:{left:.1f}%;width:{right - left:.1f}%"></i>'
        f'<b style="left:{place(evaluation.accuracy):.1f}%"></b></div>'
        f'<div class="small-print">95 % interval {evaluation.accuracy_low * 100:.2f}–'
        f"{evaluation.accuracy_high * 100:.2f} % · {wording.count(evaluation.misclassified, 'mistake')} "
        f"in {evaluation.images:,}</div></div>"
    )


def details_html(model: Model) -> str:
    """Provenance, options and the figures of each digit."""
    provenance = model.provenance
    rows: list[tuple[str, str]] = [
        ("Made", f"{model.create_time:%d %b %Y, %H:%M} UTC"),
        ("Recipe", provenance.recipe),
        ("Went on from", f"version {provenance.base_version}" if provenance.base_version else ""),
        ("Taught", f"{provenance.samples:,} of My digits" if provenance.samples else ""),
        *option_rows(provenance.options),
        ("Data", provenance.data_source.description if provenance.data_source else ""),
        ("Data checksum", provenance.data_source.sha256 if provenance.data_source else ""),
        ("Trained on", _parts(provenance.training_images, provenance.training_partitions)),
        ("Best epoch chosen on", _parts(provenance.validation_images, provenance.validation_partitions)),
    ]
    if provenance.validation_accuracy is not None:
        rows.append(("Validation accuracy", wording.percent(provenance.validation_accuracy, 2)))
    if model.evaluation is not None and model.evaluation.images:
        rows.append(("Test loss", f"{model.evaluation.loss:.4f} nats (cross-entropy)"))
        if (gap := model.evaluation.expected_calibration_error) is not None:
            rows.append(
                ("Calibration error", f"{wording.percent(gap, 2)}: how far confidence is from accuracy")
            )
    if model.uncertain_below:
        rows.append(("Not sure below", f"{wording.percent(model.uncertain_below)} confidence"))
    rows += [
        ("Libraries", ", ".join(f"{name} {number}" for name, number in sorted(provenance.libraries.items()))),
        ("Training run", provenance.training_id),
        ("Command", provenance.command),
        ("Artifact", f"{model.artifact_bytes:,} bytes, SHA-256 {model.artifact_sha256}"),
    ]
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in rows if value)
    return f'<div class="model-details"><dl>{facts}</dl>{_classes_html(model.evaluation)}</div>'


def option_rows(options: TrainingOptions) -> Iterable[tuple[str, str]]:
    """The options of a run, in words."""
    yield "Network", options.architecture.name.lower()
    yield "Activation", options.activation.name.lower()
    yield "Optimizer", options.optimizer.name.lower()
    if options.learning_rate is not None:
        yield "Learning rate", f"{options.learning_rate:g}"
    if options.epochs is not None:
        yield "Epochs", str(options.epochs)
    if options.batch_size is not None:
        yield "Batch size", str(options.batch_size)
    yield "Augmentation", options.augmentation.name.lower()
    if options.seed is not None:
        yield "Seed", str(options.seed)


def _parts(images: int, partitions: Sequence[str]) -> str:
    """How many images of which parts of the data; nothing where none were used."""
    return f"{wording.count(images, 'image')} ({', '.join(partitions)})" if images else "nothing"


def _classes_html(evaluation: Evaluation | None) -> str:
    """Precision, recall and F1 of each digit, as a table."""
    if evaluation is None or not evaluation.per_class:
        return ""
    rows = "".join(
        f"<tr><th scope=row>{row.digit}</th><td>{row.precision * 100:.2f}</td><td>{row.recall * 100:.2f}</td>"
        f"<td>{row.f1 * 100:.2f}</td><td>{row.support:,}</td></tr>"
        for row in evaluation.per_class
    )
    return (
        f"<table><caption>Each digit of the {wording.DATASETS[evaluation.dataset]}</caption><thead><tr>"
        "<th scope=col>Digit</th><th scope=col>Precision, %</th><th scope=col>Recall, %</th>"
        f"<th scope=col>F1, %</th><th scope=col>Images</th></tr></thead><tbody>{rows}</tbody></table>"
    )
