"""What lint reports."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Sequence

from slimnets.listing import html_table


@dataclasses.dataclass(frozen=True)
class Finding:
    """One fault.

    Attributes:
        kind: `shared tensor`, `lost update`, `lost regularizer`, `training mode`,
            `unused variable` or `duplicate`.
        name: the tensor, operation or variable.
        message: who made it, who reads it, and how to mend it.
        readers: of a shared tensor, the other layers that read it.
    """

    kind: str
    name: str
    message: str
    readers: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


class Report(Sequence):
    """The findings in a graph: a sequence, empty when it is clean."""

    def __init__(self, findings: Sequence[Finding]):
        self.findings = tuple(findings)

    def __len__(self) -> int:
        return len(self.findings)

    def __getitem__(self, index):
        return self.findings[index]

    def __str__(self) -> str:
        return "\n".join(map(str, self.findings)) or "nothing found"

    def __repr__(self) -> str:
        counts = collections.Counter(finding.kind for finding in self)
        kinds = ", ".join(f"{kind} {number}" for kind, number in counts.items())
        return f"<Report of {len(self)} findings{kinds and f': {kinds}'}>"

    def _repr_html_(self) -> str:
        rows = [(finding.kind, finding.name, finding.message) for finding in self]
        return html_table(repr(self), ("kind", "name", "what"), rows)
