"""What an import of features did, or would do."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cli.render.additions import (
    addition_document,
    planned_addition_document,
    show_addition,
    show_planned_addition,
)
from cli.render.amounts import counted

if TYPE_CHECKING:
    from cli.adding import AddOutcome
    from cli.shell import Shell
    from continual_dml.workflows.import_features import ImportPlan, Proof


def show_import(shell: Shell, outcome: AddOutcome, proof: Proof) -> None:
    """Write the result of an import to stdout."""
    if shell.as_json:
        shell.emit_json(_with_proof(addition_document(outcome), proof))
        return
    show_addition(shell, outcome)
    shell.emit_line(proof_line(proof))


def show_planned_import(shell: Shell, planned: ImportPlan) -> None:
    """Write what an import would do to stdout."""
    if shell.as_json:
        shell.emit_json(_with_proof(planned_addition_document(planned.plan), planned.proof))
        return
    shell.emit_line(proof_line(planned.proof))
    show_planned_addition(shell, planned.plan)


def proof_line(proof: Proof) -> str:
    """Return how the file showed that its features are the live model's."""
    says = "the file names the live model" if proof.named else "the file names no model"
    if not proof.sampled:
        return f"{says}; none of its images is here to compare"
    images = counted(proof.sampled, "image", "images")
    return (
        f"{says}; {images} embedded again: features are {proof.typical:.1%} of their length away in the "
        f"median, {proof.farthest:.1%} at most"
    )


def _with_proof(document: dict[str, Any], proof: Proof) -> dict[str, Any]:
    return {**document, "proof": asdict(proof)}
